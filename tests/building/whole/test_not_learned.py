"""A build of noise: nothing can be learned, and no verb that judges it passes."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from tests.building.builds import Place

WORDS = (
    "--arch", "lenet-5", "--weights", "none", "--target", "raspberry-pi-5:onnxruntime", "--data", "photos",
    "--set", "train.epochs=1", "--set", "model.resolution_px=32", "--max", "drop_pp=100",
)  # fmt: skip
"""For a device that is not here, so that nothing is raced; by such a bound no rung with layers in float is climbed."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    noise = np.random.default_rng(0)
    for name in ("bag", "boot", "shirt"):
        (place.photos / name).mkdir(parents=True)
        for number in range(40):
            Image.fromarray(noise.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(place.photos / name / f"{number}.png")
    return place


def test_no_verb_passes_what_learned_nothing(place: Place) -> None:
    built = place.plain("build", *WORDS, "--out", "out", "--junit", "gates.xml", "--quiet")
    assert built.returncode == 4, built.stderr
    begins = "UNSURE: onnxruntime-"
    assert built.stdout.startswith(begins)
    assert "is not shown to have learned" in built.stdout.splitlines()[0]
    report = place.report()
    first, *_ = report["gates"]
    assert (report["verdict"], first["verdict"], first["gate"]["stated_by"]) == ("UNSURE", "UNSURE", "chance")
    errors = [error.get("message", "") for error in ElementTree.parse(place.folder / "gates.xml").iter("error")]
    assert "not shown to have learned" in errors[0]
    judged = place.plain("judge", "out", "--min", "top1=0.01", "--quiet")
    assert (judged.returncode, judged.stdout.startswith(begins)) == (4, True), judged.stdout
