"""Of a network for ONNX Runtime Web on a GPU: the same file in ONNX Runtime, for golden logits that no browser had a part in."""

from __future__ import annotations

from edgecnn.quantization.executors.onnxruntime_cpu import run

__all__ = ["run"]
