"""Links that lead out of a data folder are followed and reported, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgecnn.data.inspection import inspect
from edgecnn.data.manifest import summarize
from edgecnn.data.role_folders import write_role_folders
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import LINK_LEADS_OUT
from edgecnn.render.progress import Quiet
from edgecnn.values.dataset import LinkedImages
from edgecnn.values.recipe import DataChoice
from tests.data.folders import fill


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The folder of a tool that keeps images by digest, as DVC does."""
    return fill(tmp_path / "cache", {"3f": 12, "a0": 12})


def linked_files(folder: Path, cache: Path) -> Path:
    for label, digest in (("cat", "3f"), ("dog", "a0")):
        (folder / label).mkdir(parents=True)
        for file in (cache / digest).iterdir():
            (folder / label / file.name).symlink_to(file)
    return folder


def linked_class(folder: Path, cache: Path) -> Path:
    fill(folder, {"cat": 12})
    (folder / "dog").symlink_to(cache / "a0")
    return folder


def linked_list(folder: Path, cache: Path) -> Path:
    linked_files(folder, cache)
    rows = [f"{file.relative_to(folder)},{file.parent.name}" for file in sorted(folder.rglob("*.*"))]
    (folder / "list.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    return folder / "list.csv"


def linked_pool(folder: Path, cache: Path) -> Path:
    folder.mkdir()
    (folder / "images").symlink_to(cache / "3f")
    return folder


SHAPES = {"files": (linked_files, 24), "a class": (linked_class, 12), "a list": (linked_list, 24)}


@pytest.mark.parametrize("shape", SHAPES)
def test_images_outside_are_counted_with_their_folder(shape: str, cache: Path, tmp_path: Path) -> None:
    make, count = SHAPES[shape]
    choice = DataChoice(path=str(make(tmp_path / "photos", cache)))
    where = str(cache / "a0") if shape == "a class" else str(cache)
    for _ in range(2):  # read, and recalled
        assert summarize(choice, tmp_path / "store", Quiet()).links_out == LinkedImages(images=count, folder=where)
    inspected = inspect(choice, tmp_path / "store", Quiet()).facts
    assert inspected.links_out == LinkedImages(images=count, folder=where)
    assert [finding.serious for finding in inspected.findings if finding.kind == "links-out"] == [False]


@pytest.mark.parametrize("shape", SHAPES)
def test_they_are_refused_if_the_recipe_says_so(shape: str, cache: Path, tmp_path: Path) -> None:
    make, _ = SHAPES[shape]
    choice = DataChoice(path=str(make(tmp_path / "photos", cache)), links="refuse")
    with pytest.raises(EdgecnnError, check=LINK_LEADS_OUT.made) as refused:
        summarize(choice, tmp_path / "store", Quiet())
    assert str(cache) in (refused.value.because or "")


def test_a_pool_without_labels_is_treated_alike(cache: Path, tmp_path: Path) -> None:
    choice = DataChoice(path=str(linked_pool(tmp_path / "photos", cache)), labels=False)
    found = summarize(choice, tmp_path / "store", Quiet()).links_out
    assert found == LinkedImages(images=12, folder=str(cache / "3f"))
    with pytest.raises(EdgecnnError, check=LINK_LEADS_OUT.made):
        summarize(choice.model_copy(update={"links": "refuse"}), tmp_path / "store", Quiet())


def test_links_inside_the_folder_and_a_link_to_the_folder_itself_are_no_links_out(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {"cat": 12, "dog": 12})
    first = next((photos / "cat").iterdir())
    first.rename(photos / "kept.png")
    first.symlink_to(Path("..") / "kept.png")
    (tmp_path / "named").symlink_to(photos)
    for path in (photos, tmp_path / "named"):
        choice = DataChoice(path=str(path), links="refuse")
        assert summarize(choice, tmp_path / "store", Quiet()).links_out is None


def test_split_says_that_it_copies_files_from_outside(cache: Path, tmp_path: Path) -> None:
    choice = DataChoice(path=str(linked_files(tmp_path / "photos", cache)))
    division = write_role_folders(choice, tmp_path / "out", tmp_path / "store", Quiet())
    assert division.links_out == LinkedImages(images=24, folder=str(cache))
    assert json.loads(division.model_dump_json())["links_out"] == {"images": 24, "folder": str(cache)}
    copied = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert copied and not any(path.is_symlink() for path in copied)
