"""From a photograph to the numbers a network wants, split at the one hand-over: uint8 NHWC pixels."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from edgecnn.values.base import Value


class PixelRecipe(Value):
    """Photograph → uint8 RGB pixels: EXIF orientation, RGB, short side to ``resize_px``, centre crop to ``crop_px``."""

    resize_px: PositiveInt
    crop_px: PositiveInt
    interpolation: Literal["bilinear", "bicubic"]


class Normalization(Value):
    """Pixels → network input: ``(pixel / 255 - mean) / std`` a channel, in RGB order."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Preprocessing(Value):
    """Both halves: what a kit needs to know to feed its model."""

    pixels: PixelRecipe
    normalization: Normalization
