"""What really ran in which precision, as shares of multiply-adds, of time and of bytes moved."""

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
    moved_bytes: Mapping[str, int] | None = None
    """Element type (fp32, int8, int32, …; int8 with or without a sign) to the bytes that it reads and writes in one inference,
    weights included; None where the trace does not give the shape of every tensor."""


class Residency(Value):
    """``executed``: read from a runtime on the device; ``elsewhere``: on another machine; ``planned``: from a builder's log.

    Multiply-adds and bytes are counted, and the same for every run of one kit. Times are measured, in one traced process: its
    layers' mean times over some calls. Another run has other ones, so a share of time is a look, without an error rate.
    """

    basis: Literal["executed", "elsewhere", "planned"]
    layers: tuple[LayerResidency, ...]
    mac_share: Mapping[str, float]
    """Precision to share of all multiply-adds, 0…1; ``unknown`` where a layer could not be joined."""
    time_share: Mapping[str, float] | None
    """Precision to share of the time inside layers, 0…1; None where nothing was timed."""
    byte_share: Mapping[str, float] | None = None
    """Element type to share of ``moved_bytes``, 0…1; None where that is."""
    moved_bytes: int | None = None
    """Bytes that all layers read and write in one inference of the traced batch, counted from the shapes of their tensors: each
    tensor once for every layer that touches it. Caches spare the memory a part of them, which is not known."""
    bytes_absent: str | None = "the trace was read before bytes were counted"
    """Why there is no ``byte_share``; None where there is one."""
