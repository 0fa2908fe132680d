"""A picture file of any kind becomes the RGB levels that it shows, or is refused in words and before it costs anything."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from edgecnn.runner.pixels import MAX_PIXELS, UnreadableImage, decode, decode_opened
from tests.runner.test_pixels import BLUE, LEVELS, RED

WHITE = (255, 255, 255)


def saved(image: Image.Image, kind: str, **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def levels(image: Image.Image) -> np.ndarray:
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_give_their_levels_back(kind: str) -> None:
    assert np.array_equal(levels(decode(saved(Image.fromarray(LEVELS), kind))), LEVELS)


def test_a_path_and_an_open_file_are_the_same_picture(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(saved(Image.fromarray(LEVELS), "JPEG").getvalue())
    with (tmp_path / "a.jpg").open("rb") as file:
        assert np.array_equal(levels(decode(file)), levels(decode(tmp_path / "a.jpg")))


def test_grey_is_repeated_in_every_channel() -> None:
    grey = Image.fromarray(LEVELS[..., 0])
    assert np.array_equal(levels(decode(saved(grey, "PNG"))), np.repeat(LEVELS[..., :1], 3, axis=2))


def test_one_bit_is_black_and_white() -> None:
    bits = Image.new("1", (4, 4), 1)
    bits.putpixel((0, 0), 0)
    assert levels(decode(saved(bits, "PNG")))[:2, 0].tolist() == [[0, 0, 0], [255, 255, 255]]


def test_sixteen_bit_grey_is_scaled_and_not_cut_off() -> None:
    grey = Image.fromarray(np.array([[0, 257, 128 * 257, 65535, 129, 128]], np.uint16))
    assert levels(decode(saved(grey, "PNG")))[0, :, 0].tolist() == [0, 1, 128, 255, 1, 0]
    assert levels(decode(saved(grey, "TIFF")))[0, :, 2].tolist() == [0, 1, 128, 255, 1, 0]


def test_a_window_of_sixteen_bit_grey_becomes_black_to_white() -> None:
    xray = Image.fromarray(np.array([[0, 100, 2100, 4100, 65535]], np.uint16))
    assert levels(decode(saved(xray, "PNG"), (100, 4100)))[0, :, 0].tolist() == [0, 0, 128, 255, 255]
    assert levels(decode_opened(xray, (100, 4100)))[0, :, 0].tolist() == [0, 0, 128, 255, 255]
    ordinary = Image.new("L", (2, 1), 200)
    assert levels(decode(saved(ordinary, "PNG"), (100, 4100)))[0, 0].tolist() == [200, 200, 200]


def test_grey_levels_without_a_defined_white_are_refused() -> None:
    with pytest.raises(UnreadableImage, match="32-bit grey levels have no defined white"):
        decode(saved(Image.fromarray(np.array([[70_000]], np.int32)), "TIFF"))
    with pytest.raises(UnreadableImage, match="floating-point pixels have no defined white"):
        decode(saved(Image.fromarray(np.array([[0.5]], np.float32)), "TIFF"))


def test_transparency_is_laid_over_white() -> None:
    image = Image.new("RGBA", (3, 1), (*RED, 255))
    image.putpixel((1, 0), (*RED, 0))
    image.putpixel((2, 0), (0, 0, 0, 51))
    assert [tuple(pixel) for pixel in levels(decode(saved(image, "PNG")))[0].tolist()] == [RED, WHITE, (204, 204, 204)]


def test_a_transparent_palette_colour_is_white() -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    for file in (saved(image, "PNG", transparency=0), saved(image, "GIF", transparency=0)):
        assert [tuple(pixel) for pixel in levels(decode(file))[0].tolist()] == [WHITE, BLUE]


def test_a_grey_picture_with_alpha_is_laid_over_white() -> None:
    assert levels(decode(saved(Image.new("LA", (1, 1), (0, 0)), "PNG"))).tolist() == [[list(WHITE)]]


def test_cmyk_is_converted() -> None:
    inks = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert np.abs(levels(decode(saved(inks, "TIFF"))).astype(int) - RED).max() == 0
    assert np.abs(levels(decode(saved(inks, "JPEG", quality=95))).astype(int) - RED).max() <= 2


def test_inks_of_a_jpeg_are_read_as_photo_editors_store_them_with_their_mark_or_without() -> None:
    """Adobe writes full ink as 0, in files with its APP14 segment; Pillow takes every CMYK JPEG for such a file."""
    marked = saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95).getvalue()
    at = marked.index(b"\xff\xee")
    assert marked[at + 4 : at + 9] == b"Adobe"
    unmarked = marked[:at] + marked[at + 2 + int.from_bytes(marked[at + 2 : at + 4], "big") :]
    for data in (marked, unmarked):
        assert np.abs(levels(decode(io.BytesIO(data))).astype(int) - RED).max() <= 2


def test_a_palette_with_half_transparent_colours_is_laid_over_white() -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, *BLUE])
    image.putpixel((1, 0), 1)
    assert levels(decode(saved(image, "PNG", transparency=bytes([51, 255]))))[0].tolist() == [[204, 204, 204], list(BLUE)]


def png(width: int, height: int, bits: int, colour: int, rows: bytes) -> io.BytesIO:
    """A PNG as the specification has it (ISO/IEC 15948), for what Pillow reads and does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def test_sixteen_bit_colour_keeps_its_darkest_and_brightest() -> None:
    row = b"\0" + struct.pack(">9H", 0, 0, 0, 65535, 65535, 65535, 65535, 0, 128 * 257)
    assert levels(decode(png(3, 1, 16, 2, row)))[0].tolist() == [[0, 0, 0], [255, 255, 255], [255, 0, 128]]


