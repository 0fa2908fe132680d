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
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.figures import Accuracy
from edgecnn.values.reason import DatedOrder, NotClimbed, NotSupported, Outside, Reason, Taken
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
    assert found.reasons["onnxruntime-int8"] == (
        "chosen: onnxruntime-int8 is the best estimate inside the budget of 1 pp in the race for the choice, expected regret "
        "0.0 % after 8 rounds"
    )
    taken = found.because["onnxruntime-int8"]
    assert isinstance(taken, Taken)
    assert (taken.by, taken.rounds, taken.against, taken.ratio) == ("estimate", 8, "onnxruntime-fp32", None)


def test_what_a_gate_on_size_does_not_allow_is_not_chosen_however_fast_while_another_is_small_enough() -> None:
    both, times = (fp32(size_mib=15.3), int8(size_mib=4.1)), a_contest({"onnxruntime-fp32": 0.6, "onnxruntime-int8": 0.9})
    found = choose(both, ChoiceRules(attached=True, most_mib=5.0), times)
    assert found.choice.candidate == "onnxruntime-int8"
    assert found.reasons["onnxruntime-fp32"] == "too large: 15.30 MiB against the 5 that are allowed"
    assert choose(both, ChoiceRules(attached=True, most_mib=3.0), times).choice.candidate == "onnxruntime-fp32", (
        "the gate fails then"
    )


def test_taken_for_want_of_anything_inside_the_budget() -> None:
    found = chosen(fp32(validation=None), int8(validation=None))
    assert found.reasons["onnxruntime-fp32"] == (
        "chosen: no candidate is known to stay inside the budget of 1 pp on validation, so fp32 ships"
    )


def test_taken_for_the_smallest_and_the_larger_one() -> None:
    rules = ChoiceRules(attached=True, objective="size")
    found = chosen(fp32(size_mib=16.07), int8(size_mib=4.35), rules=rules)
    assert found.reasons == {
        "onnxruntime-fp32": "larger: 16.07 MiB against 4.35 of onnxruntime-int8",
        "onnxruntime-int8": "chosen: onnxruntime-int8 is the smallest inside the budget of 1 pp, at 4.35 MiB",
    }


def test_slower_says_by_how_much_of_whom_and_where() -> None:
    assert raced().reasons["onnxruntime-fp32"] == (
        "slower by estimate in the race for the choice: 0.81 ms against 0.73 of onnxruntime-int8, 0.90 × the speed on AMD EPYC"
    )


def test_a_slower_one_says_on_how_many_threads_it_ran() -> None:
    said = raced(fp32="2 threads", int8="2 threads").reasons["onnxruntime-fp32"]
    assert said.endswith("× the speed on AMD EPYC, with 2 threads")


def test_run_settings_that_differ_are_both_named() -> None:
    said = raced(fp32="1 thread, spinning off", int8="2 threads").reasons["onnxruntime-fp32"]
    assert said.endswith("× the speed on AMD EPYC, with 1 thread, spinning off against 2 threads")


def test_alike_says_of_whom_and_how_alike() -> None:
    found = raced(0.731, 0.73)
    assert found.reasons["onnxruntime-int8"] == (
        "within 1 % of onnxruntime-fp32, which has the higher precision: 1.00 × the speed in the race for the choice"
    )
    taken = found.because["onnxruntime-fp32"]
    assert isinstance(taken, Taken) and (taken.by, taken.ahead) == ("precision", "onnxruntime-int8")


def test_loses_says_by_how_much_of_how_many_images() -> None:
    found = chosen(fp32(), int8(validation=an_accuracy(25, 8, split="validation")))
    assert found.reasons["onnxruntime-int8"] == (
        "over the budget on validation by 0.70 pp: a drop of 1.70 against 1, [0.79, 2.73] at 90 % of 1,000 images"
    )


def test_outside_what_was_asked() -> None:
    rules = ChoiceRules(attached=True, shippable=("onnxruntime-int8",))
    found = choose((fp32(), int8()), rules, a_contest({"onnxruntime-fp32": 0.81, "onnxruntime-int8": 0.73}))
    assert found.because["onnxruntime-fp32"] == Outside(runtime=Runtime.ONNXRUNTIME)
    assert found.reasons["onnxruntime-fp32"] == "a reference: onnxruntime is not what the target asks for"


