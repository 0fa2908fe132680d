from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.data.images import ImageSource, open_source
from edgecnn.data.manifest import summarize
from edgecnn.data.prepared import LONG_SIDE_PX, draw_card
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import (
    IMAGE_GONE,
    CorruptImages,
    corrupt_images,
)
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.pixels import PixelRecipe as Pixels
from edgecnn.runner.pixels import decode, pixels_sha256, to_pixels
from edgecnn.stages.images import PrepareStage
from edgecnn.values.dataset import DataSummary
from edgecnn.values.preprocessing import PixelRecipe
from edgecnn.values.recipe import DataChoice
from edgecnn.values.stage import Key
from tests.data.folders import Heard, draw, fill, write

RECIPE = Pixels(ImageSize.square(40), ImageSize.square(32), "bicubic")
ROLES = ("validation", "test", "calibration")


def stage(images: str = "a", golden_images: int = 3, **changed: object) -> PrepareStage:
    pixels = PixelRecipe.model_validate({**RECIPE._asdict(), **changed})
    return PrepareStage(pixels=pixels, golden_images=golden_images, inputs={"images": Key(images)})


def summary_of(photos: Path) -> DataSummary:
    return summarize(DataChoice(path=str(photos)), photos.parent / "store", Heard())


def make(summary: DataSummary, out: Path, heard: Heard | None = None) -> Path:
    out.mkdir()
    stage(summary.content).make({"images": Path(summary.manifest_path)}, out, heard or Heard())
    return out


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = fill(tmp_path_factory.mktemp("data") / "photos", {"cat": 20, "dog": 20})
    for number in range(12):
        draw(root / "cat" / f"large{number}.png", 500 + number, (700, 90))
        draw(root / "dog" / f"photo{number}.jpg", 600 + number, (90, 120))
    return root


@pytest.fixture(scope="module")
def source(photos: Path) -> ImageSource:
    return open_source(Path(summary_of(photos).manifest_path))


@pytest.fixture(scope="module")
def made(photos: Path) -> Path:
    return make(summary_of(photos), photos.parent / "prepared")


@pytest.mark.parametrize("role", ROLES)
def test_pixels_are_those_of_every_image_of_the_role_in_order(made: Path, source: ImageSource, role: str) -> None:
    pixels = np.load(made / f"{role}.pixels.npy", mmap_mode="r")
    entries = source.entries(role)
    assert (pixels.shape, pixels.dtype, pixels.flags.c_contiguous) == ((len(entries), 32, 32, 3), np.uint8, True)
    for row, entry in zip(pixels, entries, strict=True):
        assert np.array_equal(row, to_pixels(source.read(entry), RECIPE))
    labels = np.load(made / f"{role}.labels.npy")
    assert (labels.dtype, labels.tolist()) == (np.int64, [entry.label for entry in entries])
    assert json.loads((made / "pixels.json").read_text())[role] == pixels_sha256(pixels)


def test_the_folder_holds_what_later_stages_read_and_nothing_else(made: Path) -> None:
    arrays = {f"{role}.{what}.npy" for role in ROLES for what in ("pixels", "labels")}
    golden = {"card.png", "0.png", "1.png", "2.png", "photo.jpg", "photo.pixels.png", "golden.json", "pixels.npy"}
    files = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert files == arrays | {"labels.json", "pixels.json"} | {f"golden/{name}" for name in golden}
    assert json.loads((made / "labels.json").read_text()) == ["cat", "dog"]


def test_golden_pngs_give_the_pixels_that_are_written_beside_them(made: Path) -> None:
    facts = json.loads((made / "golden" / "golden.json").read_text())
    kept = np.load(made / "golden" / "pixels.npy")
    assert [fact["file"] for fact in facts["png"]] == ["golden/card.png", "golden/0.png", "golden/1.png", "golden/2.png"]
    for fact, pixels in zip(facts["png"], kept, strict=True):
        assert np.array_equal(to_pixels(decode(made / fact["file"]), RECIPE), pixels)
        assert fact["pixels_sha256"] == pixels_sha256(pixels)


def test_golden_images_are_real_ones_from_choose_of_a_bounded_size(made: Path, source: ImageSource) -> None:
    for number, entry in enumerate(source.entries("validation")[:3]):
        golden, real = decode(made / "golden" / f"{number}.png"), source.read(entry)
        if max(real.size) <= LONG_SIDE_PX:
            assert np.array_equal(np.asarray(golden), np.asarray(real))
        else:
            assert max(golden.size) == LONG_SIDE_PX


