from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.measure.loadgen.facts import LoadRun, LoadSettings, Scenario
from edgecnn.measure.loadgen.search import PROBES, highest_valid

CAPACITY = 640.0


def server_that_holds(limit_qps: float) -> Callable[[float], LoadRun]:
    def run_at(qps: float) -> LoadRun:
        told = LoadSettings(scenario=Scenario.SERVER, min_duration_ms=1, min_query_count=1, batch=1, target_qps=qps)
        return LoadRun(
            settings=told, valid=qps <= limit_qps, too_short=False, figure=qps, queries=9, percentiles_ms={}, logs=f"{qps:g}"
        )

    return run_at


@given(st.floats(CAPACITY / 16, CAPACITY))
def test_the_highest_rate_is_found_to_a_sixty_fourth_of_the_capacity(limit: float) -> None:
    found = highest_valid(CAPACITY, server_that_holds(limit))
    assert found.best is not None and len(found.runs) == PROBES
    best = found.runs[found.best].figure
    assert best <= limit <= found.invalid_qps <= best + CAPACITY / 64


def test_a_rate_above_the_capacity_is_never_tried() -> None:
    assert max(run.figure for run in highest_valid(CAPACITY, server_that_holds(1e9)).runs) < CAPACITY


@pytest.mark.parametrize("limit", [0.0, CAPACITY / 17])
def test_a_system_that_cannot_hold_a_sixteenth_is_given_up_rather_than_tried_ever_more_slowly(limit: float) -> None:
    found = highest_valid(CAPACITY, server_that_holds(limit))
    assert found.best is None
    assert [run.figure for run in found.runs] == [320.0, 160.0, 80.0, 40.0]
    assert found.invalid_qps == 40.0
