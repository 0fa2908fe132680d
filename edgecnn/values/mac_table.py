"""Multiply-adds per layer: the yardstick of residency."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from edgecnn.values.base import Value


class LayerMacs(Value):
    """Multiply-adds of one node for one image."""

    name: str
    op: Literal["Conv", "ConvTranspose", "Gemm", "MatMul"]
    macs: int
    outputs: tuple[str, ...]
    """Names of the tensors it makes, through activations that a runtime may fuse: some keep those, not the node's name."""


class MacTable(Value):
    """Conv, Gemm and MatMul nodes of the fp32 ONNX graph, in graph order, for one image at ``resolution_px``."""

    resolution_px: int
    layers: tuple[LayerMacs, ...]

    @cached_property
    def total(self) -> int:
        """Multiply-adds of the whole network for one image."""
        return sum(layer.macs for layer in self.layers)
