"""fp32, fp16 and INT8 for LiteRT: our own writer makes the FlatBuffer from the trunk, LiteRT's quantizer the others from that.

The writer changes the layout of every layer, so its network is compared with the trunk before anything is made of it.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.backends.litert import ENTRY, WRITER, make_by_program, write_described
from edgecnn.graph.onnx_file import load_model, require_unquantized
from edgecnn.quantization.executors.litert_cpu import logits_of
from edgecnn.quantization.executors.onnxruntime_cpu import logits_of as trunk_logits_of
from edgecnn.quantization.job import Job, require_finite_answers
from edgecnn.quantization.litert_model import write_model
from edgecnn.quantization.trunk_checks import check_converted
from edgecnn.store.failures import told_by_system
from edgecnn.values.candidate import Precision


def quantize(job: Job) -> dict[str, Any]:
    """Write ``model.tflite`` and ``model.json``.

    Raises:
        AlreadyQuantized: the trunk holds quantization nodes.
        CalibrationNotFinite: the network answers an image with NaN or infinity.
        ConverterFailed: the quantizer made nothing, or the model is larger than a FlatBuffer.
        OutputsDiffer: the written network answers otherwise than the trunk.
        LayerNotConverted: LiteRT has no operator for a layer.
    """
    require_unquantized(load_model(job.onnx), job.onnx)
    require_finite_answers(job, lambda feed: trunk_logits_of(job.onnx, feed))
    candidate, made = job.candidate, job.out / ENTRY
    with tempfile.TemporaryDirectory(prefix="edgecnn-litert-") as name:
        whole = Path(name) / ENTRY
        write_model(job.onnx, candidate, whole)
        facts: dict[str, Any] = {"format": "TensorFlow Lite FlatBuffer"}
        if candidate.precision is not Precision.FP32:  # which is compared as it ships
            converted = partial(_logits, whole, candidate.id)
            facts["distance_of_float_from_trunk"] = check_converted(job, WRITER, converted)
        if candidate.precision is Precision.INT8:
            feed = Path(name) / "feed.npy"
            shown = np.concatenate([_last_channels(pixels) for pixels in job.feeds()])
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
