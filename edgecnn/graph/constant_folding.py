"""Arithmetic on shapes that a file leaves to its runtime, done here: paddings as older exporters write them, sizes of an image.

ONNX's own inference follows a part of it. torch's TorchScript exporter turns a constant padding into ConstantOfShape, Concat,
Reshape, Slice and Transpose, and a padding that keeps a size into sums of Shape: behind either, no shape would be known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

Array = npt.NDArray[Any]
Shapes = Mapping[str, list[int]]
FOLDED_MAX = 1024
"""Elements of an operand: shapes and paddings have a dozen, weights are left alone."""
_GROWS = ("ConstantOfShape", "Expand", "Range", "Tile")
"""What these make can be larger than what they read."""
_FOLLOWED = (
    "Abs", "Add", "Cast", "Ceil", "Concat", "Constant", "ConstantOfShape", "Div", "Equal", "Expand", "Flatten", "Floor",
    "Gather", "Greater", "Identity", "Less", "Max", "Min", "Mod", "Mul", "Neg", "Range", "ReduceProd", "Reshape", "Slice",
    "Split", "Sqrt", "Squeeze", "Sub", "Tile", "Transpose", "Unsqueeze", "Where",
)  # fmt: skip


def fold_constants(model: onnx.ModelProto, shapes: Shapes) -> bool:
    """Put what depends on constants and on these shapes alone in the place of the nodes that make it; whether anything was.

    ``model``: changed in place. ``shapes``: of tensors at the sizes for which the file is looked at.
    """
    small = (tensor for tensor in model.graph.initializer if prod(tensor.dims) <= FOLDED_MAX)
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in small}
    kept, made = [], []
    for node in model.graph.node:
        found = _made_by(node, known, shapes, model.opset_import)
        if found is None:
            kept.append(node)
        else:
            known.update(zip(node.output, found, strict=False))
            made.append(node)
    read = {name for node in kept for name in node.input} | {value.name for value in model.graph.output}
    constants = [numpy_helper.from_array(known[name], name) for node in made for name in node.output if name in read]
    changed = any(node.op_type != "Constant" for node in made)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    model.graph.initializer.extend(constants)
    return changed


def _made_by(node: onnx.NodeProto, known: Mapping[str, Array], shapes: Shapes, opsets: Any) -> list[Array] | None:
    """What a node makes; None where that is not known, or is no arithmetic on shapes."""
    if node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type == "Shape" and node.input[0] in shapes:
        ends = {each.name: each.i for each in node.attribute}
        return [np.array(shapes[node.input[0]][ends.get("start", 0) : ends.get("end")], np.int64)]
    reads = [name for name in node.input if name]
    if node.op_type not in _FOLLOWED or not all(name in known for name in reads):
        return None
    try:
        if not stays_small(node.op_type, [known[name] for name in reads], FOLDED_MAX):
            return None
        found = _computed(node, {name: known[name] for name in reads}, {each.domain: each.version for each in opsets})
    except Exception:  # noqa: BLE001 - a file's own fault shows where it runs, and the reference's errors share no class
        return None
    return found if all(isinstance(each, np.ndarray) and each.size <= FOLDED_MAX for each in found) else None


def _computed(node: onnx.NodeProto, feed: dict[str, Array], opsets: dict[str, int]) -> list[Array]:
    if node.op_type == "Unsqueeze" and len(node.input) == 1:  # axes as an attribute: onnx 1.23 has no reference of it
        return [np.expand_dims(feed[node.input[0]], tuple(helper.get_node_attr_value(node, "axes")))]
    return list(ReferenceEvaluator(node, opsets=opsets).run(None, feed))


def stays_small(op: str, reads: Sequence[Array], most: int) -> bool:
    """Whether an operator on these constants makes at most so many elements, where it can make more than it reads."""
    if op not in _GROWS:
        return True
    if op == "Range":
        start, limit, delta = (float(each) for each in reads)
        return delta != 0 and (limit - start) / delta <= most
    counts = [int(count) for count in (reads[0] if op == "ConstantOfShape" else reads[1]).flat]
    if op == "Expand":
        counts = list(np.broadcast_shapes(reads[0].shape, tuple(counts)))
    return prod(counts) * (reads[0].size if op == "Tile" else 1) <= most
