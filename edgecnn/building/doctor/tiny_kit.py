"""The tiny network as a kit, made by the stage that makes every kit: trying a runtime is the kit's own self-test."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from edgecnn.backends.own_environment import own_environment
from edgecnn.backends.registry import backend_for
from edgecnn.building.doctor.tiny_network import CLASSES, FILE, SIDE_PX, answers
from edgecnn.data.golden import write_golden
from edgecnn.data.images import ImageSource
from edgecnn.runner import pixels as runner_pixels
from edgecnn.stages.package import PackageStage, runner_digest
from edgecnn.values.candidate import Candidate
from edgecnn.values.dataset import ImageEntry, SplitRole
from edgecnn.values.model_file import (
    LOGITS_TOLERANCE,
    MODEL_FILE_NAME,
    EngineSpec,
    ModelFile,
    ModelOutput,
    ModelRequirements,
    ModelSpec,
    SessionSpec,
)
from edgecnn.values.preprocessing import Normalization, PixelRecipe, Preprocessing
from edgecnn.values.stage import Progress, Role

PREPROCESSING = Preprocessing(
    pixels=PixelRecipe(resize_px=SIDE_PX, crop_px=SIDE_PX, interpolation="bilinear"),
    normalization=Normalization(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
)


class _NoPhotographs(ImageSource):
    """The drawn card alone is golden here."""

    def __init__(self) -> None:
        """There is no manifest."""

    def entries(self, role: SplitRole) -> tuple[ImageEntry, ...]:
        """None."""
        return ()

    def read(self, entry: ImageEntry) -> Image.Image:
        """Never asked for: there are no entries."""
        raise LookupError(entry.path)


def make_tiny_kit(
    candidate: Candidate, session: SessionSpec, out: Path, tell: Progress, engine: EngineSpec | None = None
) -> Path:
    """A kit in ``out / "kit"`` whose golden logits were worked out without any runtime.

    Args:
        candidate: what the kit says it is.
        session: the module of ``runner/sessions`` that is tried, and its options.
        out: an existing empty folder.
        tell: hears the packaging.
        engine: of a runtime that builds one first.
    """
    model, pixels, kit = (out / name for name in ("model", "pixels", "kit"))
    for folder in (model, pixels, kit):
        folder.mkdir()
    write_golden(_NoPhotographs(), runner_pixels.PixelRecipe(**PREPROCESSING.pixels.model_dump()), 0, pixels)
    (pixels / "labels.json").write_text(json.dumps([f"class {number}" for number in range(CLASSES)]), encoding="utf-8")
    _write_model(candidate, session, engine, model)
    normalization = PREPROCESSING.normalization
    golden = np.load(pixels / "golden" / "pixels.npy", allow_pickle=False)
    np.save(
        model / "golden_logits.npy",
        answers(runner_pixels.to_feed(golden, "float32", "NCHW", normalization.mean, normalization.std)),
    )
    stage = PackageStage(
        inputs={}, name=candidate.id, candidate=candidate, preprocessing=PREPROCESSING, runner_sha256=runner_digest()
    )
    stage.make({Role("model"): model, Role("pixels"): pixels}, kit, tell)
    return kit


def _write_model(candidate: Candidate, session: SessionSpec, engine: EngineSpec | None, model: Path) -> None:
    """ONNX as it is; what a runtime in an environment of its own reads is made there, which tries its converter too."""
    if own_environment(candidate.runtime) is None:
        shutil.copyfile(FILE, model / "model.onnx")
        (model / MODEL_FILE_NAME).write_text(_described(candidate, session, engine).to_json(), encoding="utf-8")
        return
    backend_for(candidate.runtime).convert(FILE, candidate.model_copy(update={"session_options": session.options}), model)


def _described(candidate: Candidate, session: SessionSpec, engine: EngineSpec | None) -> ModelFile:
    """No package is required by version: an old runtime that computes rightly works, and its range is said beside it."""
    return ModelFile(
        session=session,
        model=ModelSpec(entry="model.onnx", files=("model.onnx",), output=ModelOutput(classes=CLASSES)),
        requirements=ModelRequirements(packages={}),
        logits_tolerance=LOGITS_TOLERANCE[candidate.precision],
        engine=engine,
    )
