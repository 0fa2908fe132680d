"""fp16 and INT8 for TensorRT 8.5, which has no strongly typed networks: an fp32 file, and flags that allow the builder less.

Where each layer computes is then the builder's own choice. The twin rounds activations to fp16 after each layer, the most
that the builder may do. Unverified: no TensorRT 8.5 has read one of these files.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from edgecnn.graph.onnx_file import load_model, require_unquantized, save_model
from edgecnn.graph.passes.half import carry_half, round_between
from edgecnn.graph.tensorrt import IR_MAX_8_5, check_for_tensorrt_8_5, lowered
from edgecnn.quantization.executors.onnxruntime_cpu import logits_of
from edgecnn.quantization.float16 import write_pair
from edgecnn.quantization.job import Job, require_finite_answers
from edgecnn.quantization.onnxruntime import Feeds, float_layers
from edgecnn.quantization.tensorrt import symmetric_qdq
from edgecnn.quantization.trunk_checks import check_converted


def quantize(job: Job) -> dict[str, Any]:
    """Write the fp32-typed file of opset 17, its twin, and both ``model.json``.

    Raises:
        AlreadyQuantized: the trunk holds quantization nodes.
        OpsetNotLowered, OutputsDiffer: the trunk has no form in opset 17, or one that answers otherwise.
        CalibrationNotFinite: the network answers a calibration image with NaN or infinity.
        UnsignedQuantization, NonZeroZeroPoint, QuantizedBias, PerChannelAxis, OperatorMissing, OnnxBeyondReader: what TensorRT
            8.5 is documented to refuse.
    """
    trunk = load_model(job.onnx)
    require_unquantized(trunk, job.onnx)
    require_finite_answers(job, partial(logits_of, job.onnx))
    with tempfile.TemporaryDirectory(prefix="edgecnn-opset-") as folder:
        older = Path(folder) / "model.onnx"
        save_model(lowered(trunk, job.onnx), older, ir_version=IR_MAX_8_5)
        away = check_converted(job, "onnx's version converter", partial(logits_of, older))
        model = load_model(older)
        if not job.candidate.precision.is_float:
            model = symmetric_qdq(older, Feeds(trunk.graph.input[0].name, job.feeds()), [each.name for each in job.kept])
    halved = carry_half(model) if job.candidate.precision.is_float else model
    write_pair(job, round_between(halved), model, check_for_tensorrt_8_5, IR_MAX_8_5)
    return {
        "form": "fp32, opset 17, Q/DQ where it is INT8; the builder chooses each layer's precision",
        "builder_flags": list(job.candidate.builder_flags),
        "unverified": "no TensorRT 8.5 has read this file: it is checked against that version's documented operators alone",
        "float_layers": float_layers(model),
        "twin": "as if the builder chose fp16 everywhere: activations are rounded after each layer, and the weights of fp16 too",
        "twin_omits": "the layers that the builder computes in fp32, and the order in which kernels add",
        "distance_of_float_from_trunk": away,
    }
