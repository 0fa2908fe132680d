"""A cheap look at a file before it is given a role: is it a picture at all, and is its end there?

Decoding every image at planning would cost minutes. A file that passes here and still cannot be decoded is named by the stage
that decodes it.
"""

from __future__ import annotations

import io
import stat
from pathlib import Path
from typing import Final

from PIL import Image, UnidentifiedImageError

from edgecnn.runner.causes.known import why_no_image
from edgecnn.runner.files import open_regular
from edgecnn.runner.pixels import BROKEN, MAX_PIXELS, UNSUPPORTED_FORMAT, fault_text, open_picture

LARGEST_BYTES: Final = 1 << 31
"""No picture within ``MAX_PIXELS`` needs more, at 8 bytes a pixel; whole files are read, by every core at once."""


def problem_of(path: Path) -> tuple[str, bytes]:
    """Why a file is no usable picture (empty where it is one), and its bytes (read only where it is one).

    A pipe or a device is never opened: it may have no end, or no beginning.

    Raises OSError: the file cannot be opened or read.
    """
    facts = path.stat()
    if stat.S_ISDIR(facts.st_mode):
        return "a folder", b""
    if not stat.S_ISREG(facts.st_mode):
        return "a pipe, a socket or a device", b""
    if facts.st_size == 0:  # not opened either: the kernel's own files have this size, and may block
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
    """Pillow refuses a JPEG without its end marker, and nearly every PNG without its end chunk."""
    if data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9", _scan_start(data)) < 0:
        return "breaks off before its end"
    if data.startswith(b"\x89PNG") and data.rfind(b"IEND") < 0:
        return "breaks off before its end"
    return ""


def _scan_start(data: bytes) -> int:
    """Where a JPEG's compressed picture begins (ITU T.81, B.1.1): segments before it may hold thumbnails with their own ends."""
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
