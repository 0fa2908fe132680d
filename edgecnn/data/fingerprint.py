"""What one picture is like: how it is stored, and a small copy by which it can be told from every other.

Whether a file can be used is for ``runner.pixels.decode`` alone to say. A JPEG is the one exception that is made for speed: the
format can be decoded at an eighth of its size for a fraction of the time, and all of its data is read on the way, so that what
breaks off is noticed just the same.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from PIL import Image

from edgecnn.runner.pixels import MAX_PIXELS, UnreadableImage, decode, open_picture

if TYPE_CHECKING:
    import numpy.typing as npt


SMALL_PX: Final = 18
"""Side of the small copy: twice that of the grid whose differences are the hash."""
_STEP: Final = 3 * 4 * 1000
"""Three levels, of the sum of four pixels, weighted in thousandths."""
_DRAFT_PX: Final = 4 * SMALL_PX
_ORIENTATION_TAG: Final = 0x0112
_TURNS: Final = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}
"""EXIF 2.32, tag 0x0112: quarter turns against the clock, then left and right exchanged, that turn a stored picture upright."""


class Fingerprint(NamedTuple):
    """What reading one picture told. ``small`` is uint8 (18, 18, 3), RGB, upright, whatever the sides were."""

    kind: str
    """The format, as Pillow names it."""
    mode: str
    """Of its pixels as stored: RGB, L, CMYK, I;16, …"""
    width_px: int
    height_px: int
    """As stored, before any turn."""
    orientation: int
    """EXIF's, 1 to 8; 1 is upright."""
    animated: bool
    transparent: bool
    small: npt.NDArray[np.uint8]


def fingerprint_of(data: bytes) -> Fingerprint:
    """Decode a picture, at reduced size where its format can.

    Raises:
        UnreadableImage: as ``runner.pixels.decode`` does.
    """
    try:
        with open_picture(io.BytesIO(data)) as image:
            kind, mode, (width, height) = image.format or "", image.mode, image.size
            orientation = _orientation(image)
            animated = bool(getattr(image, "is_animated", False)) and kind not in ("TIFF", "MPO")
            transparent = mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info
    except Exception as error:
        decode(io.BytesIO(data))  # says it in its own words
        raise UnreadableImage(str(error) or type(error).__name__) from error
    shrunk = _drafted(data) if kind == "JPEG" and mode in ("RGB", "L") and width * height <= MAX_PIXELS else None
    if shrunk is None:
        small = _small(decode(io.BytesIO(data)))
    else:
        turns, mirrored = _TURNS.get(orientation, (0, False))
        turned = np.rot90(_small(shrunk), turns)
        small = np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)
    return Fingerprint(kind, mode, width, height, orientation if orientation in _TURNS else 1, animated, transparent, small)


def hash_bits(small: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A difference hash of 128 bits: whether it gets darker to the right, and downwards, over a grid of 9 × 9 grey cells.

    Plain areas are a little noisy; only a step of more than three levels counts. After Neal Krawetz,
    "Kind of Like That" (Hacker Factor, 2013), in both directions. Grey is ITU-R BT.601.

    Args:
        small: uint8 (N, 18, 18, 3).

    Returns:
        uint8 (N, 128), zeros and ones.
    """
    cells = small.reshape(-1, 9, 2, 9, 2, 3).sum(axis=(2, 4), dtype=np.int32) @ np.array([299, 587, 114], np.int32)
    right, down = cells[:, :8, :-1] - cells[:, :8, 1:] > _STEP, cells[:, :-1, :8] - cells[:, 1:, :8] > _STEP
    return np.concatenate([right.reshape(-1, 64), down.reshape(-1, 64)], axis=1).astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # noqa: BLE001 - a damaged EXIF block says nothing about the picture beside it
        return 1


def _drafted(data: bytes) -> Image.Image | None:
    """A JPEG at the smallest size that its decoder offers and that is large enough; None where ``decode`` has to say why not."""
    try:
        with open_picture(io.BytesIO(data)) as image:
            image.draft(image.mode, (_DRAFT_PX, _DRAFT_PX))
            image.load()
            return image.convert("RGB")
    except Exception:  # noqa: BLE001 - Pillow's readers promise no type; the one decoder names the reason
        return None


def _small(image: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(image.resize((SMALL_PX, SMALL_PX), Image.Resampling.BOX))
