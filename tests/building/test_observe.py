from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.building import build
from edgecnn.building.choosing import Call, Decision
from edgecnn.building.execute import Execution
from edgecnn.building.measuring import CHOICE_MAX_S, CHOICE_SAMPLES, Observer
from edgecnn.judging.choice import Chosen
from edgecnn.judging.gates import RunsNeeded, parse_bounds
from edgecnn.judging.regret import ENOUGH, LOOKS
from edgecnn.measure import subject
from edgecnn.measure.evaluate import PixelSet
from edgecnn.measure.kits import KitRef
from edgecnn.measure.race import RaceResult
from edgecnn.measure.race_request import RaceOptions, RaceRequest
from edgecnn.measure.subject import Subject
from edgecnn.planning.candidates import BASELINE
from edgecnn.planning.plan import plan
from edgecnn.planning.request import effective_gates
from edgecnn.values.candidate import Candidate
from edgecnn.values.profile import Environment
from edgecnn.values.reason import Taken
from tests.building.resolutions import INT8, resolved
from tests.building.scenes import a_choice, a_request


class Ear:
    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None: ...

    def note(self, text: str) -> None: ...


class Room:
    tell = Ear()

    def __init__(self, **observed: str) -> None:
        self.environment = Environment(conditions={}, observed=observed)


def kit(candidate: Candidate) -> KitRef:
    return KitRef(candidate=candidate, folder=Path("/nowhere"), digest=candidate.id, runtime="onnxruntime")


def test_a_candidate_that_answers_no_numbers_is_out_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[str, Any] = {BASELINE.id: np.zeros((4, 10), np.float32), INT8.id: np.full((4, 10), np.nan, np.float32)}
    monkeypatch.setattr(subject, "evaluate", lambda kit, pixels, lab, begin: kit.candidate.id)
    monkeypatch.setattr(subject, "logits_of", answers.__getitem__)
    observer = Observer(Subject.from_build(resolved(), lab=Room()))  # type: ignore[arg-type]
    observer.subject.answering = {candidate.id: kit(candidate) for candidate in (BASELINE, INT8)}
    pixels = {split: PixelSet(split=split, file=Path("/nowhere"), sha256="a", images=4) for split in subject.SPLITS}
    observer.evaluate_all(pixels)
    assert observer.subject.failures[INT8.id].ref == "logits-not-finite"
    assert {name for name, _ in observer.subject.evaluations} == {BASELINE.id}


def an_observer(monkeypatch: pytest.MonkeyPatch, failed: dict[str, str], **said: str) -> tuple[Observer, list[RaceRequest]]:
    """One whose races are only written down."""
    asked: list[RaceRequest] = []

    def write_down(request: RaceRequest, lab: object) -> RaceResult:
        asked.append(request)
        return RaceResult(race="r", observed_at="", profiles={}, failed=failed, reused=False)

    monkeypatch.setattr(subject, "race", write_down)
    observer = Observer(Subject.from_build(resolved(), lab=Room(**said)))  # type: ignore[arg-type]
    observer.subject.kits = {candidate.id: kit(candidate) for candidate in (BASELINE, INT8)}
    return observer, asked


def test_energy_is_asked_for_only_where_a_meter_can_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    observer, asked = an_observer(monkeypatch, {}, energy_absent="rapl: this is a virtual machine")
    observer.energy([BASELINE.id, INT8.id], RaceOptions())
    assert asked == [] and "energy" not in observer.subject.races
    observer.energy([BASELINE.id, INT8.id], RaceOptions(meter=tmp_path / "meter.csv"))
    assert [(request.purpose, request.meter_log, request.max_s) for request in asked] == [
        ("energy", tmp_path / "meter.csv", 15.0)
    ]
    observer, asked = an_observer(monkeypatch, {}, energy_meters="rapl")
    observer.energy([BASELINE.id, INT8.id], RaceOptions())
    assert [(len(request.kits), request.rounds, request.max_s) for request in asked] == [(2, 8, 4.0)]


def test_a_kit_that_fails_while_energy_is_measured_is_not_out_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    observer, _ = an_observer(monkeypatch, {INT8.id: "the process was killed"}, energy_meters="rapl")
    observer.energy([BASELINE.id, INT8.id], RaceOptions())
    assert observer.subject.failures == {}
    assert observer.subject.notes == [f"energy of {INT8.id} could not be measured: the process was killed"]


def test_runs_of_the_race_for_the_choice_are_short_however_patient_the_other_races_are(monkeypatch: pytest.MonkeyPatch) -> None:
    observer, asked = an_observer(monkeypatch, {})
    observer.subject.answering = dict(observer.subject.kits)
    observer.time_all([INT8.id], RaceOptions(runs=RunsNeeded(latency=17, tails=True)))
    observer.race([BASELINE.id], "report", RaceOptions(runs=RunsNeeded(latency=17, tails=True)))
    assert [(request.rounds, request.samples, request.max_s) for request in asked] == [
        (LOOKS[-1], CHOICE_SAMPLES, CHOICE_MAX_S),
        (17, 1000, 60.0),
    ]
    rule = asked[0].choosing
    assert rule is not None and (rule.looks, rule.regret, rule.contenders) == (LOOKS, ENOUGH, (INT8.id,))


@pytest.mark.parametrize(
    ("bound", "latency", "energy"), [("p50_ms=1", 16, 8), ("p99_ms=1", 17, 8), ("energy_mj=1", 8, 16), ("size_mib=1", 8, 8)]
)
def test_a_build_races_its_winner_as_often_as_its_gates_need(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bound: str, latency: int, energy: int
) -> None:
    observer, asked = an_observer(monkeypatch, {}, energy_meters="rapl")
    seen, taken = observer.subject, Taken(by="estimate", budget_pp=1.0)
    seen.answering = dict(seen.kits)
    for name in ("evaluate_all", "read_residency"):
        monkeypatch.setattr(observer, name, lambda *_: None)
    for name in ("pixel_sets", "observe_folds", "measure_desktop_gpu", "race_for_choice"):
        monkeypatch.setattr(build, name, lambda *_, **__: {"test": None})

    def decide(*_: object) -> Decision:
        return Decision(Chosen(choice=a_choice(INT8.id), because={INT8.id: taken}), BASELINE.id)

    monkeypatch.setattr(build, "decide", decide)
    monkeypatch.setattr(build, "candidates_inside_budget", lambda *_: (INT8.id,))
    request = a_request(tmp_path, gates=parse_bounds([bound], ()))
    call = Call(request, effective_gates(resolved(), request.gates, request.stored_race, None))
    build.measure_and_choose(Execution(plan=plan(resolved())), observer, call, None, seen.lab)  # type: ignore[arg-type]
    rounds = {request.purpose: request.rounds for request in asked}
    assert (rounds["report"], rounds["energy"]) == (latency, energy)


def test_who_has_no_part_in_the_choice_is_timed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    observer, asked = an_observer(monkeypatch, {})
    observer.subject.answering = dict(observer.subject.kits)
    observer.subject.objective = "throughput"
    observer.time_all([INT8.id], RaceOptions())
    assert [len(request.kits) for request in asked] == [2]
    assert asked[0].choosing is not None and asked[0].choosing.contenders == ()


def test_until_is_a_matter_of_the_race_for_the_reported_figures_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    observer, asked = an_observer(monkeypatch, {})
    for purpose in ("select", "report"):
        observer.race([BASELINE.id], purpose, RaceOptions(until=0.02))  # type: ignore[arg-type]
    assert [(request.rounds, request.until and request.until.half_width) for request in asked] == [(LOOKS[-1], None), (40, 0.02)]
