"""A report alone says why, what is missing and what would settle what is open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.comparing import UNKNOWN_CANDIDATE
from edgecnn.judging.choice import ChoiceRules
from edgecnn.judging.judgement import judge_candidate
from edgecnn.judging.resolution import two_digits
from edgecnn.results.explain import Explanation, OpenQuestion, StandIn, Unmeasured, explain, explain_candidate
from edgecnn.values.reason import NotClimbed, NotMeasured, NotSupported
from edgecnn.values.report import BuildReport
from edgecnn.values.verdict import Fidelity
from tests.building.explained import DROP, SETTLE, decided, provisional_report, raced_report
from tests.judging.made import a_gate, a_judged_latency, a_quality, a_residency, an_accuracy, an_interval, facts

FOLDER = Path("builds/x")


def with_row(build: BuildReport, ident: str, **changes: object) -> BuildReport:
    rows = [row.model_copy(update=changes) if row.candidate.id == ident else row for row in build.candidates]
    return build.model_copy(update={"candidates": tuple(rows)})


def test_every_candidate_is_there_with_its_typed_reason() -> None:
    found = explain(raced_report())
    kinds = {each.facts.candidate.id: each.facts.because.kind for each in found.candidates if each.facts.because}
    assert kinds == {
        "onnxruntime-fp32": "slower",
        "onnxruntime-int8": "taken",
        "openvino-fp32": "slower",
        "openvino-int8": "loses",
    }


def test_what_was_not_tried_has_its_kind_and_its_sentence() -> None:
    skipped = {"int8": "mixed was enough"}
    report = provisional_report(skipped_rungs=skipped, unsupported=raced_report().unsupported)
    found = {each.name: (type(each.because), each.reason) for each in explain(report).not_tried}
    assert found == {
        "onnxruntime-bf16": (NotSupported, "not supported: the CPU provider has no bf16 convolution"),
        "tensorrt-int8": (NotMeasured, 'no kit was made: onnx is not installed; pip install "edgecnn[tensorrt-rtx]"'),
        "int8": (NotClimbed, "not tried: mixed was enough"),
    }


def test_what_is_missing_for_one_reason_is_said_once_with_the_command_that_measures_it() -> None:
    report = provisional_report()
    both = ("onnxruntime-fp32", "tensorrt-fp16")
    found = explain(report).unmeasured
    assert found[0] == Unmeasured(figures=("latency",), candidates=both, why="not measured on jetson-orin-nano", command=SETTLE)
    assert (found[1].figures, found[1].candidates, found[1].command) == (("memory", "energy"), both, SETTLE)
    on_request = next(each for each in found if "latency under sustained load" in each.figures)
    assert on_request == Unmeasured(
        figures=("throughput by batch", "end-to-end latency", "latency under sustained load"),
        candidates=(),
        why="jetson-orin-nano was not attached",
    )


def test_what_a_build_measures_only_when_asked_has_the_command_that_asks() -> None:
    commands = {each.figures: each.command for each in explain(raced_report()).unmeasured}
    assert commands["throughput by batch",] == "edgecnn build --batches 1,8,best"
    assert commands["latency under sustained load",] == "edgecnn build --soak 60s"


def test_a_candidate_that_was_not_carried_has_no_command_that_would_measure_it() -> None:
    latency = next(each for each in explain(raced_report()).unmeasured if each.candidates == ("openvino-int8",))
    assert (latency.why, latency.command) == ("not raced", None)


def test_a_candidate_without_a_kit_lacks_no_figure_since_its_reason_says_it_all() -> None:
    found = explain(with_row(raced_report(), "openvino-int8", kit=None))
    assert not [each for each in found.unmeasured if "openvino-int8" in each.candidates]


def test_stand_ins_name_the_kit_that_ships_and_the_one_that_answered() -> None:
    found = {each.facts.candidate.id: each.stand_ins for each in explain(provisional_report()).candidates}
    assert found["tensorrt-fp16"] == (
        StandIn(figure="accuracy", how="twin", machine="AMD EPYC", ships="sha-of-tensorrt-fp16", answered="sha-of-twin-of-fp16"),
        StandIn(figure="residency", how="plan"),
    )
    assert [each.how for each in found["onnxruntime-fp32"]] == ["another-machine", "another-machine"]
    assert all(each.stand_ins == () for each in explain(raced_report()).candidates)


def test_an_unsure_gate_names_the_images_that_would_settle_it_beside_those_that_there_are() -> None:
    unsure = an_accuracy(20, 8, images=1000)
    row = next(row for row in raced_report().candidates if row.candidate.id == "onnxruntime-int8")
    gates = judge_candidate([DROP], row.model_copy(update={"test": unsure}))
    (question,) = explain(with_row(raced_report(), "onnxruntime-int8", test=unsure, gates=gates)).open_questions
    assert question.images == gates[0].images_to_settle
    assert question.images is not None and question.images > 1000
    assert (question.candidate, question.images_seen, question.command) == ("onnxruntime-int8", 1000, None)
    assert question.says == gates[0].reason
    assert f"about {two_digits(question.images):,} new test images" in question.says


def of_tensorrt_fp16(**changes: Any) -> OpenQuestion:
    """What is open of it, in a report in which it was evaluated so."""
    away, worst = provisional_report(), a_gate("worst_class_drop_pp", 12.0)
    row = next(row for row in away.candidates if row.candidate.id == "tensorrt-fp16").model_copy(update=changes)
    *_, question = explain(with_row(away, "tensorrt-fp16", gates=judge_candidate([worst], row), **changes)).open_questions
    return question


def test_half_precision_that_was_not_computed_as_on_the_device_is_settled_there() -> None:
    open_class = an_accuracy(1, 1, fidelity=Fidelity.EMULATED, quality=a_quality())
    own = of_tensorrt_fp16(test=open_class, evaluated_kit=None, residency=a_residency("elsewhere", {"fp32": 1.0}))
    assert own.says.endswith("only a run on the device can settle it")
    assert (own.images, own.command) == (None, SETTLE)
    assert of_tensorrt_fp16(test=open_class).command is None, "images of a class are what a twin's gate lacks"


def test_an_unsure_latency_gate_names_the_rounds_and_the_command_that_asks_for_them() -> None:
    seen = a_judged_latency(an_interval(1.9, 1.7, 2.1))
    gates = judge_candidate([a_gate("p50_ms", 2.0)], facts("onnxruntime-int8", latency=seen))
    (question,) = explain(with_row(raced_report(), "onnxruntime-int8", latency=seen, gates=gates)).open_questions
    assert (question.rounds, question.rounds_seen) == (124, 17)
    assert question.command == "edgecnn build --set race.rounds=124"


def test_a_speed_that_looks_higher_and_was_not_shown_is_open() -> None:
    raced = raced_report()
    report = decided(raced.candidates, ChoiceRules(attached=True), an_interval(1.10, 0.97, 1.18), build=raced.build)
    (question,) = explain(report).open_questions
    assert question == OpenQuestion(
        candidate="onnxruntime-int8",
        says=question.says,
        rounds=25,
        rounds_seen=8,
        command="edgecnn build --set race.rounds=25",
    )
    assert "onnxruntime-fp32" in question.says


def test_a_choice_that_the_race_left_open_says_what_it_may_cost_and_what_settles_it() -> None:
    raced = raced_report()
    choice = raced.choice.model_copy(update={"state": "provisional", "regret": 0.031, "settle_command": "edgecnn bench builds/x"})
    (question,) = explain(raced.model_copy(update={"choice": choice})).open_questions
    assert question.says == "the best candidate is not certain: onnxruntime-int8 is expected to cost 3.1 % more than the best"
    assert question.command == "edgecnn bench builds/x"


def test_a_provisional_choice_is_open_until_its_device_was_measured() -> None:
    (question,) = explain(provisional_report()).open_questions
    assert (question.candidate, question.device, question.command) == ("tensorrt-fp16", "jetson-orin-nano", SETTLE)


def test_where_one_candidate_alone_is_carried_no_race_is_said_to_choose() -> None:
    report = provisional_report()
    alone = report.choice.model_copy(update={"carried": ("tensorrt-fp16",)})
    (question,) = explain(report.model_copy(update={"choice": alone})).open_questions
    assert question.says == "its speed on jetson-orin-nano is unknown; a race there would measure it"


def test_one_candidate_alone_is_told_alone() -> None:
    found = explain_candidate(explain(provisional_report()), "tensorrt-fp16", FOLDER)
    assert [each.facts.candidate.id for each in found.candidates] == ["tensorrt-fp16"]
    assert {each.candidates for each in found.unmeasured} == {("tensorrt-fp16",)}
    assert found.not_tried == ()
    assert [each.command for each in found.open_questions] == [SETTLE]


def test_a_precision_that_was_not_offered_can_be_asked_about() -> None:
    found = explain_candidate(explain(raced_report()), "onnxruntime-bf16", FOLDER)
    assert (found.candidates, [each.name for each in found.not_tried]) == ((), ["onnxruntime-bf16"])


def test_a_name_that_the_report_does_not_have_is_refused() -> None:
    with pytest.raises(EdgecnnError, match="did you mean openvino-int8", check=UNKNOWN_CANDIDATE.made):
        explain_candidate(explain(raced_report()), "openvino-int4", FOLDER)


def test_a_report_of_before_reasons_had_a_type_is_explained_by_its_sentences() -> None:
    old = with_row(raced_report(), "onnxruntime-int8", because=None)
    assert explain(old).candidates[1].facts.reason.startswith("chosen: onnxruntime-int8 ")


def test_an_explanation_is_the_same_after_json() -> None:
    for report in (raced_report(), provisional_report()):
        found = explain(report)
        assert Explanation.model_validate_json(found.model_dump_json(by_alias=True)) == found
