"""What really ran in which precision, as shares of multiply-adds and of time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from edgecnn.values.base import Value


class LayerResidency(Value):
    """One executed layer as the runtime reports it."""

    name: str
    op: str
    precision: str
    """fp32, fp16, bf16, int8; ``overhead``: only converts or moves numbers; ``unknown``: the runtime does not say."""
    macs: int
    """0 for what is not a multiply-add layer."""
    time_us: float | None
    onnx_nodes: tuple[str, ...] = ()


class Residency(Value):
    """``executed``: read from a runtime on the device; ``elsewhere``: on another machine; ``planned``: from a builder's log."""

    basis: Literal["executed", "elsewhere", "planned"]
    layers: tuple[LayerResidency, ...]
    mac_share: Mapping[str, float]
    """Precision to share of all multiply-adds, 0…1; ``unknown`` where a layer could not be joined."""
    time_share: Mapping[str, float] | None
    """Precision to share of the time inside layers, 0…1; None where nothing was timed."""
