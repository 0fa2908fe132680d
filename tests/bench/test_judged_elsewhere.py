"""A finished build judged where its kits cannot run, or where the device is another: what a stored race may say, and when."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from edgecnn.bench.bench import BenchRequest, JudgeRequest, judge_finished
from edgecnn.devices.files import device_named
from edgecnn.devices.machine import local_lab
from edgecnn.errors.hosts import RunnerFailed
from edgecnn.hosts.protocol import Task
from edgecnn.judging.gates import exit_code_of, parse_bounds
from edgecnn.measure import subject
from edgecnn.measure.evaluate import logits_of
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import RaceResult
from edgecnn.measure.race_request import RaceRequest
from edgecnn.runner.packages import installed_version
from edgecnn.store.store import Store
from edgecnn.values.profile import Environment, Profile, Purpose
from edgecnn.values.report import BuildReport
from edgecnn.values.stage import Progress
from edgecnn.values.verdict import Fidelity, GateResult, Verdict
from tests.building.builds import Place
from tests.store.toys import Ear


class WithoutRuntime:
    """This machine, if it lacked the runtime that kits need."""

    part_bytes: int | None = None

    def identify(self) -> Environment:
        raise AssertionError("identified again")

    def runtime_version(self, runtime: str) -> str | None:
        return installed_version(runtime)

    def recall(self, out: Path) -> None: ...

    def run(self, task: Task, *, lease_s: float, tell: Progress) -> NoReturn:
        raise RunnerFailed(ref="missing-package", what="this kit needs onnxruntime>=1.19", because=None, hint=None, missing=True)


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def judged(place: Place, *bounds: str, allow_stored: bool = False, machine: str | None = None) -> BuildReport:
    lab = replace(local_lab(Store.open(place.store), Ear()), host=WithoutRuntime())
    if machine is not None:
        conditions = {**lab.environment.conditions, "cpu": machine}
        lab = replace(lab, machine=machine, environment=lab.environment.model_copy(update={"conditions": conditions}))
    return judge_finished(
        JudgeRequest(
            folder=place.out, gates=parse_bounds(bounds, ()), stored_race="fresh-enough" if allow_stored else "unless-gated"
        ),
        lab,
    )


def only_gate(found: BuildReport) -> GateResult:
    (gate,) = found.gates
    return gate


def planned_otherwise(place: Place, resolved: Mapping[str, Any]) -> None:
    plan = json.loads((place.out / "plan.json").read_text())
    plan["resolved"].update(resolved)
    (place.out / "plan.json").write_text(json.dumps(plan))


def test_where_the_kit_cannot_run_a_young_stored_race_serves_with_its_age(built_once: Place) -> None:
    found = judged(built_once, "p50_ms=10000", "drop_pp=60")
    assert {gate.gate.metric: gate.verdict for gate in found.gates} == {"p50_ms": Verdict.UNSURE, "drop_pp": Verdict.PASS}
    assert next(gate for gate in found.gates if gate.gate.metric == "p50_ms").rounds_to_settle == 16, "it has 8 runs"
    (note,) = [note for note in found.notices if note.startswith("final race: ")]
    assert "reused from " in note and " h old; " in note


def test_in_ci_a_stored_race_is_missing_unless_it_is_allowed(built_once: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    gate = only_gate(found := judged(built_once, "p50_ms=10000"))
    assert (gate.verdict, exit_code_of(found.gates)) == (Verdict.MISSING, 3)
    assert gate.reason.startswith("this kit needs onnxruntime>=1.19 [missing-package]; the stored race of ")
    assert gate.reason.endswith(" is not of this job: --allow-stored accepts it")
    assert only_gate(judged(built_once, "p50_ms=10000", allow_stored=True)).figure is not None


@pytest.mark.parametrize(("bound", "rounds"), [("p50_ms=1", 16), ("p99_ms=1", 17), ("peak_memory_mib=1", 8)])
def test_a_build_that_is_judged_is_raced_as_often_as_its_gates_need(
    built_once: Place, monkeypatch: pytest.MonkeyPatch, bound: str, rounds: int
) -> None:
    asked: list[RaceRequest] = []

    def write_down(request: RaceRequest, lab: Lab) -> RaceResult:
        asked.append(request)
        return RaceResult(race="r", observed_at="", profiles={}, failed={}, reused=False)

    monkeypatch.setattr(subject, "race", write_down)
    lab = local_lab(Store.open(built_once.store), Ear())
    judge_finished(JudgeRequest(folder=built_once.out, gates=parse_bounds([bound], ())), lab)
    assert [(request.purpose, request.rounds) for request in asked if request.purpose == "report"] == [("report", rounds)]


@pytest.mark.parametrize(("anew", "max_age_h"), [(True, 0.0), (False, 24.0)])
def test_a_bench_that_can_only_judge_races_again_where_it_is_asked_to(
    built_once: Place, monkeypatch: pytest.MonkeyPatch, anew: bool, max_age_h: float
) -> None:
    asked: list[RaceRequest] = []

    def write_down(request: RaceRequest, lab: Lab) -> RaceResult:
        asked.append(request)
        return RaceResult(race="r", observed_at="", profiles={}, failed={}, reused=False)

    monkeypatch.setattr(subject, "race", write_down)
    stored = BenchRequest(folder=built_once.out, anew=anew).stored_race
    request = JudgeRequest(folder=built_once.out, gates=parse_bounds(["drop_pp=60"], ()), stored_race=stored, race=True)
    judge_finished(request, local_lab(Store.open(built_once.store), Ear()))
    assert [each.max_age_h for each in asked if each.purpose == "report"] == [max_age_h]


def test_a_race_that_is_older_than_the_recipe_allows_serves_nobody(built: Place) -> None:
    plan = json.loads((built.out / "plan.json").read_text())
    recipe = {**plan["resolved"]["recipe"], "race": {**plan["resolved"]["recipe"]["race"], "max_age_h": 1e-9}}
    planned_otherwise(built, {"recipe": recipe})
    gate = only_gate(judged(built, "p50_ms=10000", allow_stored=True))
    assert (gate.verdict, gate.reason) == (Verdict.MISSING, "this kit needs onnxruntime>=1.19 [missing-package]")


def filed_again(place: Place, purpose: Purpose, ahead: timedelta) -> Profile:
    """The reported race of what ships, filed once more under another name and date."""
    profiles = Store.open(place.store).profiles
    (ships,) = [row for row in place.report()["candidates"] if row["chosen"]]
    told = next(each.profile for each in profiles.of(ships["kit"], "race") if each.profile.purpose == "report")
    when = (datetime.now(UTC) + ahead).isoformat(timespec="seconds")
    other = told.model_copy(update={"race": f"{purpose}-again", "purpose": purpose, "observed_at": when})
    return profiles.add(other, {}).profile


def test_a_race_dated_into_the_future_serves_nobody(built: Place) -> None:
    future = filed_again(built, "report", timedelta(days=400))
    found = judged(built, "p50_ms=10000")
    (ships,) = [row for row in found.candidates if row.chosen]
    assert ships.latency is not None
    assert ships.latency.observed_at < future.observed_at


def test_a_reported_race_serves_before_a_newer_one_that_was_chosen_by(built: Place) -> None:
    newer = filed_again(built, "select", timedelta(seconds=1))
    found = judged(built, "p50_ms=10000")
    (ships,) = [row for row in found.candidates if row.chosen]
    assert ships.latency is not None
    assert ships.latency.observed_at < newer.observed_at


def answered_nan(place: Place, row: Mapping[str, Any]) -> None:
    """Newer answers of this row's kit to the test split, of which one is no number."""
    profiles = Store.open(place.store).profiles
    stored = profiles.of(row["evaluated_kit"] or row["kit"], "evaluation")
    told = next(each for each in stored if each.profile.pixels == row["test"]["pixels"])
    assert told.profile.logits_file is not None
    logits = logits_of(told).copy()
    logits[2, 0] = np.nan
    np.save(place.folder / "nan.npy", logits)
    when = (datetime.now(UTC) + timedelta(seconds=1)).isoformat(timespec="seconds")
    profiles.add(told.profile.model_copy(update={"observed_at": when}), {told.profile.logits_file: place.folder / "nan.npy"})


