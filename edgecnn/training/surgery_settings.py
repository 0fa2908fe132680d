"""What a surgery is asked: the settings of its stage, light at import."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Preprocessing
from edgecnn.values.surgery import Surgery


class SurgerySettings(Value):
    """Every field enters the key of the surgery stage."""

    arch: str
    classes: Annotated[int, Field(ge=2)]
    preprocessing: Preprocessing
    """Resolution, and how pixels become the network's input; that of the shipped kit."""
    surgery: Surgery
    batch_size: PositiveInt = 64
    learning_rate: PositiveFloat
    """Peak rate of every layer."""
    seed: NonNegativeInt = 0
    opset: Literal[20] = 20
