"""What TensorRT would read wrongly is refused before any builder sees it, and the refusal says which tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import (
    ONNX_BEYOND_READER,
    TENSORRT_PER_CHANNEL_AXIS,
    TENSORRT_QUANTIZED_BIAS,
    TENSORRT_READS_UINT8_AS_INT8,
    TENSORRT_ZERO_POINT,
)
from edgecnn.runtimes.onnxruntime_files import Feeds
from edgecnn.runtimes.tensorrt_files import check_for_tensorrt, refusals
from tests.graph.trunks import feed_of, pictures
from tests.runner.kits import network
from tests.runtimes.misread import activations_as_uint8, shift_activations

FILE = Path("model.onnx")


def quantized(folder: Path, **how: object) -> onnx.ModelProto:
    """A small network quantized by ONNX Runtime with these options; symmetric int8 and float biases unless they say otherwise."""
    onnx.save(network(), folder / "float.onnx")
    extra = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False} | dict(how.pop("extra", {}))  # type: ignore[call-overload]
    options = {"activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8, "per_channel": True} | how
    feeds = Feeds("image", iter([feed_of(pictures(4))[:, :, ::2, ::2]]))
    quantize_static(
        folder / "float.onnx", folder / "qdq.onnx", feeds, quant_format=QuantFormat.QDQ, extra_options=extra, **options
    )
    return onnx.load(folder / "qdq.onnx")


def dequantizing(scales: int, axis: int | None, dtype: int = TensorProto.INT8) -> onnx.ModelProto:
    """Weights (4, 3) behind one DequantizeLinear."""
    numpy_dtype = helper.tensor_dtype_to_np_dtype(dtype)
    weights = [
        numpy_helper.from_array(np.ones((4, 3), numpy_dtype), "weights"),
        numpy_helper.from_array(np.full((scales,) if scales > 1 else (), 0.5, np.float32), "scale"),
    ]
    attributes = {} if axis is None else {"axis": axis}
    node = helper.make_node("DequantizeLinear", ["weights", "scale"], ["y"], name="dq", **attributes)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 3])
    return helper.make_model(
        helper.make_graph([node], "g", [], [y], weights), opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    )


def test_the_scheme_that_we_ship_is_taken(tmp_path: Path) -> None:
    check_for_tensorrt(quantized(tmp_path), FILE)


def test_uint8_at_zero_point_0_is_refused_with_its_tensors(tmp_path: Path) -> None:
    model = activations_as_uint8(quantized(tmp_path))
    with pytest.raises(EdgecnnError, check=TENSORRT_READS_UINT8_AS_INT8.made) as refused:
        check_for_tensorrt(model, FILE)
    # ONNX Runtime quantizes five layers here: six activations, each behind a quantizer and a dequantizer.
    assert refused.value.ref == "tensorrt-reads-uint8-as-int8"


def test_a_quantizer_that_names_no_type_is_uint8() -> None:
    node = helper.make_node("QuantizeLinear", ["x", "scale"], ["q"], name="q")
    x, q = (helper.make_tensor_value_info(name, kind, [1]) for name, kind in (("x", TensorProto.FLOAT), ("q", TensorProto.UINT8)))
    scale = numpy_helper.from_array(np.array(0.5, np.float32), "scale")
    model = helper.make_model(
        helper.make_graph([node], "g", [x], [q], [scale]), opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    )
    assert [refusal.ref for refusal in refusals(model, FILE)] == [TENSORRT_READS_UINT8_AS_INT8.ref]


def test_what_onnx_runtime_wants_for_itself_is_refused(tmp_path: Path) -> None:
    model = quantized(tmp_path, activation_type=QuantType.QUInt8, extra={"ActivationSymmetric": False, "QuantizeBias": True})
    assert TENSORRT_READS_UINT8_AS_INT8.ref in {refusal.ref for refusal in refusals(model, FILE)}


def test_a_shifted_zero_point_is_refused(tmp_path: Path) -> None:
    refused = refusals(shift_activations(quantized(tmp_path)), FILE)
    assert [refusal.ref for refusal in refused] == [TENSORRT_ZERO_POINT.ref]


def test_an_int32_bias_is_refused() -> None:
    assert [refusal.ref for refusal in refusals(dequantizing(1, None, TensorProto.INT32), FILE)] == [TENSORRT_QUANTIZED_BIAS.ref]


@pytest.mark.parametrize(
    ("scales", "axis", "fits"),
    [(1, None, True), (4, 0, True), (3, 1, True), (3, -1, True), (4, None, False), (3, 0, False), (4, 2, False)],
)
def test_scales_must_fit_the_axis_that_is_named(scales: int, axis: int | None, fits: bool) -> None:
    refs = [refusal.ref for refusal in refusals(dequantizing(scales, axis), FILE)]
    assert refs == ([] if fits else [TENSORRT_PER_CHANNEL_AXIS.ref])


def test_versions_above_the_parser_s_are_refused() -> None:
    model = network()
    model.opset_import[0].version = 21
    model.ir_version = 11
    assert [refusal.ref for refusal in refusals(model, FILE)] == [ONNX_BEYOND_READER.ref, ONNX_BEYOND_READER.ref]
