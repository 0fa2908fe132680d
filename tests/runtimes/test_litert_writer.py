"""Each rule of the LiteRT writer, against ONNX Runtime's answers to the same network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from onnx import TensorProto, helper, numpy_helper

from edgecnn.runtimes.litert_writer import flatbuffer
from edgecnn.runtimes.litert_writer.conversion import FORMS, RULES
from edgecnn.runtimes.litert_writer.flatbuffer import LitertNetwork, TooLarge
from edgecnn.runtimes.litert_writer.writer import LayerWithoutForm, litert_model

OPSET = 22
RNG = np.random.default_rng(0)
IMAGE = (1, 8, 6, 10)
Steps = Sequence[tuple[str, Sequence[Any], dict[str, Any]]]


def network(steps: Steps, shape: Sequence[int] = IMAGE, opset: int = OPSET) -> onnx.ModelProto:
    """A chain: each step is an operator, its further inputs (arrays, or names of values before it) and its attributes.

    The first input of a step is the output of the one before it; the outputs are called v1, v2, ….
    """
    nodes, constants = [], []
    for number, (op, others, attributes) in enumerate(steps, start=1):
        names = []
        for place, other in enumerate(others):
            if isinstance(other, np.ndarray):
                constants.append(numpy_helper.from_array(other, f"c{number}_{place}"))
            names.append(f"c{number}_{place}" if isinstance(other, np.ndarray) else other)
        nodes.append(helper.make_node(op, [f"v{number - 1}", *names], [f"v{number}"], name=f"node{number}", **attributes))
    ends = (
        [helper.make_tensor_value_info("v0", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(f"v{len(steps)}", TensorProto.FLOAT, None)],
    )
    graph = helper.make_graph(nodes, "network", *ends, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def graph_of(nodes: Sequence[onnx.NodeProto], constants: Mapping[str, npt.NDArray[Any]], opset: int = OPSET) -> onnx.ModelProto:
    """A network of these nodes from the image v0 to the output v1."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("v0", IMAGE), ("v1", None))]
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def answers(content: bytes, image: npt.NDArray[Any], *, xnnpack: bool = True) -> npt.NDArray[np.float32]:
    resolver = OpResolverType.AUTO if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    opened = Interpreter(model_content=content, experimental_op_resolver_type=resolver)
    opened.allocate_tensors()
    rank = image.ndim
    last = image.transpose(0, *range(2, rank), 1) if rank > 2 else image
    opened.set_tensor(opened.get_input_details()[0]["index"], np.ascontiguousarray(last))
    opened.invoke()
    logits: npt.NDArray[np.float32] = opened.get_tensor(opened.get_output_details()[0]["index"])
    return logits


def operators(content: bytes) -> list[str]:
    """The names of a model's operators in order, without the last one if that puts the output in ONNX's order of axes."""
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    model = schema.Model.GetRootAsModel(content, 0)
    graph = model.Subgraphs(0)
    codes = (graph.Operators(place).OpcodeIndex() for place in range(graph.OperatorsLength()))
    written = [names[model.OperatorCodes(code).BuiltinCode()] for code in codes]
    return written[:-1] if written[-1] == "TRANSPOSE" else written


def agree(model: onnx.ModelProto, image: npt.NDArray[Any] | None = None, **options: Any) -> bytes:
    """Convert, compare with ONNX Runtime on a random image, with and without XNNPACK, and return the content."""
    shape = [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim]
    image = RNG.standard_normal(shape).astype(np.float32) if image is None else image
    content = litert_model(network_copy(model), **options)
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"v0": image})[0]
    for xnnpack in (True, False):
        np.testing.assert_allclose(answers(content, image, xnnpack=xnnpack), expected, rtol=1e-4, atol=2e-5)
    return content


def network_copy(model: onnx.ModelProto) -> onnx.ModelProto:
    return onnx.ModelProto.FromString(model.SerializeToString())


def random(*shape: int) -> npt.NDArray[np.float32]:
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> npt.NDArray[np.int64]:
    return np.array(values, np.int64)


def f32(*values: float) -> npt.NDArray[np.float32]:
    return np.array(values, np.float32)


def one(op: str, *others: Any, **attributes: Any) -> Steps:
    return [(op, others, attributes)]


