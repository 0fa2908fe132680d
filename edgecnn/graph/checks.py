"""Run ONNX in this process: compare the graph's outputs with the network's, and find the first layer that overflows.

Real images are used, because random ones hide errors in folding. Reported figures come from kits, not from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import inf, isnan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import numpy_helper

from edgecnn.errors.graph import EXPORT_DISAGREES
from edgecnn.graph.missing_operator import name_missing_operator
from edgecnn.values.base import Value

Level = onnxruntime.GraphOptimizationLevel


def session_of(
    model: onnx.ModelProto | Path | bytes,
    level: Any = Level.ORT_ENABLE_ALL,
    *,
    outputs: Sequence[str] = (),
    entries: Mapping[str, str] | None = None,
) -> onnxruntime.InferenceSession:
    """Return a session on the CPU.

    Args:
        model: unchanged.
        level: how far the graph is fused.
        outputs: with a ``ModelProto``: tensors to return instead of its own outputs.
        entries: session configuration entries (``session.…``).
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 4  # errors are raised as well
    for name, value in (entries or {}).items():
        options.add_session_config_entry(name, value)
    content = _select_outputs(model, outputs).SerializeToString() if isinstance(model, onnx.ModelProto) else model
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run_outputs(session: onnxruntime.InferenceSession, feed: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """Return every output by name for one input batch."""
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: feed}), strict=True))


def run_logits(session: onnxruntime.InferenceSession, feed: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the first output, (N, classes)."""
    image = session.get_inputs()[0]
    parts = accepted_batches([feed], image.shape[0])
    return np.concatenate([np.asarray(session.run(None, {image.name: part})[0], np.float32) for part in parts])


def accepted_batches(feeds: Iterable[npt.NDArray[Any]], size: int | str | None) -> Iterator[npt.NDArray[Any]]:
    """Yield the feeds (N, …), divided if a network accepts only ``size`` images a call. An open size is None or a name."""
    for feed in feeds:
        step = size if isinstance(size, int) else max(1, len(feed))
        yield from (feed[start : start + step] for start in range(0, len(feed), step))


def _select_outputs(model: onnx.ModelProto, outputs: Sequence[str]) -> onnx.ModelProto:
    if not outputs:
        return model
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    del opened.graph.output[:]
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    return opened


Logits = npt.NDArray[np.float32]
"""(N, classes)."""
TOLERANCE = 1e-3
"""Allowed difference as a share of the logits' spread. Folding a batch norm reorders fp32 sums, usually by 1e-6 of the spread;
wrong padding or a missing layer causes 1e-1."""
INTEGER_TOLERANCE = 0.15
"""Allowed difference for integer graphs: a sum that rounds differently moves an activation by a whole step, and later steps with
it. 0.03 was measured with trained weights, 0.11 with random ones; other runtimes are allowed the same."""

CHECK_IMAGES = 32
"""Number of images by which two files are compared."""


class ExportCheck(Value):
    """``check.json``: the difference between graph and network on these images."""

    images: int
    max_abs_diff: float
    top1_agreement: float
    """0…1."""

    @classmethod
    def of(cls, network: Logits, graph: Logits) -> ExportCheck:
        """Compare two sets of logits (N, classes) of the same images."""
        return cls(
            images=len(network),
            max_abs_diff=float(np.max(np.abs(network - graph))),
            top1_agreement=float(np.mean(network.argmax(axis=1) == graph.argmax(axis=1))),
        )


def onnx_logits(path: Path, feed: npt.NDArray[Any], batch: int = 16) -> Logits:
    """Return the graph's logits from ONNX Runtime's reference-level kernels, float32 (N, classes).

    The first image runs alone, so both a batch of one and a larger one are tested.

    Raises OPERATOR_MISSING: ONNX Runtime lacks one of its operators.
    """
    with name_missing_operator(path):
        session = session_of(path, Level.ORT_ENABLE_BASIC)
    edges = [0, *range(1, len(feed), batch), len(feed)]
    return np.concatenate([run_logits(session, feed[start:end]) for start, end in pairwise(edges)])


def compare_logits(network: Logits, graph: Logits, tolerance: float = TOLERANCE) -> ExportCheck:
    """Compare two sets of logits (N, classes) of the same images.

    Raises ExportDisagrees: the difference exceeds ``tolerance``, a share of the network's spread, or either has a NaN.
    """
    check = ExportCheck.of(network, graph)
    if distance(network, graph) > tolerance:
        allowed = tolerance * float(np.ptp(network))
        raise EXPORT_DISAGREES(
            max_abs_diff=check.max_abs_diff, allowed=allowed, images=check.images, top1_agreement=check.top1_agreement
        )
    return check


def distance(reference: Logits, logits: Logits) -> float:
    """Return the largest difference as a share of the reference's spread; infinity if the shapes differ, or if either has a NaN.

    If the reference is constant, return the difference itself.
    """
    if logits.shape != reference.shape:
        return inf
    share = float(np.max(np.abs(logits - reference))) / (float(np.ptp(reference)) or 1.0)
    return inf if isnan(share) else share


def spread_images(pixels: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.uint8]:
    """Return ``count`` images spread over the whole set, because the first images of a sorted folder are of one class."""
    chosen = np.unique(np.linspace(0, len(pixels) - 1, num=min(count, len(pixels))).astype(int))
    return np.ascontiguousarray(pixels[chosen])


LAYERS_A_PASS = 64
"""With this many outputs, one image of EfficientNet-B7 at 600 pixels takes less than 1 GiB."""


class Culprit(NamedTuple):
    """The first layer in graph order whose output is not finite although all its inputs are."""

    layer: str
    operator: str
    value: float
    weights: bool
    """Whether the layer's own weights already contain a number that is not finite."""

    def __str__(self) -> str:
        why = "its weights already contain it" if self.weights else "from finite numbers and finite weights"
        return f"layer {self.layer} ({self.operator}) is the first to give {self.value}, {why}"


def first_nonfinite(path: Path, feed: npt.NDArray[Any], options: Mapping[str, str] | None = None) -> Culprit | None:
    """Return the first layer that gives NaN or infinity for one image; None if there is none.

    ``options``: session configuration entries (``session.…``); others are ignored.
    """
    model = onnx.load(path)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.output]
    entries = {name: value for name, value in sorted((options or {}).items()) if "." in name}
    for begin in range(0, len(nodes), LAYERS_A_PASS):
        part = nodes[begin : begin + LAYERS_A_PASS]
        names = [name for node in part for name in node.output if name]
        outputs = run_outputs(session_of(model, Level.ORT_DISABLE_ALL, outputs=names, entries=entries), feed)
        for node in part:
            value = next((bad for name in node.output if (bad := _first_nonfinite(outputs.get(name))) is not None), None)
            if value is not None:
                has_bad_weights = any(
                    _first_nonfinite(numpy_helper.to_array(weights[name])) is not None for name in node.input if name in weights
                )
                return Culprit(node.name or node.output[0], node.op_type, value, has_bad_weights)
    return None


def _first_nonfinite(values: npt.NDArray[Any] | None) -> float | None:
    """Return the first number that is not finite; None for integers, which always are."""
    if values is None or not np.issubdtype(values.dtype, np.floating):
        return None
    finite = np.isfinite(values)
    return None if finite.all() else float(values[~finite].flat[0])
