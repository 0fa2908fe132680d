"""Every architecture goes through the real stages: trained for some steps, exported, quantized, run by both CPU runtimes.

The weights start at random and learn next to nothing in so few: what is shown is that each network passes, not what it knows.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgecnn.data.golden import card
from edgecnn.models.catalogue import arch_named
from edgecnn.runner.pixels import PixelRecipe, to_pixels
from edgecnn.stages.export import ExportStage
from edgecnn.stages.quantize import QuantizeStage
from edgecnn.values.arch import ArchSpec
from edgecnn.values.key import Key
from tests.models.smallest import each_with_the_others_slow
from tests.quantization.made import CANDIDATES, Quiet
from tests.training.made import make_given, stage

CLASSES, IMAGES = 10, 16
BATCH = 8
SHORTLY = 2, 1e-4
LONGER = {"efficientnet-v2-s": (24, 1e-3)}
"""Steps and rate, where rounding decides what a network of so many layers answers after two small steps."""


def size_of(spec: ArchSpec) -> int:
    """64 pixels, or the least or the most that the network is made for."""
    return max(spec.least_px, min(64, spec.resolution_px))


def learned(name: str, size_px: int, folder: Path) -> tuple[Path, Path]:
    """A train artifact of two steps or some more, and pixels as prepare leaves them."""
    steps, rate = LONGER.get(name, SHORTLY)
    given = make_given(folder, train=BATCH * steps, choose=IMAGES, size_px=size_px)
    weights = folder / "weights"
    weights.mkdir()
    stage(name, size_px=size_px, epochs=1, batch_size=BATCH, learning_rate=rate).make(given.roles(), weights, Quiet())
    shown = np.load(given.pixels / "choose.pixels.npy")
    np.save(given.pixels / "calibrate.pixels.npy", shown)
    np.save(given.pixels / "calibrate.labels.npy", np.load(given.pixels / "choose.labels.npy"))
    recipe = PixelRecipe(size_px, size_px, "bicubic")
    (given.pixels / "golden").mkdir()
    np.save(given.pixels / "golden" / "pixels.npy", np.stack([to_pixels(card(recipe), recipe), *shown[:3]]))
    (given.pixels / "labels.json").write_text(json.dumps([f"class {index}" for index in range(CLASSES)]))
    return weights, given.pixels


@pytest.mark.parametrize("name", each_with_the_others_slow())
def test_it_is_trained_exported_quantized_and_run_by_both_runtimes(name: str, tmp_path: Path) -> None:
    spec = arch_named(name)
    size_px = size_of(spec)
    weights, pixels = learned(name, size_px, tmp_path)
    history = json.loads((weights / "history.json").read_text())
    assert history["initial"]["kind"] == "random"
    trunk = tmp_path / "trunk"
    trunk.mkdir()
    ExportStage(
        inputs={"weights": Key("a"), "pixels": Key("b")}, arch=name, classes=CLASSES, resolution_px=size_px,
        normalization=spec.normalization,
    ).make({"weights": weights, "pixels": pixels}, trunk, Quiet())  # fmt: skip
    expected = np.load(trunk / "golden_logits.npy")
    for candidate in CANDIDATES.values():
        out = tmp_path / candidate.id
        out.mkdir()
        QuantizeStage(
            inputs={"model": Key("a"), "pixels": Key("b")}, candidate=candidate, images=IMAGES, normalization=spec.normalization
        ).make({"model": trunk, "pixels": pixels}, out, Quiet())
        found = np.load(out / "golden_logits.npy")
        apart = np.abs(found - expected).max() / np.ptp(expected)
        # answers of random weights hardly differ, so that roundings are large beside them: 0.5 was seen
        assert apart < (1e-3 if candidate.precision.is_float else 1.0), f"{candidate.id}: {apart:.3f} of the spread"
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.5, candidate.id  # 0.78 was the least of the ordinary ones
