from __future__ import annotations

import json
from pathlib import Path

from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import load_shipping
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.history import EpochFacts
from edgecnn.training.material import ValidationPixels
from tests.training.made import SMALL, Heard, make_given, stage

SIZE = "64x96"


def test_a_network_learns_from_rectangles_which_are_halved_at_first(tmp_path: Path) -> None:
    given = make_given(tmp_path, train=64, validation=24, size_px=SIZE)
    out = tmp_path / "out"
    out.mkdir()
    stage(SMALL, size_px=SIZE).make(given.roles(), out, Heard())
    history = json.loads((out / "history.json").read_text())
    assert [epoch["resolution_px"] for epoch in history["phases"][-1]["epochs"]] == ["32x48", "32x48", SIZE]
    spec = arch_named(SMALL)
    network = load_shipping(spec, 10, out / "weights.safetensors", ImageSize.of(SIZE))
    shown = ValidationPixels(given.pixels, spec.normalization)
    assert shown.pixels.shape == (24, 64, 96, 3)
    assert shown.top1(network.eval()) == history["best"]["validation_top1"]


def test_a_curve_is_drawn_of_the_shorter_side() -> None:
    facts = EpochFacts(epoch=0, train_loss=1.0, validation_top1=0.5, learning_rate=0.1, resolution_px=ImageSize(48, 192))
    assert facts.figures == {"train_loss": 1.0, "validation_top1": 0.5, "learning_rate": 0.1, "resolution_px": 48.0}
