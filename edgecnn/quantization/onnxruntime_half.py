"""fp16 for ONNX Runtime's kernels of 64-bit Arm: the trunk typed fp16. Elsewhere the file runs in fp32, with casts."""

from __future__ import annotations

from typing import Any

import onnx
from onnxruntime import InferenceSession

from edgecnn.backends.onnxruntime import BACKEND
from edgecnn.errors.graph import HalfRefused
from edgecnn.errors.wording import first_line
from edgecnn.graph.onnx_file import answers_of, load_model, require_unquantized, save_model
from edgecnn.graph.passes.half import carry_half, type_half
from edgecnn.quantization.job import Job


def quantize(job: Job) -> dict[str, Any]:
    """Write ``model.onnx`` and ``model.json``.

    Raises:
        AlreadyQuantized: the trunk holds quantization nodes.
        HalfRefused: the converter, onnx's checker or ONNX Runtime does not take the network in fp16.
    """
    trunk, path = load_model(job.onnx), job.out / "model.onnx"
    require_unquantized(trunk, job.onnx)
    carried = carry_half(trunk, job.wide)
    try:  # none of the three has a class of error of its own
        save_model(type_half(carried, job.wide), path)
        onnx.checker.check_model(path, full_check=True)
        InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise HalfRefused(candidate=job.candidate.id, because=first_line(error)) from error
    job.describe(BACKEND.model_file(job.candidate, answers_of(trunk)))
    return {"form": job.half_form}
