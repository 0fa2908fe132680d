"""INT8 for ONNX Runtime Web: what ONNX Runtime's own quantizer makes for its CPU kernels, which WebAssembly has too."""

from __future__ import annotations

from typing import Any

from edgecnn.backends.wasm import BACKEND
from edgecnn.quantization import onnxruntime
from edgecnn.quantization.job import Job


def quantize(job: Job) -> dict[str, Any]:
    """Write ``model.onnx``, the page around it and ``model.json``.

    Raises: as ``quantization.onnxruntime``; ConverterFailed: see ``web_files``.
    """
    facts = onnxruntime.quantize(job)
    BACKEND.complete(job.candidate, job.out)
    return facts
