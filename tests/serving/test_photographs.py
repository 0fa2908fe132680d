"""What a photograph would cost is read from its file: honest ones are taken, and none that would hold everybody up is decoded."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image

from edgecnn.bundle.kit_answers import DecodingLimits, size_refusal


def jpeg(**options: object) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(stream, "JPEG", **options)
    return stream.getvalue()


def scanned(times: int) -> bytes:
    """A progressive JPEG whose last scan, of 14 bytes, comes so many times more."""
    whole = jpeg(progressive=True)
    last = whole.rfind(b"\xff\xda")
    return whole[:last] + whole[last:-2] * (times + 1) + b"\xff\xd9"


def png_head(width: int, height: int) -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + bytes(4) + b"IDAT"


def test_as_many_pixels_as_are_taken_and_one_row_more() -> None:
    assert size_refusal(png_head(8192, 8192), DecodingLimits()) == ""
    assert size_refusal(png_head(8192, 8193), DecodingLimits()) == "it has 8,192 x 8,193 pixels, more than 67,108,864"


def test_a_jpeg_is_not_gone_over_without_end() -> None:
    ordinary = jpeg(progressive=True)
    assert ordinary.count(b"\xff\xda") == 10
    assert size_refusal(ordinary, DecodingLimits(scanned_pixels=64 * 64 * 10)) == ""
    assert size_refusal(ordinary, DecodingLimits(scanned_pixels=64 * 64 * 10 - 1)) == "it has more than 9 scans of 64 x 64 pixels"
    assert size_refusal(scanned(1000), DecodingLimits(scanned_pixels=1 << 20)) == "it has more than 256 scans of 64 x 64 pixels"


@pytest.mark.parametrize("end", [b"", b"\xff", b"\xff\xda", b"\xff\xfe\xff", b"\xff\xfe\x00\x00"])
def test_a_jpeg_that_breaks_off_is_counted_to_where_it_does(end: bytes) -> None:
    assert size_refusal(jpeg()[:-2] + end, DecodingLimits()) == ""


def test_pictures_inside_a_jpeg_s_segments_and_what_is_behind_its_end_are_not_counted() -> None:
    """A thumbnail, a preview, the film of a moving photograph."""
    held = Image.Exif()
    held[0x010E] = "\xff\xda" * 3000
    whole = jpeg(exif=held.tobytes() + b"\xff\xda" * 3000) + b"\x00\x00" + b"\xff\xda\x00\x02" * 3000
    assert size_refusal(whole, DecodingLimits(scanned_pixels=64 * 64)) == ""


def test_pixels_as_text_are_taken_while_they_are_few() -> None:
    text = b"P3 64 64 255 " + b"7 " * (64 * 64 * 3)
    assert size_refusal(text, DecodingLimits()) == ""
    assert size_refusal(text + b" " * (1 << 20), DecodingLimits()) == "its pixels are text of more than 1,048,576 bytes"
    assert size_refusal(b"P6 1024 1024 255 " + bytes(3 << 20), DecodingLimits()) == "", "binary"


def test_what_cannot_be_opened_is_for_the_decoder_to_name() -> None:
    for content in (b"hello", jpeg()[:20], png_head(1 << 30, 1 << 30), b""):
        assert size_refusal(content, DecodingLimits()) == ""
