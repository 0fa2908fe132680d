"""What is known of each layer: what it costs, in which precision it really ran, and what quantizing it costs."""

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


class LayerMacs(Value):
    """Multiply-adds of one node for one image."""

    name: str
    op: Literal["Conv", "ConvTranspose", "Gemm", "MatMul"]
    macs: int
    outputs: tuple[str, ...]
    """Names of the tensors it makes, through activations that a runtime may fuse: some keep those, not the node's name."""


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
    """One multiplying layer of the trunk and what its quantization alone does to the answers."""

    name: str
    """Of its node in the ONNX trunk."""
    op: Literal["Conv", "ConvTranspose", "Gemm", "MatMul"]
    outputs: tuple[str, ...]
    """Tensors that it makes, through activations that a runtime may fuse: some runtimes call the layer so."""
    damage_nats: float
    """Mean Kullback-Leibler divergence of the classes' probabilities from those of the float network, 0 or more."""
    mac_share: float
    """Of the network's multiply-adds, 0…1."""


class Ranking(Value):
    """``ranking.json``: every multiplying layer, the most damaging first; it steers, and is never reported as a figure."""

    schema_: Literal["edgecnn.ranking/1"] = Field(default="edgecnn.ranking/1", alias="schema")
    layers: tuple[RankedLayer, ...]
    calibration_images: int
    """Ranges were taken from so many images of the calibration role."""
    probe_images: int
    """Damage was measured on so many images of the validation role."""


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
    resolution_px: Resolution
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
