from __future__ import annotations

import io
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin
from torchvision.transforms import InterpolationMode, v2

from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.pixels import MAX_PIXELS, PixelRecipe, UnreadableImage, as_picture, decode, pixels_sha256, to_feed, to_pixels

LEVELS = np.random.default_rng(3).integers(0, 256, (40, 61, 3), dtype=np.uint8)
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def picture(width: int = 61, height: int = 40) -> Image.Image:
    return Image.fromarray(np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8))


def saved(image: Image.Image, kind: str, **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def levels(image: Image.Image) -> np.ndarray:
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(61, 40), (40, 61), (33, 33), (64, 64), (500, 333), (333, 501), (20, 300), (64, 97), (7, 5)])
@pytest.mark.parametrize(("resize", "crop"), [(64, 56), (64, 64), (73, 64), (37, 30), (40, 64), (33, 47)])
def test_pixels_are_exactly_torchvisions_on_pil_images(size: tuple[int, int], resize: int, crop: int, interpolation: str) -> None:
    image = picture(*size)
    theirs = v2.Compose([v2.Resize(resize, InterpolationMode(interpolation)), v2.CenterCrop(crop)])(image)
    assert np.array_equal(
        to_pixels(image, PixelRecipe(ImageSize.square(resize), ImageSize.square(crop), interpolation)), np.asarray(theirs)
    )


FRAME = ImageSize(48, 192)


@pytest.mark.parametrize("size", [(400, 100), (800, 100), (200, 200), (61, 40), (90, 400), (192, 48)])
def test_a_rectangle_is_covered_and_its_centre_is_taken(size: tuple[int, int]) -> None:
    image = picture(*size)
    made = to_pixels(image, PixelRecipe(FRAME, FRAME, "bilinear"))
    width, height = (192, int(192 * size[1] / size[0])) if 4 * size[1] >= size[0] else (int(48 * size[0] / size[1]), 48)
    theirs = v2.Compose([v2.Resize((height, width), InterpolationMode.BILINEAR), v2.CenterCrop((48, 192))])(image)
    assert np.array_equal(made, np.asarray(theirs))


