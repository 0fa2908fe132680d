"""Compare candidates with the trunk, and check that its tensors fit into fp16."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.backends.protocol import Halves, OutputCheck
from edgecnn.backends.registry import backend_for
from edgecnn.backends.tensorrt import UNFUSED
from edgecnn.errors.graph import CalibrationRangeNotFinite, HalfOverflow, OutputsDiffer
from edgecnn.graph.checks import CHECK_IMAGES, INTEGER_TOLERANCE, TOLERANCE, distance, spread
from edgecnn.graph.passes.half import LARGEST_HALF
from edgecnn.graph.ranges import Magnitudes, largest_magnitudes
from edgecnn.quantization.executors.onnxruntime_cpu import logits_of as trunk_logits_of
from edgecnn.quantization.golden import answering_folder, answers_of_files
from edgecnn.quantization.job import Job
from edgecnn.values.candidate import Candidate, Precision
from edgecnn.values.model_file import MODEL_FILE_NAME, ModelFile

FROM_TRUNK: Mapping[Precision, float] = {
    Precision.FP32: TOLERANCE,
    Precision.FP16: 0.05,
    Precision.BF16: 0.3,
    Precision.INT8: INTEGER_TOLERANCE,
}
"""Largest difference from the trunk's outputs, as a share of their spread. Between fp32 kernels it was at most 1e-5. Weights and
activations rounded to fp16 made 0.02 in networks with random weights, which is where rounding costs most; bf16 rounds 8 times as
coarsely. INT8 has the tolerance of every comparison between integer kernels."""

Logits = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


def check_files(job: Job) -> dict[str, Any]:
    """Compare the files of a candidate, or of its twin, with the job's ONNX file; return the distances for ``quantize.json``.

    Where nothing is compared, the distance is None and ``not_compared`` says why.

    Raises OutputsDiffer: see ``distance_from_trunk``.
    """
    backend, distances = backend_for(job.candidate.runtime), {}
    check = backend.output_check(job.candidate)
    if check.not_compared is not None:
        return {"distance_from_trunk": None, "not_compared": check.not_compared}
    if check.unhalved is not None:
        with TemporaryDirectory(prefix="edgecnn-unhalved-") as name:
            backend.convert(job.onnx, check.unhalved, Path(name))
            distances["distance_of_float_from_trunk"] = _files_apart(job, Path(name), OutputCheck(check.converter))
    return {**distances, "distance_from_trunk": _files_apart(job, answering_folder(job.out), check)}


def _files_apart(job: Job, folder: Path, check: OutputCheck) -> float:
    model = ModelFile.model_validate_json((folder / MODEL_FILE_NAME).read_text(encoding="utf-8"))
    if (folder / model.model.entry).read_bytes() == job.onnx.read_bytes():
        return 0.0
    if check.options is not None:
        model = model.model_copy(update={"session": model.session.model_copy(update={"options": check.options})})
    return distance_from_trunk(job, check, lambda pixels: answers_of_files(folder, model, pixels, job.normalization))


def check_converted(job: Job, converter: str, logits: Callable[[npt.NDArray[Any]], Logits]) -> float:
    """Compare a converted fp32 network, of which INT8 or fp16 is made next, with the trunk; return the distance.

    ``logits``: of a feed, float32 (N, 3, H, W). Raises OutputsDiffer: see ``distance_from_trunk``.
    """
    return distance_from_trunk(job, OutputCheck(converter), lambda pixels: logits(job.normalization.feed(pixels)))


def distance_from_trunk(job: Job, check: OutputCheck, answers: Callable[[Pixels], Logits]) -> float:
    """Return the largest difference from the trunk's outputs, as a share of their spread.

    ``answers``: logits (N, classes) of pixels, uint8 (N, H, W, 3). Raises OutputsDiffer: it is beyond ``FROM_TRUNK``.
    """
    pixels = spread(job.pixels, CHECK_IMAGES)
    trunk = trunk_logits_of(job.onnx, job.normalization.feed(pixels), UNFUSED)
    away, allowed = distance(trunk, answers(pixels)), FROM_TRUNK[check.precision]
    if away > allowed:
        raise OutputsDiffer(candidate=job.candidate.id, converter=check.converter, away=away, allowed=allowed, images=len(pixels))
    return round(away, 9)


def beyond_half(candidate: Candidate, job: Job) -> Mapping[str, float]:
    """Return the tensors that fp16 cannot hold, with their largest magnitudes, where the candidate keeps their layers in fp32.

    Empty for a candidate that computes nothing in fp16, and for a network whose every tensor fits.

    Raises HalfOverflow: the candidate computes every layer in fp16. CalibrationRangeNotFinite: a tensor is infinite or NaN.
    """
    halves = backend_for(candidate.runtime).halves(candidate)
    if halves is Halves.NONE:
        return {}
    weights, activations = _magnitudes(job)
    largest = {**weights, **activations}
    if (broken := next((name for name, value in largest.items() if not isfinite(value)), None)) is not None:
        raise CalibrationRangeNotFinite(tensor=broken)
    wide = {name: value for name, value in largest.items() if value > LARGEST_HALF}
    if wide and halves is Halves.ALL:
        tensor = max(wide, key=lambda name: wide[name])
        weight = tensor in weights
        images = 0 if weight else len(job.pixels)
        raise HalfOverflow(candidate=candidate.id, tensor=tensor, largest=wide[tensor], images=images, weight=weight)
    return wide


def _magnitudes(job: Job) -> Magnitudes:
    """Return the magnitudes of the job's ONNX file, measured once in this process for the same file and feed."""
    content = sha256(job.onnx.read_bytes())
    content.update(np.ascontiguousarray(job.pixels).data)
    key = content.hexdigest(), job.pixels.shape, job.normalization.model_dump_json()
    magnitudes = _MEASURED.get(key) or largest_magnitudes(job.onnx, job.feeds())
    _MEASURED[key] = magnitudes
    return magnitudes


_MEASURED: dict[tuple[str, tuple[int, ...], str], Magnitudes] = {}
"""By the digest of file and pixels, the shape of the pixels, and the normalization. A few kilobytes for each file."""
