"""Check a candidate's files on this machine: against the trunk, on the golden images, and against fp16's range.

The tolerance of the golden logits leaves room for the kernels of other machines. It stays below the difference that swapped
colour channels make, so that a kit that swaps red and blue fails its self-test. That test is not possible for a network that
hardly looks at colour; a note says so.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import inf, isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgecnn.errors.graph import (
    CALIBRATION_RANGE_NOT_FINITE,
    GOLDEN_NOT_TELLING,
    OUTPUTS_DIFFER,
    OUTPUTS_SHAPED_OTHERWISE,
    half_overflow,
)
from edgecnn.graph.checks import CHECK_IMAGES, INTEGER_TOLERANCE, TOLERANCE, distance, spread_images
from edgecnn.graph.half_precision import LARGEST_HALF
from edgecnn.graph.ranges import NORMS, POOLS, PRODUCTS, SQUARES, Magnitudes, largest_magnitudes
from edgecnn.runner.machine.environment import read_conditions
from edgecnn.runtimes.job import Job
from edgecnn.runtimes.onnxruntime_files import logits_of as trunk_logits_of
from edgecnn.runtimes.protocol import Halves, Logits, OutputCheck
from edgecnn.runtimes.registry import backend_for, backend_of_session, saturates_on
from edgecnn.runtimes.tensorrt import UNFUSED
from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.model_file import LOGITS_TOLERANCE, MODEL_FILE_NAME, ModelFile
from edgecnn.values.preprocessing import Normalization
from edgecnn.values.profile import Environment

TWIN_FOLDER = "twin"
"""Folder of the model that gives the logits of a candidate that this machine cannot run."""
LEAST_TOLERANCE = {Precision.FP32: 0.0005, Precision.TF32: 0.01, Precision.BF16: 0.02, Precision.FP16: 0.02, Precision.INT8: 0.02}
"""Smallest tolerance for other machines, as a share of the logits' spread. In ONNX Runtime, fp32 differed by 1e-6 between x86 and
aarch64, and INT8 not at all. TensorRT rounds activations where its twin does not. TF32 has fp16's mantissa."""

SATURATED = 1.5
"""If sums saturate on this machine, the tolerance is at least this multiple of the largest error on the golden images. On a
processor with AVX2, this error was 0.05, 0.01 and 0.06 of the spread for full-range INT8 of a ResNet-18, a MobileNetV2 and a
MobileNetV3-Small with random weights."""


@dataclass(frozen=True)
class Golden:
    """Golden logits, float32 (G, classes). ``tolerance`` and ``swap`` are shares of their spread."""

    logits: npt.NDArray[np.float32]
    tolerance: float
    swap: float
    """Largest change when red and blue are swapped."""

    @property
    def tells_channels(self) -> bool:
        """Whether the logits make the self-test of a kit with swapped channels fail."""
        return self.swap > self.tolerance


def golden_logits(made: Path, prepared: Path, normalization: Normalization, candidate: Candidate) -> Golden:
    """Return the golden logits of the model in ``made``, or of its twin if it has one. ``prepared``: the output of ``prepare``.

    If sums of 8-bit products saturate on this machine but not on the device, the golden logits are computed with exact sums. The
    kit must also pass its self-test on this machine, so the tolerance allows for the saturated sums (``SATURATED``).

    Raises GOLDEN_NOT_TELLING: all images get the same logits, or NaN.
    """
    folder = folder_to_run(made)
    model = ModelFile.model_validate_json((folder / MODEL_FILE_NAME).read_text(encoding="utf-8"))
    pixels, saturated = np.load(prepared / "golden" / "pixels.npy"), None
    exact = backend_of_session(model.session.module).exact_options
    if exact and saturates_on(candidate, _this_processor()) == "answering machine":
        saturated = logits_of_files(folder, model, pixels, normalization)
        options = {**model.session.options, **exact}
        model = model.model_copy(update={"session": model.session.model_copy(update={"options": options})})
    logits = logits_of_files(folder, model, pixels, normalization)
    span = float(logits.max() - logits.min())
    if not np.ptp(logits, axis=0).max() > 0:
        raise GOLDEN_NOT_TELLING(candidate=candidate.id, images=len(pixels))
    swap = float(np.max(np.abs(logits_of_files(folder, model, pixels[..., ::-1], normalization) - logits))) / span
    least, most = least_tolerance(candidate), LOGITS_TOLERANCE[candidate.precision]
    if saturated is not None:
        least = max(least, SATURATED * float(np.max(np.abs(saturated - logits))) / span)
    return Golden(logits=logits, tolerance=max(least, min(most, swap / 2)), swap=swap)