@pytest.mark.parametrize("size", [(400, 100), (800, 100), (200, 200), (61, 40), (90, 400), (192, 48)])
def test_a_letterbox_holds_all_of_the_picture_in_the_middle_of_its_border(size: tuple[int, int]) -> None:
    image = picture(*size)
    made = to_pixels(image, PixelRecipe(FRAME, FRAME, "bicubic", "letterbox", (1, 2, 3)))
    inside = ImageOps.contain(image, (192, 48), Image.Resampling.BICUBIC)
    wanted = Image.new("RGB", (192, 48), (1, 2, 3))
    wanted.paste(inside, ((192 - inside.width) // 2, (48 - inside.height) // 2))
    assert np.array_equal(made, np.asarray(wanted))


def test_a_letterbox_of_a_thread_is_a_pixel_high() -> None:
    made = to_pixels(Image.new("RGB", (2000, 1), RED), PixelRecipe(FRAME, FRAME, "bicubic", "letterbox", BLUE))
    assert (made == RED).all(axis=2).any(axis=1).sum() == 1


@pytest.mark.parametrize("size", [(400, 100), (300, 100), (1200, 100), (61, 40), (3, 400), (150, 48), (192, 48)])
def test_a_line_has_the_frames_height_and_begins_at_its_left(size: tuple[int, int]) -> None:
    image = picture(*size)
    made = to_pixels(image, PixelRecipe(FRAME, FRAME, "bilinear", "line", (1, 2, 3)))
    width = min(192, math.ceil(48 * (size[0] / size[1])))  # PaddleOCR's own rule
    wanted = Image.new("RGB", (192, 48), (1, 2, 3))
    wanted.paste(image.resize((width, 48), Image.Resampling.BILINEAR) if (width, 48) != size else image, (0, 0))
    assert np.array_equal(made, np.asarray(wanted))


def test_a_stretched_picture_has_the_frames_shape() -> None:
    image = picture(61, 40)
    made = to_pixels(image, PixelRecipe(FRAME, FRAME, "bilinear", "stretch"))
    assert np.array_equal(made, np.asarray(v2.Resize((48, 192), InterpolationMode.BILINEAR)(image)))


def test_a_size_is_a_side_or_height_by_width() -> None:
    assert [ImageSize.of(each) for each in (224, "224", "48x192", FRAME)] == [(224, 224), (224, 224), (48, 192), (48, 192)]
    assert (ImageSize.of("48X192").stated, ImageSize.square(7).stated, str(FRAME)) == ("48x192", 7, "48x192")
    for wrong in (0, "0x3", "48×192", "48x", True, 22.5, "", None, "4x4x4", -3):
        with pytest.raises(ValueError, match="is neither a side in pixels nor HEIGHTxWIDTH, such as 48x192"):
            ImageSize.of(wrong)


def test_pixels_are_contiguous_and_may_be_written_to() -> None:
    pixels = to_pixels(picture(), PixelRecipe(ImageSize.square(32), ImageSize.square(24), "bilinear"))
    assert (pixels.shape, pixels.dtype, pixels.flags.c_contiguous, pixels.flags.writeable) == ((24, 24, 3), np.uint8, True, True)


def test_a_picture_too_narrow_to_resize_is_refused_before_memory_is_asked_for() -> None:
    with pytest.raises(UnreadableImage, match="1 x 60,000 pixels"):
        to_pixels(Image.new("RGB", (1, 60_000)), PixelRecipe(ImageSize.square(256), ImageSize.square(224), "bicubic"))


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
    assert levels(as_picture(xray, (100, 4100)))[0, :, 0].tolist() == [0, 0, 128, 255, 255]
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
    with pytest.raises(UnreadableImage, match="^in no picture format that is read "):
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
    with pytest.raises(UnreadableImage, match="^in no picture format that is read "):
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
    with pytest.raises(UnreadableImage, match="^it asks for more memory than there is$"):
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


def test_the_digest_of_pixels_knows_their_shape_and_type() -> None:
    pixels = np.arange(24, dtype=np.uint8)
    arrays = [pixels, pixels.reshape(2, 4, 3), pixels.reshape(4, 2, 3), pixels.view(np.int8)]
    assert len({pixels_sha256(array) for array in arrays}) == 4


def test_the_digest_of_pixels_does_not_know_how_they_lie_in_memory() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert pixels_sha256(np.asfortranarray(pixels)) == pixels_sha256(pixels)


def test_a_float_feed_is_the_normalized_pixels() -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    pixels = LEVELS[None, :32, :32]
    feed = to_feed(pixels, "float32", "NCHW", mean, std)
    exact = ((pixels / 255.0 - mean) / std).transpose(0, 3, 1, 2)
    assert (feed.shape, feed.dtype, feed.flags.c_contiguous) == ((1, 3, 32, 32), np.float32, True)
    assert np.abs(feed - exact).max() < 1e-6
    assert np.array_equal(to_feed(pixels, "float32", "NHWC", mean, std), feed.transpose(0, 2, 3, 1))


@pytest.mark.parametrize(("layout", "shape"), [("NHWC", (2, 40, 61, 3)), ("NCHW", (2, 3, 40, 61))])
def test_a_uint8_feed_is_the_pixels_themselves(layout: str, shape: tuple[int, ...]) -> None:
    feed = to_feed(np.stack([LEVELS, LEVELS]), "uint8", layout)
    assert (feed.shape, feed.dtype, feed.flags.c_contiguous) == (shape, np.uint8, True)
    assert np.array_equal(feed[1] if layout == "NHWC" else feed[1].transpose(1, 2, 0), LEVELS)


def test_postscript_under_a_photograph_s_name_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    (programs / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n")
    with pytest.raises(UnreadableImage, match="in no picture format that is read"):
        decode(photo)
    assert not (tmp_path / "started").exists()
