"""How a picture becomes pixels, as a value; ``pixels`` does it, with packages that a machine may still lack."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Tuple

RESIZE_MODES = ("crop", "letterbox", "stretch", "line")
BLACK = (0, 0, 0)
ALL_LEVELS = (0, 65535)
"""Of grey pictures of 16 bits."""
MAX_PIXELS = 178956970
"""Larger pictures are refused before they are decoded: where Pillow itself stops (twice its ``MAX_IMAGE_PIXELS``)."""
_SIDES = re.compile(r"([0-9]{1,6})(?:x([0-9]{1,6}))?")


class ImageSize(NamedTuple):
    """Height and width in pixels. As text, and in JSON: ``48x192``, and of a square its side, 224."""

    height_px: int
    width_px: int

    @classmethod
    def square(cls, side_px: int) -> ImageSize:
        """As high as wide."""
        return cls(side_px, side_px)

    @classmethod
    def of(cls, stated: Any) -> ImageSize:
        """From a side, or a text with height and width. Raises ValueError: it is neither, or a side has no pixel."""
        if isinstance(stated, ImageSize):
            return stated
        match = None if isinstance(stated, (bool, float)) else _SIDES.fullmatch(str(stated).lower())
        sides = [int(side) for side in match.groups() if side] if match else [0]
        if min(sides) < 1:
            raise ValueError("{!r} is neither a side in pixels nor HEIGHTxWIDTH, such as 48x192".format(stated))
        return cls(sides[0], sides[-1])

    @property
    def stated(self) -> Any:
        """What ``of`` makes the same of, and JSON holds."""
        return self.height_px if self.is_square else str(self)

    @property
    def is_square(self) -> bool:
        """True where it is as high as wide."""
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
        """Pixels in all."""
        return self.height_px * self.width_px

    def with_short(self, short_px: int) -> ImageSize:
        """Of the same shape, with that shorter side."""
        height, width = (max(1, round(side * short_px / self.short_px)) for side in self)
        return ImageSize(height, width)

    def larger_of(self, other: ImageSize) -> ImageSize:
        """Side by side, the larger of each."""
        return ImageSize(max(self.height_px, other.height_px), max(self.width_px, other.width_px))

    def __str__(self) -> str:
        return str(self.height_px) if self.is_square else "{}x{}".format(self.height_px, self.width_px)


class PixelRecipe(NamedTuple):
    """A picture is resized, and the centre is cropped; where it is smaller than the crop, ``fill`` is around it.

    ``resize``: crop scales it until it covers ``resize_px``, letterbox until it fits into that, stretch scales each side on its
    own, line to that height, squeezed where it would be wider and at the left of ``fill`` where it is not. ``interpolation``:
    bilinear or bicubic. ``fill``: levels of red, green and blue. ``grey_window``: levels of grey pictures of 16 bits that become
    black and white.
    """

    resize_px: ImageSize
    crop_px: ImageSize
    interpolation: str
    resize: str = "crop"
    fill: Tuple[int, int, int] = BLACK
    grey_window: Tuple[int, int] = ALL_LEVELS