def test_not_supported() -> None:
    why = "the CPU provider has no bf16 convolution"
    reason = NotSupported(runtime=Runtime.ONNXRUNTIME, precision=Precision.BF16, why=why)
    assert worded(reason, "onnxruntime-bf16") == "not supported: the CPU provider has no bf16 convolution"


def test_not_climbed() -> None:
    reason = NotClimbed(rung="int8", why="int8 was not climbed: 61 s spent of a budget of 60 s")
    assert worded(reason, "onnxruntime-int8") == "not climbed: int8 was not climbed: 61 s spent of a budget of 60 s"


@pytest.mark.parametrize(
    ("outcomes", "says"),
    [
        ({}, "no kit was made"),
        (
            {
                "quantize": Failed(ref="x", what="1 image cannot calibrate [x]"),
                "package": Blocked(by="quantize:onnxruntime-int8"),
            },
            "no kit was made: quantize failed: 1 image cannot calibrate [x]",
        ),
        ({"package": Blocked(by="export")}, "no kit was made: package blocked: export has no result"),
        (
            {"quantize": Unavailable(why="nncf is not installed", command='pip install "edgecnn[openvino]"')},
            'no kit was made: nncf is not installed; pip install "edgecnn[openvino]"',
        ),
    ],
)
def test_not_measured_for_want_of_a_kit(outcomes: dict[str, Any], says: str) -> None:
    assert chosen(fp32(), int8(kit=None, outcomes=outcomes)).reasons["onnxruntime-int8"] == says


def test_not_measured_since_measuring_failed() -> None:
    killed = Failed(ref="run-failed", what="the process was killed", hint="more memory")
    found = chosen(fp32(), int8(outcomes={"measure": killed}))
    assert found.reasons["onnxruntime-int8"] == "measuring it failed: the process was killed"
    assert found.because["onnxruntime-int8"].model_dump()["command"] == "more memory"


@pytest.mark.parametrize(
    ("outcomes", "says"),
    [
        ({"measure": Ran(seconds=1.0, why=())}, "not evaluated on validation, so nothing says that it is inside the budget"),
        ({"measure": Blocked(by="package:x")}, "measuring it failed: package:x has no result"),
        ({"measure": Unavailable(why="no board", command="x")}, "measuring it failed: no board; x"),
        ({"package": Failed(ref="x", what="no files")}, "no kit was made: package failed: no files"),
        (
            {"package": Failed(ref="x", what="no files"), "measure": Blocked(by="package")},
            "no kit was made: package failed: no files",
        ),
    ],
)
def test_a_candidate_is_out_by_the_step_that_broke_it_and_not_by_one_that_ran(outcomes: dict[str, Any], says: str) -> None:
    assert chosen(fp32(), int8(validation=None, outcomes=outcomes)).reasons["onnxruntime-int8"] == says


def test_not_measured_on_choose() -> None:
    assert chosen(fp32(), int8(validation=None)).reasons["onnxruntime-int8"] == (
        "not evaluated on validation, so nothing says that it is inside the budget"
    )


def test_not_measured_in_the_race_for_the_choice() -> None:
    found = choose((fp32(), int8()), HERE, a_contest({"onnxruntime-fp32": 0.81}))
    assert found.reasons["onnxruntime-int8"] == "inside the budget, but not in the race for the choice"


def test_not_weighed() -> None:
    rules = ChoiceRules(attached=True, objective="size")
    found = chosen(fp32(size_mib=16.07), int8(), rules=rules)
    assert found.reasons["onnxruntime-int8"] == "inside the budget, but not weighed"


