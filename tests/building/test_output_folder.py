"""Results have a folder of their own: one among the images, or one that can be none, is refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.building.build import check_output
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import OUTPUT_AMONG_DATA, OUTPUT_UNUSABLE
from edgecnn.errors.data import DATA_PATH_UNUSABLE
from edgecnn.results.folder import output_lock


def test_a_fresh_folder_is_accepted_and_made_by_whoever_writes_first(tmp_path: Path) -> None:
    check_output(tmp_path / "a" / "b", "demo")
    assert list(tmp_path.iterdir()) == [], "a build that is refused after this leaves nothing"
    with output_lock(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("inside", ["", "out", "deep/out"])
def test_results_among_the_images_are_refused(tmp_path: Path, inside: str) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    with pytest.raises(EdgecnnError, check=OUTPUT_AMONG_DATA.made) as caught:
        check_output(photos / inside, str(photos))
    assert caught.value.ref == "output-among-data"
    assert list(photos.iterdir()) == []


def test_results_among_the_images_are_refused_however_the_paths_are_spelt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for out, data in (("photos/out", "~/photos"), ("link/out", "photos"), ("other/../photos/out", "photos")):
        with pytest.raises(EdgecnnError, check=OUTPUT_AMONG_DATA.made):
            check_output(Path(out), data)


def test_a_folder_beside_the_images_is_accepted_however_it_is_spelt(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    check_output(tmp_path / "photos" / ".." / "out", str(tmp_path / "photos"))
    check_output(tmp_path / "photos-results", str(tmp_path / "photos"))


@pytest.mark.parametrize("data", ["~nobody-of-this-name/photos", "photos\0"])
def test_images_that_can_lie_nowhere_are_refused_by_name(tmp_path: Path, data: str) -> None:
    with pytest.raises(EdgecnnError, check=DATA_PATH_UNUSABLE.made):
        check_output(tmp_path / "out", data)
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_can_lie_nowhere_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for folder in (tmp_path / "a\0b", tmp_path / "circle"):
        with pytest.raises(EdgecnnError, check=OUTPUT_UNUSABLE.made):
            check_output(folder, "demo")
    check_output(tmp_path / "out", str(tmp_path / "circle"))


def test_an_output_that_is_a_file_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(EdgecnnError, check=OUTPUT_UNUSABLE.made) as caught:
        check_output(tmp_path / "out", "demo")
    assert caught.value.line() == (
        f"{tmp_path}/out cannot hold the results: not a directory — choose another folder with --out FOLDER [output-unusable]"
    )
    assert (tmp_path / "out").read_text() == "mine"
