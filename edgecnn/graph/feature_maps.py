"""Read inner tensors of a network: the features of images, and the maps worth showing with the images that excite them most.

The features are the input of the last layer. The maps are the first convolution's map and the last map of each size. A map
counts only if everything after it passes through it, so the end of a group of blocks is chosen rather than a branch. No layer
names are needed, because custom files have their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from edgecnn.errors.fit import NO_FEATURES
from edgecnn.graph.checks import Level, accepted_batches, run_outputs, session_of
from edgecnn.graph.layer_cost import Field, Operation, fields_of
from edgecnn.graph.macs import ACTIVATIONS, image_input
from edgecnn.graph.onnx_cost import operations_of_model
from edgecnn.graph.onnx_file import load_model

_FOLLOWS = (*ACTIVATIONS, "BatchNormalization", "Elu", "PRelu")


class Map(NamedTuple):
    """A tensor (batch, channels, rows, columns), and the receptive field of its positions."""

    tensor: str
    after: str
    """The last named layer that multiplies, at or before it."""
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
    """Return the first convolution's map, after its activation, and the last map of each size, in order of computation.

    ``model``: float, with one image (batch, channels, H, W) as input. Empty if no map has more than one position. Raises
    MacsUnknown: shapes of a counted node cannot be inferred at batch 1.
    """
    operations = operations_of_model(model)
    fields = fields_of(operations, image_input(model).name)
    after = ""
    maps: dict[str, Map] = {}
    for operation in operations:
        after = operation.name if operation.product is not None else after
        field = fields[operation.makes[0]]
        # The output of a Transpose has its axes in another order, images last in the case of AlexNet's enlarged 1 x 1 map.
        if field is not None and operation.op != "Transpose" and len(operation.shape) == 4 and prod(operation.shape[2:]) > 1:
            name, (_, channels, rows, columns) = str(operation.makes[0]), operation.shape
            maps[name] = Map(name, after, channels, rows, columns, field)
    last = {(maps[name].rows, maps[name].columns): name for name in _tensors_of_all_paths(operations) if name in maps}
    wanted = {*last.values(), _stem_output(operations)}
    return tuple(one for name, one in maps.items() if name in wanted and one.after)


def first_filters(model: onnx.ModelProto) -> Filters | None:
    """Return the filters of the first convolution; None if there is none, or its weights are not floating-point."""
    kept = {tensor.name: tensor for tensor in model.graph.initializer}
    node = next((node for node in model.graph.node if node.op_type == "Conv"), None)
    if node is None or node.input[1] not in kept:
        return None
    weights = numpy_helper.to_array(kept[node.input[1]])
    return Filters(node.name, weights.astype(np.float32)) if weights.dtype.kind == "f" and weights.ndim == 4 else None


def _tensors_of_all_paths(operations: tuple[Operation, ...]) -> list[str]:
    """Return the tensors that everything after them depends on, in order."""
    last = {name: index for index, operation in enumerate(operations) for name in operation.reads}
    live: set[int | str] = set()
    passages = []
    for index, operation in enumerate(operations):
        live = {name for name in (*live, operation.makes[0]) if last.get(name, -1) > index}
        if live <= {operation.makes[0]}:
            passages.append(str(operation.makes[0]))
    return passages


def _stem_output(operations: tuple[Operation, ...]) -> str | None:
    """Return the first convolution's output, after the norm and activation that alone read it."""
    tensor = next((operation.makes[0] for operation in operations if operation.op == "Conv"), None)
    while tensor is not None:
        readers = [operation for operation in operations if tensor in operation.reads]
        if len(readers) != 1 or readers[0].op not in _FOLLOWS:
            return str(tensor)
        tensor = readers[0].makes[0]
    return None


@dataclass(frozen=True, eq=False)
class Strongest:
    """The strongest positions of one map, in descending order. Each image counts once a channel, by its strongest position."""

    activations: npt.NDArray[np.float32]
    """(channels, k)"""
    images: npt.NDArray[np.int64]
    """(channels, k), index in the feeds"""
    positions: npt.NDArray[np.int64]
    """(channels, k), row × columns + column"""
    constant: npt.NDArray[np.bool_]
    """(channels,): whether the strongest activation is equal in every image, and so distinguishes none."""


def strongest(model: onnx.ModelProto, tensors: Sequence[str], feeds: Iterable[npt.NDArray[Any]], k: int) -> dict[str, Strongest]:
    """Return the strongest positions of each tensor.

    ``tensors``: of shape (batch, channels, rows, columns). ``feeds``: input batches (n, 3, H, W).
    """
    session = session_of(model, Level.ORT_ENABLE_BASIC, outputs=tensors)
    best: dict[str, list[npt.NDArray[Any]]] = {}
    lows: dict[str, npt.NDArray[np.float32]] = {}
    images_read = 0
    for feed in accepted_batches(feeds, session.get_inputs()[0].shape[0]):
        for tensor, maps in run_outputs(session, feed).items():
            flat = maps.reshape(*maps.shape[:2], -1).transpose(1, 0, 2)
            images = np.broadcast_to(images_read + np.arange(len(feed)), flat.shape[:2])
            ranked = [flat.max(axis=2), images, flat.argmax(axis=2)]
            lows[tensor] = np.minimum(lows.get(tensor, np.float32(np.inf)), ranked[0].min(axis=1))
            if tensor in best:
                ranked = [np.concatenate(parts, axis=1) for parts in zip(best[tensor], ranked, strict=True)]
            order = np.argsort(-ranked[0], axis=1, kind="stable")[:, :k]  # in a tie the earlier image wins, whatever the batch
            best[tensor] = [np.take_along_axis(part, order, axis=1) for part in ranked]
        images_read += len(feed)
    return {
        tensor: Strongest(values, images, places, values[:, 0] == lows[tensor])
        for tensor, (values, images, places) in best.items()
    }


_LAYERS = ("Conv", "Gemm", "MatMul")


def features(path: Path, feeds: Iterable[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    """Return the input of the network's last layer for every image, float32 (images, features).

    Maps and tokens are averaged over their positions. ``feeds``: batches that the network reads.

    Raises NO_FEATURES: the network has fewer than two layers that multiply by weights.
    """
    model = load_model(path)
    layers = [node for node in model.graph.node if node.op_type in _LAYERS]
    if len(layers) < 2:
        raise NO_FEATURES(model=path)
    session = session_of(model, outputs=[layers[-1].input[0]])
    means = []
    for feed in accepted_batches(feeds, session.get_inputs()[0].shape[0]):
        (tensor,) = run_outputs(session, feed).values()
        # (images, features, rows, columns), (images, tokens, features) or (images, features)
        positions = (2, 3) if tensor.ndim == 4 else tuple(range(1, tensor.ndim - 1))
        means.append(np.asarray(tensor.mean(axis=positions), np.float32))
    return np.concatenate(means)
