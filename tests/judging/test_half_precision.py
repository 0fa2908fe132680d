"""Accuracy that another machine than the device computed in another arithmetic: which bounds it meets, breaks and leaves open."""

import pytest

from edgecnn.judging.gates import judge
from edgecnn.values.verdict import Fidelity, Verdict
from tests.judging.made import a_gate, a_multi_label, a_residency, an_accuracy, facts

PASS, FAIL, UNSURE = Verdict.PASS, Verdict.FAIL, Verdict.UNSURE
FP32_ELSEWHERE = a_residency("elsewhere", {"fp32": 0.3, "unknown": 0.7})


@pytest.mark.parametrize(
    ("gate", "figure"), [(a_gate(), "drop 0.00 pp [-0.12, 0.12]"), (a_gate("top1", 0.8, side="min"), "top-1 90.0 %")]
)
def test_half_precision_that_was_computed_in_fp32_meets_no_bound_on_accuracy(gate, figure):
    """ncnn's half arithmetic on a Cortex-A76 named another class for 5 of 64 images; in fp32 on x86 the same kit lost none."""
    emulated = an_accuracy(1, 1, 3000, fidelity=Fidelity.EMULATED)
    result = judge(gate, facts("ncnn-fp16", test=emulated, residency=FP32_ELSEWHERE))
    assert (result.verdict, result.fidelity, result.images_to_settle) == (UNSURE, Fidelity.EMULATED, None)
    assert result.reason.startswith(figure)
    assert "fp16" in result.reason and "the device" in result.reason
    so_too = a_residency("elsewhere", {"fp16": 0.9, "fp32": 0.1})
    assert judge(gate, facts("litert-fp16", test=emulated, residency=so_too)).verdict is PASS


@pytest.mark.parametrize(("images", "advised"), [(126, True), (3000, False)])
def test_images_are_advised_too_if_these_would_be_too_few_on_the_device(images, advised):
    emulated = an_accuracy(0, 0, images, fidelity=Fidelity.EMULATED)
    result = judge(a_gate(), facts("ncnn-fp16", test=emulated, residency=FP32_ELSEWHERE))
    assert (result.verdict, "new test images" in result.reason) == (UNSURE, advised)


EMULATED_DROP = an_accuracy(1, 1, 3000, fidelity=Fidelity.EMULATED)


@pytest.mark.parametrize(
    ("ident", "fields", "expected"),
    [
        ("openvino-bf16", {"test": EMULATED_DROP, "residency": FP32_ELSEWHERE}, UNSURE),
        ("ncnn-fp16", {"test": EMULATED_DROP}, UNSURE),
        ("ncnn-fp16", {"test": EMULATED_DROP, "evaluated_kit": "sha-of-ncnn-fp16"}, UNSURE),
        ("tensorrt-fp16", {"test": EMULATED_DROP, "evaluated_kit": "sha-of-the-twin"}, PASS),
        ("ncnn-fp16", {"test": EMULATED_DROP, "residency": a_residency("executed", {"fp32": 1.0})}, PASS),
        ("ncnn-fp16", {"test": an_accuracy(1, 1, 3000), "residency": a_residency("executed", {"fp32": 1.0})}, PASS),
        ("onnxruntime-int8", {"test": EMULATED_DROP, "residency": FP32_ELSEWHERE}, PASS),
    ],
)
def test_only_own_answers_in_half_precision_on_another_machine_need_products_in_it(ident, fields, expected):
    assert judge(a_gate(), facts(ident, **fields)).verdict is expected


@pytest.mark.parametrize("ident", ["openvino-int8", "onnxruntime-int8", "openvino-int8-mixed"])
@pytest.mark.parametrize(
    ("saturates_on", "says"),
    [
        ("answering machine", "saturate on AMD EPYC but not on the device"),
        ("device", "saturate on the device but not on AMD EPYC"),
    ],
)
def test_int8_whose_sums_saturate_on_one_side_alone_meets_no_bound_either(ident, saturates_on, says):
    result = judge(a_gate(), facts(ident, test=EMULATED_DROP, saturates_on=saturates_on))
    assert (result.verdict, result.fidelity) == (UNSURE, Fidelity.EMULATED)
    assert says in result.reason
    assert judge(a_gate(), facts(ident, test=an_accuracy(1, 1, 3000), saturates_on=saturates_on)).verdict is PASS, (
        "measured there"
    )
    lost = an_accuracy(200, 10, 3000, fidelity=Fidelity.EMULATED)
    assert judge(a_gate(), facts(ident, test=lost, saturates_on=saturates_on)).verdict is FAIL


def test_half_precision_of_several_labels_meets_no_bound_either():
    several = a_multi_label(fidelity=Fidelity.EMULATED)
    assert judge(a_gate("map_drop_pp", 5.0), facts("ncnn-fp16", multi_label=several)).verdict is UNSURE
    assert judge(a_gate("map_drop_pp", 5.0), facts("ncnn-int8", multi_label=several)).verdict is PASS


def test_half_precision_that_lost_too_much_in_fp32_has_failed():
    lost = an_accuracy(200, 10, 3000, fidelity=Fidelity.EMULATED)
    assert judge(a_gate(), facts("ncnn-fp16", test=lost, residency=FP32_ELSEWHERE)).verdict is FAIL
    assert judge(a_gate("top1", 0.99, side="min"), facts("ncnn-fp16", test=lost, residency=FP32_ELSEWHERE)).verdict is FAIL
