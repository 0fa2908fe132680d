"""What TensorRT would read wrongly is refused before any builder sees it, and the refusal says which tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import NonZeroZeroPoint, OnnxBeyondReader, PerChannelAxis, QuantizedBias, UnsignedQuantization
from edgecnn.runtimes.tensorrt_files import Feeds, check_for_tensorrt, refusals
from tests.graph.trunks import feed_of, pictures
from tests.runner.kits import network
from tests.runtimes.misread import with_shifted_activations, with_uint8_activations

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
    model = with_uint8_activations(quantized(tmp_path))
    with pytest.raises(UnsignedQuantization) as refused:
        check_for_tensorrt(model, FILE)
    # ONNX Runtime quantizes five layers here: six activations, each behind a quantizer and a dequantizer.
    assert refused.value.what == (
        "model.onnx: tensor image and 11 more are quantized to uint8, which TensorRT reads as int8 with the same scale"
    )


def test_a_quantizer_that_names_no_type_is_uint8() -> None:
    node = helper.make_node("QuantizeLinear", ["x", "scale"], ["q"], name="q")
    x, q = (helper.make_tensor_value_info(name, kind, [1]) for name, kind in (("x", TensorProto.FLOAT), ("q", TensorProto.UINT8)))
    scale = numpy_helper.from_array(np.array(0.5, np.float32), "scale")
    model = helper.make_model(
        helper.make_graph([node], "g", [x], [q], [scale]), opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    )
    assert [type(each) for each in refusals(model, FILE)] == [UnsignedQuantization]


def test_what_onnx_runtime_wants_for_itself_is_refused(tmp_path: Path) -> None:
    model = quantized(tmp_path, activation_type=QuantType.QUInt8, extra={"ActivationSymmetric": False, "QuantizeBias": True})
    assert UnsignedQuantization in {type(each) for each in refusals(model, FILE)}


def test_a_shifted_zero_point_is_refused(tmp_path: Path) -> None:
    found = refusals(with_shifted_activations(quantized(tmp_path)), FILE)
    assert [type(each) for each in found] == [NonZeroZeroPoint]


def test_an_int32_bias_is_refused() -> None:
    assert [type(each) for each in refusals(dequantizing(1, None, TensorProto.INT32), FILE)] == [QuantizedBias]


@pytest.mark.parametrize(
    ("scales", "axis", "fits"),
    [(1, None, True), (4, 0, True), (3, 1, True), (3, -1, True), (4, None, False), (3, 0, False), (4, 2, False)],
)
def test_scales_must_fit_the_axis_that_is_named(scales: int, axis: int | None, fits: bool) -> None:
    found = [type(each) for each in refusals(dequantizing(scales, axis), FILE)]
    assert found == ([] if fits else [PerChannelAxis])


def test_versions_above_the_parser_s_are_refused() -> None:
    model = network()
    model.opset_import[0].version = 21
    model.ir_version = 11
    assert [type(each) for each in refusals(model, FILE)] == [OnnxBeyondReader, OnnxBeyondReader]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            UnsignedQuantization(file=FILE, tensors=["relu"]),
            "model.onnx: tensor relu is quantized to uint8, which TensorRT reads as int8 with the same scale — quantize"
            " activations to int8 with zero-point 0: the scheme of the candidate tensorrt-int8 [tensorrt-reads-uint8-as-int8]",
        ),
        (
            NonZeroZeroPoint(file=FILE, tensors=["a", "b"]),
            "model.onnx: tensor a and 1 more are quantized with a zero-point that is not 0 throughout: TensorRT knows symmetric"
            " quantization alone — quantize with symmetric activations and weights: the scheme of the candidate tensorrt-int8"
            " [tensorrt-zero-point]",
        ),
        (
            QuantizedBias(file=FILE, tensors=["bias"]),
            "model.onnx: tensor bias is dequantized from int32, as quantized biases are: TensorRT dequantizes 8-bit numbers only"
            " — leave biases in floating point: QuantizeBias False in onnxruntime's quantize_static [tensorrt-quantized-bias]",
        ),
        (
            PerChannelAxis(file=FILE, tensors=["w"]),
            "model.onnx: tensor w is quantized per channel, and the axis is missing or not as long as the scales — give every"
            " per-channel QuantizeLinear and DequantizeLinear the axis that its scales run along [tensorrt-per-channel-axis]",
        ),
        (
            OnnxBeyondReader(file=FILE, what="opset", found=21, limit=20),
            "model.onnx: opset 21 is above 20, the highest that this TensorRT reads — export with opset 20 or lower"
            " [onnx-beyond-reader]",
        ),
    ],
)
def test_each_refusal_says_what_is_wrong_and_what_mends_it(error: EdgecnnError, line: str) -> None:
    assert error.line() == line
