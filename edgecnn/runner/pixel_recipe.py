"""How a picture becomes pixels, as a value; ``pixels`` does it, with packages that a machine may still lack."""

from __future__ import annotations

from typing import NamedTuple


class PixelRecipe(NamedTuple):
    """Short side to ``resize_px``, centre crop to ``crop_px``; ``interpolation`` is bilinear or bicubic."""

    resize_px: int
    crop_px: int
    interpolation: str
