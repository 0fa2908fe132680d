"""A network's depth, width and resolution relative to its row of the catalogue, as text and as multipliers."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from edgecnn.errors.wording import nearest
from edgecnn.values.base import Value
from edgecnn.values.preprocessing import LARGEST_PX

KEYS = ("phi", "depth", "width", "resolution")
"""Keys of ``--scale`` and ``[model] scale``; ``resolution`` is in pixels."""
LARGEST_MULTIPLIER = 8.0
"""Limits of depth and width. EfficientNet-L2, the largest published, has 5.3 and 4.3 (arXiv:1911.04252)."""
LARGEST_PHI = 11.0
"""1.2 to the 11th is 7.4: the last whole step below the largest multiplier, in both directions."""
DECIMALS = 4
"""Decimals of a multiplier, all of which are in the network's name."""


class CompoundScale(Value):
    """The requested scale: a step ``phi`` along the compound rule, or multipliers and a resolution, with optional parts."""

    phi: Annotated[float, Field(ge=-LARGEST_PHI, le=LARGEST_PHI)] | None = None
    depth: Annotated[float, Field(gt=0, le=LARGEST_MULTIPLIER)] | None = None
    """Multiplier of the blocks of each group."""
    width: Annotated[float, Field(gt=0, le=LARGEST_MULTIPLIER)] | None = None
    """Multiplier of the channels of each layer."""
    resolution: Annotated[int, Field(gt=0, le=LARGEST_PX)] | None = None
    """Pixels of the shorter side of the network's input, which keeps its aspect ratio."""

    @classmethod
    def from_text(cls, text: str) -> CompoundScale:
        """Parse ``phi=1.5``, or ``depth=1.2,width=0.75,resolution=192`` with any of the three.

        Raises ValueError: an unknown, repeated or contradicting key, or an impossible value; with the reason.
        """
        numbers: dict[str, float] = {}
        for part in text.split(","):
            key, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals or not key:
                raise ValueError(f"{part.strip()!r} is not KEY=NUMBER")
            if key not in KEYS:
                near = nearest(key, KEYS, cutoff=0.5)
                raise ValueError(f"{key} is not a key, {f'the nearest is {near}' if near else 'it takes ' + ', '.join(KEYS)}")
            if key in numbers:
                raise ValueError(f"{key} is given twice")
            numbers[key] = _number(key, value)
        if "phi" in numbers and len(numbers) > 1:
            raise ValueError(f"phi sets depth, width and resolution at once, and {next(k for k in numbers if k != 'phi')} too")
        return cls.model_validate(numbers)

    def text(self) -> str:
        """The shortest text that ``from_text`` parses to the same value."""
        return ",".join(f"{key}={value:g}" for key in KEYS if (value := getattr(self, key)) is not None)


class Multipliers(Value):
    """Resolved multipliers. Widths and depths are rounded as in EfficientNet's published code (``round_filters`` and
    ``round_repeats`` of arXiv:1905.11946), so a scaled table equals the published network in every channel.
    """

    depth: PositiveFloat = 1.0
    width: PositiveFloat = 1.0

    def channels(self, width: int) -> int:
        """Return the scaled width: the nearest multiple of 8 that is not more than 10 % lower."""
        wished = width * self.width
        rounded = max(8, int(wished + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * wished else rounded

    def repeats(self, repeats: PositiveInt) -> int:
        """Return the scaled depth, rounded up; floating-point error above a whole number is ignored."""
        return math.ceil(round(repeats * self.depth, 6))

    def times(self, other: Multipliers) -> Multipliers:
        """Return the product of both."""
        return Multipliers(depth=round(self.depth * other.depth, DECIMALS), width=round(self.width * other.width, DECIMALS))

    @property
    def suffix(self) -> str:
        """The suffix ``-d1.2-w0.75`` of the scaled network's name."""
        return f"-d{_plain(self.depth)}-w{_plain(self.width)}"


class Inheritance(Value):
    """How much of a network comes from pretrained weights."""

    parameters: PositiveInt
    """Parameters of the whole network, with its new head and without running statistics."""
    inherited: NonNegativeInt
    """Inherited parameters among them."""

    @property
    def share(self) -> float:
        """Share of inherited parameters, 0…1."""
        return self.inherited / self.parameters


class ScaledNetwork(Value):
    """A scaled network, and its inheritance from pretrained weights."""

    base: str
    """The network of the catalogue before scaling."""
    asked: str | None
    """The scale in ``--scale`` or the recipe; None if the scaled network was requested by its own name."""
    depth: float
    width: float
    inheritance: Inheritance

    def sentence(self) -> str:
        """``efficientnet-b0 with depth × 1.2, width × 1.1 (asked: phi=2); 41.2 % of its 9,109,994 parameters were inherited``."""
        origin = f" (asked: {self.asked})" if self.asked else ""
        share = f"{100 * self.inheritance.share:.1f} % of its {self.inheritance.parameters:,} parameters were inherited"
        return f"{self.base} with depth × {_plain(self.depth)}, width × {_plain(self.width)}{origin}; {share}"


def _plain(number: float) -> str:
    return f"{number:.{DECIMALS}f}".rstrip("0").rstrip(".")


def _number(key: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{key} must be a number, not {text!r}") from None
    if not math.isfinite(number):
        raise ValueError(f"{key} must be a finite number, not {text}")
    if key == "phi":
        if abs(number) > LARGEST_PHI:
            raise ValueError(f"phi must be between {-LARGEST_PHI:g} and {LARGEST_PHI:g}, not {text}")
        return number
    if number <= 0:
        nothing = {"depth": "no block", "width": "no channel", "resolution": "no pixel"}[key]
        raise ValueError(f"{key}={text} leaves {nothing}")
    if key == "resolution" and (number != int(number) or number > LARGEST_PX):
        raise ValueError(f"resolution must be a whole number of pixels up to {LARGEST_PX}, not {text}")
    if key != "resolution" and number > LARGEST_MULTIPLIER:
        raise ValueError(f"{key} must be at most {LARGEST_MULTIPLIER:g}, not {text}")
    if key != "resolution" and round(number, DECIMALS) == 0:
        raise ValueError(f"{key} must be at least {10**-DECIMALS:g}, not {text}")
    return number
