"""fp16 and INT8 for TensorRT 8.5, which has no strongly typed networks: an fp32 file, and flags that allow the builder less.

Where each layer computes is then the builder's own choice, so that the twin, which is the same file in fp32, shows the INT8
rounding and none of fp16. Unverified: no TensorRT 8.5 has read one of these files.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.errors.tensorrt import LoweredDisagrees
from edgecnn.graph.checks import TOLERANCE
from edgecnn.graph.onnx_file import load_model, require_unquantized, save_model
from edgecnn.graph.tensorrt import IR_MAX_8_5, check_for_tensorrt_8_5, lowered
from edgecnn.quantization.executors.onnxruntime_cpu import logits_of
from edgecnn.quantization.float16 import write_pair
from edgecnn.quantization.job import Job, require_finite
from edgecnn.quantization.onnxruntime import Feeds, float_layers
from edgecnn.quantization.tensorrt import symmetric_qdq

COMPARED_IMAGES = 16


def quantize(job: Job) -> dict[str, Any]:
    """Write the fp32-typed file of opset 17, its twin, and both ``model.json``.

    Raises:
        AlreadyQuantized: the trunk holds quantization nodes.
        OpsetNotLowered, LoweredDisagrees: the trunk has no form in opset 17, or one that answers otherwise.
        CalibrationNotFinite: the network answers a calibration image with NaN or infinity.
        UnsignedQuantization, NonZeroZeroPoint, QuantizedBias, PerChannelAxis, OperatorMissing, OnnxBeyondReader: what TensorRT
            8.5 is documented to refuse.
    """
    trunk = load_model(job.onnx)
    require_unquantized(trunk, job.onnx)
    with tempfile.TemporaryDirectory(prefix="edgecnn-opset-") as folder:
        older = Path(folder) / "model.onnx"
        save_model(lowered(trunk, job.onnx), older, ir_version=IR_MAX_8_5)
        away = _compared(job, older)
        model = load_model(older)
        if not job.candidate.precision.is_float:
            model = symmetric_qdq(older, Feeds(trunk.graph.input[0].name, job.feeds()), [each.name for each in job.kept])
    write_pair(job, model, model, check_for_tensorrt_8_5, IR_MAX_8_5)
    return {
        "form": "fp32, opset 17, Q/DQ where it is INT8; the builder chooses each layer's precision",
        "builder_flags": list(job.candidate.builder_flags),
        "unverified": "no TensorRT 8.5 has read this file: it is checked against that version's documented operators alone",
        "float_layers": float_layers(model),
        "twin": "the same file, in fp32 with Q/DQ fusion off",
        "twin_omits": "whatever the builder computes in fp16",
        "distance_from_trunk": away,
    }


def _compared(job: Job, older: Path) -> float:
    """The largest difference from the trunk's answers to real pictures, as a share of their spread."""
    largest, answers, first = 0.0, [], 0
    for feed in job.feeds():
        asked = logits_of(job.onnx, feed)
        require_finite(asked, len(job.pixels), first)
        first += len(feed)
        answers.append(asked)
        largest = max(largest, float(np.abs(logits_of(older, feed) - asked).max()))
    spread = float(np.ptp(np.concatenate(answers))) or 1.0
    if not largest <= TOLERANCE * spread:
        raise LoweredDisagrees(file=job.onnx, away=largest / spread, allowed=TOLERANCE, images=len(job.pixels))
    return round(largest / spread, 9)
