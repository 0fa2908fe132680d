"""Which layers lose most by INT8: what mixed precision keeps in float, the first ones first."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgecnn.values.base import Value

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
    """Ranges were taken from so many images of the calibrate role."""
    probe_images: int
    """Damage was measured on so many images of the choose role."""