def _this_processor() -> Environment:
    return Environment(conditions={"isa": read_conditions().get("isa", "")}, observed={"architecture": platform.machine()})


def least_tolerance(candidate: Candidate) -> float:
    """Return the smallest tolerance for other machines, as a share of the logits' spread."""
    return max(LEAST_TOLERANCE[candidate.precision], backend_for(candidate.runtime).left_out(candidate).least_tolerance)


def folder_to_run(made: Path) -> Path:
    """Return the twin's folder if there is one, else the candidate's own."""
    return made / TWIN_FOLDER if (made / TWIN_FOLDER).is_dir() else made


def logits_of_files(
    folder: Path, model: ModelFile, pixels: npt.NDArray[np.uint8], normalization: Normalization
) -> npt.NDArray[np.float32]:
    """Return the logits, float32 (N, classes), of model files in their runtime. ``pixels``: uint8 (N, H, W, 3)."""
    feed = normalization.feed(pixels, model.model.input.dtype, model.model.input.layout)
    return backend_of_session(model.session.module).logits(folder, model, feed)


FROM_TRUNK: Mapping[Precision, float] = {
    Precision.FP32: TOLERANCE,
    Precision.FP16: 0.05,
    Precision.BF16: 0.3,
    Precision.INT8: INTEGER_TOLERANCE,
}
"""Largest difference from the trunk's outputs, as a share of their spread. Between fp32 kernels it was at most 1e-5. Weights and
activations rounded to fp16 caused 0.02 in networks with random weights, in which rounding costs most. bf16 rounds 8 times as
coarsely. INT8 has the tolerance of every comparison between integer kernels."""
ROUNDED = 1.2
"""Largest RMS distance of files that round, in standard deviations of the trunk's logits. A constant output has distance 1,
unrelated outputs have 1.4. A trained LeNet-5 had 0.01. Rounding costs most with random weights: MobileNetV3-Small and
EfficientNet-B0 then had 0.3 to 0.81."""

Pixels = npt.NDArray[np.uint8]


def check_files(job: Job) -> dict[str, Any]:
    """Compare the files of a candidate, or of its twin, with the job's ONNX file; return the distances for ``quantize.json``.

    Raises OUTPUTS_DIFFER: see ``distance_from_trunk``.
    """
    backend, facts = backend_for(job.candidate.runtime), {}
    check = backend.output_check(job.candidate)
    if check.unhalved is not None:
        with TemporaryDirectory(prefix="edgecnn-unhalved-") as name:
            backend.convert(job.onnx, check.unhalved, Path(name))
            facts["distance_of_float_from_trunk"] = _distance_of_files(job, Path(name), OutputCheck(check.converter))
    return {**facts, "distance_from_trunk": _distance_of_files(job, folder_to_run(job.out), check)}


def _distance_of_files(job: Job, folder: Path, check: OutputCheck) -> float:
    model = ModelFile.model_validate_json((folder / MODEL_FILE_NAME).read_text(encoding="utf-8"))
    if (folder / model.model.entry).read_bytes() == job.onnx.read_bytes():
        return 0.0
    if check.options is not None:
        model = model.model_copy(update={"session": model.session.model_copy(update={"options": check.options})})
    return distance_from_trunk(job, check, lambda pixels: logits_of_files(folder, model, pixels, job.normalization))


def check_converted(job: Job, converter: str, logits: Callable[[npt.NDArray[Any]], Logits]) -> float:
    """Compare a converted fp32 network with the trunk before INT8 or fp16 is made from it; return the distance.

    ``logits``: a function of a feed, float32 (N, 3, H, W). Raises OUTPUTS_DIFFER: see ``distance_from_trunk``.
    """
    return distance_from_trunk(job, OutputCheck(converter), lambda pixels: logits(job.normalization.feed(pixels)))


