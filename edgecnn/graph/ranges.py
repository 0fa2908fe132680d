"""The largest magnitude of every float tensor of an ONNX graph on real images, which has to fit into a narrower number format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import isnan, nan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgecnn.graph.checks import Level, accepted_batches, run_outputs, session_of
from edgecnn.graph.onnx_file import constants_of, load_model, messages_in

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
    session = session_of(model, Level.ORT_ENABLE_BASIC, outputs=[f"{name}:{kind}" for name in names for kind in _EXTREMES])
    activations = dict.fromkeys(names, 0.0)
    for feed in accepted_batches(feeds, session.get_inputs()[0].shape[0]):
        extremes = run_outputs(session, feed)
        for name in activations:
            low, high, total = (float(extremes[f"{name}:{kind}"]) for kind in _EXTREMES)
            activations[name] = float(np.maximum(activations[name], nan if isnan(total) else max(-low, high)))
    return Magnitudes(weights, activations)


_EXTREMES = ("ReduceMin", "ReduceMax", "ReduceL1")
"""The sum detects a NaN, because ONNX Runtime's extremes ignore one that is not the first number."""
_ZERO = ":zero"


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
