"""A network on its way through the real stages: pixels as prepare leaves them, the export, and every kit of both CPU runtimes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from edgecnn.data.prepared import draw_card
from edgecnn.graph.checks import Logits
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.pixels import PixelRecipe, to_pixels
from edgecnn.stages.candidate import QuantizeStage
from edgecnn.stages.trunk import ExportStage
from edgecnn.values.arch import ArchSpec
from edgecnn.values.candidate import Candidate
from edgecnn.values.preprocessing import Normalization
from edgecnn.values.stage import Key
from tests.runtimes.made import CANDIDATES, SATURATES, Quiet
from tests.training.made import Given

CLASSES, IMAGES = 10, 16


def prepared(given: Given, size_px: int, *, drawn: bool = True) -> Path:
    """Its pixels, with those of ``validation`` to calibrate on, the golden images and the labels beside them.

    Golden are the drawn card and three photographs, as ``prepare`` takes them, or not ``drawn`` every validation photograph.
    """
    shown = np.load(given.pixels / "validation.pixels.npy")
    np.save(given.pixels / "calibration.pixels.npy", shown)
    np.save(given.pixels / "calibration.labels.npy", np.load(given.pixels / "validation.labels.npy"))
    recipe = PixelRecipe(ImageSize.square(size_px), ImageSize.square(size_px), "bicubic")
    golden = np.stack([to_pixels(draw_card(recipe), recipe), *shown[:3]]) if drawn else shown
    (given.pixels / "golden").mkdir()
    np.save(given.pixels / "golden" / "pixels.npy", golden)
    (given.pixels / "labels.json").write_text(json.dumps([f"class {index}" for index in range(CLASSES)]))
    return given.pixels


def exported(spec: ArchSpec, size_px: int, weights: Path, pixels: Path, folder: Path) -> Path:
    """Its trunk, in ``folder``."""
    trunk = folder / "trunk"
    trunk.mkdir()
    stage = ExportStage(
        inputs={"weights": Key("a"), "pixels": Key("b")},
        arch=spec.name,
        classes=CLASSES,
        resolution_px=size_px,
        normalization=spec.normalization,
    )
    stage.make({"weights": weights, "pixels": pixels}, trunk, Quiet())
    return trunk


def answers(normalization: Normalization, trunk: Path, pixels: Path, folder: Path) -> dict[str, Logits]:
    """Logits (golden images, classes) of every candidate as a build for this machine makes it, each run by its own runtime."""
    found = {}
    for candidate in map(_for_this_machine, CANDIDATES.values()):
        out = folder / candidate.id
        out.mkdir()
        stage = QuantizeStage(
            inputs={"model": Key("a"), "pixels": Key("b")}, candidate=candidate, images=IMAGES, normalization=normalization
        )
        stage.make({"model": trunk, "pixels": pixels}, out, Quiet())
        found[candidate.id] = np.load(out / "golden_logits.npy")
    return found


def _for_this_machine(candidate: Candidate) -> Candidate:
    if candidate.scheme is None:
        return candidate
    return candidate.model_copy(update={"scheme": candidate.scheme.model_copy(update={"reduced_range": SATURATES})})


def hold_against(expected: Logits, found: dict[str, Logits]) -> None:
    """Refuse kits that answer otherwise than the trunk did.

    Answers of random weights, and of few images, hardly differ, so that roundings are large beside them: 0.5 of the spread was
    seen of INT8, and 0.78 was the least correlation of the ordinary ones.
    """
    for name, logits in found.items():
        apart = np.abs(logits - expected).max() / np.ptp(expected)
        assert apart < (1e-3 if CANDIDATES[name].precision.is_float else 1.0), f"{name}: {apart:.3f} of the spread"
        assert np.corrcoef(logits.ravel(), expected.ravel())[0, 1] > 0.5, name
