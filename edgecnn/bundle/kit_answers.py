"""What the sandbox of ``classifying`` runs: open a kit, and classify images that may be hostile.

It imports the runner alone, so that a sandbox starts in half the time. A file of a few hundred kilobytes may have 179 million
pixels, which need 3.3 GiB with transparency. The size is therefore read from the file before decoding.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from PIL import Image

from edgecnn.errors.hosts import RunnerFailed
from edgecnn.runner.classifier import Classifier
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.pixels import BROKEN, open_picture


@dataclass(frozen=True)
class DecodingLimits:
    """Limits that are checked before an image is decoded."""

    pixels: int = 1 << 26
    """Pixels of one image; decoding needs up to 20 bytes for each."""
    scanned_pixels: int = 1 << 30
    """Pixels of one progressive JPEG, counted in every scan: 16 scans of the largest image, 89 of 12 megapixels."""
    text_bytes: int = 1 << 20
    """Size of an image with pixels as text. They are read one number at a time, so 10 MB take 5 s."""


_MARKER: Final = re.compile(rb"\xff+([^\x00\x01\xd0-\xd8\xff])")
"""Marker of a JPEG that ends a scan (ITU T.81, B.1.1)."""
_SCAN, _END = b"\xda", b"\xd9"
_WRITTEN_OUT: Final = (b"P1", b"P2", b"P3")
"""First bytes of PBM, PGM and PPM files with pixels as text."""


def size_refusal(content: bytes, limits: DecodingLimits) -> str:
    """Return why a file is too large to decode. Empty if it is small enough, or if decoding will refuse it."""
    try:
        with open_picture(io.BytesIO(content)) as picture:
            width, height = picture.size
    except (*BROKEN, Image.DecompressionBombError):
        return ""
    if content[:2] in _WRITTEN_OUT and len(content) > limits.text_bytes:
        return f"its pixels are text of more than {limits.text_bytes:,} bytes"
    size = f"{width:,} x {height:,} pixels"
    if width * height > limits.pixels:
        return f"it has {size}, more than {limits.pixels:,}"
    scans = limits.scanned_pixels // (width * height)
    if content.startswith(b"\xff\xd8") and _has_more_scans(content, scans):
        return f"it has more than {scans:,} scans of {size}"
    return ""


def _has_more_scans(jpeg: bytes, most: int) -> bool:
    """Return whether the first image of a JPEG has more scans. Data in segments and after the image do not count."""
    at, count = 2, 0
    while count <= most and (marker := _MARKER.search(jpeg, at)) and marker[1] != _END:
        count += marker[1] == _SCAN
        at = marker.end() + int.from_bytes(jpeg[marker.end() : marker.end() + 2], "big")
    return count > most


@cache
def _classifier(kit: str) -> Classifier:
    return Classifier(Path(kit))


def open_kit(kit: str) -> dict[str, Any]:
    """Open a kit and return the fields of ``OpenedKit``. Raises RunnerFailed: it does not run here."""
    try:
        opened = _classifier(kit)
    except RunnerError as error:
        raise RunnerFailed(**error.facts()) from error
    facts = {"kit": opened.sha256, "knobs": opened.knobs, "classes": len(opened.labels)}
    return {**facts, "several": opened.thresholds is not None}


def answer_image(kit: str, top: int | None, limits: Mapping[str, int] | None, content: bytes = b"") -> dict[str, Any]:
    """Classify an image and return the fields of ``Classified``. Raises RunnerFailed: the runtime failed."""
    if limits is not None and (refusal := size_refusal(content, DecodingLimits(**limits))):
        return {"unreadable": refusal}
    opened, began = _classifier(kit), time.perf_counter()
    try:
        pixels = opened.pixels(io.BytesIO(content))
        decoded = time.perf_counter()
        shares = opened.classify(pixels)
    except RunnerError as error:
        if error.ref != "unreadable-image":
            raise RunnerFailed(**error.facts()) from error
        return {"unreadable": error.because or error.what}
    ended = time.perf_counter()
    labels = [{"label": label, "probability": share} for label, share in shares]
    shown = labels if opened.thresholds is not None else labels[:top]
    return {"labels": shown, "decode_ms": (decoded - began) * 1e3, "inference_ms": (ended - decoded) * 1e3}
