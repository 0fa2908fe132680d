"""Functions that decode images from elsewhere. ``decoders`` calls them in sandboxed processes.

Each gets the bytes of a file, and returns facts as JSON with the bytes of an image or array. If the file cannot be decoded, the
only fact is ``why``.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from edgecnn.runner.pixel_recipe import MAX_PIXELS, ImageSize, PixelRecipe
from edgecnn.runner.pixels import BROKEN, UnreadableImage, decode, fault_text, open_picture, to_pixels

Decoded = tuple[dict[str, Any], bytes]


def size(content: bytes) -> Decoded:
    """Return the width and height of an image, which is not decoded; or ``unknown`` for a file of another format."""
    try:
        return {"size": open_picture(io.BytesIO(content)).size}, b""
    except UnidentifiedImageError:
        return {"unknown": True}, b""
    except Image.DecompressionBombError:
        return {"size": (MAX_PIXELS + 1, 1)}, b""
    except BROKEN as error:
        return {"why": fault_text(error)}, b""


def rgb(content: bytes, grey_window: tuple[int, int]) -> Decoded:
    """Return the upright image in RGB. See ``runner.pixels.decode``."""
    try:
        return _image(decode(io.BytesIO(content), (grey_window[0], grey_window[1])))
    except UnreadableImage as error:
        return {"why": error.why}, b""


def pixels(content: bytes, recipe: Sequence[Any]) -> Decoded:
    """Return the pixels that a kit receives. See ``runner.pixels.to_pixels``."""
    resize_px, crop_px, interpolation, resize, fill, grey_window = recipe
    known = PixelRecipe(ImageSize(*resize_px), ImageSize(*crop_px), interpolation, resize, tuple(fill), tuple(grey_window))
    try:
        return _array(to_pixels(decode(io.BytesIO(content), known.grey_window), known))
    except UnreadableImage as error:
        return {"why": error.why}, b""


def fingerprint(content: bytes) -> Decoded:
    """Return the fields of a ``Fingerprint``, and its small copy. See ``fingerprints.fingerprint_of``."""
    from edgecnn.data.fingerprints import fingerprint_of

    try:
        fields = fingerprint_of(content)._asdict()
    except UnreadableImage as error:
        return {"why": error.why}, b""
    facts, small = _array(fields.pop("small"))
    return {**facts, "fields": fields}, small


def background(content: bytes, size_px: int) -> Decoded:
    """Return a background in RGB. See ``composing.read_background``."""
    from edgecnn.data.composing import read_background

    try:
        return _image(read_background(content, size_px))
    except UnreadableImage as error:
        return {"why": error.why}, b""


def cutout(content: bytes, size_px: int) -> Decoded:
    """Return a cut-out in RGBA. See ``composing.read_cutout``."""
    from edgecnn.data.composing import read_cutout

    try:
        return _image(read_cutout(content, size_px))
    except UnreadableImage as error:
        return {"why": error.why}, b""


def _image(image: Image.Image) -> Decoded:
    return {"mode": image.mode, "size": image.size}, image.tobytes()


def _array(array: npt.NDArray[np.uint8]) -> Decoded:
    return {"shape": array.shape}, array.tobytes()
