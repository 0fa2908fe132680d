"""The largest magnitude of every float tensor of an ONNX graph on real images, which has to fit into a narrower number format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isnan, nan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgecnn.graph.checks import Level, accepted_batches, run_outputs, session_of
from edgecnn.graph.macs import shapes_at_batch_one
from edgecnn.graph.onnx_file import constants_of, load_model, messages_in, opset_of

_FLOAT = "tensor(float)"
EXACT = frozenset(
    {"Abs", "Clip", "Concat", "Constant", "ConstantOfShape", "Expand", "Flatten", "Gather", "Identity", "Max", "MaxPool", "Min"}
    | {"Neg", "Pad", "ReduceMax", "ReduceMin", "Relu", "Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"}
    | {"Where"}
)
"""Operators that only move, compare or negate numbers."""
_PASS_INFINITY = EXACT | {"Add", "Sub", "Mul", "Div", "Cast"}
"""Elementwise arithmetic, by which a mask is added or scaled. Layers that sum many numbers are not included."""


class Magnitudes(NamedTuple):
    """Largest magnitude by tensor: NaN if the tensor has one, infinity if a layer makes it from finite numbers."""

    weights: Mapping[str, float]
    """Constants, without bounds."""
    activations: Mapping[str, float]
    """Outputs of nodes, in graph order."""
    sums: Mapping[str, Mapping[str, float]]
    """Upper bounds of sums inside nodes, by operator and by the node's first output. A node that adds in fp16 overflows there,
    even if its output fits."""


def bounds_of(graph: onnx.GraphProto) -> set[str]:
    """Return the constants that only Clip, Max and Min read. A bound beyond a format's range has no effect in that format."""
    constants, bounds, others = constants_of(graph), set[str](), set[str]()
    for node in messages_in(graph, onnx.NodeProto):
        for port, name in enumerate(node.input):
            bounding = node.op_type in ("Max", "Min") or (node.op_type == "Clip" and port > 0)
            (bounds if bounding and name in constants else others).add(name)
    return bounds - others


def infinite_by_constants(graph: onnx.GraphProto) -> set[str]:
    """Return the tensors that may contain an infinity because of a constant, as a mask of attention does."""
    infinite = {name for name, tensor in constants_of(graph).items() if _has_infinity(tensor)}
    for node in graph.node:
        filled = node.op_type == "ConstantOfShape" and any(_has_infinity(attribute.t) for attribute in node.attribute)
        if filled or (node.op_type in _PASS_INFINITY and infinite.intersection(node.input)):
            infinite.update(node.output)
    return infinite


def float_tensors(model: onnx.ModelProto) -> tuple[str, ...]:
    """Return the names of float32 tensors that nodes make, in graph order, without branches and loops."""
    names = [name for node in model.graph.node for name in node.output if name]
    made = {value.name: value.type for value in session_of(model, Level.ORT_DISABLE_ALL, outputs=names).get_outputs()}
    return tuple(name for name in names if made[name] == _FLOAT)


SQUARES = frozenset({"ReduceL2", "LpNormalization", "GlobalLpPool"})
"""Operators that add squares and return a root of the sum or a share of it."""
NORMS = frozenset({"InstanceNormalization", "GroupNormalization", "LayerNormalization", "RMSNormalization", "LRN"})
"""Normalizations, which add squares too."""
POOLS = frozenset({"GlobalAveragePool", "ReduceMean"})
"""Operators that add before they divide."""
PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_SUMMING = sorted(SQUARES | NORMS | POOLS | PRODUCTS)


