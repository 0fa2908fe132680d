"""Runs a network and keeps, for every channel of some of its maps, the images that excite it most, and where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from edgecnn.graph.macs import image_input


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

    Args:
        model: float.
        tensors: of shape (batch, channels, rows, columns).
        feeds: what the network reads, (n, 3, H, W), a batch each.
        k: images a channel at most.
    """
    session, feed_name = _session(model, tensors), image_input(model).name
    best: dict[str, list[npt.NDArray[Any]]] = {}
    lows: dict[str, npt.NDArray[np.float32]] = {}
    seen = 0
    for feed in feeds:
        for tensor, maps in zip(tensors, session.run(list(tensors), {feed_name: feed}), strict=True):
            flat = maps.reshape(*maps.shape[:2], -1).transpose(1, 0, 2)
            found = [flat.max(axis=2), np.broadcast_to(seen + np.arange(len(feed)), flat.shape[:2]), flat.argmax(axis=2)]
            lows[tensor] = np.minimum(lows.get(tensor, np.float32(np.inf)), found[0].min(axis=1))
            best[tensor] = _kept(found, best.get(tensor), k)
        seen += len(feed)
    return {
        tensor: Strongest(values, images, places, values[:, 0] == lows[tensor])
        for tensor, (values, images, places) in best.items()
    }


def _kept(new: list[npt.NDArray[Any]], old: list[npt.NDArray[Any]] | None, k: int) -> list[npt.NDArray[Any]]:
    """The strongest of both; of equal ones the earlier image, whatever the batch."""
    both = new if old is None else [np.concatenate(parts, axis=1) for parts in zip(old, new, strict=True)]
    order = np.argsort(-both[0], axis=1, kind="stable")[:, :k]
    return [np.take_along_axis(part, order, axis=1) for part in both]


def _session(model: onnx.ModelProto, tensors: Sequence[str]) -> onnxruntime.InferenceSession:
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    del opened.graph.output[:]
    opened.graph.output.extend(onnx.helper.make_empty_tensor_value_info(tensor) for tensor in tensors)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(opened.SerializeToString(), options, providers=["CPUExecutionProvider"])
