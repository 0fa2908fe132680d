"""Is a candidate still the trunk's network, and does the trunk fit into fp16? Asked of all candidates, on calibration images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.backends.protocol import Halves, OutputCheck
from edgecnn.backends.registry import backend_for
from edgecnn.errors.quantization import CalibrationRangeNotFinite, HalfOverflow, OutputsDiffer
from edgecnn.graph.checks import TOLERANCE, spread
from edgecnn.graph.passes.half import LARGEST_HALF
from edgecnn.graph.ranges import largest_magnitudes
from edgecnn.quantization.executors.onnxruntime_cpu import logits_of as trunk_logits_of
from edgecnn.quantization.golden import answering_folder, answers_of_files
from edgecnn.quantization.job import Job
from edgecnn.values.candidate import Candidate, Precision
from edgecnn.values.model_file import MODEL_FILE_NAME, ModelFile

CHECK_IMAGES = 32
FROM_TRUNK: Mapping[Precision, float] = {Precision.FP32: TOLERANCE, Precision.FP16: 0.05, Precision.BF16: 0.3}
"""Largest difference from the trunk's outputs, as a share of their spread. Between fp32 kernels it was at most 1e-5. Weights and
activations rounded to fp16 made 0.02 in networks with random weights, which is where rounding costs most; bf16 rounds 8 times as
coarsely."""

Logits = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


def check_files(job: Job) -> dict[str, float]:
    """Compare the files of a float candidate, or of its twin, with the trunk; return the distances for ``quantize.json``.

    Raises OutputsDiffer: see ``distance_from_trunk``.
    """
    backend, distances = backend_for(job.candidate.runtime), {}
    check = backend.output_check(job.candidate)
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
    trunk = trunk_logits_of(job.onnx, job.normalization.feed(pixels))
    away, allowed = float(np.abs(answers(pixels) - trunk).max()) / (float(np.ptp(trunk)) or 1.0), FROM_TRUNK[check.precision]
    # Written so that a NaN, which is neither above nor below, is refused too.
    if not away <= allowed:
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
    largest = largest_magnitudes(job.onnx, job.feeds())
    if (broken := next((name for name, value in largest.items() if not isfinite(value)), None)) is not None:
        raise CalibrationRangeNotFinite(tensor=broken)
    wide = {name: value for name, value in largest.items() if value > LARGEST_HALF}
    if wide and halves is Halves.ALL:
        tensor = max(wide, key=lambda name: wide[name])
        raise HalfOverflow(candidate=candidate.id, tensor=tensor, largest=wide[tensor], images=len(job.pixels))
    return wide