def distance_from_trunk(job: Job, check: OutputCheck, logits_of: Callable[[Pixels], Logits]) -> float:
    """Return the distance of outputs from the trunk's, as a share of their spread: the largest, or the RMS of files that round.

    ``logits_of``: a function from pixels, uint8 (N, H, W, 3), to logits (N, classes). Raises OUTPUTS_SHAPED_OTHERWISE: the shapes
    differ. OUTPUTS_DIFFER: the distance exceeds
    ``FROM_TRUNK``, or ``ROUNDED`` for files that round.
    """
    pixels = spread_images(job.pixels, CHECK_IMAGES)
    trunk = trunk_logits_of(job.onnx, job.normalization.feed(pixels), UNFUSED)
    logits, allowed = logits_of(pixels), FROM_TRUNK[check.precision]
    if logits.shape != trunk.shape:
        raise OUTPUTS_SHAPED_OTHERWISE(
            candidate=job.candidate.id, converter=check.converter, found=list(logits.shape), wanted=list(trunk.shape)
        )
    if check.rounds:
        span = float(np.ptp(trunk)) or 1.0
        away = float(np.sqrt(np.mean((logits - trunk) ** 2))) / span
        allowed = max(allowed, ROUNDED * float(np.std(trunk)) / span)
    else:
        away = distance(trunk, logits)
    if not away <= allowed:  # written so that a NaN is refused too
        raise OUTPUTS_DIFFER(
            candidate=job.candidate.id, converter=check.converter, away=away, allowed=allowed, images=len(pixels)
        )
    return round(away, 9)


def tensors_beyond_half(candidate: Candidate, job: Job) -> Mapping[str, float]:
    """Return the tensors that exceed fp16's range, with their largest magnitudes. The candidate keeps their layers in fp32.

    A tensor also counts if a sum inside the layer that makes it exceeds the range.

    Empty if the candidate computes nothing in fp16, or if every tensor fits.

    Raises HALF_OVERFLOW: the candidate computes every layer in fp16. CALIBRATION_RANGE_NOT_FINITE: a tensor is infinite or NaN.
    """
    halves = backend_for(candidate.runtime).halves(candidate)
    if halves is Halves.NONE:
        return {}
    weights, activations, sums_by_operator = _measured_magnitudes(job)
    sums = {name: total for op in _summing(candidate, halves) for name, total in sums_by_operator[op].items()}
    largest = {**weights, **activations}
    if (broken := next((name for name, value in largest.items() if not isfinite(value)), None)) is not None:
        raise CALIBRATION_RANGE_NOT_FINITE(tensor=broken)
    largest |= {name: value for name, value in sums.items() if LARGEST_HALF < value < inf}
    wide = {name: value for name, value in largest.items() if value > LARGEST_HALF}
    if wide and halves is Halves.ALL:
        tensor = max(wide, key=lambda name: wide[name])
        is_sum = tensor in sums and sums[tensor] == wide[tensor]
        kind: Literal["weight", "sum", "tensor"] = "weight" if tensor in weights else "sum" if is_sum else "tensor"
        images = 0 if kind == "weight" else len(job.pixels)
        raise half_overflow(candidate=candidate.id, tensor=tensor, largest=wide[tensor], images=images, kind=kind)
    return wide


_ADDS_IN_HALF: Mapping[Runtime, frozenset[str]] = {
    Runtime.TENSORRT: SQUARES | NORMS,
    Runtime.ONNXRUNTIME: SQUARES | POOLS | PRODUCTS,
}
"""Operators that may add in fp16 in a file that can keep them in fp32. TensorRT's parser writes roots of sums of squares as
products and reductions of fp16 tensors, and its builder warns of normalizations that overflow. ONNX Runtime's kernels for 64-bit
Arm add products and pools in fp16. A wrong entry costs speed only."""


def _summing(candidate: Candidate, halves: Halves) -> frozenset[str]:
    """Return the operators whose inner sums must fit into fp16.

    A candidate that computes every layer in fp16 is refused for squares only, which overflow in any implementation that squares
    fp16 numbers.
    """
    return _ADDS_IN_HALF.get(candidate.runtime, SQUARES) if halves is Halves.MIXED else SQUARES


def _measured_magnitudes(job: Job) -> Magnitudes:
    """Return the largest magnitudes in the job's ONNX file. They are measured once a process for the same file and feed."""
    content = sha256(job.onnx.read_bytes())
    content.update(np.ascontiguousarray(job.pixels).data)
    key = content.hexdigest(), job.pixels.shape, job.normalization.model_dump_json()
    magnitudes = _MEASURED.get(key) or largest_magnitudes(job.onnx, job.feeds())
    _MEASURED[key] = magnitudes
    return magnitudes


_MEASURED: dict[tuple[str, tuple[int, ...], str], Magnitudes] = {}
"""Keyed by the digest of file and pixels, the shape of the pixels, and the normalization. A few kilobytes a file."""
