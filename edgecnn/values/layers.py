"""Facts about layers: cost, executed precision, and sensitivity to quantization."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Resolution


class LayerResidency(Value):
    """One executed layer as the runtime reports it."""

    name: str
    op: str
    precision: str
    """fp32, fp16, bf16, int8; ``overhead``: only converts or moves numbers; ``unknown``: not reported by the runtime."""
    macs: int
    """0 for layers without multiply-adds."""
    time_us: float | None
    onnx_nodes: tuple[str, ...] = ()
    moved_bytes: Mapping[str, int] | None = None
    """Element type (fp32, int8, int32, …; int8 signed or unsigned) to bytes read and written in one inference, including weights;
    None if the trace lacks a tensor's shape."""


class Residency(Value):
    """``executed``: read from a runtime on the device; ``elsewhere``: on another machine; ``planned``: from a builder's log.

    Multiply-adds and bytes are counted, and equal in every run of one kit. Times are mean layer times over some calls of one
    traced process. They vary between runs, so time shares have no error rate.
    """

    basis: Literal["executed", "elsewhere", "planned"]
    layers: tuple[LayerResidency, ...]
    mac_share: Mapping[str, float]
    """Precision to share of all multiply-adds, 0…1; ``unknown`` for layers that could not be matched."""
    time_share: Mapping[str, float] | None
    """Precision to share of the time inside layers, 0…1; None without times."""
    byte_share: Mapping[str, float] | None = None
    """Element type to share of ``moved_bytes``, 0…1; None if that is None."""
    moved_bytes: int | None = None
    """Bytes that all layers read and write in one inference of the traced batch, from the shapes of their tensors. A tensor
    counts once for every layer that uses it. Caches avoid an unknown part of this traffic."""
    bytes_absent: str | None = "an older version read the trace and did not count bytes"
    """Why there is no ``byte_share``; None if there is one."""


class LayerMacs(Value):
    """Multiply-adds of one node for one image."""

    name: str
    op: Literal["Conv", "ConvTranspose", "Gemm", "MatMul"]
    macs: int
    outputs: tuple[str, ...]
    """Names of its output tensors, through activations that a runtime may fuse: some runtimes keep those names instead of the
    node's."""


class MacTable(Value):
    """Conv, Gemm and MatMul nodes of the fp32 ONNX graph, in graph order, for one image at ``resolution_px``."""

    resolution_px: Resolution
    layers: tuple[LayerMacs, ...]

    @cached_property
    def total(self) -> int:
        """Multiply-adds of the whole network for one image."""
        return sum(layer.macs for layer in self.layers)


RANKING_FILE_NAME = "ranking.json"


class RankedLayer(Value):
    """One multiplying layer of the trunk, and the effect of quantizing it alone."""

    name: str
    """Name of its node in the ONNX trunk."""
    op: Literal["Conv", "ConvTranspose", "Gemm", "MatMul"]
    outputs: tuple[str, ...]
    """Its output tensors, through activations that a runtime may fuse: some runtimes name the layer so."""
    damage_nats: float
    """Mean Kullback-Leibler divergence of class probabilities from the float network's, 0 or more."""
    mac_share: float
    """Share of the network's multiply-adds, 0…1."""


class Ranking(Value):
    """``ranking.json``: every multiplying layer, the most sensitive first. It decides what is built, and is never reported as a
    figure.
    """

    schema_: Literal["edgecnn.ranking/1"] = Field(default="edgecnn.ranking/1", alias="schema")
    layers: tuple[RankedLayer, ...]
    calibration_images: int
    """Calibration images for ranges."""
    probe_images: int
    """Validation images for sensitivity."""


class LayerCost(Value):
    """One layer. Batch norm and activation after a convolution belong to its row, as runtimes fuse them."""

    name: str
    op: str
    parameters: NonNegativeInt
    macs: NonNegativeInt
    """Multiply-adds."""
    output: tuple[int, ...]
    """Shape for one image, without the batch."""
    output_bytes: NonNegativeInt
    live_bytes: NonNegativeInt
    """Memory of all live activations while it runs, including its output."""
    receptive_field_px: PositiveInt | None
    """Side of the square of input pixels that one output can see, padding included; None if it is the whole image."""
    arithmetic: tuple[str, ...]
    """How its figures are computed, one sentence each."""


class NetworkCost(Value):
    """Schema edgecnn.cost/1. Counted, not measured: float32, one image."""

    schema_: Literal["edgecnn.cost/1"] = Field(default="edgecnn.cost/1", alias="schema")
    network: str
    scale: str | None
    """The requested name."""
    resolution_px: Resolution
    parameters: NonNegativeInt
    macs: NonNegativeInt
    activation_bytes: NonNegativeInt
    """Peak of activations if layers run in order, tensors are freed after their last reader, and elementwise operators work in
    place. A runtime's own buffers are additional."""
    activation_peak: str
    """The layer at or after which the peak occurs."""
    receptive_field_px: PositiveInt | None
    """Receptive field of the last layer before the whole image is pooled or flattened."""
    layers: tuple[LayerCost, ...]
    not_counted: Mapping[str, int]
    """Multiplying operators that are not counted, and their number."""

    @property
    def memory_bytes(self) -> int:
        """Weights and the peak of activations, in float32."""
        return 4 * self.parameters + self.activation_bytes
