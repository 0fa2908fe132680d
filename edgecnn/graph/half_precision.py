"""Convert to half precision in two steps: first round every number to fp16 values in fp32, then type the graph fp16.

The result of the first step, the twin, is an fp32 file with exactly the fp16 weights, which a runtime without half arithmetic
can run. Casts in it round activations to fp16 after each layer. A quantization scale below fp16's smallest normal number loses
digits, and below 2**-24 becomes 0, which turns a channel into NaN. Raising the scale costs resolution but not range.

Tensors beyond fp16's range are ``wide``: layers that make or read them stay in fp32.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference
from onnxconverter_common import float16

from edgecnn.errors.graph import OPSET_TOO_LOW_FOR_HALF_QUANTIZATION, half_overflow
from edgecnn.graph.onnx_file import constants_of, opset_of
from edgecnn.graph.ranges import EXACT, bounds_of, float_tensors

LARGEST_HALF = 65504.0
SMALLEST_HALF = 2.0**-24
"""The smallest subnormal above zero, IEEE 754 binary16."""


def nearest_halves(values: npt.NDArray[np.float32], tensor: str) -> npt.NDArray[np.float32]:
    """Round each number to the nearest fp16 value, in fp32. Raises HALF_OVERFLOW: a finite number is beyond ``LARGEST_HALF``."""
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float16).astype(np.float32)
    if (beyond := np.isinf(rounded) & np.isfinite(values)).any():
        raise half_overflow(tensor=tensor, largest=float(np.abs(values[beyond]).max()), kind="weight")
    return rounded


def round_to_half(model: ModelProto, wide: Collection[str] = ()) -> ModelProto:
    """Return a copy whose float initializers have fp16 values, still typed fp32.

    Bounds beyond fp16's range are clipped to it, except in layers that stay in fp32.

    Raises HALF_OVERFLOW: a weight that is not ``wide`` is beyond fp16's range.
    """
    carried = ModelProto()
    carried.CopyFrom(model)
    bounds, wide = bounds_of(carried.graph), _wide_constants(carried.graph, wide)
    for name, tensor in constants_of(carried.graph).items():
        if tensor.data_type == TensorProto.FLOAT and name not in wide:
            values = numpy_helper.to_array(tensor)
            if name in bounds:
                values = np.where(np.isfinite(values), np.clip(values, -LARGEST_HALF, LARGEST_HALF), values)
            tensor.CopyFrom(numpy_helper.from_array(nearest_halves(values, name), tensor.name))
    return carried


def _wide_constants(graph: GraphProto, wide: Collection[str]) -> set[str]:
    """Return ``wide``, and the bounds of the layers that make or read a wide tensor and so stay in fp32."""
    bounds = bounds_of(graph)
    layers = (node for node in graph.node if not {*wide}.isdisjoint((*node.input, *node.output)))
    return {*wide, *(name for node in layers for name in node.input if name in bounds)}


def type_half(carried: ModelProto, wide: Collection[str] = ()) -> ModelProto:
    """Return a copy typed fp16, including scales. Inputs and outputs stay float32 with Casts, and integers are unchanged.

    Numbers are not rounded here: ``carried`` comes from ``round_to_half`` or ``round_qdq_to_half``, so both files contain the
    same values. The converter's own limits are disabled, because by default it clips numbers below 1e-7 and above 10,000.
    """
    copy = ModelProto()
    copy.CopyFrom(carried)
    wide = _wide_constants(copy.graph, wide)
    for name, tensor in constants_of(copy.graph).items():
        if name in wide:  # the converter would clip it; the number is restored below
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(tuple(tensor.dims), np.float32), tensor.name))
    with warnings.catch_warnings():
        # The converter keeps an infinity, but warns that it truncates one.
        warnings.filterwarnings("ignore", r"the float32 number -?inf will be truncated")
        typed: ModelProto = float16.convert_float_to_float16(
            copy, min_positive_val=SMALLEST_HALF / 2, max_finite_val=LARGEST_HALF + 1, keep_io_types=True
        )
    return _restore_fp32(typed, carried, wide) if wide else typed


def _restore_fp32(typed: ModelProto, carried: ModelProto, wide: Collection[str]) -> ModelProto:
    """Restore fp32 for ``wide`` tensors and every node that makes or reads one, with Casts around those nodes."""
    graph, exact = typed.graph, constants_of(carried.graph)
    inferred = shape_inference.infer_shapes(typed).graph
    known = (*inferred.input, *inferred.output, *inferred.value_info)
    halves = {info.name for info in known if info.type.tensor_type.elem_type == TensorProto.FLOAT16}
    halves |= {name for name, tensor in constants_of(graph).items() if tensor.data_type == TensorProto.FLOAT16}
    names = {*wide, *(node.input[0] for node in graph.node if node.op_type == "Cast" and node.output[0] in wide)}
    for name, tensor in constants_of(graph).items():
        if name in names:
            tensor.CopyFrom(exact[name])
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type == "Cast" and node.output[0] in names:
            node.attribute[0].i = TensorProto.FLOAT
        if node.op_type in ("Cast", "Constant") or not names.intersection((*node.input, *node.output)):
            nodes.append(node)
        else:
            nodes.extend(_fp32_node(node, halves - names))
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return typed


def _fp32_node(node: NodeProto, halves: Collection[str]) -> Iterator[NodeProto]:
    """Return the node with its fp16 inputs and outputs cast."""
    after = []
    for port, name in enumerate(node.input):
        if name in halves:
            node.input[port] = f"{node.name}_input_{port}_fp32"
            yield helper.make_node("Cast", [name], [node.input[port]], name=node.input[port], to=TensorProto.FLOAT)
    for port, name in enumerate(node.output):
        if name in halves:
            node.output[port] = f"{node.name}_output_{port}_fp32"
            after.append(helper.make_node("Cast", [node.output[port]], [name], name=node.output[port], to=TensorProto.FLOAT16))
    yield node
    yield from after


_EXACT = EXACT | {"DequantizeLinear"}
"""Operators whose output has fp16 values if their input does. The output of DequantizeLinear is multiplied as integers, and not
rounded."""


def round_activations(carried: ModelProto, wide: Collection[str] = ()) -> ModelProto:
    """Return a copy that rounds the input, and every output of a layer that is not ``wide``, to fp16 and back to fp32.

    ONNX Runtime keeps such pairs of Casts at every optimization level, because they lose digits.
    """
    rounded = ModelProto()
    rounded.CopyFrom(carried)
    graph, floats, nodes = rounded.graph, {*float_tensors(carried)} - {*wide}, []
    image = graph.input[0].name
    for node in graph.node:
        node.input[:] = [f"{image}_rounded" if name == image else name for name in node.input]
        nodes.append(node)
        exact = node.op_type in _EXACT and not set(wide).intersection(node.input)
        for port, name in enumerate(node.output):
            if name in floats and not exact:
                node.output[port] = f"{name}_exact"
                nodes += _casts_through_half(node.output[port], name)
    del graph.node[:]
    graph.node.extend([*_casts_through_half(image, f"{image}_rounded"), *nodes])
    return rounded


def _casts_through_half(name: str, rounded: str) -> tuple[NodeProto, NodeProto]:
    half = f"{rounded}_fp16"
    return (
        helper.make_node("Cast", [name], [half], name=half, to=TensorProto.FLOAT16),
        helper.make_node("Cast", [half], [rounded], name=f"{half}_fp32", to=TensorProto.FLOAT),
    )


SMALLEST_NORMAL_HALF = 2.0**-14
LEAST_OPSET = 19
"""QuantizeLinear and DequantizeLinear accept fp16 scales since opset 19."""


def round_qdq_to_half(model: ModelProto) -> ModelProto:
    """Return a copy of an fp32 Q/DQ model whose scales, biases and other floats have fp16 values, still typed fp32.

    Scales are rounded to fp16, and raised to ``SMALLEST_NORMAL_HALF`` if smaller; int8 weights are requantized with the new
    scale.

    Raises OPSET_TOO_LOW_FOR_HALF_QUANTIZATION: the opset is below 19. HALF_OVERFLOW: a weight is beyond fp16's range.
    """
    if opset_of(model) < LEAST_OPSET:
        raise OPSET_TOO_LOW_FOR_HALF_QUANTIZATION(found=opset_of(model))
    carried = ModelProto()
    carried.CopyFrom(model)
    tensors = {tensor.name: tensor for tensor in carried.graph.initializer}
    quantizers = [node for node in carried.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    names = sorted({node.input[1] for node in quantizers if node.input[1] in tensors})
    stated_scales = {name: numpy_helper.to_array(tensors[name]) for name in names}
    half_scales = {name: half_scale(scale, name) for name, scale in stated_scales.items()}
    for node in carried.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in tensors:
            _requantize(node, tensors[node.input[0]], stated_scales[node.input[1]], half_scales[node.input[1]])
    for name, scale in half_scales.items():
        tensors[name].CopyFrom(numpy_helper.from_array(scale, name))
    return round_to_half(carried)


def half_scale(scale: npt.NDArray[np.float32], name: str) -> npt.NDArray[np.float32]:
    """Return the scale rounded to fp16, at least ``SMALLEST_NORMAL_HALF``, in fp32."""
    return np.maximum(nearest_halves(scale, name), np.float32(SMALLEST_NORMAL_HALF)).astype(np.float32)


def refuse_learned_overflow(model: ModelProto) -> None:
    """Refuse a model whose activations left fp16's range in training, which uses more images than calibration.

    Raises HALF_OVERFLOW: 127 steps of an activation's scale are beyond the range.
    """
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[1] in tensors:
            largest = 127.0 * float(np.max(numpy_helper.to_array(tensors[node.input[1]])))
            if largest > LARGEST_HALF:
                raise half_overflow(tensor=node.input[0], largest=largest)


def _requantize(node: NodeProto, tensor: TensorProto, old: npt.NDArray[np.float32], new: npt.NDArray[np.float32]) -> None:
    """Requantize int8 weights for another scale. Rounding a scale to fp16 alone changes no weight."""
    integers = numpy_helper.to_array(tensor)
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
    shape = (
        [-1 if index == axis % integers.ndim else 1 for index in range(integers.ndim)] if old.size > 1 else [1] * integers.ndim
    )
    values = integers.astype(np.float64) * old.astype(np.float64).reshape(shape)
    steps = np.rint(values / new.astype(np.float64).reshape(shape))
    tensor.CopyFrom(numpy_helper.from_array(np.clip(steps, -127, 127).astype(integers.dtype), tensor.name))
