"""A quick check of a file before it gets a role: is it an image, and is it complete?

Decoding every image at planning would take minutes. A damaged file that passes this check is reported by the stage that decodes
it.
"""

from __future__ import annotations

import io
import stat
from pathlib import Path
from typing import Final

from PIL import Image, UnidentifiedImageError

from edgecnn.runner.causes import why_no_image
from edgecnn.runner.files import open_regular
from edgecnn.runner.pixels import BROKEN, MAX_PIXELS, UNSUPPORTED_FORMAT, fault_text, open_picture

LARGEST_BYTES: Final = 1 << 31
"""No image within ``MAX_PIXELS`` is larger, at 8 bytes a pixel. Files are read completely, on every core at once."""


def problem_of(path: Path) -> tuple[str, bytes]:
    """Return why a file is not a usable image (empty if it is), and its bytes (only if it is).

    Pipes and devices are never opened, because reading them may block or never end.

    Raises OSError: the file cannot be opened or read.
    """
    facts = path.stat()
    if stat.S_ISDIR(facts.st_mode):
        return "a folder", b""
    if not stat.S_ISREG(facts.st_mode):
        return "a pipe, a socket or a device", b""
    if facts.st_size == 0:  # files of the kernel have this size too, and may block
        return "an empty file", b""
    if facts.st_size > LARGEST_BYTES:
        return "larger than 2 GiB", b""
    with open_regular(path) as file:
        if not (problem := _header_problem(file)):
            file.seek(0)
            data = file.read()
            return _end_problem(data), data
    return problem, b""


def _header_problem(file: io.BufferedReader) -> str:
    try:
        width, height = open_picture(file).size
    except UnidentifiedImageError:
        return why_no_image(file, UNSUPPORTED_FORMAT)
    except Image.DecompressionBombError:
        return f"more than {MAX_PIXELS:,} pixels"
    except BROKEN as error:
        return why_no_image(file, f"a damaged header ({fault_text(error)})")
    if width * height > MAX_PIXELS:
        return f"more than {MAX_PIXELS:,} pixels"
    return ""


def _end_problem(data: bytes) -> str:
    """Check the end of a file. Pillow refuses a JPEG without its end marker, and nearly every PNG without its end chunk."""
    if data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9", _scan_start(data)) < 0:
        return "is cut off"
    if data.startswith(b"\x89PNG") and data.rfind(b"IEND") < 0:
        return "is cut off"
    return ""


def _scan_start(data: bytes) -> int:
    """Return where a JPEG's image data begin (ITU T.81, B.1.1); earlier segments may contain thumbnails with end markers."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        at += 2 + length
        if marker == 0xDA:  # start of scan
            break
    return at
