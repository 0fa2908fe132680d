"""What decoding a photograph would take, read from its file before any of it is decoded.

A few hundred kilobytes may be 179 million pixels, which took 3.3 GiB with transparency. And a progressive JPEG may go over all of
its pixels again for every 14 bytes: 29 kB of that took 5 s, 20 MiB would have taken hours, in which nobody else is answered.
"""

from __future__ import annotations

import io
import re
from typing import Final

from PIL import Image

from edgecnn.runner.pixels import BROKEN, open_picture
from edgecnn.serving.limits import Limits

_MARKER: Final = re.compile(rb"\xff+([^\x00\x01\xd0-\xd8\xff])")
"""Of a JPEG, where something begins that is no more of the same scan (ITU T.81, B.1.1)."""
_SCAN, _END = b"\xda", b"\xd9"
_WRITTEN_OUT: Final = (b"P1", b"P2", b"P3")
"""Where PBM, PGM and PPM begin that are text."""


def too_much(content: bytes, limits: Limits) -> str:
    """Why a file is not decoded; empty where it is, be it only to learn what else is wrong with it."""
    try:
        with open_picture(io.BytesIO(content)) as picture:
            width, height = picture.size
    except (*BROKEN, Image.DecompressionBombError):
        return ""
    if content[:2] in _WRITTEN_OUT and len(content) > limits.text_bytes:
        return f"its pixels are written out as text, in more than {limits.text_bytes:,} bytes"
    size = f"{width:,} x {height:,} pixels"
    if width * height > limits.pixels:
        return f"{size}, more than {limits.pixels:,} in all"
    scans = limits.scanned_pixels // (width * height)
    if content.startswith(b"\xff\xd8") and _has_more_scans(content, scans):
        return f"more than {scans:,} scans of {size}"
    return ""


def _has_more_scans(jpeg: bytes, most: int) -> bool:
    """Whether a JPEG's first picture has; what its segments or the bytes behind it hold are others."""
    at, count = 2, 0
    while count <= most and (found := _MARKER.search(jpeg, at)) and found[1] != _END:
        count += found[1] == _SCAN
        at = found.end() + int.from_bytes(jpeg[found.end() : found.end() + 2], "big")
    return count > most
