"""What a quantization-aware training is asked: the settings of its stage, light at import."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from edgecnn.values.base import Value
from edgecnn.values.candidate import Scheme
from edgecnn.values.dataset import Preprocessing


class AwareSettings(Value):
    """Every field enters the key of the aware stage."""

    arch: str
    classes: Annotated[int, Field(ge=2)]
    preprocessing: Preprocessing
    """Resolution, and how pixels become the network's input; that of the shipped kit."""
    scheme: Scheme
    """How INT8 numbers stand for real ones while training, and in the file."""
    images: PositiveInt
    """Calibration images that the ranges of activations are taken from."""
    epochs: PositiveInt
    batch_size: PositiveInt = 64
    learning_rate: PositiveFloat
    """Peak rate of every layer."""
    seed: NonNegativeInt = 0
    opset: Literal[20] = 20
