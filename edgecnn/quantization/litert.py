"""fp32, fp16 and INT8 for LiteRT: onnx2tf makes the FlatBuffer from the trunk, LiteRT's own quantizer the others from that.

onnx2tf rewrites the layout of every layer, so that its network is held against the trunk's answers before anything is made of it.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.backends.litert import ENTRY, convert_trunk, make_by_program, write_described
from edgecnn.graph.onnx_file import load_model, require_unquantized
from edgecnn.quantization.executors.litert_cpu import logits_of
from edgecnn.quantization.executors.onnxruntime_cpu import logits_of as trunk_logits_of
from edgecnn.quantization.job import Job, require_finite_answers
from edgecnn.quantization.trunk_checks import check_converted
from edgecnn.store.failures import told_by_system
from edgecnn.values.candidate import Precision


def quantize(job: Job) -> dict[str, Any]:
    """Write ``model.tflite`` and ``model.json``.

    Raises:
        AlreadyQuantized: the trunk holds quantization nodes.
        CalibrationNotFinite: the network answers an image with NaN or infinity.
        ConverterFailed: the converter or the quantizer made nothing.
        OutputsDiffer: the converter made a network that answers otherwise than the trunk.
        LayerNotConverted: LiteRT has no operator for a layer.
    """
    require_unquantized(load_model(job.onnx), job.onnx)
    require_finite_answers(job, lambda feed: trunk_logits_of(job.onnx, feed))
    candidate, made = job.candidate, job.out / ENTRY
    with tempfile.TemporaryDirectory(prefix="edgecnn-litert-") as name:
        whole = convert_trunk(job.onnx, candidate, Path(name))
        facts: dict[str, Any] = {"format": "TensorFlow Lite FlatBuffer"}
        if candidate.precision is not Precision.FP32:  # which is compared as it ships
            converted = partial(_logits, whole, candidate.id)
            facts["distance_of_float_from_trunk"] = check_converted(job, "onnx2tf", converted)
        if candidate.precision is Precision.INT8:
            feed = Path(name) / "feed.npy"
            shown = np.concatenate([_last_channels(each) for each in job.feeds()])
            with told_by_system(feed, shown.nbytes):
                np.save(feed, shown)
            make_by_program("quantize", (whole, feed, made), made, candidate.id)
        elif candidate.precision is Precision.FP16:
            make_by_program("halve", (whole, made), made, candidate.id)
        else:
            shutil.copyfile(whole, made)
    write_described(job.onnx, candidate, job.out)
    return facts


def _logits(converted: Path, candidate: str, feed: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return logits_of(converted, _last_channels(feed), candidate)


def _last_channels(feed: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(N, 3, H, W) as (N, H, W, 3)."""
    return np.ascontiguousarray(feed.transpose(0, 2, 3, 1))
