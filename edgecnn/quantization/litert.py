"""fp32, fp16 and INT8 for LiteRT: onnx2tf makes the FlatBuffer from the trunk, LiteRT's own quantizer the others from that.

onnx2tf rewrites the layout of every layer, so that its network is held against the trunk's answers before anything is made of it.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.backends.litert import ENTRY, convert_trunk, make_by_program, write_described
from edgecnn.graph.onnx_file import load_model, require_unquantized
from edgecnn.quantization.executors.litert_cpu import logits_of
from edgecnn.quantization.executors.onnxruntime_cpu import logits_of as trunk_logits_of
from edgecnn.quantization.golden import distance_from_trunk
from edgecnn.quantization.job import Job, require_finite_answers
from edgecnn.store.failures import told_by_system
from edgecnn.values.candidate import Precision

COMPARED_IMAGES = 16


def quantize(job: Job) -> dict[str, Any]:
    """Write ``model.tflite`` and ``model.json``.

    Raises:
        AlreadyQuantized: the trunk holds quantization nodes.
        CalibrationNotFinite: the network answers an image with NaN or infinity.
        ConverterFailed: the converter or the quantizer made nothing, or a network that answers otherwise than the trunk.
        LayerNotConverted: LiteRT has no operator for a layer.
    """
    require_unquantized(load_model(job.onnx), job.onnx)
    require_finite_answers(job, lambda feed: trunk_logits_of(job.onnx, feed))
    candidate, made = job.candidate, job.out / ENTRY
    with tempfile.TemporaryDirectory(prefix="edgecnn-litert-") as name:
        whole = convert_trunk(job.onnx, candidate, Path(name))
        away = _compared(job, whole)
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
    return {"format": "TensorFlow Lite FlatBuffer", "distance_from_trunk": away}


def _compared(job: Job, converted: Path) -> float:
    """The largest difference from the trunk's answers to real pictures, as a share of their spread."""
    feed = next(iter(job.feeds(COMPARED_IMAGES)))
    asked = trunk_logits_of(job.onnx, feed)
    found = logits_of(converted, _last_channels(feed), job.candidate.id)
    whole = job.candidate.model_copy(update={"precision": Precision.FP32})
    return distance_from_trunk(found, asked, whole, "onnx2tf")


def _last_channels(feed: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(N, 3, H, W) as (N, H, W, 3)."""
    return np.ascontiguousarray(feed.transpose(0, 2, 3, 1))
