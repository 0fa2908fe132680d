"""Make a candidate of any runtime: select images, check fp16's range, write and check files, record golden logits and facts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.errors.graph import NOTHING_QUANTIZED
from edgecnn.errors.wording import counted
from edgecnn.graph.checks import CHECK_IMAGES
from edgecnn.graph.onnx_file import fixed_batch
from edgecnn.runtimes.checks import TWIN_FOLDER, check_files, golden_logits, tensors_beyond_half
from edgecnn.runtimes.job import Job, calibration_classes, calibration_count, calibration_pixels
from edgecnn.runtimes.registry import backend_for
from edgecnn.values.candidate import Candidate
from edgecnn.values.layers import RankedLayer
from edgecnn.values.model_file import MODEL_FILE_NAME, ModelFile
from edgecnn.values.preprocessing import Normalization
from edgecnn.values.stage import Progress


@dataclass(frozen=True)
class CandidateRequest:
    """A candidate to make. ``pixels``: the folder that ``prepare`` made. ``images``: the number of calibration images, or 0."""

    onnx: Path
    pixels: Path
    candidate: Candidate
    images: int
    normalization: Normalization
    kept: tuple[RankedLayer, ...] = ()
    """Layers that stay in float."""


def make_candidate(request: CandidateRequest, out: Path, tell: Progress) -> None:
    """Write model files, ``model.json``, ``golden_logits.npy`` and ``quantize.json`` into ``out``.

    Raises CALIBRATION_SET_TOO_SMALL, CALIBRATION_NOT_FINITE, CALIBRATION_RANGE_NOT_FINITE, ALREADY_QUANTIZED, HALF_OVERFLOW,
    OUTPUTS_DIFFER, OUTPUTS_SHAPED_OTHERWISE, GOLDEN_NOT_TELLING, CONVERTER_FAILED: see their modules. NOTHING_QUANTIZED: no layer
    became INT8.
    """
    candidate = request.candidate
    tell.step(f"make {candidate.id}", 0, 2)
    job = _prepare_job(request, out, tell)
    backend = backend_for(candidate.runtime)
    facts = {"candidate": candidate.model_dump(mode="json"), **_calibration_facts(request, tell), **backend.write(job)}
    if facts.get("quantized_layers") == 0:
        raise NOTHING_QUANTIZED(candidate=candidate.id)
    _limit_batch(request.onnx, out)
    tell.step(f"make {candidate.id}", 1, 2)
    if job.kept:
        facts["kept_float"] = [layer.name for layer in job.kept]
    if job.wide:
        facts["beyond_half"] = dict(job.wide)
    facts |= check_files(job)
    facts["golden"] = record_golden(out, request.pixels, request.normalization, candidate, tell)
    facts["left_out"] = backend.left_out(candidate).what
    (out / "quantize.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    tell.step(f"make {candidate.id}", 2, 2)


def _limit_batch(trunk: Path, out: Path) -> None:
    """Set the largest batch in ``model.json``, if the trunk accepts one image a call."""
    if (batch := fixed_batch(trunk)) is not None:
        _update_model_files(out, lambda model: {"model": model.model.model_copy(update={"batch_max": batch})})


def _update_model_files(out: Path, changes: Callable[[ModelFile], dict[str, Any]]) -> None:
    """Change ``model.json`` of a candidate and of its twin."""
    for path in (out / MODEL_FILE_NAME, out / TWIN_FOLDER / MODEL_FILE_NAME):
        if path.is_file():
            model = ModelFile.model_validate_json(path.read_text(encoding="utf-8"))
            path.write_text(model.model_copy(update=changes(model)).to_json(), encoding="utf-8")


def record_golden(out: Path, pixels: Path, normalization: Normalization, candidate: Candidate, tell: Progress) -> dict[str, Any]:
    """Write ``golden_logits.npy``, set the tolerance in ``model.json``, and return the facts for ``quantize.json``.

    Raises GOLDEN_NOT_TELLING: every golden image gets the same logits.
    """
    golden = golden_logits(out, pixels, normalization, candidate)
    np.save(out / "golden_logits.npy", golden.logits)
    _update_model_files(out, lambda _: {"logits_tolerance": golden.tolerance})
    if not golden.tells_channels:
        tell.note(f"{candidate.id}: this network hardly uses colour, so its golden logits do not reveal swapped channels")
    return {"swap": golden.swap, "tells_channels": golden.tells_channels, "tolerance": golden.tolerance}


def _prepare_job(request: CandidateRequest, out: Path, tell: Progress) -> Job:
    """Return the job with its images and the tensors that exceed fp16's range."""
    candidate, count = request.candidate, calibration_count(request.pixels)
    pixels = calibration_pixels(request.pixels, request.images or min(CHECK_IMAGES, count))
    job = Job(request.onnx, out, candidate, request.normalization, pixels, request.kept)
    wide = tensors_beyond_half(candidate, replace(job, pixels=calibration_pixels(request.pixels, count)))
    if wide:
        tensor = max(wide, key=lambda name: wide[name])
        why = f"the layer of tensor {tensor} reaches {wide[tensor]:,.6g}, above fp16's maximum of 65,504"
        tell.note(f"{candidate.id}: layers that write or read {counted(len(wide), 'tensor')} stay in fp32, because {why}")
    return replace(job, wide=wide)


def _calibration_facts(request: CandidateRequest, tell: Progress) -> dict[str, int]:
    """Return the numbers of calibration images and of their classes. A note warns of a single image and of a single class."""
    if not request.images:
        return {}
    classes = calibration_classes(request.pixels, request.images)
    if request.images == 1:
        tell.note(f"{request.candidate.id}: calibrated on a single image, so ranges fit that image")
    elif classes == 1:
        tell.note(f"{request.candidate.id}: all {request.images} calibration images are of one class, so ranges fit that class")
    return {"calibration_images": request.images, "calibration_classes": classes}