def test_provisional_is_an_order_and_no_prediction() -> None:
    table = (
        fp32(),
        facts("tensorrt-fp16", validation=an_accuracy(split="validation")),
        facts("tensorrt-int8", validation=an_accuracy(3, 1, split="validation")),
    )
    found = chosen(*table, rules=AWAY)
    assert found.reasons == {
        "onnxruntime-fp32": "carried: the network that every drop is counted from",
        "tensorrt-fp16": "chosen for now: jetson-orin-nano was not attached, so tensorrt-fp16 is used until a race settles it: "
        "by the default order (fp16, INT8, other), which estimates no speed",
        "tensorrt-int8": "carried: inside the budget, and a race on the device may choose it",
    }
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
    assert found.choice.why == (
        "jetson-orin-nano was not attached, so litert-int8 is used until a race settles it: "
        "fastest in the record of 2026-11-20 (mobilenet-v2; a board)"
    )


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
    assert found.choice.why.endswith(": ▲ 15 ms [12, 19.5] predicted, the fastest of all")


def test_where_some_have_no_forecast_it_orders_each_precision_by_itself() -> None:
    found = forecast({"onnxruntime-fp32": 4.0, "ncnn-fp16": 24.0}, "litert-fp16", "ncnn-fp16", "onnxruntime-int8")
    order = found.because["ncnn-fp16"].model_dump()["order"]
    assert order == ("ncnn-fp16", "litert-fp16", "onnxruntime-int8", "onnxruntime-fp32")
    assert found.choice.why.endswith("the fastest of its precision, by the default order (fp16, INT8, other)")
    assert forecast({"onnxruntime-fp32": 4.0}, "litert-fp16").choice.why.endswith("which estimates no speed")


def test_a_whole_record_goes_before_a_forecast_and_no_forecast_orders_another_objective() -> None:
    ms = {"onnxruntime-fp32": 40.0, "litert-fp16": 10.0, "litert-int8": 15.0}
    assert forecast(ms, "litert-fp16", "litert-int8").choice.candidate == "litert-fp16"
    assert forecast(ms, "litert-fp16", "litert-int8", dated=DATED).choice.candidate == "litert-int8"
    assert "▲" not in forecast(ms, "litert-fp16", "litert-int8", objective="throughput").choice.why


def test_a_candidate_whose_accuracy_does_not_count_stays_last_however_fast_it_is_predicted() -> None:
    ms = {"onnxruntime-fp32": 40.0, "litert-fp16": 10.0, "litert-int8": 15.0}
    found = forecast(ms, "litert-fp16", "litert-int8", late="litert-fp16")
    assert found.because["litert-int8"].model_dump()["order"] == ("litert-int8", "onnxruntime-fp32", "litert-fp16")


def test_a_candidate_that_evidence_never_has_goes_with_the_plain_one_of_its_runtime_and_precision() -> None:
    assert provisional("litert-int8-mixed-2", "onnxruntime-fp16").choice.candidate == "litert-int8-mixed-2"


@pytest.mark.parametrize(
    "changes", [{"objective": "throughput"}, {"dated": DATED.model_copy(update={"relative": {"onnxruntime-fp32": 1.0}})}]
)
def test_a_record_that_does_not_speak_of_every_candidate_or_of_the_objective_orders_nothing(changes: dict[str, object]) -> None:
    found = provisional("litert-fp16", "litert-int8", **changes)
    assert found.choice.candidate == "litert-fp16"
    assert found.choice.why.endswith(": by the default order (fp16, INT8, other), which estimates no speed")


@pytest.mark.parametrize(
    ("validation", "said"),
    [
        (an_accuracy(split="validation"), "inside the budget, and a race on the device may choose it"),
        (an_accuracy(40, 3, split="validation"), "fp32 of a runtime that the target allows"),
        (None, "fp32 of a runtime that the target allows"),
    ],
)
def test_only_the_network_that_drops_are_counted_from_is_called_that(validation: Accuracy | None, said: str) -> None:
    found = chosen(fp32(), facts("openvino-fp32", validation=validation), int8(), rules=AWAY)
    assert found.choice.carried == ("onnxruntime-int8", "onnxruntime-fp32", "openvino-fp32")
    assert found.reasons["openvino-fp32"] == f"carried: {said}"
    assert found.reasons["onnxruntime-fp32"] == "carried: the network that every drop is counted from"


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
    assert found.reasons["litert-fp16"].endswith(
        "by the default order (fp16, INT8, other; last ncnn-fp16 and openvino-fp16, not known to have been computed as on the "
        "device), which estimates no speed"
    )


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
