"""What a phase of training learns from."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from torch import nn

from edgecnn.training.loader import DecodedImages
from edgecnn.training.team import ALONE, Team
from edgecnn.training.validation import ValidationPixels
from edgecnn.values.stage import Progress


class Material(NamedTuple):
    """What a phase learns from and is judged by, and where it keeps its state."""

    squares: DecodedImages
    validation: ValidationPixels
    folder: Path
    tell: Progress
    classes: int
    teacher: nn.Module | None = None
    """Whose answers are learned in place of labels."""
    features: Path | None = None
    """A folder in which features of these images lie already."""
    groups: tuple[nn.Module, ...] = ()
    """Of blocks before the head, which begin to learn one after another, the last one first; none: all learn at once."""
    team: Team = ALONE
    """Who trains together with this process."""
