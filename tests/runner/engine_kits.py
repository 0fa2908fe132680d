"""Kits of real TensorRT candidates: quantized by the quantize stage's own code, with the runner inside."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.pixels import PixelRecipe
from edgecnn.runtimes.candidate import CandidateRequest, make_candidate
from edgecnn.runtimes.tensorrt import BACKEND
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime, Scheme
from tests.graph.trunks import CLASSES, NORMALIZATION, RESOLUTION_PX, prepared, trunk
from tests.made_once import made_once
from tests.runner.kits import copy_runner, seal, write_golden

RTX = "tensorrt_rtx_bindings"
FP16 = Candidate(id="tensorrt-fp16", runtime=Runtime.TENSORRT, precision=Precision.FP16, needs_engine=True)
INT8 = Candidate(
    id="tensorrt-int8",
    runtime=Runtime.TENSORRT,
    precision=Precision.INT8,
    method=Method.POST_TRAINING,
    scheme=Scheme(activation_dtype="int8", activation_symmetric=True, bias="float"),
    needs_engine=True,
)


class Silent:
    """A Progress that nobody hears."""

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None: ...

    def note(self, text: str) -> None: ...


def made(network: str, candidate: Candidate) -> Path:
    """What the quantize stage leaves for a small network, made once a test run."""
    return _made(network, candidate.id)


@cache
def _made(network: str, candidate_id: str) -> Path:
    candidate = {offer.id: offer for offer in (FP16, INT8)}[candidate_id]
    images = 0 if candidate.precision.is_float else 32
    request = CandidateRequest(
        onnx=trunk(network), pixels=prepared(), candidate=candidate, images=images, normalization=NORMALIZATION
    )
    return made_once(f"engine-{network}--{candidate_id}", lambda out: make_candidate(request, out, Silent()))


def engine_kit(folder: Path, network: str, candidate: Candidate, onnx: Path | None = None) -> Path:
    """A sealed kit in ``folder``; ``onnx`` replaces the model that the quantize stage made."""
    source = made(network, candidate)
    folder.mkdir(parents=True)
    shutil.copyfile(onnx or source / "model.onnx", folder / "model.onnx")
    copy_runner(folder)
    (folder / "golden").mkdir()
    golden = write_golden(folder, PixelRecipe(ImageSize.square(RESOLUTION_PX), ImageSize.square(RESOLUTION_PX), "bicubic"))
    shutil.copyfile(source / "golden_logits.npy", folder / "golden" / "logits.npy")
    described: dict[str, Any] = json.loads(BACKEND.model_file(candidate, CLASSES).to_json())
    manifest = {
        "schema": "edgecnn.kit/1",
        "name": f"{network}--{candidate.id}",
        "candidate": candidate.model_dump(mode="json"),
        "session": described["session"],
        "model": described["model"],
        "preprocessing": {
            "pixels": {"resize_px": RESOLUTION_PX, "crop_px": RESOLUTION_PX, "interpolation": "bicubic"},
            "normalization": NORMALIZATION.model_dump(mode="json"),
        },
        "labels": [f"class {index}" for index in range(CLASSES)],
        "golden": golden,
        "requirements": {"python": ">=3.8", **described["requirements"]},
        "stands_for": None,
        "engine": described["engine"],
    }
    seal(folder, manifest)
    return folder
