"""Rows from which families of inverted-residual networks are built, and how multipliers scale them."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from edgecnn.values.base import Value
from edgecnn.values.scale import Multipliers


class BlockGroup(Value):
    """``repeats`` inverted residual blocks of one width; the first of them carries the stride."""

    expand: PositiveInt
    """Width of the depthwise convolution over the width of the block's input."""
    kernel: Literal[3, 5]
    stride: Literal[1, 2]
    width: PositiveInt
    repeats: PositiveInt = 1


def scaled_groups(rows: tuple[BlockGroup, ...], by: Multipliers, *, fixed_ends: bool = False) -> tuple[BlockGroup, ...]:
    """The scaled rows. ``fixed_ends`` leaves the repeats of the first and the last group as they are."""
    last = len(rows) - 1
    return tuple(
        row.model_copy(
            update={
                "width": by.channels(row.width),
                "repeats": row.repeats if fixed_ends and index in (0, last) else by.repeats(row.repeats),
            }
        )
        for index, row in enumerate(rows)
    )
