"""fp16 for ONNX Runtime's kernels of 64-bit Arm: the trunk typed half throughout. Elsewhere the file runs in fp32, with casts."""

from __future__ import annotations

from typing import Any

import onnx
from onnxruntime import InferenceSession

from edgecnn.backends.onnxruntime import BACKEND
from edgecnn.errors.quantization import HalfRefused
from edgecnn.graph.onnx_file import load_model, require_unquantized, save_model
from edgecnn.graph.passes.half import carry_half, type_half
from edgecnn.quantization.job import Job
from edgecnn.values.model_file import MODEL_FILE_NAME


def quantize(job: Job) -> dict[str, Any]:
    """Write ``model.onnx`` and ``model.json``.

    Raises:
        AlreadyQuantized: the trunk holds quantization nodes.
        HalfOverflow: a weight is beyond fp16's range.
        HalfRefused: the converter, onnx's checker or ONNX Runtime does not take the network in fp16.
    """
    trunk, path = load_model(job.onnx), job.out / "model.onnx"
    require_unquantized(trunk, job.onnx)
    carried = carry_half(trunk)
    try:  # none of the three has a class of error of its own
        save_model(type_half(carried), path)
        onnx.checker.check_model(path, full_check=True)
        InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise HalfRefused(candidate=job.candidate.id, because=str(error).strip().partition("\n")[0]) from error
    classes = trunk.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    (job.out / MODEL_FILE_NAME).write_text(BACKEND.model_file(job.candidate, classes).to_json(), encoding="utf-8")
    return {"form": "typed fp16 throughout, float32 at input and output"}
