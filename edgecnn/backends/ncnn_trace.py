"""Reads the trace of an ncnn session: each layer with the types and shapes of what it read and wrote, and its own time.

ncnn names no kernel. What it does say is the format of every tensor between two layers, and its file which layers hold 8-bit
weights: a layer that reads and writes 32-bit floats, with weights of the same, multiplies in fp32. Nothing is claimed of others.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from edgecnn.backends.layer_listing import listed_layers
from edgecnn.backends.mac_join import OVERHEAD, UNKNOWN, executed_residency
from edgecnn.backends.moved_bytes import MovedTensor, moved_bytes
from edgecnn.values.layers import LayerMacs, LayerResidency, MacTable, Residency

_CONVOLUTIONS = ("Convolution", "ConvolutionDepthWise", "Deconvolution", "DeconvolutionDepthWise")
_WEIGHTS = {**dict.fromkeys(_CONVOLUTIONS, "6"), "InnerProduct": "2"}
_BIAS = {**dict.fromkeys(_CONVOLUTIONS, "5"), "InnerProduct": "1"}
_INT8 = dict.fromkeys((*_CONVOLUTIONS, "InnerProduct"), "8")
"""Which number of a layer's settings holds its weights' count, whether it has a bias, and whether its weights have INT8 scales:
https://github.com/Tencent/ncnn/wiki/operators"""
_TRANSPOSED = frozenset({"Deconvolution", "DeconvolutionDepthWise"})
_MOVES = frozenset({"Packing", "Cast", "Quantize", "Dequantize", "Requantize", "Permute"})
_VIEWS = frozenset({"Reshape", "Flatten", "Split", "Squeeze", "ExpandDims", "Noop", "Dropout"})
"""Give the same numbers under another shape or another name: none is moved."""


def residency_of(trace: Path, macs: MacTable) -> Residency:
    """The residency of a traced session.

    Layers carry other names than the trunk's nodes. Each is joined with the first node not yet joined that has as many
    multiply-adds: of two alike it may be the other one, which changes no share.

    Args:
        trace: folder with ``layers.json``.
        macs: of the trunk.

    Raises:
        TraceUnreadable: the file is missing, or holds no layer.
    """
    free = list(macs.layers)
    ran = [entry for entry in listed_layers(trace / "layers.json") if entry["type"] != "Input"]
    return executed_residency([_layer(entry, free) for entry in ran], macs)


def _layer(entry: Mapping[str, Any], free: list[LayerMacs]) -> LayerResidency:
    kind = str(entry["type"])
    joined = _joined(entry, free) if kind in _WEIGHTS else None
    return LayerResidency(
        name=str(entry["name"]),
        op=kind,
        precision=OVERHEAD if kind in _MOVES else _precision(entry),
        macs=0 if joined is None else joined.macs,
        time_us=entry["time_us"],
        onnx_nodes=() if joined is None else (joined.name,),
        moved_bytes={} if kind in _VIEWS else _moved(entry),
    )


def _joined(entry: Mapping[str, Any], free: list[LayerMacs]) -> LayerMacs | None:
    ports = entry["inputs"] if entry["type"] in _TRANSPOSED else entry["outputs"]
    if any(port is None for port in ports):
        return None
    positions = 1 if entry["type"] == "InnerProduct" else prod(ports[0]["shape"][1:])
    count = _weights(entry) * positions
    found = next((each for each in free if each.macs == count), None)
    if found is not None:
        free.remove(found)
    return found


def _precision(entry: Mapping[str, Any]) -> str:
    ports = [*entry["inputs"], *entry["outputs"]]
    scaled = _number(entry, _INT8.get(entry["type"])) != 0
    return UNKNOWN if scaled or any(port is None or port["bits"] != 32 for port in ports) else "fp32"


def _moved(entry: Mapping[str, Any]) -> Mapping[str, int] | None:
    """Read and written, weights included; None where a tensor was not seen, or is of another format than fp32."""
    ports = [*entry["inputs"], *entry["outputs"]]
    if _precision(entry) != "fp32":
        return None
    tensors = [MovedTensor("fp32", tuple(port["shape"])) for port in ports]
    return moved_bytes([*tensors, MovedTensor("fp32", (_weights(entry) + _biases(entry),))])


def _weights(entry: Mapping[str, Any]) -> int:
    return _number(entry, _WEIGHTS.get(entry["type"]))


def _biases(entry: Mapping[str, Any]) -> int:
    """One an output channel, whose number is a layer's setting 0."""
    return _number(entry, "0") if _number(entry, _BIAS.get(entry["type"])) else 0


def _number(entry: Mapping[str, Any], setting: str | None) -> int:
    return 0 if setting is None else int(entry["settings"].get(setting, 0))
