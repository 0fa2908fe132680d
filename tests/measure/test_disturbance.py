from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecnn.judging.gates import judge
from edgecnn.judging.latency import latency
from edgecnn.measure.lab import joined_environment
from edgecnn.measure.race import race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.store.store import Store
from edgecnn.values.verdict import Verdict
from tests.judging.made import a_gate, facts
from tests.measure.labs import CONDITIONS, FakeHost, a_kit, lab_at


def runs(*observed: dict[str, str]) -> list[dict[str, Any]]:
    return [{"environment": {"conditions": CONDITIONS, "observed": each}} for each in observed]


def seen(*observed: dict[str, str]) -> dict[str, str]:
    return dict(joined_environment(runs(*observed)).observed)


def test_shares_are_medians_and_heat_is_the_worst() -> None:
    found = seen(
        {"steal_percent": "0.10", "temperature_c": "51.0"},
        {"steal_percent": "9.00", "temperature_c": "83.5"},
        {"steal_percent": "0.30", "temperature_c": "60.0"},
    )
    assert found == {"steal_percent": "0.30", "temperature_c": "83.5"}


def test_throttling_is_said_with_its_causes_and_the_share_of_runs() -> None:
    found = seen({"throttled": "no"}, {"throttled": "too hot (3 times), under-voltage"}, {"throttled": "too hot (1 time)"})
    assert found == {"throttled": "too hot, under-voltage", "throttled_percent": "67"}
    assert seen({"throttled": "no"}, {"throttled": "no"}) == {"throttled": "no", "throttled_percent": "0"}


def test_a_run_that_could_not_tell_leaves_throttling_unknown() -> None:
    assert seen({"throttled": "no"}, {}) == {}


def test_what_only_the_first_run_says_of_the_machine_is_kept() -> None:
    assert seen({"model": "Raspberry Pi 5"}, {})["model"] == "Raspberry Pi 5"


def test_what_no_run_could_read_stays_absent() -> None:
    assert seen({}, {}) == {}


@pytest.mark.parametrize("bound", [0.9, 1.1])
def test_a_machine_that_throttles_from_the_half_on_fails_no_gate_and_is_said(
    host: FakeHost, store: Store, tmp_path: Path, bound: float
) -> None:
    kit, half, plain = a_kit(tmp_path, "alone"), 8, host.environment_of

    def hotter(folder: Path) -> dict[str, dict[str, str]]:
        now = plain(folder)
        seen = "too hot (3 times)" if len(host.ran) > half else "no"
        return {**now, "observed": {**now["observed"], "throttled": seen}}

    host.environment_of = hotter  # type: ignore[method-assign]
    host.sample_ns = lambda index: 1_000_000 if index < half else 1_250_000
    request = RaceRequest(kits=(kit,), purpose="report", rounds=2 * half, samples=50, max_age_h=24.0)
    figures = latency(race(request, lab_at(host, store)).profiles[kit.digest])
    assert figures.p50_ms is not None and figures.p50_ms.low <= 1.0 and figures.p50_ms.high >= 1.25
    result = judge(a_gate("p50_ms", bound), facts(latency=figures))
    assert result.verdict is Verdict.UNSURE
    assert "throttled in 50 % of the runs (too hot)" in result.reason
