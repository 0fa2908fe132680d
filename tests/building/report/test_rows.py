"""Rows of figures follow from what was seen: where it was seen, in which race, and what became of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.building.rows import candidate_facts
from edgecnn.building.trained import weights_sha256
from edgecnn.judging.gates import judge
from edgecnn.planning.candidates import BASELINE
from edgecnn.values.artifact import Blocked, Cached, Failed
from edgecnn.values.figures import Energy
from edgecnn.values.profile import EnergyReading, Environment, RunEnergy, Stretch
from edgecnn.values.report import CandidateFacts
from edgecnn.values.resolved import Attachment
from edgecnn.values.verdict import Fidelity, Verdict
from tests.building import scenes
from tests.building.resolutions import INT8, TRT_FP16
from tests.building.scenes import ELSEWHERE, Staging, a_kit, an_artifact
from tests.judging.made import a_gate


@pytest.fixture
def staged(tmp_path: Path) -> Staging:
    """Both candidates answered, INT8 with 20 images fewer right."""
    staged = Staging(tmp_path)
    staged.answered(BASELINE.id, 900)
    staged.answered(INT8.id, 880)
    return staged


@pytest.fixture
def detached(tmp_path: Path) -> Staging:
    staged = Staging(tmp_path, attachment=ELSEWHERE)
    staged.answered(BASELINE.id, 900)
    staged.answered(INT8.id, 880)
    return staged


def row(staged: Staging, name: str) -> CandidateFacts:
    return candidate_facts(staged.seen)[name]


def test_the_drop_is_counted_from_the_baseline_image_by_image(staged: Staging) -> None:
    report = row(staged, INT8.id).test
    assert report is not None
    assert report.top1.estimate == 0.88
    assert report.drop_pp is not None
    assert report.drop_pp.estimate == pytest.approx(2.0)
    assert (report.lost, report.gained) == (20, 0)
    assert report.fidelity is Fidelity.MEASURED


def test_the_baseline_has_no_drop_against_itself(staged: Staging) -> None:
    facts = row(staged, BASELINE.id)
    assert facts.is_baseline
    assert facts.test is not None
    assert facts.test.drop_pp is None


def test_rows_stand_in_the_plan_s_order_and_say_which_kit_they_are_about(staged: Staging) -> None:
    rows = candidate_facts(staged.seen)
    assert list(rows) == [BASELINE.id, INT8.id]
    assert rows[INT8.id].kit == rows[INT8.id].evaluated_kit == staged.seen.kits[INT8.id].digest
    assert rows[INT8.id].size_mib == 700 / 1024**2
    assert rows[INT8.id].kit_mib == 700 / 1024**2, "this kit is its model alone"


def test_on_an_absent_device_every_accuracy_is_emulated(detached: Staging) -> None:
    for facts in candidate_facts(detached.seen).values():
        assert facts.test is not None
        assert facts.validation is not None
        assert {facts.test.fidelity, facts.validation.fidelity} == {Fidelity.EMULATED}


def test_on_an_absent_device_latency_is_missing_and_says_where_it_was_not_measured(detached: Staging) -> None:
    latency = row(detached, BASELINE.id).latency
    assert latency is not None
    assert (latency.p50_ms, latency.fidelity) == (None, Fidelity.MISSING)
    assert latency.reason == f"not measured on {detached.resolved.device.name}"


def test_what_ran_here_is_shown_as_elsewhere_where_the_device_is_not_here(detached: Staging) -> None:
    detached.resides(INT8.id, "executed", int8=1.0)
    residency = row(detached, INT8.id).residency
    assert residency is not None
    assert (residency.basis, residency.mac_share) == ("elsewhere", {"int8": 1.0})


def test_what_a_builder_planned_stays_a_plan_on_an_absent_device(detached: Staging) -> None:
    detached.resides(INT8.id, "planned", int8=1.0)
    residency = row(detached, INT8.id).residency
    assert residency is not None
    assert residency.basis == "planned"


def test_what_ran_on_the_device_is_shown_as_executed(staged: Staging) -> None:
    staged.resides(INT8.id, "executed", int8=1.0)
    residency = row(staged, INT8.id).residency
    assert residency is not None
    assert residency.basis == "executed"


def p50(staged: Staging, name: str) -> float | None:
    latency = row(staged, name).latency
    assert latency is not None
    return None if latency.p50_ms is None else latency.p50_ms.estimate


def test_figures_come_from_the_last_race_and_from_the_selecting_one_for_whoever_was_not_in_it(staged: Staging) -> None:
    staged.raced("select", {BASELINE.id: 4.0, INT8.id: 2.0})
    assert (p50(staged, BASELINE.id), p50(staged, INT8.id)) == (4.0, 2.0)
    staged.raced("report", {BASELINE.id: 5.0})
    assert (p50(staged, BASELINE.id), p50(staged, INT8.id)) == (5.0, 2.0)


def test_a_ratio_is_taken_inside_one_race_and_against_the_baseline_alone(staged: Staging) -> None:
    staged.raced("select", {BASELINE.id: 4.0, INT8.id: 1.0})
    staged.raced("report", {BASELINE.id: 6.0, INT8.id: 2.0})
    rows = candidate_facts(staged.seen)
    ours, theirs = rows[INT8.id].latency, rows[BASELINE.id].latency
    assert ours is not None
    assert ours.ratio_to_fp32 is not None
    assert ours.ratio_to_fp32.estimate == pytest.approx(3.0)
    assert theirs is not None
    assert theirs.ratio_to_fp32 is None


def test_who_left_the_race_for_the_choice_has_an_estimate_without_a_level_and_no_gate_is_judged_by_it(staged: Staging) -> None:
    staged.raced("select", {BASELINE.id: 4.0, INT8.id: 2.0}, rounds=3)
    latency = row(staged, INT8.id).latency
    assert latency is not None and latency.p50_ms is not None and latency.ratio_to_fp32 is not None
    assert (latency.runs, latency.selecting) == (3, True)
    assert [(each.estimate, each.confidence) for each in (latency.p50_ms, latency.ratio_to_fp32)] == [(2.0, 0.0), (2.0, 0.0)]
    judged = judge(a_gate("p50_ms", 20.0), row(staged, INT8.id))
    assert judged.verdict is Verdict.UNSURE
    assert "3 runs of the first race" in judged.reason


def test_a_candidate_whose_measuring_failed_has_no_latency_whatever_was_seen_before(staged: Staging) -> None:
    staged.raced("select", {BASELINE.id: 4.0, INT8.id: 2.0})
    staged.seen.failures[INT8.id] = Failed(ref="run-failed", what="the process was killed")
    facts = row(staged, INT8.id)
    assert facts.latency is not None
    assert (facts.latency.p50_ms, facts.latency.reason) == (None, "the process was killed")
    assert facts.outcomes["measure"] == staged.seen.failures[INT8.id]


@pytest.mark.parametrize("where, version", [("staged", "1.31.1"), ("detached", None)])
def test_a_row_names_the_version_of_the_runtime_in_which_the_device_answered(
    where: str, version: str | None, request: pytest.FixtureRequest
) -> None:
    there: Staging = request.getfixturevalue(where)
    stored = there.seen.evaluations[INT8.id, "test"]
    environment = stored.profile.environment
    conditions = {**environment.conditions, "runtime_version": "1.31.1"}
    changed = environment.model_copy(update={"conditions": conditions})
    profile = stored.profile.model_copy(update={"environment": changed, "subject": there.seen.kits[INT8.id].digest})
    there.seen.evaluations[INT8.id, "test"] = stored.model_copy(update={"profile": profile})
    assert row(there, INT8.id).runtime_version == version
    twins = profile.model_copy(update={"subject": "another"})
    there.seen.evaluations[INT8.id, "test"] = stored.model_copy(update={"profile": twins})
    assert row(there, INT8.id).runtime_version is None


def test_a_candidate_without_a_kit_is_a_row_without_figures(tmp_path: Path) -> None:
    staged = Staging(tmp_path)
    staged.answered(BASELINE.id, 900)
    failed = Failed(ref="x", what="no calibration")
    staged.execution.outcomes = {
        f"quantize:{INT8.id}": failed, f"package:{INT8.id}": Blocked(by=f"quantize:{INT8.id}"), "train": Cached(),
    }  # fmt: skip
    staged.made()
    facts = row(staged, INT8.id)
    assert (facts.kit, facts.test, facts.size_mib, facts.residency) == (None, None, None, None)
    assert facts.outcomes == {"quantize": failed, "package": Blocked(by=f"quantize:{INT8.id}")}


def test_an_engine_shows_its_own_kit_and_the_twin_that_answered(tmp_path: Path) -> None:
    staged = Staging(tmp_path, candidates=(BASELINE, TRT_FP16))
    staged.answered(BASELINE.id, 900)
    ships = staged.kit(TRT_FP16.id)
    staged.seen.answering[TRT_FP16.id] = a_kit(tmp_path / "twin", TRT_FP16, b"twin")
    staged.execution.outcomes = {f"package:{TRT_FP16.id}": Cached(), f"package-twin:{TRT_FP16.id}": Failed(ref="x", what="y")}
    staged.made()
    facts = row(staged, TRT_FP16.id)
    assert facts.kit == ships.digest
    assert facts.evaluated_kit == staged.seen.answering[TRT_FP16.id].digest
    assert {name: outcome.outcome for name, outcome in facts.outcomes.items()} == {"package": "cached", "package-twin": "failed"}


def test_the_weights_digest_is_that_of_the_fetched_file_or_nothing(tmp_path: Path) -> None:
    staged = Staging(tmp_path)
    assert weights_sha256(staged.execution) is None
    staged.execution.artifacts["fetch"] = an_artifact("fetch", tmp_path / "fetched", {"weights.json": '{"sha256": "abc"}'})
    assert weights_sha256(staged.execution) == "abc"


def test_memory_is_that_of_the_race_whose_times_are_shown(staged: Staging) -> None:
    staged.raced("select", {BASELINE.id: 2.0, INT8.id: 1.0})
    staged.raced("report", {BASELINE.id: 2.1, INT8.id: 1.1})
    memory = row(staged, INT8.id).memory
    assert memory is not None and memory.peak_mib is not None and memory.baseline_mib is not None
    assert (memory.peak_mib.estimate, memory.baseline_mib.estimate, memory.machine) == (71.0, 60.0, "a machine")


def test_memory_that_was_not_measured_says_why(staged: Staging) -> None:
    memory = row(staged, INT8.id).memory
    assert memory is not None
    assert (memory.peak_mib, memory.fidelity, memory.reason) == (None, Fidelity.MISSING, "not raced")


def test_memory_on_an_absent_device_is_missing(detached: Staging) -> None:
    memory = row(detached, INT8.id).memory
    assert memory is not None
    assert (memory.peak_mib, memory.reason) == (None, f"not measured on {detached.resolved.device.name}")


def energy(staged: Staging, name: str = INT8.id) -> Energy:
    found = row(staged, name).energy
    assert found is not None
    return found


def test_without_a_meter_every_candidate_says_what_would_make_one_readable(staged: Staging, tmp_path: Path) -> None:
    staged.raced("report", {BASELINE.id: 2.1, INT8.id: 1.1})
    assert (energy(staged).total_mj, energy(staged).fidelity) == (None, Fidelity.MISSING)
    assert energy(staged).reason == (
        "no meter can be read here: rapl: this is a virtual machine; pass the log of an external meter with --meter"
    )


def test_energy_on_an_absent_device_is_missing(detached: Staging) -> None:
    assert energy(detached).reason == f"not measured on {detached.resolved.device.name}"


def test_energy_comes_from_its_own_race_and_what_was_not_in_it_says_so(staged: Staging) -> None:
    staged.raced("energy", {BASELINE.id: 1.0})
    digest = staged.seen.kits[BASELINE.id].digest
    race = staged.seen.races["energy"]
    stretch = Stretch(began_unix_ns=0, seconds=4.0, clock_s=4.0)
    reading = EnergyReading(meter="rapl", covers="the packages", idle_j=8.0, idle_s=4.0, work_j=40.0, work_s=4.0)
    read = RunEnergy(images=400, idle=stretch, work=stretch, readings=(reading,), absent={})
    runs = tuple(run.model_copy(update={"energy": read, "samples_ns": ()}) for run in race.profiles[digest].runs)
    profile = race.profiles[digest].model_copy(update={"runs": runs})
    staged.seen.races["energy"] = race.model_copy(update={"profiles": {digest: profile}})
    found = energy(staged, BASELINE.id)
    assert found.total_mj is not None and (found.total_mj.estimate, found.machine) == (100.0, "a machine")
    assert energy(staged).reason == "only measured for the chosen candidate, fp32 and the best other precision"
    latency = row(staged, BASELINE.id).latency
    assert latency is not None and latency.p50_ms is None, "an energy race times nothing"


@pytest.mark.parametrize(
    ("isa", "attachment", "expected"),
    [("avx2", ELSEWHERE, "answering machine"), ("avx2 avx512_vnni", ELSEWHERE, None), ("avx2", None, None)],
)
def test_int8_answered_where_sums_saturate_for_a_device_where_they_do_not_says_so_in_its_row(
    isa: str, attachment: Attachment | None, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenes, "HERE", Environment(conditions={"isa": isa}, observed={"architecture": "x86_64"}))
    staged = Staging(tmp_path, **({} if attachment is None else {"attachment": attachment}))
    staged.answered(BASELINE.id, 900)
    staged.answered(INT8.id, 900)
    found = row(staged, INT8.id)
    assert found.saturates_on == expected
    assert row(staged, BASELINE.id).saturates_on is None
    assert judge(a_gate(bound=5.0), found).verdict is (Verdict.PASS if expected is None else Verdict.UNSURE)
