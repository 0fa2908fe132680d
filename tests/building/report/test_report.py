"""The report chooses and judges on what was seen, and on nothing that was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.building.choosing import decide, last_race_candidates
from edgecnn.building.notices import calibration_notices
from edgecnn.measure.subject import Subject
from edgecnn.planning.candidates import BASELINE
from edgecnn.results.explain import explain
from edgecnn.values.artifact import Failed, Unavailable
from edgecnn.values.candidate import Runtime
from edgecnn.values.command import Command
from edgecnn.values.figures import CalibrationFacts
from edgecnn.values.reason import NotClimbed, OutOfTime, Slower, Taken
from edgecnn.values.recipe import GateChoice, Recipe
from edgecnn.values.report import BuildReport
from edgecnn.values.verdict import Verdict
from tests.building.resolutions import INT8
from tests.building.scenes import ELSEWHERE, Staging, a_report_of, a_request, gates_of

SETTLED = {"model": {"resolution_px": 64}, "train": {"epochs": 1, "learning_rate": 0.1}, "quantize": {"images": 10}}
FAST = {BASELINE.id: 4.0, INT8.id: 2.0}


def staged_with(tmp_path: Path, int8_right: int = 900, **changes: Any) -> Staging:
    staged = Staging(tmp_path, **changes)
    staged.answered(BASELINE.id, 900)
    staged.answered(INT8.id, int8_right)
    return staged


def report(staged: Staging, **bounds: dict[str, float]) -> BuildReport:
    request = a_request(staged.folder / "out", device=staged.resolved.device, gates=GateChoice.model_validate(bounds))
    return a_report_of(staged, request, 1.234)


def last_raced(seen: Subject, folder: Path) -> tuple[str, ...]:
    return last_race_candidates(decide(seen, gates_of(seen, a_request(folder / "out"))))


def test_the_faster_candidate_inside_the_budget_is_chosen_and_settled(tmp_path: Path) -> None:
    staged = staged_with(tmp_path)
    staged.raced("select", FAST)
    said = report(staged)
    assert (said.choice.state, said.choice.candidate) == ("settled", INT8.id)
    assert [facts.candidate.id for facts in said.candidates if facts.chosen] == [INT8.id]
    assert said.choice.settle_command is None


def test_a_candidate_over_the_budget_is_not_chosen_however_fast(tmp_path: Path) -> None:
    staged = staged_with(tmp_path, int8_right=850)
    staged.raced("select", FAST)
    assert report(staged).choice.candidate == BASELINE.id


def test_a_candidate_whose_measuring_failed_is_not_chosen_and_says_why(tmp_path: Path) -> None:
    staged = staged_with(tmp_path)
    staged.raced("select", FAST)
    staged.seen.failures[INT8.id] = Failed(ref="run-failed", what="the process was killed")
    said = report(staged)
    row = next(facts for facts in said.candidates if facts.candidate.id == INT8.id)
    assert said.choice.candidate == BASELINE.id
    assert row.latency is not None
    assert row.latency.p50_ms is None
    assert row.reason.endswith(": the process was killed")


def test_a_candidate_of_a_rung_that_was_not_climbed_says_why_and_not_that_it_has_no_kit(tmp_path: Path) -> None:
    staged = Staging(tmp_path)
    staged.answered(BASELINE.id, 900)
    staged.execution.skipped_rungs["int8"] = "61 s spent of a budget of 60 s"
    row = next(facts for facts in report(staged).candidates if facts.candidate.id == INT8.id)
    assert row.because == NotClimbed(rung="int8", why="61 s spent of a budget of 60 s")
    assert row.reason == "not tried: 61 s spent of a budget of 60 s"


def test_a_rung_for_which_there_was_no_time_says_what_climbs_on(tmp_path: Path) -> None:
    staged = Staging(tmp_path)
    staged.answered(BASELINE.id, 900)
    staged.execution.skipped_rungs["int8"] = "out of time, 61 s spent of a budget of 60 s"
    staged.execution.out_of_time["int8"] = OutOfTime(rung="int8", spent_s=61.2, budget_s=60.0)
    again = Command(verb=("build",), parts=(("--time-budget", "60s"),))
    said = a_report_of(staged, a_request(tmp_path / "out", command=again))
    row = next(facts for facts in said.candidates if facts.candidate.id == INT8.id)
    assert row.because == OutOfTime(rung="int8", spent_s=61.2, budget_s=60.0, command=str(again))
    assert [row.reason] == [candidate.reason for candidate in explain(said).not_tried if candidate.name == "int8"]
    (note,) = [notice for notice in said.notices if notice.startswith("out of time (61 s spent")]
    assert "int8" in note and note.endswith(str(again))


def test_what_could_not_be_made_here_stands_in_the_report_with_the_command_that_brings_it(tmp_path: Path) -> None:
    lacking = {"openvino-int8": Unavailable(why="nncf is not installed", command='pip install "edgecnn[openvino]"')}
    assert report(staged_with(tmp_path, unavailable=lacking)).unavailable == lacking


def test_the_reason_of_each_candidate_is_a_fact_of_the_race_that_selected(tmp_path: Path) -> None:
    staged = staged_with(tmp_path)
    staged.raced("select", FAST)
    staged.raced("report", {BASELINE.id: 4.0, INT8.id: 3.0})
    fp32, int8 = report(staged).candidates
    assert isinstance(fp32.because, Slower)
    assert (fp32.because.ms, fp32.because.against_ms, fp32.because.machine) == (4.0, 2.0, "a machine")
    assert isinstance(int8.because, Taken)
    assert int8.because.ms == 2.0


def test_a_candidate_that_answered_no_numbers_fails_and_the_build_goes_on_without_it(tmp_path: Path) -> None:
    staged = staged_with(tmp_path)
    staged.raced("select", FAST)
    staged.seen.failures[INT8.id] = Failed(ref="logits-not-finite", what="logits of image 7 of the test split hold nan")
    del staged.seen.evaluations[INT8.id, "test"]
    said = report(staged, max={"size_mib": 1000.0})
    row = next(facts for facts in said.candidates if facts.candidate.id == INT8.id)
    assert ([gate.verdict for gate in row.gates], row.verdict) == ([Verdict.PASS], Verdict.FAIL)
    assert (said.choice.candidate, said.verdict) == (BASELINE.id, Verdict.PASS)


def test_the_reported_figures_are_of_the_last_race_and_the_choice_stays_that_of_the_selecting_one(tmp_path: Path) -> None:
    staged = staged_with(tmp_path)
    staged.raced("select", FAST)
    staged.raced("report", {BASELINE.id: 4.0, INT8.id: 3.0})
    said = report(staged)
    chosen = next(facts for facts in said.candidates if facts.chosen)
    assert chosen.latency is not None
    assert chosen.latency.p50_ms is not None
    assert chosen.latency.p50_ms.estimate == 3.0
    assert isinstance(chosen.because, Taken) and chosen.because.ms == pytest.approx(2.0)
    assert " ms" not in said.choice.why, "the first sentence leaves one latency to the reader, that of the last race"


def test_the_last_race_is_the_winner_against_the_baseline(tmp_path: Path) -> None:
    staged = staged_with(tmp_path)
    staged.raced("select", FAST)
    assert last_raced(staged.seen, tmp_path) == (BASELINE.id, INT8.id)


def test_a_baseline_that_wins_runs_alone_and_a_provisional_choice_runs_nothing(tmp_path: Path) -> None:
    staged = staged_with(tmp_path, int8_right=850)
    assert last_raced(staged_with(tmp_path / "b").seen, tmp_path) == ()
    staged.raced("select", {BASELINE.id: 4.0})
    assert last_raced(staged.seen, tmp_path) == (BASELINE.id,)


def test_the_last_race_adds_a_claim_to_the_choice_and_changes_nothing_else_of_it(tmp_path: Path) -> None:
    staged = staged_with(tmp_path)
    staged.raced("select", FAST)
    gates = gates_of(staged.seen, a_request(tmp_path / "out"))
    before = decide(staged.seen, gates)
    staged.raced("report", {BASELINE.id: 3.0, INT8.id: 4.0}, rounds=16)  # slower now
    assert decide(staged.seen, gates, before) is before
    assert decide(staged.seen, gates).chosen == before.chosen, "made again, it is the same"
    said = a_report_of(staged, a_request(tmp_path / "out"), earlier=before)
    because = before.chosen.because[INT8.id]
    now = next(row.because for row in said.candidates if row.chosen)
    assert isinstance(because, Taken) and isinstance(now, Taken) and now.ratio is not None
    assert now.model_copy(update={"ratio": None, "rounds_to_settle": None}) == because


@pytest.mark.parametrize(("fails", "ships"), [(INT8.id, BASELINE.id), (BASELINE.id, INT8.id)], ids=["winner", "reference"])
def test_a_candidate_that_fails_in_the_last_race_is_out_of_the_choice(tmp_path: Path, fails: str, ships: str) -> None:
    staged = staged_with(tmp_path)
    staged.raced("select", FAST)
    before = decide(staged.seen, gates_of(staged.seen, a_request(tmp_path / "out")))
    assert before.chosen.choice.candidate == INT8.id
    staged.seen.failures[fails] = Failed(ref="run-failed", what="the process was killed")
    said = a_report_of(staged, a_request(tmp_path / "out"), earlier=before)
    assert said.choice.candidate == ships
    assert next(row.reason for row in said.candidates if row.candidate.id == fails).endswith("the process was killed")


def test_an_absent_device_makes_the_choice_provisional_with_the_command_that_settles_it(tmp_path: Path) -> None:
    said = report(staged_with(tmp_path, attachment=ELSEWHERE))
    assert said.choice.state == "provisional"
    assert set(said.choice.carried) == {BASELINE.id, INT8.id}
    assert said.choice.settle_command == f"edgecnn bench {tmp_path / 'out'} --host USER@cpu"
    assert not said.build.device_attached


def test_the_share_of_int8_on_an_absent_device_is_missing_however_it_ran_here(tmp_path: Path) -> None:
    staged = staged_with(tmp_path, attachment=ELSEWHERE)
    staged.resides(INT8.id, "executed", int8=1.0)
    (gate,) = report(staged, min={"int8_mac_share": 0.9}).gates
    assert gate.verdict is Verdict.MISSING
    assert gate.reason.startswith("residency was read on another machine")


def test_the_share_of_int8_on_an_attached_device_is_judged(tmp_path: Path) -> None:
    staged = staged_with(tmp_path)
    staged.raced("select", FAST)
    staged.resides(INT8.id, "executed", int8=0.97, fp32=0.03)
    said = report(staged, min={"int8_mac_share": 0.9})
    assert [gate.verdict for gate in said.gates] == [Verdict.PASS]
    assert said.verdict is Verdict.PASS


def test_a_latency_gate_on_an_absent_device_is_missing(tmp_path: Path) -> None:
    said = report(staged_with(tmp_path, attachment=ELSEWHERE), max={"p50_ms": 1000.0})
    assert said.verdict is Verdict.MISSING


def test_bounds_of_the_call_replace_those_of_the_same_metrics_in_the_recipe(tmp_path: Path) -> None:
    recipe = Recipe.model_validate({**SETTLED, "gates": {"max": {"size_mib": 0.00001}}})
    staged = staged_with(tmp_path, recipe=recipe)
    staged.raced("select", FAST)
    assert report(staged).verdict is Verdict.FAIL
    assert [(each.gate.metric, each.verdict) for each in report(staged, max={"size_mib": 9}, min={"top1": 0.5}).gates] == [
        ("size_mib", Verdict.PASS), ("top1", Verdict.PASS),
    ]  # fmt: skip


def test_a_target_that_names_a_runtime_ships_nothing_of_another(tmp_path: Path) -> None:
    recipe = Recipe.model_validate({**SETTLED, "target": {"runtime": "openvino"}})
    openvino = INT8.model_copy(update={"id": "openvino-int8", "runtime": Runtime.OPENVINO})
    staged = Staging(tmp_path, recipe=recipe, candidates=(BASELINE, openvino))
    staged.answered(BASELINE.id, 900)
    staged.answered(openvino.id, 900)
    staged.raced("select", {BASELINE.id: 1.0, openvino.id: 2.0})
    said = report(staged)
    assert said.choice.candidate == openvino.id
    assert "onnxruntime" in said.candidates[0].reason


def test_a_report_states_where_it_lies_how_long_it_took_and_what_was_asked(tmp_path: Path) -> None:
    said = report(staged_with(tmp_path))
    assert (said.output, said.seconds) == (str(tmp_path / "out"), 1.23)
    assert said.build.data == "the embedded demo, Fashion-MNIST"
    assert said.build.macs is None
    assert BuildReport.model_validate_json(said.model_dump_json(by_alias=True)) == said


def a_calibration(**changes: Any) -> CalibrationFacts:
    return CalibrationFacts.model_validate({"images": 300, "classes": 10, "classes_of": 10, "compared": True, **changes})


def test_ordinary_calibration_images_are_worth_no_word() -> None:
    assert calibration_notices(a_calibration()) == calibration_notices(None) == ()


def test_calibration_on_a_single_image_or_one_class_is_told() -> None:
    (single,) = calibration_notices(a_calibration(images=1, classes=1, compared=False))
    (one_class,) = calibration_notices(a_calibration(classes=1))
    assert "quantize.images" in single and "data.calibration_images" in one_class


def test_calibration_images_that_differ_are_told_once_a_statistic_with_the_largest() -> None:
    red, blue = (
        {"channel": channel, "statistic": "level", "calibration": 110.0, "validation": 70.0, "spreads": spreads}
        for channel, spreads in (("red", 0.9), ("blue", 0.7))
    )
    (said,) = calibration_notices(a_calibration(shifts=(red, blue)))
    assert "red 110" in said and "blue" not in said


def test_a_report_holds_the_calibration_images_against_choose(tmp_path: Path) -> None:
    staged = staged_with(tmp_path)
    folder = staged.execution.artifacts["prepare"].folder
    levels = np.random.default_rng(5).integers(0, 120, (400, 1, 1, 1))
    images = np.broadcast_to(levels, (400, 8, 8, 3)).astype(np.uint8)
    asked = staged.resolved.recipe.quantize.images or 0
    np.save(folder / "validation.pixels.npy", images[100:])
    np.save(folder / "calibration.pixels.npy", np.full((max(asked, 40), 8, 8, 3), 250, np.uint8))
    np.save(folder / "calibration.labels.npy", np.zeros(max(asked, 40), np.int64))
    said = report(staged)
    assert said.calibration is not None
    assert (said.calibration.images, said.calibration.classes) == (asked, 1)
    assert any("CALIBRATION" in notice or "calibration images" in notice for notice in said.notices)
