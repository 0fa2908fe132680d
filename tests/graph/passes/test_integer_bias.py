"""A bias in the sums' integers is the bias to half a step, and one that would not fit enlarges its channel's step."""

from __future__ import annotations

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from edgecnn.graph.quantization_nodes import quantize_biases
from tests.graph.passes.test_half_qdq import constants, qdq


def outputs(model: onnx.ModelProto) -> np.ndarray:  # type: ignore[type-arg]
    images = np.random.default_rng(0).normal(0, 1, (8, 4)).astype(np.float32)
    return np.asarray(ReferenceEvaluator(model).run(None, {"x": images})[0])


def test_a_bias_becomes_int32_at_the_product_of_both_scales() -> None:
    before, model = qdq([0.01, 0.02]), qdq([0.01, 0.02])
    assert quantize_biases(model) == 1
    values = constants(model)
    assert values["bias_quantized"].dtype == np.int32
    np.testing.assert_allclose(values["bias_scale"], [0.0005, 0.001], rtol=1e-6)
    assert "bias" not in values
    np.testing.assert_allclose(outputs(model), outputs(before), atol=0.0005)
    onnx.checker.check_model(model, full_check=True)


def test_a_bias_beyond_32_bits_enlarges_its_channels_step_and_no_other() -> None:
    before, model = qdq([1e-12, 0.01]), qdq([1e-12, 0.01])
    quantize_biases(model)
    old, new = constants(before), constants(model)
    assert new["weights_scale"][0] > 1e-12
    assert new["weights_scale"][1] == old["weights_scale"][1]
    assert np.array_equal(new["weights"][1], old["weights"][1])
    np.testing.assert_allclose(outputs(model), outputs(before), atol=0.0005)


def test_a_float_layer_keeps_its_float_bias() -> None:
    model = qdq([0.01])
    gemm = model.graph.node[-1]
    gemm.input[0] = "x"
    before = model.SerializeToString()
    assert quantize_biases(model) == 0
    assert model.SerializeToString() == before
