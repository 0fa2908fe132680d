"""Which cut-outs and backgrounds are composed: refused, left out and named before any is decoded."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import CLASSES_WITHOUT_CUTOUTS, CUTOUT_CLASS_UNKNOWN, DATA_FOLDER_UNREADABLE, SYNTHESIS_FOLDER_UNUSABLE
from edgecnn.values.dataset import DataManifest, DataSummary, ImageEntry
from tests.data.cutouts import CLASSES, copied, cut, photographs, scene, synthesis_in
from tests.data.folders import write


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return scene(tmp_path)


def images(summary: DataSummary) -> tuple[ImageEntry, ...]:
    return DataManifest.model_validate_json(Path(summary.manifest_path).read_bytes()).images


def photograph_of_role(place: Path, role: str) -> Path:
    """A photograph that has the role."""
    every = images(photographs(place / "photos", place / "cache"))
    return next(place / "photos" / image.path for image in every if image.role == role)


def test_cut_outs_get_the_labels_of_the_photographs_and_train(place: Path) -> None:
    synthesis = synthesis_in(place)
    assert synthesis.cutouts.classes == CLASSES and synthesis.images == 12
    assert [(image.path, image.label, image.role) for image in images(synthesis.cutouts)][::3] == [
        ("disc/0.png", 0, "train"),
        ("square/0.webp", 1, "train"),
    ]
    assert {image.role for image in images(synthesis.backgrounds)} == {"train"}


def test_the_content_is_that_of_the_files_wherever_they_lie(place: Path) -> None:
    before = synthesis_in(place)
    (place / "cut").rename(place / "elsewhere")
    moved = synthesis_in(place, cutouts=str(place / "elsewhere"))
    assert moved.cutouts.content == before.cutouts.content
    cut(place / "elsewhere" / "disc" / "0.png", (1, 2, 3))
    assert synthesis_in(place, cutouts=str(place / "elsewhere")).cutouts.content != before.cutouts.content


@pytest.mark.parametrize("role", ["calibration", "validation", "test", "train"])
def test_a_background_that_is_a_photograph_of_the_data_is_left_out_and_named(role: str, place: Path) -> None:
    photo = photograph_of_role(place, role)
    copied(photo, place / "under" / "leak.png")
    backgrounds = synthesis_in(place).backgrounds
    what = "shows a class itself" if role == "train" else f"is in the role {role}"
    assert backgrounds.copies == (f"leak.png: the same bytes as {photo.relative_to(place / 'photos')}, which {what}",)
    assert "leak.png" not in {image.path for image in images(backgrounds)} and backgrounds.counts["train"] == 4


def test_a_cut_out_that_is_a_judging_photograph_is_left_out(place: Path) -> None:
    copied(place / "cut" / "disc" / "0.png", place / "photos" / "disc" / "same.png")
    for number in range(40):  # until the copy judges, whichever way its bytes are ranked
        cut(place / "photos" / "disc" / f"more-{number}.png", (number, 0, 0))
    copied(photograph_of_role(place, "test"), place / "cut" / "disc" / "leak.png")
    (left,) = [line for line in synthesis_in(place).cutouts.copies if line.startswith("disc/leak.png")]
    assert left.endswith("which is in the role test")


def test_backgrounds_that_are_all_photographs_are_none(place: Path) -> None:
    for file in list((place / "under").iterdir()):
        file.unlink()
    copied(photograph_of_role(place, "test"), place / "under" / "leak.png")
    with pytest.raises(
        EdgecnnError, match="every image in it is also in the data: leak.png", check=SYNTHESIS_FOLDER_UNUSABLE.made
    ):
        synthesis_in(place)


def test_a_class_that_the_photographs_do_not_know_is_refused(place: Path) -> None:
    cut(place / "cut" / "discs" / "0.png", (9, 9, 9))
    with pytest.raises(EdgecnnError, match="rename discs to disc", check=CUTOUT_CLASS_UNKNOWN.made):
        synthesis_in(place)


def test_a_class_without_cut_outs_is_refused_unless_that_is_said(place: Path) -> None:
    for file in (place / "cut" / "square").iterdir():
        file.unlink()
    with pytest.raises(EdgecnnError, match="'square'", check=CLASSES_WITHOUT_CUTOUTS.made):
        synthesis_in(place)
    synthesis = synthesis_in(place, classes="some")
    assert synthesis.class_names == ("disc",) and synthesis.images == 6


def test_a_class_called_as_a_split_is_a_class(tmp_path: Path) -> None:
    scene(tmp_path)
    photographs(tmp_path / "vehicles", tmp_path / "cache", ("bus", "train"))
    for name in ("bus", "train"):
        cut(tmp_path / "moved" / name / "0.png", (1, 2, 3) if name == "bus" else (3, 2, 1))
    (tmp_path / "photos").rename(tmp_path / "old")
    (tmp_path / "vehicles").rename(tmp_path / "photos")
    assert synthesis_in(tmp_path, cutouts=str(tmp_path / "moved")).class_names == ("bus", "train")


def test_the_same_cut_out_under_two_classes_is_neither(place: Path) -> None:
    copied(place / "cut" / "disc" / "0.png", place / "cut" / "square" / "copy.png")
    synthesis = synthesis_in(place)
    assert len(synthesis.cutouts.copies) == 2 and synthesis.cutouts.counts["train"] == 5


@pytest.mark.parametrize("key", ["cutouts", "backgrounds"])
def test_folders_that_hold_nothing_are_named_with_their_key(key: str, place: Path) -> None:
    (place / "empty").mkdir()
    file = write(place / "file.txt", b"no folder")
    only_text = write(place / "words" / "disc" / "a.txt", b"no picture").parent.parent
    for folder, because in ((place / "none", "does not exist"), (place / "empty", "empty|no image"), (file, "it is a file")):
        with pytest.raises(
            EdgecnnError,
            match=f"the synthesis.{key} folder .* cannot be used: .*({because})",
            check=SYNTHESIS_FOLDER_UNUSABLE.made,
        ):
            synthesis_in(place, **{key: str(folder)})
    with pytest.raises(EdgecnnError, match="a.txt: unsupported image format", check=SYNTHESIS_FOLDER_UNUSABLE.made):
        synthesis_in(place, **{key: str(only_text)})


def test_files_that_are_no_pictures_are_skipped_and_named(place: Path) -> None:
    write(place / "cut" / "disc" / "notes.txt", b"cut by hand")
    write(place / "under" / "broken.jpg", b"\xff\xd8\xff")
    synthesis = synthesis_in(place)
    assert [line.partition(":")[0] for line in synthesis.cutouts.skipped] == ["disc/notes.txt"]
    assert [line.partition(":")[0] for line in synthesis.backgrounds.skipped] == ["broken.jpg"]


def test_a_folder_that_may_not_be_read_says_so(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> list[str]:
        raise DATA_FOLDER_UNREADABLE(folder=place / "under", because="permission denied")

    monkeypatch.setattr("edgecnn.data.cutouts.stamps_in", refuse)
    with pytest.raises(EdgecnnError, check=DATA_FOLDER_UNREADABLE.made):
        synthesis_in(place)
