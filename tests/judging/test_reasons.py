"""Each kind of reason says what it is in one sentence, with the figures of the build that it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from edgecnn.judging.choice import ChoiceRules, Chosen, choose
from edgecnn.judging.reasons import why_chosen, worded
from edgecnn.values.artifact import Blocked, Failed, Ran, Unavailable
from edgecnn.values.candidate import Runtime
from edgecnn.values.figures import Accuracy
from edgecnn.values.reason import DatedOrder, Loses, Outside, Reason, Slower, Taken
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Fidelity
from tests.judging.made import a_contest, a_forecast, a_residency, an_accuracy, facts

HERE = ChoiceRules(attached=True)
AWAY = ChoiceRules(attached=False, device="jetson-orin-nano")
KINDS = get_args(get_args(Reason)[0])


def fp32(**fields: Any) -> CandidateFacts:
    return facts(
        "onnxruntime-fp32", **{"is_baseline": True, "validation": an_accuracy(split="validation"), "latency": None, **fields}
    )


def int8(**fields: Any) -> CandidateFacts:
    return facts("onnxruntime-int8", **{"validation": an_accuracy(10, 3, split="validation"), "latency": None, **fields})


def chosen(*rows: CandidateFacts, rules: ChoiceRules = HERE) -> Chosen:
    return choose(rows, rules)


def raced(fp32_ms: float = 0.81, int8_ms: float = 0.73, **run_settings: str) -> Chosen:
    """Both inside the budget, after a race in which they took so long."""
    settings = {f"onnxruntime-{name}": each for name, each in run_settings.items()}
    return choose((fp32(), int8()), HERE, a_contest({"onnxruntime-fp32": fp32_ms, "onnxruntime-int8": int8_ms}, settings))


def test_taken_for_the_best_estimate() -> None:
    found = raced()
    taken = found.because["onnxruntime-int8"]
    assert isinstance(taken, Taken)
    assert (taken.by, taken.rounds, taken.against, taken.ratio) == ("estimate", 8, "onnxruntime-fp32", None)


def test_what_a_gate_on_size_does_not_allow_is_not_chosen_however_fast_while_another_is_small_enough() -> None:
    both, times = (fp32(size_mib=15.3), int8(size_mib=4.1)), a_contest({"onnxruntime-fp32": 0.6, "onnxruntime-int8": 0.9})
    found = choose(both, ChoiceRules(attached=True, most_mib=5.0), times)
    assert found.choice.candidate == "onnxruntime-int8"
    assert found.because["onnxruntime-fp32"].kind == "too-large"
    assert choose(both, ChoiceRules(attached=True, most_mib=3.0), times).choice.candidate == "onnxruntime-fp32", (
        "the gate fails then"
    )


def test_taken_for_want_of_anything_inside_the_budget() -> None:
    found = chosen(fp32(validation=None), int8(validation=None))
    assert found.choice.candidate == "onnxruntime-fp32"
    assert isinstance(found.because["onnxruntime-fp32"], Taken)


def test_taken_for_the_smallest_and_the_larger_one() -> None:
    rules = ChoiceRules(attached=True, objective="size")
    found = chosen(fp32(size_mib=16.07), int8(size_mib=4.35), rules=rules)
    assert found.choice.candidate == "onnxruntime-int8"
    assert [reason.kind for reason in found.because.values()] == ["larger", "taken"]


def test_slower_says_by_how_much_of_whom_where_and_on_how_many_threads() -> None:
    slower = raced(fp32="2 threads", int8="2 threads").because["onnxruntime-fp32"]
    assert isinstance(slower, Slower)
    assert (slower.ms, slower.against_ms) == (pytest.approx(0.81, rel=0.01), pytest.approx(0.73, rel=0.01))
    assert (slower.against, slower.machine) == ("onnxruntime-int8", "AMD EPYC")
    assert worded(slower, "onnxruntime-fp32").count("2 threads") == 1


def test_run_settings_that_differ_are_both_named() -> None:
    said = raced(fp32="1 thread, spinning off", int8="2 threads").reasons["onnxruntime-fp32"]
    assert said.index("1 thread, spinning off") < said.index("2 threads")


def test_alike_says_of_whom_and_how_alike() -> None:
    found = raced(0.731, 0.73)
    assert found.because["onnxruntime-int8"].kind == "alike"
    taken = found.because["onnxruntime-fp32"]
    assert isinstance(taken, Taken) and (taken.by, taken.ahead) == ("precision", "onnxruntime-int8")


def test_loses_says_by_how_much_of_how_many_images() -> None:
    found = chosen(fp32(), int8(validation=an_accuracy(25, 8, split="validation")))
    loses = found.because["onnxruntime-int8"]
    assert isinstance(loses, Loses) and (loses.split, loses.bound_pp, loses.images) == ("validation", 1.0, 1000)
    assert loses.drop_pp.estimate == pytest.approx(1.7)


def test_outside_what_was_asked() -> None:
    rules = ChoiceRules(attached=True, shippable=("onnxruntime-int8",))
    found = choose((fp32(), int8()), rules, a_contest({"onnxruntime-fp32": 0.81, "onnxruntime-int8": 0.73}))
    assert found.because["onnxruntime-fp32"] == Outside(runtime=Runtime.ONNXRUNTIME)


@pytest.mark.parametrize(
    ("outcomes", "says"),
    [
        ({}, ""),
        (
            {"quantize": Failed(ref="x", what="one image [x]"), "package": Blocked(by="quantize:onnxruntime-int8")},
            "one image [x]",
        ),
        ({"package": Blocked(by="export")}, "export has no result"),
        ({"quantize": Unavailable(why="no nncf", command="pip install nncf")}, "pip install nncf"),
    ],
)
def test_not_measured_for_want_of_a_kit(outcomes: dict[str, Any], says: str) -> None:
    assert chosen(fp32(), int8(kit=None, outcomes=outcomes)).reasons["onnxruntime-int8"].endswith(says)


def test_not_measured_since_measuring_failed() -> None:
    killed = Failed(ref="run-failed", what="it was killed", hint="more memory")
    found = chosen(fp32(), int8(outcomes={"measure": killed}))
    assert found.reasons["onnxruntime-int8"].endswith(": it was killed")
    assert found.because["onnxruntime-int8"].model_dump()["command"] == "more memory"


@pytest.mark.parametrize(
    ("outcomes", "says"),
    [
        ({"measure": Ran(seconds=1.0, why=())}, "the budget"),
        ({"measure": Blocked(by="package:x")}, ": package:x has no result"),
        ({"measure": Unavailable(why="no board", command="x")}, "no board; x"),
        ({"package": Failed(ref="x", what="no files")}, "no files"),
        ({"package": Failed(ref="x", what="no files"), "measure": Blocked(by="package")}, "no files"),
    ],
)
def test_a_candidate_is_out_by_the_step_that_broke_it_and_not_by_one_that_ran(outcomes: dict[str, Any], says: str) -> None:
    assert chosen(fp32(), int8(validation=None, outcomes=outcomes)).reasons["onnxruntime-int8"].endswith(says)


def test_not_measured_in_the_race_for_the_choice() -> None:
    found = choose((fp32(), int8()), HERE, a_contest({"onnxruntime-fp32": 0.81}))
    assert found.because["onnxruntime-int8"].kind == "not-measured"


def test_provisional_is_an_order_and_no_prediction() -> None:
    table = (
        fp32(),
        facts("tensorrt-fp16", validation=an_accuracy(split="validation")),
        facts("tensorrt-int8", validation=an_accuracy(3, 1, split="validation")),
    )
    found = chosen(*table, rules=AWAY)
    assert (found.choice.state, found.choice.candidate) == ("provisional", "tensorrt-fp16")
    assert found.because["tensorrt-int8"].model_dump()["order"] == ("tensorrt-fp16", "tensorrt-int8", "onnxruntime-fp32")


DATED = DatedOrder(
    relative={"litert-int8": 0.4, "litert-fp16": 0.7, "onnxruntime-fp32": 1.0, "onnxruntime-fp16": 1.2},
    networks=("mobilenet-v2",),
    machine="a board",
    observed_on="2026-11-20",
)


def provisional(*names: str, late: str = "", **rules: object) -> Chosen:
    good = {"validation": an_accuracy(split="validation")}
    away = {"validation": an_accuracy(split="validation", fidelity=Fidelity.EMULATED, other_arithmetic="computed in fp32")}
    table = [facts(name, **(away if name == late else good)) for name in names]
    return chosen(fp32(), *table, rules=AWAY.model_copy(update={"dated": DATED, **rules}))


def test_provisional_by_a_record_takes_what_was_fastest_there_and_names_the_record() -> None:
    found = provisional("onnxruntime-fp16", "litert-fp16", "litert-int8")
    assert found.because["litert-int8"].model_dump()["order"] == (
        "litert-int8", "litert-fp16", "onnxruntime-fp32", "onnxruntime-fp16",
    )  # fmt: skip
    assert all(fact in found.choice.why for fact in ("litert-int8", "2026-11-20", "mobilenet-v2", "a board"))


def forecast(ms: Mapping[str, float], *names: str, late: str = "", **rules: object) -> Chosen:
    """Of candidates that are away and have no record; ``ms``: of those of them that have a forecast."""
    away = {"validation": an_accuracy(split="validation", fidelity=Fidelity.EMULATED)}
    good = {"validation": an_accuracy(split="validation")}
    known = {name: a_forecast(time, 0.8 * time, 1.3 * time) for name, time in ms.items()}
    table = [facts(name, forecast=known.get(name), **(away if name == late else good)) for name in names]
    baseline = fp32(forecast=known.get("onnxruntime-fp32"))
    return chosen(baseline, *table, rules=AWAY.model_copy(update=rules))


def test_provisional_by_a_forecast_of_all_takes_the_fastest_and_says_so() -> None:
    ms = {"onnxruntime-fp32": 40.0, "ncnn-fp16": 24.0, "onnxruntime-int8": 15.0}
    found = forecast(ms, "ncnn-fp16", "onnxruntime-int8")
    reason = found.because["onnxruntime-int8"].model_dump()
    assert reason["order"] == ("onnxruntime-int8", "ncnn-fp16", "onnxruntime-fp32")
    assert reason["predicted"]["p50_ms"]["onnxruntime-int8"]["high"] == 19.5
    assert found.choice.state == "provisional"
    assert found.choice.why.endswith(": ▲ 15 ms [12, 19.5], 66.7 images/s predicted, the fastest of all")


def test_where_some_have_no_forecast_the_fastest_with_one_is_used_whatever_its_precision() -> None:
    found = forecast({"onnxruntime-fp32": 40.0, "ncnn-fp16": 24.0}, "litert-fp16", "ncnn-fp16", "onnxruntime-int8")
    order = found.because["ncnn-fp16"].model_dump()["order"]
    assert order == ("ncnn-fp16", "onnxruntime-fp32", "litert-fp16", "onnxruntime-int8")
    assert found.because["ncnn-fp16"].model_dump()["predicted"]["whole"] is False
    assert forecast({"onnxruntime-fp32": 4.0}, "litert-fp16").choice.candidate == "onnxruntime-fp32"
    assert forecast({}, "litert-fp16", "onnxruntime-int8").choice.candidate == "litert-fp16"


def test_a_whole_record_goes_before_a_forecast_and_no_forecast_orders_another_objective() -> None:
    ms = {"onnxruntime-fp32": 40.0, "litert-fp16": 10.0, "litert-int8": 15.0}
    assert forecast(ms, "litert-fp16", "litert-int8").choice.candidate == "litert-fp16"
    assert forecast(ms, "litert-fp16", "litert-int8", dated=DATED).choice.candidate == "litert-int8"
    assert "▲" not in forecast(ms, "litert-fp16", "litert-int8", objective="throughput").choice.why


def test_another_arithmetic_puts_a_candidate_last_unless_its_speed_is_known() -> None:
    ms = {"onnxruntime-fp32": 40.0, "litert-fp16": 10.0, "litert-int8": 15.0}
    found = forecast(ms, "litert-fp16", "litert-int8", late="litert-fp16")
    assert found.because["litert-int8"].model_dump()["order"] == ("litert-fp16", "litert-int8", "onnxruntime-fp32")
    unknown = forecast({}, "litert-fp16", "litert-int8", late="litert-fp16")
    assert unknown.because["litert-int8"].model_dump()["order"] == ("litert-int8", "onnxruntime-fp32", "litert-fp16")


def test_a_candidate_that_evidence_never_has_goes_with_the_plain_one_of_its_runtime_and_precision() -> None:
    assert provisional("litert-int8-mixed-2", "onnxruntime-fp16").choice.candidate == "litert-int8-mixed-2"


@pytest.mark.parametrize(
    "changes", [{"objective": "throughput"}, {"dated": DATED.model_copy(update={"relative": {"onnxruntime-fp32": 1.0}})}]
)
def test_a_record_that_does_not_speak_of_every_candidate_or_of_the_objective_orders_nothing(changes: dict[str, object]) -> None:
    found = provisional("litert-fp16", "litert-int8", **changes)
    assert found.choice.candidate == "litert-fp16"
    assert "2026-11-20" not in found.choice.why


@pytest.mark.parametrize("validation", [an_accuracy(split="validation"), an_accuracy(40, 3, split="validation"), None])
def test_only_the_network_that_drops_are_counted_from_is_called_that(validation: Accuracy | None) -> None:
    found = chosen(fp32(), facts("openvino-fp32", validation=validation), int8(), rules=AWAY)
    assert found.choice.carried == ("onnxruntime-int8", "onnxruntime-fp32", "openvino-fp32")
    assert found.reasons["openvino-fp32"] != found.reasons["onnxruntime-fp32"]


def test_what_was_not_computed_as_the_device_does_is_used_last() -> None:
    emulated = an_accuracy(split="validation", fidelity=Fidelity.EMULATED)
    table = (
        fp32(),
        facts("ncnn-fp16", validation=emulated, residency=a_residency("elsewhere", {"fp32": 1.0})),
        facts("litert-fp16", validation=emulated, residency=a_residency("elsewhere", {"fp16": 1.0})),
        facts("openvino-fp16", validation=emulated),
    )
    found = chosen(*table, rules=AWAY)
    assert found.choice.candidate == "litert-fp16"
    assert found.because["litert-fp16"].model_dump()["order"] == (
        "litert-fp16", "onnxruntime-fp32", "ncnn-fp16", "openvino-fp16"
    )  # fmt: skip
    assert "ncnn-fp16 and openvino-fp16" in found.reasons["litert-fp16"]


@pytest.mark.parametrize("rules", [HERE, AWAY])
def test_the_report_s_first_sentence_is_the_reason_of_what_is_used(rules: ChoiceRules) -> None:
    found = choose((fp32(), int8()), rules, a_contest({"onnxruntime-fp32": 0.81, "onnxruntime-int8": 0.73}))
    used = found.choice.candidate or ""
    assert found.reasons[used].endswith(f": {found.choice.why}")
    assert why_chosen(found.because[used], used) == found.choice.why  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_is_told_by_its_name_and_has_a_sentence(kind: Any) -> None:
    """What is added to the set and not put into words is noticed here, and not in front of a user."""
    from edgecnn.judging.reasons import _sentence

    assert _sentence.dispatch(kind) is not _sentence.dispatch(object)
    assert kind.model_fields["kind"].default


def test_a_reason_comes_back_from_json_as_what_it_was() -> None:
    because = raced().because
    adapter: TypeAdapter[dict[str, Reason]] = TypeAdapter(dict[str, Reason])
    text = json.dumps({name: reason.model_dump(mode="json") for name, reason in because.items()})
    assert adapter.validate_json(text) == because
