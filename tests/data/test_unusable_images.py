"""Files that are no usable image are skipped by name, and where too few are left it is said which class lacks how many."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image, UnidentifiedImageError

from edgecnn.data import decoded, files
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import DATA_FOLDER_UNREADABLE, NothingReadable, TooFewImages
from edgecnn.runner.pixels import UNSUPPORTED_FORMAT
from edgecnn.values.dataset import DataSummary
from tests.data.folders import Heard, aged, draw, fill, write
from tests.data.test_manifest import summary_of
from tests.runner.causes.test_known import POINTER, picture


def named(summary: DataSummary) -> list[str]:
    return [skipped.partition(": ")[0] for skipped in summary.skipped]


def test_unreadable_files_are_skipped_named_and_remembered(photos: Path, cache: Path) -> None:
    write(photos / "cat" / "notes.txt", b"buy film")
    write(photos / "cat" / "none.jpg", b"")
    write(photos / "dog" / "half.jpg", draw(photos / "dog" / "whole.jpg", 50, (64, 64)).read_bytes()[:-200])
    (photos / "dog" / "lost.png").symlink_to(photos / "gone.png")
    summary = summary_of(photos, cache)
    assert named(summary) == ["cat/none.jpg", "cat/notes.txt", "dog/half.jpg", "dog/lost.png"]
    (photos / "dog" / "lost.png").unlink()
    again = Heard()
    assert len(summary_of(photos, cache, again).skipped) == 3
    assert again.steps == []


def test_a_pointer_and_an_image_that_this_pillow_cannot_read_are_named(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aged(write(photos / "cat" / "pointer.jpg", POINTER))
    aged(write(photos / "dog" / "new.avif", picture("AVIF")))
    with monkeypatch.context() as lacking:
        lacking.setattr(files, "distribution", lambda _: SimpleNamespace(version="13", read_text=lambda _: "no avif"))
        lacking.delitem(Image.OPEN, "AVIF")
        lacking.setattr("edgecnn.data.images.decoders", _InThisProcess)
        pointer, avif = summary_of(photos, cache).skipped
        assert pointer.startswith("cat/pointer.jpg: ") and pointer.endswith("git lfs pull")
        assert avif.startswith("dog/new.avif: ") and "AVIF" in avif and avif.endswith(" pillow")
    assert summary_of(photos, cache).skipped == (pointer,), "the same version, built with the decoder"


class _InThisProcess:
    """Decodes with the Pillow of this process, whose formats a test can change."""

    def size(self, content: bytes) -> tuple[int, int]:
        facts, _ = decoded.size(content)
        if facts.get("unknown"):
            raise UnidentifiedImageError
        width, height = facts["size"]
        return width, height


def test_a_file_that_could_not_be_opened_is_tried_again(photos: Path, cache: Path) -> None:
    (photos / "dog" / "late.png").symlink_to(photos.parent / "late.png")
    assert named(summary_of(photos, cache)) == ["dog/late.png"]
    draw(photos.parent / "late.png", 60)
    assert summary_of(photos, cache).skipped == ()


def test_a_name_that_is_not_utf8_is_skipped_in_printable_words(photos: Path, cache: Path) -> None:
    shutil.copy(photos / "cat" / "000.png", os.fsencode(photos / "cat") + b"/caf\xe9.png")
    assert named(summary_of(photos, cache)) == ["cat/caf\\udce9.png"]


def test_nothing_readable_says_why(tmp_path: Path, cache: Path) -> None:
    for number in range(7):
        write(tmp_path / "photos" / "ab"[number % 2] / f"{number}.jpg", b"no picture")
    with pytest.raises(NothingReadable) as caught:
        summary_of(tmp_path / "photos", cache)
    assert caught.value.line() == (
        f"none of the 7 files in {tmp_path}/photos is a readable image: a/0.jpg: {UNSUPPORTED_FORMAT}; the same for the others"
        " — replace the files with images in a supported format, such as JPEG or PNG [nothing-readable]"
    )
    write(tmp_path / "photos" / "a" / "0.jpg", b"")
    with pytest.raises(NothingReadable, match=r"a/0.jpg: an empty file; a/2.jpg: .*; b/1.jpg: .* and 2 more — replace"):
        summary_of(tmp_path / "photos", cache)


def test_one_image_is_too_few(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(TooFewImages, match="class 'b' in .* has 1 usable image, but needs 4 for train"):
        summary_of(fill(tmp_path / "photos", {"a": 4, "b": 1}), cache)


def test_too_few_images_name_the_copies_and_what_was_skipped(tmp_path: Path, cache: Path) -> None:
    photos = fill(tmp_path / "photos", {"a": 6, "b": 1})
    for name in ("second", "third", "fourth"):
        shutil.copy2(photos / "b" / "000.png", photos / "b" / f"{name}.png")
    write(photos / "b" / "notes.txt", b"buy film")
    with pytest.raises(TooFewImages) as caught:
        summary_of(photos, cache)
    assert caught.value.ref == "too-few-images"


@pytest.mark.parametrize("content", [None, b"no picture"], ids=["empty", "broken"])
def test_a_split_folder_without_a_usable_image_is_told_and_not_passed_over(
    tmp_path: Path, cache: Path, content: bytes | None
) -> None:
    photos = fill(tmp_path / "photos", {"train/a": 9, "train/b": 9})
    for name in "ab":
        (photos / "test" / name).mkdir(parents=True)
        if content is not None:
            write(photos / "test" / name / "0.jpg", content)
    with pytest.raises(TooFewImages, match="class 'a' in .* has 0 usable images, but needs 1 for test"):
        summary_of(photos, cache)


def test_pipes_and_devices_among_the_images_are_skipped_and_never_opened(photos: Path, cache: Path) -> None:
    os.mkfifo(photos / "cat" / "pipe.png")
    (photos / "cat" / "zero.png").symlink_to("/dev/zero")
    (photos / "cat" / "self.png").symlink_to("self.png")
    assert summary_of(photos, cache).skipped == (
        "cat/pipe.png: a pipe, a socket or a device",
        "cat/self.png: too many levels of symbolic links",
        "cat/zero.png: a pipe, a socket or a device",
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_listed(photos: Path, cache: Path) -> None:
    (photos / "dog").chmod(0)
    try:
        with pytest.raises(EdgecnnError, match="photos/dog cannot be read: permission denied", check=DATA_FOLDER_UNREADABLE.made):
            summary_of(photos, cache)
    finally:
        (photos / "dog").chmod(0o755)
