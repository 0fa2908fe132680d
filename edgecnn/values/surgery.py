"""What was done to a trained network's layers, so that a candidate made from it says so."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from edgecnn.values.base import Value

Activation = Literal["keep", "hard-swish", "relu6"]
"""What takes the place of SiLU."""
SqueezeExcite = Literal["keep", "remove"]
_NAMES = {"hard-swish": "hard-swish", "relu6": "ReLU6"}


class Surgery(Value):
    """At least one of the two is not ``keep``."""

    activation: Activation = "keep"
    squeeze_excite: SqueezeExcite = "keep"
    epochs: PositiveInt
    """Passes over the training images that the changed network was given, to learn the unchanged one's answers."""

    @property
    def suffix(self) -> str:
        """What its candidates' ids end in: ``hard-swish``, ``no-se``, ``hard-swish-no-se``."""
        parts = [] if self.activation == "keep" else [str(self.activation)]
        return "-".join(parts + (["no-se"] if self.squeeze_excite == "remove" else []))

    @property
    def done(self) -> str:
        """In words: ``SiLU replaced by hard-swish, squeeze-excite removed, re-trained 2 epochs``."""
        parts = [] if self.activation == "keep" else [f"SiLU replaced by {_NAMES[self.activation]}"]
        parts += ["squeeze-excite removed"] if self.squeeze_excite == "remove" else []
        return ", ".join([*parts, f"re-trained {self.epochs} epoch{'' if self.epochs == 1 else 's'}"])
