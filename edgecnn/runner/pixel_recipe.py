"""The preprocessing of an image, as a value. ``pixels`` applies it, with packages that a new machine may lack."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Tuple

RESIZE_MODES = ("crop", "letterbox", "stretch", "line")
BLACK = (0, 0, 0)
ALL_LEVELS = (0, 65535)
"""The levels of 16-bit grey images."""
MAX_PIXELS = 178956970
"""Larger images are refused before they are decoded. This is Pillow's limit (twice its ``MAX_IMAGE_PIXELS``)."""
_SIDES = re.compile(r"([0-9]{1,6})(?:x([0-9]{1,6}))?")


class ImageSize(NamedTuple):
    """Height and width in pixels. As text and in JSON: ``48x192``, or the side of a square, 224."""

    height_px: int
    width_px: int

    @classmethod
    def square(cls, side_px: int) -> ImageSize:
        """Return the size of a square."""
        return cls(side_px, side_px)

    @classmethod
    def of(cls, stated: Any) -> ImageSize:
        """Parse a side, or a text with height and width. Raises ValueError: it is neither, or a side is 0."""
        if isinstance(stated, ImageSize):
            return stated
        match = None if isinstance(stated, (bool, float)) else _SIDES.fullmatch(str(stated).lower())
        sides = [int(side) for side in match.groups() if side] if match else [0]
        if min(sides) < 1:
            raise ValueError("{!r} is neither a side in pixels nor HEIGHTxWIDTH, such as 48x192".format(stated))
        return cls(sides[0], sides[-1])

    @property
    def stated(self) -> Any:
        """The form for JSON, which ``of`` parses."""
        return self.height_px if self.is_square else str(self)

    @property
    def is_square(self) -> bool:
        """Whether height and width are equal."""
        return self.height_px == self.width_px

    @property
    def short_px(self) -> int:
        """The shorter side."""
        return min(self)

    @property
    def long_px(self) -> int:
        """The longer side."""
        return max(self)

    @property
    def area_px(self) -> int:
        """The number of pixels."""
        return self.height_px * self.width_px

    def scaled_to_short(self, short_px: int) -> ImageSize:
        """Return the size scaled to this shorter side."""
        height, width = (max(1, round(side * short_px / self.short_px)) for side in self)
        return ImageSize(height, width)

    def larger_of(self, size: ImageSize) -> ImageSize:
        """Return the larger height and the larger width."""
        return ImageSize(max(self.height_px, size.height_px), max(self.width_px, size.width_px))

    def __str__(self) -> str:
        return str(self.height_px) if self.is_square else "{}x{}".format(self.height_px, self.width_px)


class PixelRecipe(NamedTuple):
    """An image is resized, and its centre is cropped. ``fill`` surrounds an image that is smaller than the crop.

    ``resize``: ``crop`` scales the image to cover ``resize_px``, ``letterbox`` to fit into it, ``stretch`` scales each side
    separately, ``line`` scales to its height; a wider line is squeezed, a narrower one is at the left of ``fill``.
    ``interpolation``: bilinear or bicubic. ``fill``: levels of red, green and blue. ``grey_window``: the levels of 16-bit grey
    images that become black and white.
    """

    resize_px: ImageSize
    crop_px: ImageSize
    interpolation: str
    resize: str = "crop"
    fill: Tuple[int, int, int] = BLACK
    grey_window: Tuple[int, int] = ALL_LEVELS