def largest_magnitudes(path: Path, feeds: Iterable[npt.NDArray[Any]]) -> Magnitudes:
    """Return the largest magnitude of each float tensor: weights as stored, activations over all images.

    Excluded are bounds (see ``bounds_of``), and infinities that are constants or come from one.

    Extremes are computed inside the graph, so that no tensor is kept in memory and none is fused away.

    ``feeds``: input batches, float32 (N, 3, H, W).
    """
    model = load_model(path)
    constants, bounds, infinite = constants_of(model.graph), bounds_of(model.graph), infinite_by_constants(model.graph)
    weights = {}
    for name, tensor in constants.items():
        if tensor.data_type == TensorProto.FLOAT and name not in bounds:
            values = np.abs(numpy_helper.to_array(tensor))
            weights[name] = float(np.max(values[~np.isinf(values)], initial=0.0))
    names = [name for name in float_tensors(model) if name not in constants]
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((), np.float32), _ZERO))
    for name in names:
        model.graph.node.extend(_extreme_nodes(name, without_infinity=name in infinite))
    summed = {node.output[0]: node for node in model.graph.node if node.op_type in _SUMMING and node.output[0] in names}
    shapes = shapes_at_batch_one(model) if summed else {}
    factors = {name: factor for name, node in summed.items() if (factor := _add_sum(node, model, shapes)) is not None}
    outputs = [f"{name}:{kind}" for name in names for kind in _EXTREMES] + [f"{name}{_SUM}" for name in factors]
    session = session_of(model, Level.ORT_ENABLE_BASIC, outputs=outputs)
    activations, sums = dict.fromkeys(names, 0.0), dict.fromkeys(factors, 0.0)
    for feed in accepted_batches(feeds, session.get_inputs()[0].shape[0]):
        extremes = run_outputs(session, feed)
        for name in activations:
            low, high, total = (float(extremes[f"{name}:{kind}"]) for kind in _EXTREMES)
            activations[name] = float(np.maximum(activations[name], nan if isnan(total) else max(-low, high)))
        for name, factor in factors.items():
            sums[name] = max(sums[name], factor * float(extremes[f"{name}{_SUM}"]))
    by_operator = {op: {name: sums[name] for name in sums if summed[name].op_type == op} for op in _SUMMING}
    return Magnitudes(weights, activations, by_operator)


_SUM = ":sum"


def _add_sum(node: onnx.NodeProto, model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> float | None:
    """Add nodes that measure a node's inner sum; return the factor by which their result is to be multiplied.

    None: the sum is unknown, because a shape or the weights are.
    """
    attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    constants, shape = constants_of(model.graph), shapes.get(node.input[0])
    if shape is None:
        return None
    if node.op_type in PRODUCTS:
        weights = constants.get(node.input[1])
        matrix = None if weights is None else _weights_by_input(node, np.abs(numpy_helper.to_array(weights)), attributes)
        if matrix is None:
            return None
        _add_product_bound(node, model, matrix, len(shape))
        return 1.0
    axes = _summed_axes(node, len(shape), attributes, constants)
    squares = node.op_type in (SQUARES | NORMS) and attributes.get("p", 2) == 2
    _add_reduction(node, model, axes, squares=squares)
    if node.op_type == "LRN":
        return float(attributes["size"])
    return shape[1] / attributes["num_groups"] if node.op_type == "GroupNormalization" else 1.0


def _weights_by_input(
    node: onnx.NodeProto, weights: npt.NDArray[np.float32], attributes: Mapping[str, Any]
) -> npt.NDArray[np.float32] | None:
    """Return the sums of the weights' magnitudes, (inputs, outputs); None for several groups that are not depthwise."""
    if node.op_type == "Gemm":
        return None if attributes.get("transA") else weights.T if attributes.get("transB") else weights
    if node.op_type == "MatMul":
        return weights if weights.ndim == 2 else None
    sums: npt.NDArray[np.float32] = weights.reshape(*weights.shape[:2], -1).sum(axis=2)
    if attributes.get("group", 1) == 1:
        return sums.T if node.op_type == "Conv" else sums
    return np.diag(sums[:, 0]) if sums.shape[1] == 1 and attributes["group"] == len(sums) else None


def _add_product_bound(node: onnx.NodeProto, model: onnx.ModelProto, matrix: npt.NDArray[np.float32], rank: int) -> None:
    """Measure the largest magnitude of each input channel times the magnitudes of its weights."""
    name, graph = f"{node.output[0]}{_SUM}", model.graph
    channel = 1 if node.op_type in ("Conv", "ConvTranspose") else rank - 1
    axes = [axis for axis in range(rank) if axis != channel]
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(matrix, np.float32), f"{name}:weights"))
    graph.node.append(helper.make_node("Abs", [node.input[0]], [f"{name}:numbers"]))
    graph.node.append(_reduction(model, "ReduceMax", (f"{name}:numbers", f"{name}:channels"), axes, keepdims=0))
    graph.node.append(helper.make_node("MatMul", [f"{name}:channels", f"{name}:weights"], [f"{name}:sums"]))
    graph.node.append(helper.make_node("ReduceMax", [f"{name}:sums"], [name], keepdims=0))


