from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.data.demo import DEMO_FILE, DEMO_PARTS
from edgecnn.data.images import ImageSource, demo_digests, demo_images, open_source
from edgecnn.data.manifest import summarize
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import DEMO_DAMAGED, IMAGE_CHANGED, IMAGE_GONE, MANIFEST_UNREADABLE, CorruptImages
from edgecnn.errors.usage import WRONG_BYTES
from edgecnn.values.dataset import SPLIT_ROLES
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard, draw, fill, write
from tests.data.test_near_duplicates import encoded, scene
from tests.runner.causes.test_known import POINTER


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos", {"cat": 6, "dog": 6})


def opened(path: str | Path, cache: Path) -> ImageSource:
    return open_source(Path(summarize(DataChoice(path=str(path)), cache, Heard()).manifest_path))


def test_every_image_can_be_read_by_its_role(photos: Path, tmp_path: Path) -> None:
    source = opened(photos, tmp_path / "store")
    entries = [entry for role in SPLIT_ROLES for entry in source.entries(role)]
    assert len(entries) == 12
    for entry in entries:
        assert np.array_equal(np.asarray(source.read(entry)), np.asarray(Image.open(photos / entry.path)))


RED = (200, 16, 48)
ODD: dict[str, tuple[Callable[[], bytes], tuple[int, int, int]]] = {
    "grey.png": (lambda: encoded(Image.new("L", (9, 9), 77), "PNG"), (77, 77, 77)),
    "deep.png": (lambda: encoded(Image.fromarray(np.full((9, 9), 77 * 257, np.uint16)), "PNG"), (77, 77, 77)),
    "clear.png": (lambda: encoded(Image.new("RGBA", (9, 9), (*RED, 0)), "PNG"), (255, 255, 255)),
    "inks.tiff": (lambda: encoded(Image.new("CMYK", (9, 9), (0, 255, 255, 0)), "TIFF"), (255, 0, 0)),
    "palette.png": (lambda: encoded(Image.new("RGB", (9, 9), RED).quantize(4), "PNG"), RED),
    "moving.webp": (
        lambda: encoded(
            Image.new("RGB", (9, 9), RED), "WEBP", save_all=True, lossless=True, append_images=[Image.new("RGB", (9, 9))]
        ),
        RED,
    ),
}
"""As photographs come, and what of them is trained and judged on."""


@pytest.mark.parametrize("name", ODD)
def test_a_picture_of_another_kind_is_read_as_its_colours(photos: Path, tmp_path: Path, name: str) -> None:
    content, colour = ODD[name]
    write(photos / "cat" / name, content())
    source = opened(photos, tmp_path / "store")
    (entry,) = [entry for role in SPLIT_ROLES for entry in source.entries(role) if entry.path == f"cat/{name}"]
    image = source.read(entry)
    assert (image.mode, image.size) == ("RGB", (9, 9))
    assert np.unique(np.asarray(image).reshape(-1, 3), axis=0).tolist() == [list(colour)]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("half.jpg", encoded(scene(1))[:-400], "is cut off"),
        ("bomb.ppm", b"P6 20000 20000 255\n", "more than 178,956,970 pixels"),
        ("half.png", encoded(scene(1), "PNG")[:-400], "is cut off"),
    ],
)
def test_a_picture_that_cannot_be_decoded_is_left_out_and_named(
    photos: Path, tmp_path: Path, name: str, content: bytes, why: str
) -> None:
    write(photos / "cat" / name, content)
    data = summarize(DataChoice(path=str(photos)), tmp_path / "store", Heard())
    assert (data.skipped, sum(data.counts.values())) == ((f"cat/{name}: {why}",), 12)


def test_a_file_that_went_away(photos: Path, tmp_path: Path) -> None:
    source = opened(photos, tmp_path / "store")
    entry = source.entries("train")[0]
    (photos / entry.path).unlink()
    with pytest.raises(EdgecnnError, check=IMAGE_GONE.made) as caught:
        source.read(entry)
    assert (caught.value.ref, caught.value.fields["because"]) == ("image-gone", "no such file or directory")


