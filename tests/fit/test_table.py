"""The loop that measures a table, on a machine whose times are a formula."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgecnn.building.untrained_kits import KitMaker, MadeKits
from edgecnn.devices.machine import this_machine
from edgecnn.errors.building import OUTPUT_UNUSABLE
from edgecnn.errors.fit import NothingTimed
from edgecnn.fit import timing as of_tables
from edgecnn.fit.predictor import count_cost
from edgecnn.fit.timing import TablePlan, measure_table, pool
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import RaceResult
from edgecnn.measure.race_request import RaceRequest
from edgecnn.planning.candidates import BASELINE
from edgecnn.render.progress import Quiet
from edgecnn.store.store import Store
from edgecnn.values.candidate import Candidate
from edgecnn.values.fit import OtherLayers, Probe, TracedLayers
from edgecnn.values.layers import LayerMacs, LayerResidency, MacTable, Residency
from edgecnn.values.profile import Environment
from tests.fit.made import timed

PLAN = TablePlan(candidates=(BASELINE,), minutes=60)
MACS = MacTable(
    resolution_px=32,
    layers=tuple(LayerMacs(name=name, op="Conv", macs=macs, outputs=()) for name, macs in (("first", 3), ("second", 1))),
)


class Bench:
    """Plays the machine: which networks were made, and how each race went."""

    def __init__(self, lab: Lab, busy: Iterable[int] = (), broken: str = "") -> None:
        self.apart = ""
        """Digest of a kit of which one process of the first race took twice as long as the other."""
        self.lab, self.busy, self.broken, self.other_us = lab, set(busy), broken, 2.0
        self.made: list[Probe] = []
        self.races: list[RaceRequest] = []

    def kits(self, _maker: KitMaker, probe: Probe, candidates: tuple[Candidate, ...]) -> MadeKits:
        self.made.append(probe)
        if probe.arch == self.broken:
            raise OUTPUT_UNUSABLE(folder=Path("store"), because="no")
        made = {
            each.id: KitRef(candidate=each, folder=Path("kit"), digest=probe.name, runtime="onnxruntime") for each in candidates
        }
        return MadeKits(made, {})

    def race(self, request: RaceRequest, lab: Lab) -> RaceResult:
        self.races.append(request)
        observed = {"others_percent": "60.0"} if len(self.races) in self.busy else {}
        conditions = {**lab.environment.conditions, "runtime_version": "1.31.1"}
        environment = Environment(conditions=conditions, observed=observed)
        profiles = {kit.entrant: timed(lab, kit, environment, self._ns(kit), rounds=request.rounds) for kit in request.kits}
        for name, profile in profiles.items() if len(self.races) == 1 else ():
            if self.apart and self.apart in {kit.digest for kit in request.kits if kit.entrant == name}:
                *others, last = profile.runs
                slow = last.model_copy(update={"samples_ns": tuple(2 * ns for ns in last.samples_ns)})
                profiles[name] = profile.model_copy(update={"runs": (*others, slow)})
        return RaceResult(race="r", observed_at="2026-11-01T00:00:00+00:00", profiles=profiles, failed={}, reused=False)

    def residency(self, kit: KitRef, macs: MacTable, lab: Lab) -> Any:
        """Two layers that multiply, of which the runtime runs the second with the first, and another one."""
        both = LayerResidency(name="a", op="Conv", precision="fp32", macs=4, time_us=8.0, onnx_nodes=("first", "second"))
        other = LayerResidency(name="b", op="Softmax", precision="fp32", macs=0, time_us=self.other_us)
        layers = (both.model_copy(update={"time_us": both.time_us if self.other_us else 0.0}), other)
        found = Residency(basis="executed", layers=layers, mac_share={}, time_share=None)
        return SimpleNamespace(profile=SimpleNamespace(residency=found, environment=lab.environment, runs=()))

    def _ns(self, kit: KitRef) -> int:
        probe = next(each for each in self.made if each.name == kit.digest)
        return int(1e4 * sum(each for name, each in count_cost(probe).features.items() if name.endswith("_mmac"))) + 1000


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return this_machine().lab(Store.open(tmp_path / "store"), Quiet(), "cpu")


def played(bench: Bench, monkeypatch: pytest.MonkeyPatch, networks: int) -> None:
    monkeypatch.setattr(KitMaker, "kits", lambda *given: bench.kits(*given))
    monkeypatch.setattr(KitMaker, "mac_table", lambda *_: MACS)
    monkeypatch.setattr("edgecnn.fit.timing.race", bench.race)
    monkeypatch.setattr(of_tables, "residency", bench.residency)
    monkeypatch.setattr(of_tables, "POOL", 24)
    monkeypatch.setattr(of_tables, "BATCH", 6)
    monkeypatch.setattr(of_tables, "MOST", networks)


@pytest.mark.slow
def test_the_families_come_first_and_then_what_is_known_worst(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(lab)
    played(bench, monkeypatch, networks=24)
    monkeypatch.setattr(of_tables, "POOL", 30)
    found = measure_table(PLAN, lab)
    drawn = pool(30)
    assert bench.made[: of_tables.BEGINNING] == list(drawn[: of_tables.BEGINNING])
    assert bench.made[of_tables.BEGINNING :] != list(drawn[of_tables.BEGINNING : 24])
    assert len(found.timed["onnxruntime-fp32"]) == 24
    assert found.runtimes == {"onnxruntime": "1.31.1"}
    assert found.left == 0


def test_a_batch_beside_other_work_runs_once_more_and_is_marked_where_that_stays(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(lab, busy=(1, 3, 4))
    played(bench, monkeypatch, networks=12)
    rows = measure_table(PLAN, lab).timed["onnxruntime-fp32"]
    assert [request.max_age_h > 0 for request in bench.races] == [True, False, True, False]
    assert [row.disturbed for row in rows] == [None] * 6 + ["other programs used 60 % of the CPU time"] * 6


def test_no_batch_is_begun_that_would_not_be_done_in_time_and_what_is_left_is_said(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(lab)
    played(bench, monkeypatch, networks=18)
    clock = iter(range(0, 10_000, 100))
    monkeypatch.setattr("edgecnn.fit.timing.time.monotonic", lambda: float(next(clock)))
    found = measure_table(PLAN.model_copy(update={"minutes": 10.0}), lab)
    assert len(bench.races) < 3
    assert found.left == 18 - 6 * len(bench.races)


def test_a_network_that_cannot_be_made_is_named_and_the_others_go_on(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(lab, broken=pool(24)[1].arch)
    played(bench, monkeypatch, networks=6)
    found = measure_table(PLAN, lab)
    assert len(found.timed["onnxruntime-fp32"]) == 5
    assert list(found.failed) == [pool(24)[1].name]


def test_where_nothing_can_be_made_nothing_is_written(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    played(Bench(lab), monkeypatch, networks=0)
    with pytest.raises(NothingTimed, match="the time limit left no time for any network"):
        measure_table(PLAN, lab)


def test_where_the_time_of_each_network_goes_is_kept_and_layers_that_ran_as_one_share_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(Bench(lab), monkeypatch, networks=6)
    (row, *_) = measure_table(PLAN, lab).timed["onnxruntime-fp32"]
    assert row.traced == TracedLayers(multiplying_us=(6.0, 2.0), others={"Softmax": OtherLayers(count=1, us=2.0)})


def test_a_kit_whose_two_processes_differ_runs_again_and_all_of_its_runs_count(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(lab)
    bench.apart = pool(24)[0].name
    played(bench, monkeypatch, networks=4)
    rows = measure_table(PLAN, lab).timed["onnxruntime-fp32"]
    assert [[kit.digest for kit in request.kits] for request in bench.races[1:]] == [[bench.apart]]
    assert [len(row.medians_ms) for row in rows] == [4, 2, 2, 2]


def test_of_a_runtime_that_times_no_layer_the_whole_is_kept_alone(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(lab)
    bench.other_us = 0.0
    played(bench, monkeypatch, networks=6)
    found = measure_table(PLAN, lab)
    assert all(row.traced is None for row in found.timed["onnxruntime-fp32"])
    assert "traced" not in found.model_dump_json()


@pytest.mark.parametrize("samples_ns", [(), (0,) * 5, (2**62,) * 5])
def test_a_stored_profile_without_a_possible_time_is_no_row_and_the_others_go_on(
    samples_ns: tuple[int, ...], lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(lab)
    played(bench, monkeypatch, networks=6)
    race, spoilt = bench.race, pool(24)[1].name

    def pulled(request: RaceRequest, lab: Lab) -> RaceResult:
        found = race(request, lab)
        for kit in request.kits:
            if kit.digest == spoilt:
                profile = found.profiles[kit.entrant]
                runs = tuple(run.model_copy(update={"samples_ns": samples_ns}) for run in profile.runs)
                found.profiles[kit.entrant] = profile.model_copy(update={"runs": runs})
        return found

    monkeypatch.setattr("edgecnn.fit.timing.race", pulled)
    found = measure_table(PLAN, lab)
    assert len(found.timed["onnxruntime-fp32"]) == 5
    assert found.failed[f"onnxruntime-fp32 of {spoilt}"] == "no run of it was recorded"


@pytest.mark.parametrize("us", [float("inf"), float("nan"), 1e308, -1.0])
def test_a_trace_with_an_impossible_time_leaves_the_whole_alone(us: float, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(lab)
    bench.other_us = us
    played(bench, monkeypatch, networks=6)
    found = measure_table(PLAN, lab)
    assert [row.traced for row in found.timed["onnxruntime-fp32"]] == [None] * 6
    assert not found.failed
