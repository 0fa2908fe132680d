"""The end of a trunk: the outputs of a custom file as logits, float32, one row an image and one column a class."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgecnn.graph.custom.onnx_entry import L1_NORMS, PROBABILITIES
from edgecnn.graph.ensemble import LEAST
from edgecnn.graph.onnx_file import inside
from edgecnn.values.custom_model import GraphEntry

_OF_ONE_SHARE = {"edgecnn_halves": (-0.5, 0.5), "edgecnn_signs": (-1, 1), "edgecnn_first": (1, 0)}
"""Half of the logit and minus half have the sigmoid as their softmax; probabilities are 1 − p and p."""
_SQUEEZES = ("Squeeze", "Unsqueeze")
"""Around a softmax these may remove the axis of a single image, which a trunk needs for any batch size."""


def end_in_logits(graph: onnx.GraphProto, entry: GraphEntry, rank: int) -> None:
    """Make the graph's one output logits, under its own name. Its declared type and axes are removed.

    ``rank``: axes of the output as computed, which may differ from the declaration.
    """
    keeps_axes = _remove_last(graph, entry)
    _one_row_an_image(graph, entry, is_matrix=rank == 2 and keeps_axes)
    _logarithm_of_shares(graph, entry)


def _remove_last(graph: onnx.GraphProto, entry: GraphEntry) -> bool:
    """Replace probabilities by logits. Return False if the output then has other axes: those of a fixed single image."""
    if entry.ends_in_shares or not (entry.ends_in_softmax or entry.ends_in_sigmoid):
        return True
    made = {name: node for node in graph.node for name in node.output}
    node = made[entry.output]
    idle, squeezes = [], []
    while node.op_type not in PROBABILITIES:
        idle += [node] if node.op_type in L1_NORMS else []
        squeezes += [node] if node.op_type in _SQUEEZES else []
        node = made[node.input[0]]
    idle.append(node)
    while (node := made.get(node.input[0], onnx.NodeProto())).op_type in _SQUEEZES:
        squeezes.append(node)
    for replaced in (*idle, *(squeezes if entry.batch == 1 else [])):
        replaced.op_type = "Identity"
        replaced.ClearField("attribute")
        del replaced.input[1:]
    return entry.batch != 1 or not squeezes


def _one_row_an_image(graph: onnx.GraphProto, entry: GraphEntry, *, is_matrix: bool) -> None:
    """Return float32 images×classes, whatever the file's type and axes; one number an image becomes two."""
    value = graph.output[0]
    steps: list[tuple[str, list[str], dict[str, Any]]] = []
    if value.type.tensor_type.elem_type != TensorProto.FLOAT:
        steps.append(("Cast", [], {"to": TensorProto.FLOAT}))
    if entry.output_steps is not None:
        steps += [("Sub", ["edgecnn_zero"], {}), ("Mul", ["edgecnn_scale"], {})]
    if not is_matrix:
        steps.append(("Reshape", ["edgecnn_row"], {}))
    if entry.one_share and entry.ends_in_shares:
        steps += [("Mul", ["edgecnn_signs"], {}), ("Add", ["edgecnn_first"], {})]
    elif entry.one_share:
        steps.append(("Mul", ["edgecnn_halves"], {}))
    if not steps:
        return
    held = {name: np.array([numbers], np.float32) for name, numbers in _OF_ONE_SHARE.items()}
    if entry.output_steps is not None:
        held |= {f"edgecnn_{name}": np.array(number, np.float32) for name, number in entry.output_steps.model_dump().items()}
    held["edgecnn_row"] = np.array([-1, 1 if entry.one_share else entry.classes], np.int64)
    names = [f"{entry.output}_{number}_of_the_file" for number in range(len(steps))]
    rename_tensor(graph, entry.output, names[0])
    for (op, more, attributes), before, after in zip(steps, names, [*names[1:], entry.output], strict=True):
        graph.initializer.extend(numpy_helper.from_array(held[name], name) for name in more)
        graph.node.append(helper.make_node(op, [before, *more], [after], name=f"edgecnn_row_{op}", **attributes))


def _logarithm_of_shares(graph: onnx.GraphProto, entry: GraphEntry) -> None:
    """Take the logarithm of probabilities, whose softmax returns them, divided by their sum.

    For multi-label models take the logarithm of the odds, whose sigmoid returns the probability.
    """
    if not entry.ends_in_shares:
        return
    named = ("shares", "held", "least", "most", "one", "below", "rest", "odds")
    shares, held, least, most, one, below, rest, odds = (f"{entry.output}_{name}" for name in named)
    rename_tensor(graph, entry.output, shares)
    constants, steps = {least: LEAST}, [("Max", [shares, least], held)]
    if entry.ends_in_sigmoid:
        constants |= {most: 1 - LEAST, one: 1}
        steps += [("Min", [shares, most], below), ("Sub", [one, below], rest), ("Div", [held, rest], odds)]
    for name, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
    for op, inputs, made in (*steps, ("Log", [steps[-1][2]], entry.output)):
        graph.node.append(helper.make_node(op, inputs, [made], name=f"edgecnn_answer_{op}"))


def rename_tensor(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Rename a tensor everywhere, also in branches. If the new name is taken, that tensor is renamed first."""
    if old == new:
        return
    nodes = list(inside(graph, onnx.NodeProto))
    taken = {name for node in nodes for name in (*node.input, *node.output)} | {tensor.name for tensor in graph.initializer}
    if new in taken:
        rename_tensor(graph, new, f"{new}_of_the_file")
    for node in nodes:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new
    for value in (*inside(graph, onnx.ValueInfoProto), *graph.initializer):
        if value.name == old:
            value.name = new
