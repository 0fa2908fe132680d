"""Scales that fp16 cannot hold are moved, and the weights with them, so that what is dequantized stays what it was."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import HALF_OVERFLOW, OPSET_TOO_LOW_FOR_HALF_QUANTIZATION
from edgecnn.graph.half_precision import SMALLEST_NORMAL_HALF, half_scale, refuse_learned_overflow, round_qdq_to_half, type_half


def qdq(weight_scales: list[float], activation_scale: float = 0.05, opset: int = 20) -> onnx.ModelProto:
    """x (N, 4) → Q → DQ → Gemm with int8 weights (channels, 4), one scale a channel."""
    channels = len(weight_scales)
    steps = np.tile(np.array([-127, -3, 64, 127], np.int8), (channels, 1))
    constants = {
        "scale": np.array(activation_scale, np.float32),
        "zero": np.array(0, np.int8),
        "weights": steps,
        "weights_scale": np.array(weight_scales, np.float32),
        "weights_zero": np.zeros(channels, np.int8),
        "bias": np.full(channels, 0.1, np.float32),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], name="q"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"], name="d"),
        helper.make_node("DequantizeLinear", ["weights", "weights_scale", "weights_zero"], ["w"], name="w", axis=0),
        helper.make_node("Gemm", ["d", "w", "bias"], ["y"], name="gemm", transB=1),
    ]
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", size]) for n, size in (("x", 4), ("y", channels)))
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    return helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], weights), opset_imports=[helper.make_opsetid("", opset)], ir_version=10
    )


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def test_a_scale_that_fp16_would_lose_is_raised_and_its_weights_keep_their_values_to_half_a_step() -> None:
    tiny = 1e-6
    before, after = constants(qdq([tiny, 0.01])), constants(round_qdq_to_half(qdq([tiny, 0.01])))
    assert after["weights_scale"][0] == np.float32(SMALLEST_NORMAL_HALF)
    values = before["weights"] * before["weights_scale"][:, None]
    again = after["weights"] * after["weights_scale"][:, None]
    assert np.abs(values[0] - again[0]).max() <= SMALLEST_NORMAL_HALF / 2
    assert np.array_equal(before["weights"][1], after["weights"][1])
    assert np.abs(values[1] - again[1]).max() <= np.abs(values[1]).max() * 2.0**-11


def test_the_typed_file_holds_the_very_numbers_of_its_carrier() -> None:
    carried = round_qdq_to_half(qdq([1e-6, 0.01, 0.3]))
    typed = type_half(carried)
    theirs, ours = constants(typed), constants(carried)
    assert theirs["weights_scale"].dtype == np.float16
    assert theirs["weights"].dtype == np.int8
    for name, value in ours.items():
        assert np.array_equal(theirs[name].astype(np.float64), value.astype(np.float64)), name


def test_both_compute_the_same_and_both_speak_float32() -> None:
    carried = round_qdq_to_half(qdq([0.02, 0.01, 0.3]))
    typed = type_half(carried)
    onnx.checker.check_model(typed, full_check=True)
    # Whole steps, so that no rounding to half moves a number across the middle between two.
    steps = np.random.default_rng(0).integers(-100, 100, (8, 4))
    feed = {"x": (steps * np.float32(np.float16(0.05))).astype(np.float32)}
    ours, theirs = (ReferenceEvaluator(model).run(None, feed)[0] for model in (carried, typed))
    assert theirs.dtype == np.float32
    assert np.abs(ours - theirs).max() <= 2e-3 * np.abs(ours).max()


def test_scales_are_rounded_up_from_zero_and_never_down_to_it() -> None:
    scales = np.array([0.0, 1e-9, 1e-5, 0.1], np.float32)
    held = half_scale(scales, "s")
    assert (held >= np.float32(SMALLEST_NORMAL_HALF)).all()
    assert held[3] == np.float32(np.float16(0.1))


def test_an_activation_that_training_saw_beyond_fp16_is_refused() -> None:
    refuse_learned_overflow(qdq([0.01]))
    with pytest.raises(EdgecnnError, check=HALF_OVERFLOW.made) as refused:
        refuse_learned_overflow(qdq([0.01], activation_scale=600.0))
    assert refused.value.ref == "half-overflow"


def test_opset_18_has_no_fp16_scales() -> None:
    with pytest.raises(EdgecnnError, check=OPSET_TOO_LOW_FOR_HALF_QUANTIZATION.made) as refused:
        round_qdq_to_half(qdq([0.01], opset=18))
    assert refused.value.ref == "opset-too-low-for-half-quantization"
