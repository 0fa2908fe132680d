"""Training on composed images: beside photographs or alone, judged on photographs, the same to the bit when it is repeated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from edgecnn.data.cutouts import training_images
from edgecnn.data.manifest import summarize
from edgecnn.stages.images import PrepareStage
from edgecnn.stages.learning import TransferStage
from edgecnn.training.material import DecodedImages
from edgecnn.values.preprocessing import PixelRecipe
from edgecnn.values.recipe import DataChoice
from tests.data.cutouts import backgrounds, cutouts, roles, shapes, stage_of, synthesis_in
from tests.data.folders import Heard
from tests.training.made import LITE, SMALL, fetched, files_of, stage

SIZE_PX = 64


class Scene(NamedTuple):
    """What a training is given."""

    images: Path
    pixels: Path
    made: Path


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("scene")
    cutouts(folder / "cut")
    backgrounds(folder / "under", 6)
    photos = shapes(folder / "photos", per_class=24)
    data = summarize(DataChoice(path=str(photos)), folder / "cache", Heard())
    synthesis = synthesis_in(folder)
    (folder / "pixels").mkdir()
    (folder / "made").mkdir()
    pixels = PixelRecipe(resize_px=SIZE_PX, crop_px=SIZE_PX, interpolation="bicubic")
    PrepareStage(pixels=pixels).make({"images": Path(data.manifest_path)}, folder / "pixels", Heard())
    stage_of(synthesis, images_per_class=40).make(roles(synthesis), folder / "made", Heard())
    return Scene(Path(data.manifest_path), folder / "pixels", folder / "made")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetched(tmp_path_factory.mktemp("fetched") / "weights")


def trained(given: dict[str, Path], out: Path, **changes: object) -> dict[str, Any]:
    """A head on frozen features, in seconds, unless told otherwise."""
    out.mkdir()
    plain = {"arch": LITE, "mode": "finetune", "transfer": "head", "epochs": 0, "head_epochs": 20}
    stage(**{**plain, "size_px": SIZE_PX, "classes": 2, "batch_size": 16, **changes}).make(given, out, Heard())  # type: ignore[arg-type]
    return dict(json.loads((out / "history.json").read_text()))


def test_a_network_that_saw_composed_images_alone_knows_photographs(scene: Scene, weights: Path, tmp_path: Path) -> None:
    history = trained({"made": scene.made, "pixels": scene.pixels, "weights": weights}, tmp_path / "alone")
    assert history["made"] == {"made": 80, "photographs": 0}
    assert history["best"]["validation_top1"] >= 0.8, "what it never saw a photograph of"


def test_beside_photographs_both_are_learned_from_and_repeated_to_the_bit(scene: Scene, weights: Path, tmp_path: Path) -> None:
    given = {**scene._asdict(), "weights": weights}
    history = trained(given, tmp_path / "beside", balance="sampling")
    photographs = len(training_images(scene.images, None).training_entries())
    assert history["made"] == {"made": 80, "photographs": photographs}
    assert sum(history["balance"]["images"]) == 80 + photographs, "both count where classes are balanced"
    trained(given, tmp_path / "again", balance="sampling")
    assert files_of(tmp_path / "beside") == files_of(tmp_path / "again")


def test_photographs_of_sixteen_bits_keep_their_window_beside_composed_images(scene: Scene, tmp_path: Path) -> None:
    for first, label in ((2048, "square"), (2056, "disc")):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(8):
            grey = Image.fromarray(np.full((16, 16), first + number, np.uint16))
            grey.save(tmp_path / "photos" / label / f"{number}.png")
    data = summarize(DataChoice(path=str(tmp_path / "photos")), tmp_path / "cache", Heard())
    joined = training_images(Path(data.manifest_path), scene.made)
    photograph = next(each for each in joined.entries("train") if each.path.startswith(("square/", "disc/")))
    assert np.asarray(joined.read(photograph, (0, 4095))).min() == 128


def test_without_composed_images_nothing_is_said_of_them(scene: Scene, weights: Path, tmp_path: Path) -> None:
    given = {"images": scene.images, "pixels": scene.pixels, "weights": weights}
    assert "made" not in trained(given, tmp_path / "plain")


def test_random_weights_learn_of_them_too(scene: Scene, tmp_path: Path) -> None:
    asked = {"arch": SMALL, "mode": "scratch", "transfer": "scratch", "epochs": 1, "batch_size": 32}
    history = trained(scene._asdict(), tmp_path / "scratch", **asked)
    assert history["made"]["made"] == 80 and len(history["phases"][0]["epochs"]) == 1


def test_each_image_is_read_from_where_it_lies(scene: Scene) -> None:
    source, photographs = training_images(scene.images, scene.made), training_images(scene.images, None)
    entries = source.entries("train")
    own = photographs.entries("train")
    assert entries[: len(own)] == own and len(entries) == len(own) + 80
    assert [source.entries(role) for role in ("validation", "test")] == [photographs.entries(r) for r in ("validation", "test")]
    pixels = PixelRecipe(resize_px=SIZE_PX, crop_px=SIZE_PX, interpolation="bicubic")
    decoded = DecodedImages(source, entries, pixels)
    alone = DecodedImages(training_images(None, scene.made), entries[len(own) :], pixels)
    assert np.array_equal(decoded.read(range(len(own), len(entries))), alone.read(range(80)))


def test_the_transfer_is_measured_on_photographs_and_its_features_are_not_taken_for_composed_ones(
    scene: Scene, weights: Path, tmp_path: Path
) -> None:
    like = stage(LITE, size_px=SIZE_PX, classes=2)
    decides = TransferStage(arch=LITE, classes=2, threads=2, preprocessing=like.preprocessing)
    (tmp_path / "transfer").mkdir()
    decides.make({"images": scene.images, "pixels": scene.pixels, "weights": weights}, tmp_path / "transfer", Heard())
    photographs = len(training_images(scene.images, None).training_entries())
    assert json.loads((tmp_path / "transfer" / "transfer.json").read_text())["images"] == photographs
    given = {**scene._asdict(), "weights": weights, "transfer": tmp_path / "transfer"}
    terms = {"epochs": 1, "learning_rate": 1e-3, "augment": (), "batch_size": 16, "label_smoothing": 0.1}
    history = trained(given, tmp_path / "out", transfer="auto", otherwise=terms)
    assert history["made"]["made"] == 80 and history["best"]["validation_top1"] > 0.6