def _summed_axes(
    node: onnx.NodeProto, rank: int, attributes: Mapping[str, Any], constants: Mapping[str, TensorProto]
) -> Sequence[int]:
    """Return the axes over which a node adds; none if a factor replaces them."""
    if node.op_type in PRODUCTS or node.op_type == "LRN":
        return ()
    if node.op_type == "LpNormalization":
        return (attributes.get("axis", -1) % rank,)
    if node.op_type in ("LayerNormalization", "RMSNormalization"):
        return range(attributes.get("axis", -1) % rank, rank)
    if node.op_type in ("ReduceL2", "ReduceMean"):
        if len(node.input) > 1 and node.input[1] in constants:
            return [int(axis) for axis in numpy_helper.to_array(constants[node.input[1]])]
        return [*attributes.get("axes", range(rank))]
    return range(2, rank)


def _add_reduction(node: onnx.NodeProto, model: onnx.ModelProto, axes: Sequence[int], *, squares: bool) -> None:
    name, graph = f"{node.output[0]}{_SUM}", model.graph
    graph.node.append(helper.make_node("Mul" if squares else "Abs", [node.input[0]] * (1 + squares), [f"{name}:numbers"]))
    if axes:
        graph.node.append(_reduction(model, "ReduceL1", (f"{name}:numbers", f"{name}:sums"), axes))
    graph.node.append(helper.make_node("ReduceMax", [f"{name}:{'sums' if axes else 'numbers'}"], [name], keepdims=0))


def _reduction(
    model: onnx.ModelProto, kind: str, tensors: tuple[str, str], axes: Sequence[int], keepdims: int = 1
) -> onnx.NodeProto:
    """Return a node that reduces the first of ``tensors`` to the second."""
    source, made = tensors
    if opset_of(model) < _AXES_AS_INPUT:
        return helper.make_node(kind, [source], [made], axes=[*axes], keepdims=keepdims)
    model.graph.initializer.append(numpy_helper.from_array(np.array(axes, np.int64), f"{made}:axes"))
    return helper.make_node(kind, [source, f"{made}:axes"], [made], keepdims=keepdims)


_EXTREMES = ("ReduceMin", "ReduceMax", "ReduceL1")
"""The sum detects a NaN, because ONNX Runtime's extremes ignore one that is not the first number."""
_ZERO = ":zero"
_AXES_AS_INPUT = 18
"""Since this opset, reductions read their axes from an input."""


def _extreme_nodes(name: str, *, without_infinity: bool) -> Iterator[onnx.NodeProto]:
    low, high, total = _EXTREMES
    finite = name
    if without_infinity:
        finite = f"{name}:finite"
        yield helper.make_node("IsInf", [name], [f"{name}:infinite"])
        yield helper.make_node("Where", [f"{name}:infinite", _ZERO, name], [finite])
    for kind, read in ((low, finite), (high, finite), (total, name)):
        yield helper.make_node(kind, [read], [f"{name}:{kind}"], keepdims=0)


def _has_infinity(tensor: TensorProto) -> bool:
    values = numpy_helper.to_array(tensor)
    return values.dtype.kind == "f" and bool(np.isinf(values).any())
