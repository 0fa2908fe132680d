"""Files that tools leave behind are no files of the user's; what holds images among them is counted, and no folder too far."""

from __future__ import annotations

from pathlib import Path, PosixPath

import pytest

from edgecnn.runner import causes
from edgecnn.runner.causes import images_in, is_image_name, is_left_behind, is_skipped, split_left_behind


@pytest.mark.parametrize(
    "name",
    ["@eaDir", "__MACOSX", "._x.jpg", "Thumbs.db", "thumbs.db", "desktop.ini", ".ipynb_checkpoints", ".DS_Store", "$RECYCLE.BIN"],
)
def test_files_of_tools_are_known_by_their_names(name: str) -> None:
    assert is_left_behind(name) and is_skipped(name)


def test_hidden_names_are_skipped_and_are_not_left_by_a_tool() -> None:
    assert [(is_skipped(name), is_left_behind(name)) for name in (".NET shirt", "NET shirt")] == [(True, False), (False, False)]


def test_images_are_known_by_their_suffix() -> None:
    assert [name for name in ("a.JPG", "b.tiff", "._a.jpg", "notes.txt", "jpg") if is_image_name(name)] == ["a.JPG", "b.tiff"]


def test_the_images_of_a_skipped_folder_are_counted_and_no_further_than_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.jpg", "b/c.png", "b/._c.png", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert (images_in(tmp_path), images_in(tmp_path / "a.jpg"), images_in(tmp_path / "b/notes.txt")) == (2, 1, 0)
    monkeypatch.setattr(causes, "MOST_COUNTED", 1)
    assert images_in(tmp_path) == 1


def test_named_files_of_tools_are_taken_out_and_those_with_images_are_told(tmp_path: Path) -> None:
    (tmp_path / "@eaDir").mkdir()
    (tmp_path / "@eaDir/SYNOPHOTO_THUMB_M.jpg").touch()
    named = [tmp_path / name for name in ("a.jpg", "@eaDir", "Thumbs.db", "._a.jpg", ".hidden.jpg")]
    assert split_left_behind(named) == ([named[0], named[4]], [named[1]])


class Uncomparable(PosixPath):
    def __eq__(self, other: object) -> bool:
        raise AssertionError("a file is compared with each file of a tool")

    __hash__ = PosixPath.__hash__


def test_named_files_are_not_compared_with_one_another() -> None:
    own, left = split_left_behind([Uncomparable(name) for name in ("a.jpg", "._a.jpg", "b.jpg")])
    assert ([file.name for file in own], left) == (["a.jpg", "b.jpg"], [])