def test_a_file_with_other_bytes_than_were_planned_with(photos: Path, tmp_path: Path) -> None:
    source = opened(photos, tmp_path / "store")
    entry = source.entries("train")[0]
    draw(photos / entry.path, 999)
    with pytest.raises(EdgecnnError, check=IMAGE_CHANGED.made) as caught:
        source.read(entry)
    assert caught.value.ref == "image-changed"


def test_an_image_that_became_a_git_lfs_pointer_since_it_was_planned_with_is_named(photos: Path, tmp_path: Path) -> None:
    source = opened(photos, tmp_path / "store")
    entry = source.entries("train")[0]
    write(photos / entry.path, POINTER)
    with pytest.raises(EdgecnnError, match="it is a Git LFS pointer, not the file itself — git lfs pull", check=WRONG_BYTES.made):
        source.read(entry)


def test_a_file_that_cannot_be_decoded_to_its_end(photos: Path, tmp_path: Path) -> None:
    whole = draw(tmp_path / "whole.png", 5, (40, 40)).read_bytes()
    write(photos / "cat" / "bad.png", whole[:900] + b"\0" * 400 + whole[1300:])
    source = opened(photos, tmp_path / "store")
    (entry,) = [entry for role in SPLIT_ROLES for entry in source.entries(role) if entry.path == "cat/bad.png"]
    with pytest.raises(CorruptImages, match="^1 of 1 images in .* cannot be decoded: cat/bad.png: "):
        source.read(entry)


def test_a_manifest_that_cannot_be_read_back(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=MANIFEST_UNREADABLE.made) as caught:
        open_source(tmp_path / "none.json")
    path = tmp_path / "none.json"
    assert (caught.value.ref, caught.value.fields["because"]) == ("manifest-unreadable", "no such file or directory")
    path.write_text("{}")
    with pytest.raises(EdgecnnError, match="4 faults", check=MANIFEST_UNREADABLE.made):
        open_source(path)


def test_the_demo_is_read_like_a_folder(tmp_path: Path) -> None:
    source = opened("demo", tmp_path / "store")
    entry = source.entries("test")[123]
    image = source.read(entry)
    assert (image.mode, image.size, entry.path.split("/")[0]) == ("RGB", (28, 28), "test")
    first_test = sum(count for part, count in DEMO_PARTS if part != "test")
    assert np.array_equal(np.asarray(image)[..., 1], demo_images()[first_test + int(entry.path.split("/")[1])])


def test_the_demo_holds_every_class_equally_and_nothing_twice() -> None:
    facts = list(demo_digests())
    at = 0
    for _, count in DEMO_PARTS:
        labels = [label for label, _ in facts[at : at + count]]
        assert {labels.count(label) for label in range(10)} == {count // 10}
        at += count
    assert len({digest for _, digest in facts}) == len(facts) == 15_000


def test_a_demo_that_is_not_the_one_planned_with(tmp_path: Path) -> None:
    source = opened("demo", tmp_path / "store")
    entry = source.entries("validation")[0].model_copy(update={"sha256": "0" * 64})
    with pytest.raises(EdgecnnError, check=DEMO_DAMAGED.made) as caught:
        source.read(entry)
    assert caught.value.line() == (
        f"{DEMO_FILE} is not the demo that was shipped: {entry.path} is another image"
        " — pip install --force-reinstall --no-deps edgecnn [demo-damaged]"
    )


def test_the_licence_lies_beside_the_demo() -> None:
    text = (DEMO_FILE.parent / "LICENSE").read_text(encoding="utf-8")
    assert "Zalando SE" in text
    assert "Permission is hereby granted, free of charge" in text
    assert DEMO_FILE.stat().st_size < 8 << 20


def test_a_list_of_an_earlier_version_names_both_schemas(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text('{"schema_": "edgecnn.data/1", "images": [{"role": "choose"}]}')
    with pytest.raises(EdgecnnError, check=MANIFEST_UNREADABLE.made) as caught:
        open_source(path)
    assert (caught.value.ref, caught.value.fields["because"]) == (
        "manifest-unreadable",
        "its schema is edgecnn.data/1, and this version reads edgecnn.data/2",
    )
