"""Shapes of a graph's tensors as ONNX Runtime makes them: of its own operators nothing else knows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime


def shapes_by_running(path: Path, resolution_px: int) -> dict[str, list[int]]:
    """Every tensor that a node makes to its shape, from one run on a black image.

    Args:
        path: of a trunk: its input is ``image`` float32 (batch, 3, H, W).
        resolution_px: H and W.
    """
    model = onnx.load(path)
    del model.graph.output[:]
    made = [name for node in model.graph.node for name in node.output if name]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    black = np.zeros((1, 3, resolution_px, resolution_px), np.float32)
    found = session.run(None, {session.get_inputs()[0].name: black})
    return {output.name: list(np.shape(value)) for output, value in zip(session.get_outputs(), found, strict=True)}
