"""fp16 for TensorRT: the trunk typed half throughout, and a twin with the same weights carried in fp32."""

from __future__ import annotations

from typing import Any

import onnx

from edgecnn.backends.tensorrt import BACKEND
from edgecnn.graph.document import load_model, save_model
from edgecnn.graph.passes.half import carry_half, type_half
from edgecnn.graph.tensorrt import check_for_tensorrt
from edgecnn.quantization.golden import TWIN_FOLDER
from edgecnn.quantization.job import Job
from edgecnn.values.model_file import MODEL_FILE_NAME


def quantize(job: Job) -> dict[str, Any]:
    """Write the fp16 file, its twin, and both ``model.json``.

    Raises HalfOverflow: a weight is beyond fp16's range. OnnxBeyondReader: the trunk is of a version that TensorRT 10.3 does not
    read.
    """
    carried = carry_half(load_model(job.onnx))
    write_pair(job, carried, type_half(carried))
    return {
        "form": "typed fp16 throughout, float32 at input and output",
        "twin": "the same weights, each a number that fp16 holds, computed in fp32",
        "twin_omits": "the rounding of activations to fp16",
        "calibration_images": 0,
    }


def write_pair(job: Job, carried: onnx.ModelProto, typed: onnx.ModelProto) -> None:
    """Write what ships into the job's folder and its twin beside it; the checker of onnx passes both."""
    twin = job.out / TWIN_FOLDER
    twin.mkdir(exist_ok=True)
    save_model(typed, job.out / "model.onnx")
    save_model(carried, twin / "model.onnx")
    for path in (job.out / "model.onnx", twin / "model.onnx"):
        onnx.checker.check_model(path, full_check=True)
    check_for_tensorrt(onnx.load(job.out / "model.onnx"), job.out / "model.onnx")
    classes = carried.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    (job.out / MODEL_FILE_NAME).write_text(BACKEND.model_file(job.candidate, classes).to_json(), encoding="utf-8")
    (twin / MODEL_FILE_NAME).write_text(BACKEND.twin_file(job.candidate, classes).to_json(), encoding="utf-8")
