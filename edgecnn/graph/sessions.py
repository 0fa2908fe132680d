"""ONNX Runtime in this process, for answers that steer and for looks inside a network; what is reported is measured in a kit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

Level = onnxruntime.GraphOptimizationLevel


def session_of(
    model: onnx.ModelProto | Path | bytes,
    level: Any = Level.ORT_ENABLE_ALL,
    *,
    outputs: Sequence[str] = (),
    entries: Mapping[str, str] | None = None,
) -> onnxruntime.InferenceSession:
    """A session on the processor.

    Args:
        model: not changed.
        level: how far the graph is fused.
        outputs: with a ``ModelProto``: tensors that it answers with in place of its own outputs.
        entries: session configuration entries (``session.…``).
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 4  # what goes wrong is raised too
    for name, value in (entries or {}).items():
        options.add_session_config_entry(name, value)
    content = _answering(model, outputs).SerializeToString() if isinstance(model, onnx.ModelProto) else model
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def answers(session: onnxruntime.InferenceSession, feed: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """Every output by its name, for a feed of the one input."""
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: feed}), strict=True))


def logits(session: onnxruntime.InferenceSession, feed: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The first output, (N, classes)."""
    return np.asarray(session.run(None, {session.get_inputs()[0].name: feed})[0], np.float32)


def _answering(model: onnx.ModelProto, outputs: Sequence[str]) -> onnx.ModelProto:
    if not outputs:
        return model
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    del opened.graph.output[:]
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    return opened
