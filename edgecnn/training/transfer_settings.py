"""What the transfer stage is asked, light at import."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt

from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Preprocessing


class TransferSettings(Value):
    """Every field enters the key of the transfer stage."""

    arch: str
    classes: Annotated[int, Field(ge=2)]
    preprocessing: Preprocessing
    """Resolution, and how pixels become the network's input; that of the shipped kit."""
    seed: NonNegativeInt = 0
    """Of the folds."""
