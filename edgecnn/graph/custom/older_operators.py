"""Keep the meaning of operators whose definition changed between opsets, where onnx's version converter does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper, version_converter

from edgecnn.graph.macs import shapes_at_batch_one
from edgecnn.graph.onnx_file import constants_of, opset_of

_RESIZE_CHANGED: Final = 11
"""Since this opset, Resize maps the centres of pixels; before, their corners, rounded down."""
_GROUPS_CHANGED: Final = 21
"""Since this opset, GroupNormalization has a scale for each channel; before, for each group."""
_OLD_RESIZE: Final = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


def convert_to_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Return the model in another opset, with the same outputs. Raises Exception: onnx's converter cannot convert it."""
    before = opset_of(model)
    if opset < _GROUPS_CHANGED <= before:
        _write_groups_out(model)
    converted = version_converter.convert_version(model, opset)
    for node in converted.graph.node:
        if node.op_type == "Resize" and before < _RESIZE_CHANGED <= opset:
            node.attribute.extend(helper.make_attribute(*pair) for pair in _OLD_RESIZE.items())
    return converted


def _write_groups_out(model: onnx.ModelProto) -> None:
    """Write group normalizations as instance normalizations of the groups, in place."""
    graph, shapes = model.graph, shapes_at_batch_one(model)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        scale = constants_of(graph).get(node.input[1]) if node.op_type == "GroupNormalization" else None
        rank = len(shapes.get(node.input[0], ())) if scale is not None else 0
        nodes += _groups(node, graph, rank) if scale is not None and rank and not _states_type(node) else [node]
    del graph.node[:]
    graph.node.extend(nodes)


def _states_type(node: onnx.NodeProto) -> bool:
    """Return whether a node computes in another type than float32."""
    return any(entry.name == "stash_type" and entry.i != onnx.TensorProto.FLOAT for entry in node.attribute)


def _groups(node: onnx.NodeProto, graph: onnx.GraphProto, rank: int) -> Sequence[onnx.NodeProto]:
    attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    name, groups, held = node.name or node.output[0], attributes["num_groups"], constants_of(graph)
    along = [1, -1, *[1] * (rank - 2)]
    numbers: Mapping[str, npt.NDArray[Any]] = {
        "grouped": np.array([0, groups, -1], np.int64),
        "ones": np.ones(groups, np.float32),
        "zeros": np.zeros(groups, np.float32),
        "scale": numpy_helper.to_array(held[node.input[1]]).reshape(along),
        "shift": numpy_helper.to_array(held[node.input[2]]).reshape(along),
    }
    for part, values in numbers.items():
        graph.initializer.append(numpy_helper.from_array(values, f"{name}_{part}"))
    steps: tuple[tuple[str, list[str], str, dict[str, Any]], ...] = (
        ("Shape", [node.input[0]], "size", {}),
        ("Reshape", [node.input[0], f"{name}_grouped"], "rows", {}),
        (
            "InstanceNormalization",
            [f"{name}_rows", f"{name}_ones", f"{name}_zeros"],
            "normal",
            {"epsilon": attributes.get("epsilon", 1e-5)},
        ),
        ("Reshape", [f"{name}_normal", f"{name}_size"], "back", {}),
        ("Mul", [f"{name}_back", f"{name}_scale"], "scaled", {}),
    )
    nodes = [helper.make_node(op, reads, [f"{name}_{made}"], name=f"{name}_{made}", **more) for op, reads, made, more in steps]
    return [*nodes, helper.make_node("Add", [f"{name}_scaled", f"{name}_shift"], list(node.output), name=name)]
