"""What one image costs a network: arithmetic, numbers to keep, memory, and how much of the image each layer sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from edgecnn.values.base import Value


class LayerCost(Value):
    """One layer. Batch norm and the activation behind a convolution are part of its row, as runtimes fuse them."""

    name: str
    op: str
    parameters: NonNegativeInt
    macs: NonNegativeInt
    """Multiply-adds."""
    output: tuple[int, ...]
    """Shape for one image, without the batch."""
    output_bytes: NonNegativeInt
    live_bytes: NonNegativeInt
    """Of all activations that are held while it runs, its output included."""
    receptive_field_px: PositiveInt | None
    """Side of the square of input pixels that one output can see, padding included; None where it is the whole image."""
    arithmetic: tuple[str, ...]
    """How its figures came to be, a sentence each."""


class NetworkCost(Value):
    """Schema edgecnn.cost/1. Counted, and nothing of it measured: float32, one image."""

    schema_: Literal["edgecnn.cost/1"] = Field(default="edgecnn.cost/1", alias="schema")
    network: str
    scale: str | None
    """As asked."""
    resolution_px: PositiveInt
    parameters: NonNegativeInt
    macs: NonNegativeInt
    activation_bytes: NonNegativeInt
    """The most that activations take at once, where layers run in order, a tensor is freed after its last reader, and what
    changes single values does so in place. A runtime's own buffers come on top."""
    activation_peak: str
    """The layer at which that is, or right behind which."""
    receptive_field_px: PositiveInt | None
    """Of the last layer that does not see the whole image by pooling or flattening it."""
    layers: tuple[LayerCost, ...]
    not_counted: Mapping[str, int]
    """Operators that multiply and that nobody counts here, to how many there are."""

    @property
    def memory_bytes(self) -> int:
        """Weights and the most that activations take, in float32."""
        return 4 * self.parameters + self.activation_bytes
