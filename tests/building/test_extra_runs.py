"""What is asked for beyond the race is measured of the reported candidates, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecnn.building.measuring import ExtraRunner
from edgecnn.building.rows import add_reported_figures
from edgecnn.measure.subject import Subject
from edgecnn.planning.candidates import BASELINE
from edgecnn.store.store import Store
from edgecnn.values.profile import ExtraRuns
from edgecnn.values.report import CandidateFacts
from tests.building.resolutions import INT8, resolved
from tests.measure.labs import FakeHost, a_kit, lab_at

NAMES = (BASELINE.id, INT8.id)


class Stand:
    """Two kits on a machine that is made up."""

    def __init__(self, folder: Path) -> None:
        self.host = FakeHost()
        self.store = Store.open(folder / "store")
        self.seen = Subject.from_build(resolved(), lab=lab_at(self.host, self.store))
        self.seen.kits = {name: a_kit(folder / "kits", name) for name in NAMES}

    def measured(self, extra_runs: ExtraRuns, *, anew: bool = False) -> dict[str, CandidateFacts]:
        seen = self.seen
        ExtraRunner(seen, tuple(seen.kits[name] for name in NAMES), seen.race_choice, anew=anew).measure(extra_runs)
        rows = {candidate.id: CandidateFacts(candidate=candidate) for candidate in (BASELINE, INT8)}
        return add_reported_figures(rows, seen)


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


def batches_of(rows: dict[str, CandidateFacts], name: str) -> list[tuple[int, bool, bool]]:
    found: Any = rows[name].throughput
    return [(figure.batch, figure.asked, figure.best) for figure in found.figures]


def test_an_ordinary_build_measures_none_of_it(stand: Stand) -> None:
    rows = stand.measured(ExtraRuns())
    assert stand.host.calls == []
    assert [(row.throughput, row.end_to_end, row.sustained) for row in rows.values()] == [(None, None, None)] * 2


def test_the_best_batch_is_found_on_one_run_each_and_measured_in_a_race_of_its_own(stand: Stand) -> None:
    stand.host.batch_cost = {2: 1.5, 4: 2.0, 8: 3.0, 16: 9.0}
    rows = stand.measured(ExtraRuns(best_batch=True))
    assert len(stand.host.calls) == 5 + 1, "1, 2, 4, 8 and 16 screened, then the best"
    assert batches_of(rows, INT8.id) == [(8, False, True)]
    seen: Any = rows[INT8.id].throughput
    assert sorted(seen.screened) == [1, 2, 4, 8, 16]
    assert seen.figures[0].runs == 8 and seen.figures[0].images_per_s is not None


def test_a_given_batch_is_measured_without_any_screening(stand: Stand) -> None:
    rows = stand.measured(ExtraRuns(batches=(1, 4)))
    assert len(stand.host.calls) == 2
    assert batches_of(rows, BASELINE.id) == [(1, True, False), (4, True, False)]


def test_a_given_batch_that_is_the_best_is_measured_once(stand: Stand) -> None:
    stand.host.batch_cost = {2: 1.5, 4: 2.0, 8: 9.0, 16: 99.0}
    rows = stand.measured(ExtraRuns(batches=(4,), best_batch=True), anew=True)
    assert len(stand.host.calls) == 5 + 1
    assert batches_of(rows, INT8.id) == [(4, True, True)]


def test_a_kit_that_takes_no_such_batch_is_missing_with_its_words(stand: Stand) -> None:
    stand.host.broken[stand.seen.kits[INT8.id].digest] = "a batch of 32 is not in 1…16"
    rows = stand.measured(ExtraRuns(batches=(32,)))
    assert rows[INT8.id].throughput is not None
    assert rows[INT8.id].throughput.reason == "a batch of 32 is not in 1…16"
    assert stand.seen.failures == {}, "it is not out for it"
    assert stand.seen.notes == [f"throughput of {INT8.id} could not be measured: a batch of 32 is not in 1…16"]


def test_end_to_end_is_a_latency_of_its_own_with_its_picture(stand: Stand) -> None:
    rows = stand.measured(ExtraRuns(end_to_end=True))
    found = rows[INT8.id].end_to_end
    assert found is not None and found.latency.p50_ms is not None and found.latency.ratio_to_fp32 is not None
    assert found.picture == "JPEG of 56 x 40 pixels and 1,000 bytes"
    assert rows[INT8.id].latency is None, "the network's own latency is another figure"


def test_a_soak_is_one_process_a_kit_in_windows_of_ten_seconds(stand: Stand) -> None:
    rows = stand.measured(ExtraRuns(soak_s=60.0))
    found = rows[INT8.id].sustained
    assert len(stand.host.ran) == 2
    assert found is not None and len(found.windows) == 6
    assert found.slowdown == pytest.approx(1.25, rel=0.01)
    assert found.throttled == "too hot in 3 of 6 windows"


def test_a_second_call_takes_it_from_the_store_unless_it_is_to_be_anew(stand: Stand) -> None:
    asked = ExtraRuns(batches=(2,), end_to_end=True, soak_s=60.0)
    stand.measured(asked)
    before = len(stand.host.ran)
    stand.seen.throughput.clear()
    assert batches_of(stand.measured(asked), INT8.id) == [(2, True, False)]
    assert len(stand.host.ran) == before
    stand.measured(asked, anew=True)
    assert len(stand.host.ran) == 2 * before
