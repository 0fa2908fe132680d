"""Calibration images train too: they only set ranges of INT8."""

from __future__ import annotations

from pathlib import Path

from edgecnn.data.cutouts import training_images
from edgecnn.data.images import open_source
from edgecnn.data.manifest import summarize
from edgecnn.stages.images import PrepareStage
from edgecnn.training.beginning import TrainingInputs, material_for
from edgecnn.values.preprocessing import PixelRecipe
from edgecnn.values.recipe import DataChoice
from tests.data.cutouts import backgrounds, cutouts, roles, shapes, stage_of, synthesis_in
from tests.data.folders import Heard
from tests.training.made import stage

SIZE_PX = 64


def test_they_are_behind_those_of_the_role_train(tmp_path: Path) -> None:
    data = summarize(DataChoice(path=str(shapes(tmp_path / "photos", per_class=24))), tmp_path / "cache", Heard())
    manifest, pixels, resume = Path(data.manifest_path), tmp_path / "pixels", tmp_path / "resume"
    pixels.mkdir()
    resume.mkdir()
    recipe = PixelRecipe(resize_px=SIZE_PX, crop_px=SIZE_PX, interpolation="bicubic")
    PrepareStage(pixels=recipe).make({"images": manifest}, pixels, Heard())
    material = material_for(stage(size_px=SIZE_PX, classes=2), TrainingInputs(manifest, pixels, None), resume, Heard())
    assert data.counts["calibration"] > 0
    assert len(material.decoded) == data.training_photographs == data.counts["train"] + data.counts["calibration"]
    assert [entry.role for entry in material.decoded.entries] == [
        *["train"] * data.counts["train"],
        *["calibration"] * data.counts["calibration"],
    ]
    judged = {entry.sha256 for role in ("validation", "test") for entry in open_source(manifest).entries(role)}
    assert judged.isdisjoint(entry.sha256 for entry in material.decoded.entries)


def test_composed_images_alone_train_without_them(tmp_path: Path) -> None:
    cutouts(tmp_path / "cut")
    backgrounds(tmp_path / "under", 6)
    data = summarize(DataChoice(path=str(shapes(tmp_path / "photos", per_class=24))), tmp_path / "cache", Heard())
    synthesis, made = synthesis_in(tmp_path), tmp_path / "made"
    made.mkdir()
    stage_of(synthesis, images_per_class=8).make(roles(synthesis), made, Heard())
    alone = training_images(None, made).training_entries()
    together = training_images(Path(data.manifest_path), made).training_entries()
    assert (len(alone), len(together)) == (16, 16 + data.training_photographs)
