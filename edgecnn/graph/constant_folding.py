"""Compute the nodes of a graph that depend only on constants, such as weights that are standardized in every call.

Passes and quantizers see weights only in constants. A batch normalization of weights uses their own statistics, as in training,
although the network is in evaluation mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from edgecnn.graph.macs import stays_small
from edgecnn.graph.onnx_file import messages_in

GROWN_MAX = 1 << 20
"""Largest number of elements that an operator may make from smaller constants: 4 MiB of a file."""
Array = npt.NDArray[Any]


def compute_constants(model: onnx.ModelProto) -> None:
    """Replace nodes that depend only on constants by their results, in place. Nodes without a reference implementation stay."""
    graph, opsets = model.graph, {entry.domain: entry.version for entry in model.opset_import}
    version = opsets.get("", opsets.get("ai.onnx", 1))
    constants = {tensor.name: tensor for tensor in graph.initializer}
    read = set[str]()
    for node in list(graph.node):
        names = [name for name in node.input if name]
        if not names or not all(name in constants for name in names) or is_random(schema_of(node, version)):
            continue
        feed = {name: numpy_helper.to_array(constants[name]) for name in names}
        with suppress(Exception):  # the code that needs the operator reports that the reference lacks it
            if not stays_small(node.op_type, list(feed.values()), GROWN_MAX):
                continue
            made = _computed(node, feed, opsets)
            tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in zip(node.output, made, strict=True)]
            graph.initializer.extend(tensors)
            constants.update((tensor.name, tensor) for tensor in tensors)
            graph.node.remove(node)
            read.update(names)
    _remove_unread(graph, read)


def _computed(node: onnx.NodeProto, feed: Mapping[str, Array], opsets: Mapping[str, int]) -> list[Array]:
    if uses_own_statistics(node):
        return _normalized(node, feed)
    return list(ReferenceEvaluator(node, opsets=dict(opsets)).run(None, dict(feed)))


def uses_own_statistics(node: onnx.NodeProto) -> bool:
    """Return whether a node is a batch normalization in training mode."""
    trains = any(entry.name == "training_mode" and entry.i for entry in node.attribute)
    return node.op_type == "BatchNormalization" and (trains or any(node.output[1:]))


def _normalized(node: onnx.NodeProto, feed: Mapping[str, Array]) -> list[Array]:
    """Return a tensor normalized by its own statistics. The other outputs, updated statistics, get the input's."""
    values, scale, shift, *others = (feed[name].astype(np.float64) for name in node.input)
    axes = tuple(axis for axis in range(values.ndim) if axis != 1)
    along = [-1 if axis == 1 else 1 for axis in range(values.ndim)]
    epsilon = next((entry.f for entry in node.attribute if entry.name == "epsilon"), 1e-5)
    normal = (values - values.mean(axes, keepdims=True)) / np.sqrt(values.var(axes, keepdims=True) + epsilon)
    made = (normal * scale.reshape(along) + shift.reshape(along)).astype(feed[node.input[0]].dtype)
    return [made, *[others[place % len(others)].astype(made.dtype) for place in range(len(node.output) - 1)]]


def _remove_unread(graph: onnx.GraphProto, names: set[str]) -> None:
    """Remove those of the constants that no node reads any more."""
    read = {name for node in messages_in(graph, onnx.NodeProto) for name in node.input}
    read |= {value.name for part in (graph, *messages_in(graph, onnx.GraphProto)) for value in part.output}
    for tensor in [tensor for tensor in graph.initializer if tensor.name in names - read]:
        graph.initializer.remove(tensor)


def schema_of(node: onnx.NodeProto, version: int) -> Any:
    """Return ONNX's definition of a node's operator; None if this version has none."""
    try:
        return onnx.defs.get_schema(node.op_type, version) if node.domain in ("", "ai.onnx") else None
    except onnx.defs.SchemaError:
        return None


def is_random(schema: Any) -> bool:
    """Return whether ONNX declares an operator as non-deterministic, such as RandomUniformLike or Dropout."""
    return schema is not None and schema.node_determinism == onnx.defs.OpSchema.NodeDeterminism.NonDeterministic