def test_answers_that_are_no_numbers_fail_accuracy_and_leave_the_other_verdicts(built: Place) -> None:
    (ships,) = [row for row in built.report()["candidates"] if row["chosen"]]
    answered_nan(built, ships)
    found = judged(built, "drop_pp=60", "size_mib=100", "p50_ms=10000")
    gates = {gate.gate.metric: gate for gate in found.gates}
    assert (gates["size_mib"].verdict, gates["p50_ms"].rounds_to_settle) == (Verdict.PASS, 16)
    assert (gates["drop_pp"].verdict, exit_code_of(found.gates)) == (Verdict.FAIL, 1)
    assert "for image 2 of the test split contain nan" in gates["drop_pp"].reason
    assert "layer" in gates["drop_pp"].reason
    only_size = judged(built, "size_mib=100")
    (row,) = [row for row in only_size.candidates if row.chosen]
    assert row.verdict is Verdict.FAIL


def test_a_reference_that_answers_no_numbers_leaves_the_drop_missing_and_nothing_else(built: Place) -> None:
    fp32 = next(row for row in built.report()["candidates"] if row["is_baseline"])
    if fp32["chosen"]:
        pytest.skip("fp32 was chosen on this machine")
    answered_nan(built, fp32)
    found = judged(built, "drop_pp=60", "size_mib=100")
    assert {gate.gate.metric: gate.verdict for gate in found.gates} == {
        "drop_pp": Verdict.MISSING, "size_mib": Verdict.PASS,
    }  # fmt: skip
    assert [note for note in found.notices if "the logits of onnxruntime-fp32 for image 2" in note]