def test_sixteen_bit_colour_with_alpha_is_laid_over_white() -> None:
    row = b"\0" + struct.pack(">8H", 65535, 0, 0, 65535, 65535, 0, 0, 0)
    assert [tuple(pixel) for pixel in levels(decode(png(2, 1, 16, 6, row)))[0].tolist()] == [RED, WHITE]


def test_sixteen_bit_grey_with_alpha_is_laid_over_white() -> None:
    row = b"\0" + struct.pack(">4H", 65535, 65535, 0, 0)
    assert [tuple(pixel) for pixel in levels(decode(png(2, 1, 16, 4, row)))[0].tolist()] == [WHITE, WHITE]


def test_a_folder_is_not_called_a_broken_picture_and_an_empty_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").mkdir()
    with pytest.raises(IsADirectoryError):
        decode(tmp_path / "x.jpg")
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(UnreadableImage, match="^unsupported image format "):
        decode(tmp_path / "empty.jpg")


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_the_first_frame_of_an_animation_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    options = {"save_all": True, "append_images": frames[1:], "duration": 40}
    file = saved(frames[0], kind, **(options | ({"lossless": True} if kind == "WEBP" else {})))
    assert Image.open(file).n_frames == 2
    file.seek(0)
    assert tuple(levels(decode(file))[0, 0].tolist()) == RED


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_exif_orientation_is_applied_once(orientation: int, kind: str) -> None:
    as_stored = {
        1: LEVELS,
        2: LEVELS[:, ::-1],
        3: LEVELS[::-1, ::-1],
        4: LEVELS[::-1],
        5: LEVELS.transpose(1, 0, 2),
        6: LEVELS.transpose(1, 0, 2)[::-1],
        7: LEVELS.transpose(1, 0, 2)[::-1, ::-1],
        8: LEVELS.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = saved(Image.fromarray(np.ascontiguousarray(as_stored)), kind, exif=exif)
    assert np.array_equal(levels(decode(file)), LEVELS)


def test_a_damaged_exif_block_does_not_cost_the_picture() -> None:
    file = saved(Image.fromarray(LEVELS), "PNG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert np.array_equal(levels(decode(file)), LEVELS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF"])
def test_a_truncated_picture_is_refused(kind: str) -> None:
    whole = saved(Image.fromarray(LEVELS), kind).getvalue()
    with pytest.raises(UnreadableImage):
        decode(io.BytesIO(whole[: len(whole) // 2]))


def test_a_file_that_is_no_picture_is_refused_in_words() -> None:
    with pytest.raises(UnreadableImage, match="^unsupported image format "):
        decode(io.BytesIO(b"a shopping list"))


def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0))
    with pytest.raises(UnreadableImage, match=f"more than {MAX_PIXELS:,} pixels"):
        decode(io.BytesIO(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")))


def test_a_png_that_states_four_gigabytes_of_pixels_is_refused_where_these_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load_end", read)
    with pytest.raises(UnreadableImage, match="^it needs more memory than is available$"):
        decode(saved(Image.fromarray(LEVELS), "PNG"))


def test_an_inflating_text_chunk_is_refused() -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("comment", "x" * (64 << 20), zip=True)
    with pytest.raises(UnreadableImage):
        decode(saved(Image.fromarray(LEVELS), "PNG", pnginfo=notes))


def test_an_avif_whose_colours_cannot_be_decoded_is_refused_and_no_traceback() -> None:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 17, 3), dtype=np.uint8)).save(stream, "AVIF")
    data = bytearray(stream.getvalue())
    begins = data.index(b"mdat") + 4
    data[begins : begins + 60] = bytes(60)
    with pytest.raises(UnreadableImage, match="Decoding of color planes failed"):
        decode(io.BytesIO(bytes(data)))


def test_a_missing_file_is_not_called_a_broken_picture(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        decode(tmp_path / "none.png")


def test_postscript_under_a_photograph_s_name_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    (programs / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n")
    with pytest.raises(UnreadableImage, match="unsupported image format"):
        decode(photo)
    assert not (tmp_path / "started").exists()
