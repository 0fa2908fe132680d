"""Rows from which families of inverted-residual networks are built, and the rule that scales them.

Widths and depths are rounded as EfficientNet's published code rounds them (arXiv:1905.11946, ``round_filters`` and
``round_repeats``), so that a scaled table is the published network to the last channel.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import PositiveFloat, PositiveInt

from edgecnn.values.base import Value


class BlockGroup(Value):
    """``repeats`` inverted residual blocks of one width; the first of them carries the stride."""

    expand: PositiveInt
    """Width of the depthwise convolution over the width of the block's input."""
    kernel: Literal[3, 5]
    stride: Literal[1, 2]
    width: PositiveInt
    repeats: PositiveInt = 1


class CompoundScale(Value):
    """Multipliers of width and depth. ``fixed_ends`` leaves the repeats of the first and the last group as they are."""

    width: PositiveFloat = 1.0
    depth: PositiveFloat = 1.0
    fixed_ends: bool = False

    def channels(self, width: int) -> int:
        """The scaled width, to the nearest multiple of 8 that is not more than 10 % below it."""
        wished = width * self.width
        rounded = max(8, int(wished + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * wished else rounded

    def repeats(self, repeats: int) -> int:
        """The scaled depth, rounded up."""
        return math.ceil(repeats * self.depth)

    def groups(self, rows: tuple[BlockGroup, ...]) -> tuple[BlockGroup, ...]:
        """The scaled rows."""
        last = len(rows) - 1
        return tuple(
            row.model_copy(
                update={
                    "width": self.channels(row.width),
                    "repeats": row.repeats if self.fixed_ends and index in (0, last) else self.repeats(row.repeats),
                }
            )
            for index, row in enumerate(rows)
        )
