"""fp16 for TensorRT: the trunk typed half, and a twin in fp32 with the same weights and activations rounded to fp16."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx

from edgecnn.backends.tensorrt import BACKEND
from edgecnn.graph.onnx_file import IR_VERSION, answers_of, load_model, save_model
from edgecnn.graph.passes.half import carry_half, round_between, type_half
from edgecnn.graph.tensorrt import check_for_tensorrt
from edgecnn.quantization.golden import TWIN_FOLDER
from edgecnn.quantization.job import Job
from edgecnn.values.model_file import MODEL_FILE_NAME


def quantize(job: Job) -> dict[str, Any]:
    """Write the fp16 file, its twin, and both ``model.json``.

    Raises HalfOverflow: a weight is beyond fp16's range. OnnxBeyondReader: the trunk is of a version that TensorRT 10.3 does not
    read.
    """
    carried = carry_half(load_model(job.onnx), job.wide)
    write_pair(job, round_between(carried, job.wide), type_half(carried, job.wide))
    return {
        "form": job.half_form,
        "twin": "the same weights, each a number that fp16 holds; activations are rounded to fp16 after each layer",
        "twin_omits": "the order in which the device's kernels add",
        "calibration_images": 0,
    }


def write_pair(
    job: Job,
    twin: onnx.ModelProto,
    typed: onnx.ModelProto,
    check: Callable[[onnx.ModelProto, Path], None] = check_for_tensorrt,
    ir_version: int = IR_VERSION,
) -> None:
    """Write what ships into the job's folder and its twin beside it; onnx's checker passes both, ``check`` what ships."""
    classes = answers_of(typed)
    for folder, model, describe in (
        (job.out, typed, BACKEND.model_file),
        (job.out / TWIN_FOLDER, twin, BACKEND.twin_file),
    ):
        folder.mkdir(exist_ok=True)
        save_model(model, folder / "model.onnx", ir_version=ir_version)
        onnx.checker.check_model(folder / "model.onnx", full_check=True)
        (folder / MODEL_FILE_NAME).write_text(describe(job.candidate, classes).to_json(), encoding="utf-8")
    check(onnx.load(job.out / "model.onnx"), job.out / "model.onnx")
