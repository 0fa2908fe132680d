"""Combine several networks in one graph that outputs the mean of their probabilities.

Probabilities are averaged, because the scales of logits differ between networks (A. Krizhevsky, I. Sutskever, G. Hinton,
"ImageNet Classification with Deep Convolutional Neural Networks", 2012, section 6.1). The graph outputs the logarithm of the
mean: its softmax is the mean again, so the file is a classifier like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, compose, helper, numpy_helper
from scipy.special import softmax

from edgecnn.graph.checks import run_logits, session_of
from edgecnn.graph.onnx_file import INPUT_NAME, OUTPUT_NAME, opset_of
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.preprocessing import Normalization

PRODUCER = "edgecnn study ensemble"
LEAST = 1e-7
"""Smaller probabilities are raised to this value, because log(0) is not finite and half precision has few smaller numbers."""


@dataclass(frozen=True)
class Member:
    """A trunk, and how its pixels are normalized."""

    model: onnx.ModelProto
    """``image`` float32 (batch, 3, H, W) to ``logits`` (batch, classes)."""
    normalization: Normalization


def average_members(members: Sequence[Member], size: ImageSize, classes: int) -> onnx.ModelProto:
    """Return one model with the first member's input: ``image`` float32 (batch, 3, H, W) to ``logits`` (batch, classes)."""
    graph = helper.make_graph(
        [],
        "ensemble",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, ["batch", 3, *size])],
        [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, ["batch", classes])],
    )
    for number, member in enumerate(members, 1):
        prefix = f"member{number}_"
        _convert_normalization(graph, (members[0].normalization, member.normalization), prefix)
        inner = compose.add_prefix(member.model, prefix).graph
        graph.node.extend(inner.node)
        graph.initializer.extend(inner.initializer)
        graph.node.append(_node("Softmax", [f"{prefix}{OUTPUT_NAME}"], f"{prefix}shares"))
    total = "member1_shares"
    for number in range(2, len(members) + 1):
        graph.node.append(_node("Add", [total, f"member{number}_shares"], f"shares_of_{number}"))
        total = f"shares_of_{number}"
    graph.initializer.append(numpy_helper.from_array(np.array(1 / len(members), np.float32), "one_share"))
    graph.initializer.append(numpy_helper.from_array(np.array(LEAST, np.float32), "least_share"))
    graph.node.append(_node("Mul", [total, "one_share"], "mean_share"))
    graph.node.append(_node("Max", ["mean_share", "least_share"], "held_share"))
    graph.node.append(_node("Log", ["held_share"], OUTPUT_NAME))
    first = members[0].model
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset_of(first))], ir_version=first.ir_version)
    made.producer_name = PRODUCER
    return made


def _convert_normalization(graph: onnx.GraphProto, norms: tuple[Normalization, Normalization], prefix: str) -> None:
    """Convert the input's normalization to the member's own: ``feed × std / own std + (mean - own mean) / own std``."""
    feed, own = norms
    if feed == own:
        graph.node.append(_node("Identity", [INPUT_NAME], f"{prefix}{INPUT_NAME}"))
        return
    mean, std, own_mean, own_std = (np.array(values, np.float64) for values in (feed.mean, feed.std, own.mean, own.std))
    for name, value in ("scale", std / own_std), ("shift", (mean - own_mean) / own_std):
        constant = value.astype(np.float32).reshape(1, 3, 1, 1)
        graph.initializer.append(numpy_helper.from_array(constant, f"{prefix}feed_{name}"))
    graph.node.append(_node("Mul", [INPUT_NAME, f"{prefix}feed_scale"], f"{prefix}scaled"))
    graph.node.append(_node("Add", [f"{prefix}scaled", f"{prefix}feed_shift"], f"{prefix}{INPUT_NAME}"))


def _node(op: str, reads: list[str], makes: str) -> onnx.NodeProto:
    return helper.make_node(op, reads, [makes], name=f"ensemble_{makes}")


def probabilities(path: Path, feeds: Iterable[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """Return the softmax of the trunk's logits, (images, classes). ``feeds``: batches (n, 3, H, W), at least one."""
    session = session_of(path)
    parts = [run_logits(session, feed).astype(np.float64) for feed in feeds]
    return np.asarray(softmax(np.concatenate(parts), axis=1))
