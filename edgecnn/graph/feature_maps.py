"""Which tensors of a network are worth looking at (what the first convolution makes, the last map of each size), and which images
excite their channels most.

A map counts only where everything behind it passes through it. So the end of a group of blocks is taken and not one of its
branches, and no names of layers need to be known: a custom file has its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from edgecnn.graph.checks import Level, answers, session_of
from edgecnn.graph.layer_cost import Field, Operation, fields_of
from edgecnn.graph.macs import ACTIVATIONS, image_input
from edgecnn.graph.onnx_operations import operations_of_model

_FOLLOWS = (*ACTIVATIONS, "BatchNormalization", "Elu", "PRelu")


class Map(NamedTuple):
    """A tensor (batch, channels, rows, columns), and what one of its positions sees of the image."""

    tensor: str
    after: str
    """The last layer with a name that multiplies, at or before it."""
    channels: int
    rows: int
    columns: int
    field: Field


class Filters(NamedTuple):
    """The weights of one convolution."""

    layer: str
    weights: npt.NDArray[np.float32]
    """(filters, colours, rows, columns)"""


def maps_of(model: onnx.ModelProto) -> tuple[Map, ...]:
    """The first convolution's map, behind its activation, and the last of each size, in the order in which they are made.

    ``model``: float, with one image (batch, channels, H, W) as its input. Empty where it has no map of more than one position.
    Raises MacsUnknown: a counted node whose shapes cannot be inferred at batch 1.
    """
    operations = operations_of_model(model)
    fields = fields_of(operations, image_input(model).name)
    after = ""
    maps: dict[str, Map] = {}
    for operation in operations:
        after = operation.name if operation.product is not None else after
        field = fields[operation.makes[0]]
        # what a Transpose makes has its axes in another order, images last as AlexNet's enlarged 1 x 1 map has them
        if field is not None and operation.op != "Transpose" and len(operation.shape) == 4 and prod(operation.shape[2:]) > 1:
            name, (_, channels, rows, columns) = str(operation.makes[0]), operation.shape
            maps[name] = Map(name, after, channels, rows, columns, field)
    last = {(maps[name].rows, maps[name].columns): name for name in _passages(operations) if name in maps}
    wanted = {*last.values(), _behind_first(operations)}
    return tuple(one for name, one in maps.items() if name in wanted and one.after)


def first_filters(model: onnx.ModelProto) -> Filters | None:
    """Of the first convolution; None where it has none, or keeps its weights as anything but floating-point numbers."""
    kept = {tensor.name: tensor for tensor in model.graph.initializer}
    node = next((node for node in model.graph.node if node.op_type == "Conv"), None)
    if node is None or node.input[1] not in kept:
        return None
    weights = numpy_helper.to_array(kept[node.input[1]])
    return Filters(node.name, weights.astype(np.float32)) if weights.dtype.kind == "f" and weights.ndim == 4 else None


def _passages(operations: tuple[Operation, ...]) -> list[str]:
    """Tensors that everything behind them hangs on, in order: when one was made, nothing else is waited for."""
    last = {name: index for index, operation in enumerate(operations) for name in operation.reads}
    live: set[int | str] = set()
    passages = []
    for index, operation in enumerate(operations):
        live = {name for name in (*live, operation.makes[0]) if last.get(name, -1) > index}
        if live <= {operation.makes[0]}:
            passages.append(str(operation.makes[0]))
    return passages


def _behind_first(operations: tuple[Operation, ...]) -> str | None:
    """The first convolution's output, behind the norm and the activation that alone read it."""
    tensor = next((operation.makes[0] for operation in operations if operation.op == "Conv"), None)
    while tensor is not None:
        readers = [operation for operation in operations if tensor in operation.reads]
        if len(readers) != 1 or readers[0].op not in _FOLLOWS:
            return str(tensor)
        tensor = readers[0].makes[0]
    return None


@dataclass(frozen=True, eq=False)
class Strongest:
    """Of one map; the strongest first. No image stands twice in a channel: of each its strongest position alone is looked at."""

    activations: npt.NDArray[np.float32]
    """(channels, k)"""
    images: npt.NDArray[np.int64]
    """(channels, k), by their order in the feeds"""
    positions: npt.NDArray[np.int64]
    """(channels, k), row × columns + column"""
    constant: npt.NDArray[np.bool_]
    """(channels,): the strongest activation is the same in every image, so that it tells none apart."""


def strongest(model: onnx.ModelProto, tensors: Sequence[str], feeds: Iterable[npt.NDArray[Any]], k: int) -> dict[str, Strongest]:
    """Of each tensor.

    ``tensors``: of shape (batch, channels, rows, columns). ``feeds``: what the network reads, (n, 3, H, W), a batch each.
    """
    session = session_of(model, Level.ORT_ENABLE_BASIC, outputs=tensors)
    best: dict[str, list[npt.NDArray[Any]]] = {}
    lows: dict[str, npt.NDArray[np.float32]] = {}
    images_read = 0
    for feed in feeds:
        for tensor, maps in answers(session, feed).items():
            flat = maps.reshape(*maps.shape[:2], -1).transpose(1, 0, 2)
            images = np.broadcast_to(images_read + np.arange(len(feed)), flat.shape[:2])
            candidates = [flat.max(axis=2), images, flat.argmax(axis=2)]
            lows[tensor] = np.minimum(lows.get(tensor, np.float32(np.inf)), candidates[0].min(axis=1))
            best[tensor] = _kept(candidates, best.get(tensor), k)
        images_read += len(feed)
    return {
        tensor: Strongest(values, images, places, values[:, 0] == lows[tensor])
        for tensor, (values, images, places) in best.items()
    }


def _kept(new: list[npt.NDArray[Any]], old: list[npt.NDArray[Any]] | None, k: int) -> list[npt.NDArray[Any]]:
    """The strongest of both; of equal ones the earlier image, whatever the batch."""
    both = new if old is None else [np.concatenate(parts, axis=1) for parts in zip(old, new, strict=True)]
    order = np.argsort(-both[0], axis=1, kind="stable")[:, :k]
    return [np.take_along_axis(part, order, axis=1) for part in both]