def test_the_golden_jpeg_gives_its_pixels_within_its_levels(made: Path) -> None:
    fact = json.loads((made / "golden" / "golden.json").read_text())["jpeg"]
    kept = np.asarray(Image.open(made / fact["pixels"])).astype(int)
    assert np.abs(to_pixels(decode(made / fact["file"]), RECIPE) - kept).max() <= fact["max_levels"] == 2


@pytest.mark.parametrize(("resize", "crop"), [(40, 32), (73, 64), (256, 224), (632, 600)])
def test_the_card_shows_every_common_mistake(resize: int, crop: int) -> None:
    recipe = Pixels(ImageSize.square(resize), ImageSize.square(crop), "bicubic")
    drawn = draw_card(recipe)
    pixels = to_pixels(drawn, recipe).astype(int)
    mistakes = {
        "channels swapped": pixels[..., ::-1],
        "mirrored": pixels[:, ::-1],
        "upside down": pixels[::-1],
        "transposed": pixels.transpose(1, 0, 2),
        "other filter": to_pixels(drawn, recipe._replace(interpolation="bilinear")),
        "not cropped in the centre": to_pixels(drawn.crop((8, 0, *drawn.size)), recipe),
    }
    assert {name: bool(np.abs(pixels - wrong).mean() > 1) for name, wrong in mistakes.items()} == dict.fromkeys(mistakes, True)


def test_the_same_images_make_the_same_bytes(photos: Path, made: Path, tmp_path: Path) -> None:
    again = make(summary_of(photos), tmp_path / "again")
    for path in made.rglob("*.*"):
        if path.is_file():
            assert (again / path.relative_to(made)).read_bytes() == path.read_bytes(), path.name


def test_progress_counts_all_roles_to_their_total(photos: Path, tmp_path: Path) -> None:
    heard = Heard()
    summary = summary_of(photos)
    make(summary, tmp_path / "out", heard)
    total = sum(summary.counts[role] for role in ROLES)
    assert heard.steps[-1] == ("decoding images", total, total, "images")
    assert [done for _, done, _, _ in heard.steps] == sorted(done for _, done, _, _ in heard.steps)


def test_settings_images_and_pillow_make_the_key() -> None:
    base = stage().key({"pillow": "12"})
    others = [
        stage("b").key({"pillow": "12"}),
        stage(crop_px=30).key({"pillow": "12"}),
        stage(interpolation="bilinear").key({"pillow": "12"}),
        stage(golden_images=2).key({"pillow": "12"}),
        stage().key({"pillow": "13"}),
    ]
    assert len({base, *others}) == 6


def test_images_that_cannot_be_decoded_are_counted_and_named(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {"cat": 8, "dog": 8})
    whole = draw(tmp_path / "whole.png", 5, (40, 40)).read_bytes()
    for number in range(40):
        write(photos / "dog" / f"bad{number:02d}.png", whole[: 900 + number] + b"\0" * 400 + whole[1300 + number :])
    summary = summary_of(photos)
    bad = [
        entry
        for role in ROLES
        for entry in open_source(Path(summary.manifest_path)).entries(role)
        if entry.path.startswith("dog/bad")
    ]
    with pytest.raises(CorruptImages) as caught:
        make(summary, tmp_path / "out")
    assert [path for path, _ in caught.value.fields["broken"]] == sorted(entry.path for entry in bad)
    total = sum(summary.counts[role] for role in ROLES)
    assert caught.value.line().startswith(
        f"{len(bad)} of {total} images in {photos} cannot be decoded: {caught.value.fields['broken'][0][0]}: "
    )


def test_the_words_of_corrupt_images() -> None:
    broken = [(f"cat/{number}.jpg", "image file is truncated") for number in range(7)]
    assert "cat/4.jpg: image file is truncated and 2 more" in corrupt_images("photos", broken, 1200).line()


def test_an_image_that_went_away_stops_the_stage(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {"cat": 8, "dog": 8})
    summary = summary_of(photos)
    entry = open_source(Path(summary.manifest_path)).entries("test")[0]
    (photos / entry.path).unlink()
    with pytest.raises(EdgecnnError, check=IMAGE_GONE.made):
        make(summary, tmp_path / "out")


def test_the_demo_is_prepared_whole(tmp_path: Path) -> None:
    summary = summarize(DataChoice(), tmp_path / "store", Heard())
    out = make(summary, tmp_path / "out")
    shapes = {role: np.load(out / f"{role}.pixels.npy", mmap_mode="r").shape for role in ROLES}
    assert shapes == {"validation": (1000, 32, 32, 3), "test": (10000, 32, 32, 3), "calibration": (300, 32, 32, 3)}
    assert np.bincount(np.load(out / "test.labels.npy")).tolist() == [1000] * 10
