"""Traced sessions of the real runtimes, opened as the runner opens them inside a kit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edgecnn.runner.sessions.onnxruntime_cpu import OnnxRuntimeSession
from edgecnn.runner.sessions.openvino_cpu import OpenVinoSession
from tests.graph.trunks import feed_of, pictures

RUNS = 3


def trace_onnxruntime(model: Path, folder: Path, options: Mapping[str, str] = {}) -> Path:  # noqa: B006 - never written to
    session = OnnxRuntimeSession(model, dict(options), folder)
    return _run(session, folder)


def kit_around(model: Path) -> Any:
    """As much of a kit as a session reads that is opened on a model file."""
    named = {"input": SimpleNamespace(name="image"), "output": SimpleNamespace(name="logits")}
    return SimpleNamespace(path=lambda _: model, manifest=SimpleNamespace(model=SimpleNamespace(entry=model.name, **named)))


def trace_openvino(model: Path, folder: Path, options: Mapping[str, str]) -> Path:
    session = OpenVinoSession(kit_around(model), dict(options), folder, 1)
    return _run(session, folder)


def _run(session: OnnxRuntimeSession | OpenVinoSession, folder: Path) -> Path:
    feed = feed_of(pictures(1))
    for _ in range(RUNS):
        session.run({"image": feed})
    session.close()
    return folder