def test_of_a_device_that_is_not_here_latency_is_missing_and_accuracy_is_emulated(built: Place) -> None:
    planned_otherwise(built, {"device": device_named("raspberry-pi-5").model_dump(mode="json")})
    found = judged(built, "p50_ms=10000", "drop_pp=60")
    gates = {gate.gate.metric: gate for gate in found.gates}
    assert gates["p50_ms"].reason.endswith(f"raspberry-pi-5: edgecnn bench {built.out} --host USER@raspberry-pi-5")
    assert (gates["drop_pp"].verdict, gates["drop_pp"].fidelity) == (Verdict.PASS, Fidelity.EMULATED)
    assert (exit_code_of(found.gates), exit_code_of(found.gates, require_measured=True)) == (0, 3)
    (ships,) = [row for row in found.candidates if row.chosen]
    assert ships.residency is not None and ships.residency.basis == "elsewhere"


def test_answers_of_another_machine_are_emulated_where_the_kit_cannot_run_on_this_one(built: Place) -> None:
    gate = only_gate(judged(built, "drop_pp=60", machine="another machine"))
    assert (gate.verdict, gate.fidelity) == (Verdict.PASS, Fidelity.EMULATED)
    assert only_gate(judged(built, "drop_pp=60")).fidelity is Fidelity.MEASURED


def test_the_recipe_s_own_wish_that_everything_is_measured_still_holds(built: Place) -> None:
    plan = json.loads((built.out / "plan.json").read_text())
    recipe = {**plan["resolved"]["recipe"], "gates": {"max": {"p50_ms": 5.0}, "min": {}, "require_measured": True}}
    planned_otherwise(built, {"recipe": recipe, "device": device_named("raspberry-pi-5").model_dump(mode="json")})
    found = judged(built)
    assert found.require_measured
    assert exit_code_of(found.gates, require_measured=found.require_measured) == 3
