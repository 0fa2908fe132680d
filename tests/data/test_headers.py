from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.data.images import LARGEST_BYTES, problem_of
from edgecnn.runner.pixels import UNSUPPORTED_FORMAT, decode
from tests.data.folders import draw, write


def jpeg(size: tuple[int, int], **options: object) -> bytes:
    """Noise of one seed: of another, one in thirty needs no end marker for Pillow to decode it."""
    levels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "bmp", "gif", "tif"])
def test_a_whole_picture_passes_with_its_bytes(tmp_path: Path, kind: str) -> None:
    path = draw(tmp_path / f"a.{kind}", 1)
    assert problem_of(path) == ("", path.read_bytes())


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("lost", [1, 2, 50, 2000])
def test_a_jpeg_without_its_end_is_refused_as_pillow_would(tmp_path: Path, lost: int, progressive: bool) -> None:
    data = jpeg((120, 90), progressive=progressive)
    assert problem_of(write(tmp_path / "a.jpg", data[:-lost]))[0] == "is cut off"
    with pytest.raises(ValueError):
        decode(tmp_path / "a.jpg")


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_picture(tmp_path: Path) -> None:
    data = jpeg((120, 90), exif=b"Exif\x00\x00" + jpeg((30, 20)))
    assert problem_of(write(tmp_path / "a.jpg", data))[0] == ""
    assert problem_of(write(tmp_path / "b.jpg", data[:-300]))[0] == "is cut off"


def test_bytes_after_the_end_do_no_harm(tmp_path: Path) -> None:
    assert problem_of(write(tmp_path / "a.jpg", jpeg((120, 90)) + b"\0" * 5000))[0] == ""


def test_a_png_without_its_end_is_refused(tmp_path: Path) -> None:
    data = draw(tmp_path / "whole.png", 1, (60, 60)).read_bytes()
    assert problem_of(write(tmp_path / "a.png", data[:-500]))[0] == "is cut off"


def test_what_is_no_picture_is_not_read_whole(tmp_path: Path) -> None:
    assert problem_of(write(tmp_path / "a.jpg", b"text" * 1000)) == (
        UNSUPPORTED_FORMAT,
        b"",
    )
    assert problem_of(write(tmp_path / "b.jpg", b"")) == ("an empty file", b"")


def test_a_picture_larger_than_is_ever_decoded_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.ppm", b"P6 20000 20000 255\n")
    assert problem_of(tmp_path / "a.ppm") == ("more than 178,956,970 pixels", b"")


def test_a_file_larger_than_any_picture_is_not_read(tmp_path: Path) -> None:
    path = draw(tmp_path / "a.png", 1)
    os.truncate(path, LARGEST_BYTES + 1)  # a hole: it takes no space
    assert problem_of(path) == ("larger than 2 GiB", b"")


def test_a_pipe_and_a_device_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    assert problem_of(tmp_path / "a.png") == ("a pipe, a socket or a device", b"")
    assert problem_of(Path("/dev/zero")) == ("a pipe, a socket or a device", b"")