POSITIVE = one("Abs")
CASES: dict[str, Steps] = {
    "convolution": one("Conv", random(4, 8, 3, 3), random(4), pads=[1, 1, 1, 1]),
    "convolution, stride 2": one("Conv", random(4, 8, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1]),
    "convolution, dilated": one("Conv", random(4, 8, 3, 3), dilations=[2, 2], pads=[2, 2, 2, 2]),
    "convolution, SAME_UPPER": one("Conv", random(4, 8, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER"),
    "convolution, SAME_LOWER": one("Conv", random(4, 8, 3, 2), strides=[2, 2], auto_pad="SAME_LOWER"),
    "convolution, uneven padding": one("Conv", random(4, 8, 3, 3), pads=[0, 2, 1, 0]),
    "grouped convolution": one("Conv", random(4, 4, 3, 3), group=2, pads=[1, 1, 1, 1]),
    "depthwise": one("Conv", random(8, 1, 5, 5), random(8), group=8, pads=[2, 2, 2, 2]),
    "depthwise, two filters a channel": one("Conv", random(16, 1, 3, 3), random(16), group=8, strides=[2, 2], pads=[1, 1, 1, 1]),
    "maximum": one("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "maximum, ceil": one("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "mean": one("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "mean, padding counts": one("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    "maximum, uneven padding": one("MaxPool", kernel_shape=[3, 4], pads=[2, 0, 0, 3]),
    "maximum of one number": one("MaxPool", kernel_shape=[1, 1], strides=[2, 2]),
    "mean of one number": one("AveragePool", kernel_shape=[1, 1], strides=[2, 3]),
    "mean, ceil": one("AveragePool", kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1),
    "mean, ceil, padding counts": one(
        "AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1, count_include_pad=1
    ),
    "mean, SAME, padding counts": one("AveragePool", kernel_shape=[3, 3], auto_pad="SAME_UPPER", count_include_pad=1),
    "mean, uneven": one("AveragePool", kernel_shape=[2, 3], pads=[1, 0, 0, 2]),
    "maximum, ceil, padded": one("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1),
    "transposed convolution": one("ConvTranspose", random(8, 4, 2, 2), random(4), strides=[2, 2]),
    "transposed convolution, padded": one(
        "ConvTranspose", random(8, 4, 3, 3), random(4), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]
    ),
    "transposed convolution, SAME": one("ConvTranspose", random(8, 4, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER"),
    "transposed convolution, groups": one("ConvTranspose", random(8, 2, 3, 3), group=4, dilations=[2, 1], pads=[1, 0, 2, 1]),
    "transposed convolution, size": one(
        "ConvTranspose", random(8, 4, 3, 3), strides=[2, 2], output_shape=[10, 17], pads=[2, 2, 0, 0]
    ),
    "transposed convolution, odd size": one("ConvTranspose", random(8, 4, 3, 3), strides=[2, 2], output_shape=[12, 20]),
    "transposed convolution, size, SAME": one(
        "ConvTranspose", random(8, 4, 3, 3), strides=[2, 2], output_shape=[10, 18], auto_pad="SAME_UPPER"
    ),
    "transposed convolution, size and more": one(
        "ConvTranspose", random(8, 4, 3, 3), strides=[2, 2], output_shape=[11, 17], output_padding=[1, 1]
    ),
    "global mean": one("GlobalAveragePool"),
    "global maximum": one("GlobalMaxPool"),
    "padding": one("Pad", ints(0, 0, 1, 2, 0, 0, 3, 0)),
    "padding by a number": one("Pad", ints(0, 0, 1, 2, 0, 0, 3, 0), f32(2.5).reshape(())),
    "padding by axes": one("Pad", ints(1, 2), "", ints(2)),
    "padding that cuts": one("Pad", ints(0, 0, -1, 2, 0, 0, 3, -2)),
    "cutting alone": one("Pad", ints(0, 0, -1, 0, 0, 0, 0, -2)),
    "padding, reflect": one("Pad", ints(0, 0, 1, 2, 0, 0, 3, 0), mode="reflect"),
    "padding, edge": one("Pad", ints(0, 0, 1, 2, 0, 0, 3, 0), mode="edge"),
    "padding, wrap": one("Pad", ints(0, 0, 1, 2, 0, 0, 3, 0), mode="wrap"),
    "bilinear": one("Resize", "", "", ints(1, 8, 12, 15), mode="linear"),
    "bilinear, corners": one("Resize", "", "", ints(1, 8, 12, 15), mode="linear", coordinate_transformation_mode="align_corners"),
    "nearest": one("Resize", "", "", ints(1, 8, 12, 20), coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    "nearest, of no whole factor": one(
        "Resize", "", "", ints(1, 8, 8, 15), coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    ),
    "nearest, half pixels": one("Resize", "", "", ints(1, 8, 4, 15)),
    "nearest, corners, up": one(
        "Resize", "", "", ints(1, 8, 9, 15), coordinate_transformation_mode="align_corners", nearest_mode="round_prefer_ceil"
    ),
    "cubic": one("Resize", "", "", ints(1, 8, 12, 15), mode="cubic"),
    "bilinear, smoothed": one("Resize", "", "", ints(1, 8, 3, 5), mode="linear", antialias=1),
    "bilinear, by scales that are not the sizes' own": one("Resize", "", f32(1, 1, 1.3, 1.37), mode="linear"),
    "nearest, by scales": one("Resize", "", f32(1, 1, 2, 2)),
    "nearest, by scales that are not the sizes' own": one("Resize", "", f32(1, 1, 1.36, 0.77)),
    "to one row": one("Resize", "", "", ints(1, 8, 1, 5), mode="linear", coordinate_transformation_mode="align_corners"),
    "bilinear, by axes": one("Resize", "", "", ints(12, 15), mode="linear", axes=[2, 3]),
    "columns alone, by axes": one("Resize", "", f32(1.5), mode="linear", axes=[3]),
    "rows alone, by axes": one("Resize", "", "", ints(9), mode="cubic", axes=[-2]),
    "columns, then rows, by axes": one("Resize", "", "", ints(15, 12), mode="linear", axes=[3, 2]),
    "columns, then rows, by axes and scales": one("Resize", "", f32(1.37, 1.3), mode="linear", axes=[3, 2]),
    "nearest, by axes and scales": one("Resize", "", f32(2, 3), axes=[-1, -2]),
    "rows in two axes": one("Gather", np.array([[0, 2], [1, -1]], np.int64), axis=2),
    "depth to space": one("DepthToSpace", blocksize=2),
    "depth to space, CRD": one("DepthToSpace", blocksize=2, mode="CRD"),
    "space to depth": one("SpaceToDepth", blocksize=2),
    "local response": one("LRN", size=5, alpha=1e-2, beta=0.5, bias=2.0),
    "add a number for each channel": one("Add", random(8, 1, 1)),
    "add a column": one("Add", random(6, 1)),
    "subtract": one("Sub", random(1, 8, 6, 10)),
    "divide": one("Div", np.abs(random(8, 1, 1)) + 1),
    "larger": one("Max", random(8, 1, 1)),
    "smaller of three": one("Min", random(8, 1, 1), random(1)),
    "square": one("Pow", f32(2).reshape(())),
    "square root": [*POSITIVE, *one("Pow", f32(0.5).reshape(()))],
    "three quarters": [*POSITIVE, *one("Pow", f32(0.75).reshape(()))],
    "power": [*POSITIVE, *one("Pow", f32(1.7).reshape(()))],
    "reciprocal": [*POSITIVE, *one("Add", f32(1)), *one("Reciprocal")],
    "clip": one("Clip", f32(-0.5).reshape(()), f32(0.7).reshape(())),
    "clip from below": one("Clip", f32(-0.5).reshape(())),
    "relu6": one("Clip", f32(0).reshape(()), f32(6).reshape(())),
    "hard sigmoid": one("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hard sigmoid, another slope": one("HardSigmoid", alpha=0.2, beta=0.4),
    "leaky": one("LeakyRelu", alpha=0.1),
    "prelu": one("PRelu", np.abs(random(8, 1, 1))),
    "elu, another slope": one("Elu", alpha=0.5),
    "selu": one("Selu"),
    "celu": one("Celu", alpha=0.7),
    "softsign": one("Softsign"),
    "thresholded": one("ThresholdedRelu", alpha=0.3),
    "shrink": one("Shrink", lambd=0.3, bias=0.1),
    "gelu": one("Gelu"),
    "where": [*one("Greater", f32(0)), *one("Where", "v0", random(8, 1, 1))],
    "comparisons": [
        *one("Less", random(8, 1, 1)), *one("Not"), *one("Cast", to=TensorProto.FLOAT), *one("LessOrEqual", f32(0.5)),
        *one("And", "v2"), *one("Or", "v1"), *one("Where", f32(1), f32(-1)), *one("Equal", f32(1)), *one("Cast", to=1),
    ],
    "a comparison moved": [
        *one("GreaterOrEqual", random(8, 1, 1)), *one("Transpose", perm=[0, 2, 3, 1]), *one("Where", random(6, 10, 8), f32(0)),
    ],
    "a comparison cast": [*one("Less", f32(0)), *one("CastLike", "v0"), *one("CastLike", f32(1)), *one("Mul", "v0")],
    "sum of three": one("Sum", random(8, 1, 1), random(1)),
    "mean of three": one("Mean", random(8, 1, 1), random(1)),
    "sign": one("Sign"),
    "gelu, tanh": one("Gelu", approximate="tanh"),
    "softplus": one("Softplus"),
    "mish": one("Mish"),
    "log of softmax": one("LogSoftmax", axis=1),
    "softmax over channels": one("Softmax", axis=1),
    "softmax over columns": one("Softmax", axis=3),
    "mean of rows": one("ReduceMean", ints(2, 3), keepdims=0),
    "mean of channels": one("ReduceMean", ints(1), keepdims=0),
    "sum": one("ReduceSum", ints(-1), keepdims=1),
    "product": one("ReduceProd", ints(1)),
    "sum of squares": one("ReduceSumSquare", ints(1)),
    "sum of magnitudes": one("ReduceL1", ints(2, 3)),
    "normalized over channels": one("MeanVarianceNormalization"),
    "norm": one("ReduceL2", ints(1), keepdims=0),
    "batch normalization": one("BatchNormalization", random(8), random(8), random(8), np.abs(random(8)) + 0.5),
    "instance normalization": one("InstanceNormalization", random(8), random(8)),
    "group normalization": one("GroupNormalization", random(8), random(8), num_groups=4),
    "layer normalization": one("LayerNormalization", random(10), random(10)),
    "layer normalization over two axes": one("LayerNormalization", random(6, 10), axis=-2),
    "unit length": one("LpNormalization", axis=1, p=2),
    "slice": one("Slice", ints(1, 2), ints(7, 9), ints(1, 3)),
    "slice in steps": one("Slice", ints(1), ints(9), ints(3), ints(2)),
    "backwards": one("Slice", ints(-1), ints(-100), ints(3), ints(-1)),
    "one row": one("Gather", np.array(3, np.int64), axis=2),
    "all rows": [*one("Gather", ints(0, 1, 2, 3, 4, 5), axis=2), *one("Relu")],
    "some rows": one("Gather", ints(3, 0, -1), axis=2),
    "places": one("GatherND", np.array([[[0, 1, 2], [0, -1, 0]]], np.int64)),
    "whole rows": [*one("Reshape", ints(8, 60)), *one("GatherND", np.array([[3], [-1], [0]], np.int64))],
    "expand": [*one("ReduceMean", ints(1), keepdims=1), *one("Expand", ints(1, 8, 6, 10))],
    "tile": one("Tile", ints(1, 1, 2, 1)),
    "flatten": [*one("Flatten"), *one("Gemm", random(480, 3), random(3))],
    "product of a turned matrix": [*one("Reshape", ints(8, 60)), *one("Gemm", random(8, 5), random(5), transA=1), *one("Relu")],
    "product and a column": [*one("Reshape", ints(8, 60)), *one("Gemm", random(8, 5), random(60, 1), transA=1, alpha=2.0)],
    "product of computed matrices": [*one("Reshape", ints(8, 60)), *one("Gemm", "v1", transB=1), *one("Relu")],
    "product of computed matrices, scaled": [
        *one("Reshape", ints(60, 8)), *one("Reshape", ints(8, 60)), *one("Gemm", "v1", random(8), alpha=0.5, beta=2.0),
    ],
    "product and a computed addend": [
        *one("Reshape", ints(8, 60)), *one("ReduceMean", ints(1), keepdims=1), *one("Gemm", random(1, 60), "v1", beta=0.3),
        *one("Relu"),
    ],
    "squeeze": [*one("GlobalAveragePool"), *one("Squeeze", ints(2, 3)), *one("Gemm", random(3, 8), transB=1)],
    "channel shuffle": [
        *one("Reshape", ints(1, 2, 4, 6, 10)), *one("Transpose", perm=[0, 2, 1, 3, 4]), *one("Reshape", ints(1, 8, 6, 10)),
        *one("Conv", random(4, 8, 1, 1)),
    ],
    "channels last inside": [
        *one("Transpose", perm=[0, 2, 3, 1]), *one("LayerNormalization", random(8), random(8)), *one("MatMul", random(8, 5)),
        *one("Add", random(5)), *one("Transpose", perm=[0, 3, 1, 2]), *one("Conv", random(4, 5, 1, 1)),
    ],
    "attention": [
        *one("Reshape", ints(1, 8, 60)), *one("Transpose", perm=[0, 2, 1]), *one("MatMul", random(8, 8)),
        *one("Reshape", ints(1, 60, 2, 4)), *one("Transpose", perm=[0, 2, 1, 3]), *one("Transpose", perm=[0, 1, 3, 2]),
        *one("MatMul", random(1, 2, 60, 7)), *one("Softmax", axis=-1),
    ],
    "a vector": one("MatMul", random(10)),
    "einsum, a row for each channel": [*one("Reshape", ints(1, 8, 60)), *one("Einsum", random(8, 5), equation="bcs,cd->bds")],
    "einsum, rows with each other": [
        *one("Reshape", ints(1, 2, 4, 60)), *one("Einsum", "v1", equation="bhdq,bhdk->bhqk"), *one("Softmax"),
        *one("Einsum", "v1", equation="...qk,...dk->...dq"),
    ],
    "einsum, three": one("Einsum", random(8, 3), random(3, 10), equation="bchw,cd,dw->bhd"),
    "einsum, result in the letters' order": one("Einsum", random(8, 5), equation="achw,cd"),
    "the same twice": one("Mul", "v0"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_operator_answers_as_in_onnx(name: str) -> None:
    """By the operators of LiteRT that the registry, and so the documentation, names."""
    written = operators(agree(network(CASES[name])))
    if all(op in FORMS for op, _, _ in CASES[name]):
        assert set(written) <= {"TRANSPOSE", "RESHAPE", *", ".join(FORMS[op].writes for op, _, _ in CASES[name]).split(", ")}


@pytest.mark.parametrize(
    ("steps", "shape"),
    [
        (one("AveragePool", kernel_shape=[3, 1, 1], pads=[1, 0, 0, 1, 0, 0], count_include_pad=1), (1, 1, 8, 5, 6)),
        (one("MaxPool", kernel_shape=[3], strides=[2]), (1, 4, 11)),
        (one("Conv", random(3, 4, 3), random(3), pads=[1, 1]), (1, 4, 11)),
        (one("InstanceNormalization", random(4), random(4)), (1, 4, 11)),
        (one("Elu"), (1, 7)),
    ],
    ids=["mean over depth", "maximum along a row", "convolution along a row", "rank 3", "rank 2"],
)
def test_other_ranks_than_an_image_have_a_form_too(steps: Steps, shape: tuple[int, ...]) -> None:
    agree(network(steps, shape))


def test_an_activation_is_a_part_of_the_operator_before_it() -> None:
    conv = one("Conv", random(4, 8, 3, 3))
    relu6 = one("Clip", f32(0).reshape(()), f32(6).reshape(()))
    assert operators(agree(network([*conv, *one("Relu")]))) == ["CONV_2D"]
    assert operators(agree(network([*conv, *relu6]))) == ["CONV_2D"]
    assert operators(agree(network([*conv, *one("Relu"), *one("Add", "v1")]))) == ["CONV_2D", "RELU", "ADD"], "v1 is read twice"


def test_a_layout_costs_one_transpose_where_the_numbers_really_move() -> None:
    assert operators(agree(network(CASES["channel shuffle"]))).count("TRANSPOSE") == 1
    assert "TRANSPOSE" not in operators(agree(network(CASES["channels last inside"])))
    assert "TRANSPOSE" not in operators(agree(network(CASES["squeeze"])))


def test_a_padding_of_zeros_stands_where_nothing_is_negative() -> None:
    pool = one("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    assert operators(agree(network([*one("Relu"), *pool]))) == ["RELU", "PAD", "MAX_POOL_2D"]
    edges = ["SLICE", "SLICE", "CONCATENATION"]
    assert operators(agree(network(pool))) == [*edges, *edges, "MAX_POOL_2D"], "elsewhere the edge is repeated"


def test_hard_swish_is_parts_where_it_is_to_be_quantized() -> None:
    model = network(one("HardSwish"))
    image = np.linspace(-7, 7, 480, dtype=np.float32).reshape(IMAGE)
    assert operators(agree(model, image)) == ["HARD_SWISH"]
    assert operators(agree(model, image, splits_hard_swish=True)) == FORMS["HardSwish"].in_int8.split(", ")


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        (one("LRN", size=4), "an even `size` is not supported"),
        (one("LpNormalization", p=1), "a `p` other than 2 is not supported"),
        (one("Clip", "v0"), "computed bounds are not supported"),
        (one("Conv", "v0"), "its input `v0` must be a constant"),
        (one("CumSum", np.array(2, np.int64)), "edgecnn has no rule for it"),
        (one("Det"), "edgecnn has no rule for it"),
        (one("MaxPool", kernel_shape=[2, 2], dilations=[2, 2]), "dilation is not supported"),
        (one("Resize", "", "", ints(2, 8, 6, 10)), "only the height and width of an image can be resized"),
        (
            one(
                "Resize",
                f32(0, 0, 0.1, 0.1, 1, 1, 0.8, 0.9),
                "",
                ints(1, 8, 6, 5),
                coordinate_transformation_mode="tf_crop_and_resize",
            ),
            "`tf_crop_and_resize` is not supported",
        ),
        (one("ConvTranspose", random(8, 4, 1, 1), strides=[3, 3], output_padding=[2, 2]), "beyond the reach of its window"),
        (
            one("Resize", "", "", ints(9, 30), axes=[2, 3], keep_aspect_ratio_policy="not_larger"),
            "`keep_aspect_ratio_policy` is not",
        ),
        (
            one("ConvTranspose", random(8, 4, 3, 3), strides=[2, 2], auto_pad="SAME_LOWER", output_padding=[1, 1]),
            "`output_padding` with `auto_pad` is not",
        ),
        (one("Einsum", random(8, 5), equation="bccw,cd->bwd"), "diagonal is not supported"),
        (one("Cast", to=TensorProto.INT64), "casts to integers and booleans are not supported"),
        (one("Cast", to=TensorProto.BOOL), "casts to integers and booleans are not supported"),
        (one("CastLike", ints(1)), "casts to integers and booleans are not supported"),
        (one("CastLike", np.array(True)), "casts to integers and booleans are not supported"),
        (one("GatherND", np.array([[1]], np.int64), batch_dims=1), "`batch_dims` is not supported"),
        (one("Erf"), "edgecnn has no rule for it"),
    ],
)
def test_an_operator_without_a_form_is_named_with_its_layer(steps: Steps, why: str) -> None:
    model = network(steps)
    with pytest.raises(LayerWithoutForm, match=why) as caught:
        litert_model(model)
    assert (caught.value.node.op, caught.value.node.name) == (steps[0][0], "node1")


def test_every_rule_is_tried_here() -> None:
    fused = {"Relu", "Mul", "HardSwish"}
    tried = {op for steps in CASES.values() for op, _, _ in steps} | fused
    elsewhere = {
        "Elu",
        "Sigmoid",
        "Tanh",
        "Exp",
        "Log",
        "Sqrt",
        "Neg",
        "Floor",
        "Ceil",
        "Sin",
        "Cos",
        "Round",
        "ReduceMax",
        "ReduceMin",
    }
    assert set(RULES) - tried - elsewhere == {"Identity", "Dropout", "Unsqueeze", "Split", "Concat", "Swish", "RMSNormalization"}


GELU = {
    "divided": [*one("Div", f32(2**0.5)), *one("Erf"), *one("Add", f32(1)), *one("Mul", "v0"), *one("Mul", f32(0.5))],
    "half first": [*one("Mul", f32(0.5**0.5)), *one("Erf"), *one("Add", f32(1)), *one("Mul", f32(0.5)), *one("Mul", "v0")],
    "half of x": [
        *one("Identity"), *one("Div", f32(2**0.5)), *one("Erf"), *one("Add", f32(1)), ("Mul", ["half"], {}),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", GELU)
def test_the_parts_of_gelu_are_one_operator(name: str) -> None:
    """As exporters write it below opset 20."""
    model = network(GELU[name])
    if name == "half of x":
        model.graph.initializer.append(numpy_helper.from_array(f32(0.5), "a_half"))
        model.graph.node.insert(1, helper.make_node("Mul", ["v1", "a_half"], ["half"], name="half"))
    assert operators(agree(model)) == ["GELU"]


def test_what_is_not_quite_gelu_is_refused_by_its_erf() -> None:
    other = [*one("Div", f32(1.4)), *one("Erf"), *one("Add", f32(1)), *one("Mul", "v0"), *one("Mul", f32(0.5))]
    with pytest.raises(LayerWithoutForm, match=r"Erf \(layer node2\)"):
        litert_model(network(other))


def test_each_of_several_outputs_is_answered() -> None:
    model = network([*one("Conv", random(4, 8, 3, 3)), *one("Relu"), *one("GlobalAveragePool"), *one("Flatten")])
    model.graph.output.append(helper.make_tensor_value_info("v2", TensorProto.FLOAT, None))
    image = random(*IMAGE)
    opened = Interpreter(model_content=litert_model(network_copy(model)))
    opened.allocate_tensors()
    opened.set_tensor(opened.get_input_details()[0]["index"], np.ascontiguousarray(image.transpose(0, 2, 3, 1)))
    opened.invoke()
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"v0": image})
    for entry, logits in zip(opened.get_output_details(), expected, strict=True):
        np.testing.assert_allclose(opened.get_tensor(entry["index"]), logits, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("op", ["Sigmoid", "Tanh", "Exp", "Neg", "Floor", "Ceil", "Sin", "Cos", "Round"])
def test_a_number_becomes_another(op: str) -> None:
    agree(network(one(op)))


@pytest.mark.parametrize("op", ["Log", "Sqrt"])
def test_a_positive_number_becomes_another(op: str) -> None:
    agree(network([*POSITIVE, *one("Add", f32(0.1)), *one(op)]))


@pytest.mark.parametrize(
    ("op", "inputs"), [("And", ["larger", "true"]), ("Or", ["false", "larger"]), ("Equal", ["larger", "true"])]
)
def test_one_truth_value_is_no_number(op: str, inputs: Sequence[str]) -> None:
    nodes = [
        helper.make_node("Greater", ["v0", "zero"], ["larger"], name="larger"),
        helper.make_node(op, inputs, ["truth"], name="node"),
        helper.make_node("Where", ["truth", "v0", "zero"], ["v1"], name="chosen"),
    ]
    agree(graph_of(nodes, {"zero": f32(0), "true": np.array([True]), "false": np.array(False)}))


def test_a_number_cast_like_a_computed_truth_value_has_no_form() -> None:
    nodes = [
        helper.make_node("Greater", ["v0", "zero"], ["larger"], name="larger"),
        helper.make_node("CastLike", ["v0", "larger"], ["truth"], name="cast"),
        helper.make_node("Where", ["truth", "v0", "zero"], ["v1"], name="chosen"),
    ]
    with pytest.raises(LayerWithoutForm, match=r"CastLike \(layer cast\)"):
        litert_model(graph_of(nodes, {"zero": f32(0)}))


def test_one_truth_value_chooses() -> None:
    nodes = [helper.make_node("Where", ["true", "v0", "zero"], ["v1"], name="chosen")]
    agree(graph_of(nodes, {"zero": f32(0), "true": np.array([True])}))


def test_parts_are_split_joined_and_looked_through() -> None:
    nodes = [
        helper.make_node("Split", ["v0"], ["a", "b"], axis=1, num_outputs=2, name="split"),
        helper.make_node("Identity", ["a"], ["c"], name="same"),
        helper.make_node("Unsqueeze", ["b", "axes"], ["d"], name="wider"),
        helper.make_node("Squeeze", ["d", "axes"], ["e"], name="narrower"),
        helper.make_node("Concat", ["c", "e", "v0"], ["v1"], axis=1, name="join"),
    ]
    image, joined = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("v0", "v1"))
    image = helper.make_tensor_value_info("v0", TensorProto.FLOAT, IMAGE)
    graph = helper.make_graph(nodes, "network", [image], [joined], [numpy_helper.from_array(ints(2), "axes")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    agree(onnx.shape_inference.infer_shapes(model, data_prop=True))


def test_attention_with_a_constant_mask_has_no_form() -> None:
    """ONNX's definition of it depends on the type of the mask."""
    node = helper.make_node("Attention", ["v0", "v0", "v0", "mask"], ["v1"], name="attention")
    with pytest.raises(LayerWithoutForm, match="is not known before the network runs"):
        litert_model(graph_of([node], {"mask": random(6, 6)}, opset=23))


def test_a_range_of_a_size_is_a_constant() -> None:
    """As timm's ConvNeXt and DaViT leave it. ONNX defines Range by a loop, which LiteRT would have to run."""
    nodes = [
        helper.make_node("Shape", ["v0"], ["size"], start=3, end=4, name="size"),
        helper.make_node("Squeeze", ["size", "axes"], ["columns"], name="columns"),
        helper.make_node("Range", ["first", "columns", "step"], ["rows"], name="rows"),
        helper.make_node("Gather", ["v0", "rows"], ["v1"], axis=3, name="read"),
    ]
    values = {"axes": ints(0), "first": np.array(0), "step": np.array(2)}
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("v0", IMAGE), ("v1", None))]
    constants = [numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    assert operators(agree(model)) == ["GATHER"]


def test_what_weights_alone_make_is_a_constant() -> None:
    """As EdgeNeXt makes the places of its attention."""
    nodes = [
        helper.make_node("Cos", ["angles"], ["waves"], name="waves"),
        helper.make_node("Concat", ["waves", "angles"], ["places"], axis=1, name="places"),
        helper.make_node("Add", ["v0", "places"], ["v1"], name="placed"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("v0", IMAGE), ("v1", None))]
    angles = numpy_helper.from_array(random(1, 4, 6, 10), "angles")
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], [angles])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    assert operators(agree(model)) == ["ADD"]


@pytest.mark.parametrize(
    ("node", "why"),
    [
        (helper.make_node("RandomUniformLike", ["angles"], ["places"], name="drawn"), "RandomUniformLike"),
        (helper.make_node("Bernoulli", ["angles"], ["places"], name="drawn"), "Bernoulli"),
        (helper.make_node("Dropout", ["angles", "half", "true"], ["places"], name="drawn"), "training mode is not supported"),
    ],
)
def test_what_is_drawn_is_no_constant(node: onnx.NodeProto, why: str) -> None:
    constants = {"angles": np.abs(random(8, 1, 1)) / 9, "half": np.array(0.5, np.float32), "true": np.array(True)}
    nodes = [node, helper.make_node("Add", ["v0", "places"], ["v1"], name="placed")]
    with pytest.raises(LayerWithoutForm, match=why) as caught:
        litert_model(graph_of(nodes, constants))
    assert caught.value.node.name == "drawn"


@pytest.mark.parametrize(
    ("op", "inputs"),
    [("Expand", ["row", "sizes"]), ("Tile", ["row", "sizes"])],
)
def test_what_would_fill_the_file_is_made_by_the_network(op: str, inputs: Sequence[str]) -> None:
    nodes = [
        helper.make_node(op, inputs, ["wide"], name="wide"),
        helper.make_node("Concat", ["v0", "wide"], ["joined"], axis=2, name="joined"),
        helper.make_node("ReduceMax", ["joined", "axis"], ["v1"], name="largest"),
    ]
    content = agree(graph_of(nodes, {"row": random(1, 1, 1, 10), "sizes": ints(1, 8, 15000, 1), "axis": ints(2)}))
    assert len(content) < 10_000, "1.2 million numbers take 4.8 MB"


def test_what_was_joined_before_is_read_again_and_five_are_joined_at_once() -> None:
    """XNNPACK takes no more."""
    names = [f"r{place}" for place in range(8)]
    nodes = [helper.make_node("Relu", [before], [name], name=name) for before, name in zip(["v0", *names], names, strict=False)]
    joins = {"three": names[:3], "eight": names, "v1": ["three", "eight"]}
    nodes += [helper.make_node("Concat", inputs, [name], axis=1, name=name) for name, inputs in joins.items()]
    image, joined = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("v0", "v1"))
    image = helper.make_tensor_value_info("v0", TensorProto.FLOAT, IMAGE)
    graph = helper.make_graph(nodes, "network", [image], [joined])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    content = agree(onnx.shape_inference.infer_shapes(model))
    assert operators(content)[8:] == ["CONCATENATION"] * 4, "three; these and r3 to r6; these and r7; the last"


def test_a_model_beyond_the_bytes_of_a_flatbuffer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flatbuffer, "BYTES_MAX", 2 << 20)
    network = LitertNetwork()
    network.constant(np.zeros(1 << 20, np.float32))
    with pytest.raises(TooLarge):
        network.serialize([], [])


def test_no_two_tensors_have_one_name() -> None:
    """LiteRT's quantizer refuses such a model."""
    pads = [*CASES["padding"], *one("Pad", ints(0, 0, 3, 0, 0, 0, 0, 0)), *one("Clip", f32(-1).reshape(()), f32(2).reshape(()))]
    graph = schema.Model.GetRootAsModel(agree(network(pads)), 0).Subgraphs(0)
    names = [graph.Tensors(place).Name() for place in range(graph.TensorsLength())]
    assert len(names) == len(set(names))


def test_a_field_that_the_schema_lacks_is_a_mistake_of_ours() -> None:
    with pytest.raises(AttributeError, match="ConcatenationOptions has no field axes"):
        LitertNetwork().add("CONCATENATION", [], [], "ConcatenationOptions", axes=1)
