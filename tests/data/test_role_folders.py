"""Dividing a folder: the roles of a build, image by image, and nothing of the user's touched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from edgecnn.data.class_names import imagenet_ids
from edgecnn.data.inspection import inspect
from edgecnn.data.manifest import summarize
from edgecnn.data.role_folders import write_role_folders
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import NOT_OVERWRITTEN, OUTPUT_INSIDE_DATA, OUTPUT_UNWRITABLE
from edgecnn.errors.data import CLASS_NOT_A_FOLDER, DEMO_HAS_NO_FOLDER, LABELS_LOOK_MISSING, TABLE_NOT_DIVIDED, TooFewImages
from edgecnn.values.dataset import DataDivision, DataManifest
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard, draw, fill, write
from tests.data.label_lists import listed


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos", {"cat": 20, "dog": 13, "dog/more": 9})


def divided(photos: Path, out: Path, heard: Heard | None = None, *, link: bool = False, seed: int = 0) -> DataDivision:
    choice = DataChoice(path=str(photos), seed=seed)
    return write_role_folders(choice, out, photos.parent / "store", heard or Heard(), link=link)


def roles_of(folder: Path, seed: int = 0) -> dict[str, str]:
    summary = summarize(DataChoice(path=str(folder), seed=seed), folder.parent / "store", Heard())
    manifest = DataManifest.model_validate_json(Path(summary.manifest_path).read_bytes())
    return {image.sha256: image.role for image in manifest.images}


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("link", [False, True], ids=["copies", "links"])
@pytest.mark.parametrize("seed", [0, 7])
def test_a_build_of_what_was_written_draws_the_same_roles(photos: Path, tmp_path: Path, link: bool, seed: int) -> None:
    before = tree(photos)
    made = divided(photos, tmp_path / "out", link=link, seed=seed)
    assert roles_of(tmp_path / "out", seed) == roles_of(photos, seed)
    assert tree(photos) == before
    assert made.images == {"train": 28, "validation": 6, "test": 8}
    written = list(tree(tmp_path / "out"))
    assert len(written) == 42 and any("/dog/more/" in path for path in written)
    same_file = (photos / "cat/000.png").stat().st_nlink == 2
    assert same_file == link


@pytest.mark.parametrize("splits", [("train", "val"), ("train", "test"), ("train", "val", "test")])
def test_split_folders_keep_their_roles(tmp_path: Path, splits: tuple[str, ...]) -> None:
    photos = fill(tmp_path / "photos", {f"{split}/{name}": 9 for split in splits for name in ("cat", "dog")})
    made = divided(photos, tmp_path / "out")
    assert roles_of(tmp_path / "out") == roles_of(photos)
    assert sum(made.images.values()) == 18 * len(splits)


def test_classes_that_are_called_like_splits_stay_classes(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {"train": 9, "plane": 9})
    divided(photos, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out" / "test").iterdir()) == ["plane", "train"]
    assert roles_of(tmp_path / "out") == roles_of(photos)


def shown_in(folder: Path) -> dict[str, tuple[str, str]]:
    """Of each image what it shows, and its role."""
    summary = summarize(DataChoice(path=str(folder), calibration_images=5), folder.parent / "store", Heard())
    manifest = DataManifest.model_validate_json(Path(summary.manifest_path).read_bytes())
    return {image.sha256: (manifest.classes[image.label], image.role) for image in manifest.images}


@pytest.mark.parametrize(("above", "beside_train"), [("", False), ("val", False), ("val", True)])
def test_imagenet_s_images_go_into_folders_of_their_classes(tmp_path: Path, above: str, beside_train: bool) -> None:
    root, ids = tmp_path / "imagenet", imagenet_ids()
    names = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, 25)]
    for number, name in enumerate(names):
        draw(root / above / name, 1000 + number)
    (root / above / "val.txt").write_text("".join(f"{name} {number % 3}\n" for number, name in enumerate(names)))
    for place in range(3 if beside_train else 0):
        fill(root / "train", {ids[place]: 9}, start=100 + 10 * place)
    write_role_folders(DataChoice(path=str(root), calibration_images=5), tmp_path / "out", tmp_path / "store", Heard())
    before = shown_in(root)
    assert shown_in(tmp_path / "out") == before and {name for name, _ in before.values()} == set(ids[:3])
    assert len(before) == 24 + 27 * beside_train


def test_it_is_the_same_every_time_and_another_with_another_seed(photos: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        divided(photos, tmp_path / name, seed=seed)
    names = [sorted(tree(tmp_path / name)) for name in "abc"]
    assert names[0] == names[1] != names[2]


def test_what_is_left_out_is_named(photos: Path, tmp_path: Path) -> None:
    write(photos / "cat/notes.txt", b"buy film")
    shutil.copy2(photos / "cat/000.png", photos / "dog/cat.png")
    made = divided(photos, tmp_path / "out")
    assert made.skipped == ("cat/notes.txt: unsupported image format (supported: JPEG, PNG, WebP, BMP, TIFF, GIF, PPM, AVIF)",)
    assert len(made.copies) == 2 and sum(made.images.values()) == 41


def test_an_empty_folder_may_be_filled_and_another_may_not(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    divided(photos, tmp_path / "empty")
    with pytest.raises(EdgecnnError, check=NOT_OVERWRITTEN.made) as caught:
        divided(photos, tmp_path / "empty")
    assert (caught.value.ref, caught.value.fields["because"]) == ("not-overwritten", "it is not an empty folder")
    write(tmp_path / "file", b"mine")
    for place in ("file", "photos/cat/000.png"):
        with pytest.raises(EdgecnnError):
            divided(photos, tmp_path / place)
    with pytest.raises(EdgecnnError, check=OUTPUT_INSIDE_DATA.made):
        divided(photos, photos / "divided")
    with pytest.raises(EdgecnnError, match="its parent folder does not exist", check=OUTPUT_UNWRITABLE.made):
        divided(photos, tmp_path / "none" / "out")


def test_too_few_images_write_nothing(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {"cat": 9, "dog": 2})
    with pytest.raises(TooFewImages):
        divided(photos, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_ctrl_c_leaves_nothing_behind(photos: Path, tmp_path: Path) -> None:
    class Interrupting(Heard):
        def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
            if what == "writing images" and done == 10:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        divided(photos, tmp_path / "out", Interrupting())
    assert sorted(os.listdir(tmp_path)) == ["photos", "store"]  # noqa: PTH208 - hidden names too


def test_a_list_and_the_demo_are_refused_for_what_they_are(photos: Path, tmp_path: Path) -> None:
    place = tmp_path / "photos.csv"
    place.write_text("path,label\nphotos/cat/000.png,cat\nphotos/dog/000.png,dog\n")
    with pytest.raises(EdgecnnError, check=TABLE_NOT_DIVIDED.made) as caught:
        divided(place, tmp_path / "out")
    assert caught.value.ref == "table-not-divided"
    with pytest.raises(EdgecnnError, check=DEMO_HAS_NO_FOLDER.made) as refused:
        write_role_folders(DataChoice(path="demo"), tmp_path / "out", tmp_path / "store", Heard())
    with pytest.raises(EdgecnnError, check=DEMO_HAS_NO_FOLDER.made):
        inspect(DataChoice(path="demo"), tmp_path / "store", Heard())
    assert refused.value.line() == (
        "demo means the embedded images, which have no folder — pass a folder; write ./demo for a folder named demo "
        "[demo-has-no-folder]"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "because"),
    [
        ("../../../evil", "it holds a slash"),
        ("T-shirt/top", "it holds a slash"),
        ("a\\b", "it holds a slash"),
        ("..", "a build skips folders of that name"),
        (".NET", "a build skips folders of that name"),
        ("Thumbs.db", "a build skips folders of that name"),
    ],
)
def test_a_class_that_cannot_be_a_folder_is_refused(tmp_path: Path, name: str, because: str) -> None:
    photos = tmp_path / "photos"
    fill(tmp_path, {"photos": 18})
    rows = [[f"{number:03d}.png", name if number % 2 else "cat"] for number in range(18)]
    listed(photos, [["path", "label"], *rows], "metadata.csv")
    with pytest.raises(EdgecnnError, check=CLASS_NOT_A_FOLDER.made) as caught:
        divided(photos, tmp_path / "out")
    assert caught.value.line() == (
        f"the class {name!r} in {photos} cannot become a folder: {because}"
        " — give the class another name, such as T-shirt-top for T-shirt/top [class-not-a-folder]"
    )
    assert sorted(os.listdir(tmp_path)) == ["photos", "store"]  # noqa: PTH208 - hidden names too


def test_a_class_that_means_no_label_is_asked_about_before_and_kept_if_it_is_stated(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    fill(tmp_path, {"photos": 18})
    rows = [[f"{number:03d}.png", "no_label" if number % 2 else "cat"] for number in range(18)]
    listed(photos, [["path", "label"], *rows], "metadata.csv")
    with pytest.raises(EdgecnnError, check=LABELS_LOOK_MISSING.made):
        divided(photos, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    choice = DataChoice(path=str(photos), folders="classes")
    write_role_folders(choice, tmp_path / "out", tmp_path / "store", Heard())
    assert sorted(path.name for path in (tmp_path / "out" / "test").iterdir()) == ["cat", "no_label"]


def test_folders_that_are_stated_to_be_classes_keep_their_names(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {"cat": 9, "no_label": 9})
    choice = DataChoice(path=str(photos), folders="classes")
    write_role_folders(choice, tmp_path / "out", tmp_path / "store", Heard())
    assert sorted(path.name for path in (tmp_path / "out" / "test").iterdir()) == ["cat", "no_label"]
