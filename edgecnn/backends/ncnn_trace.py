"""Reads the trace of an ncnn session: each layer with the types and shapes of what it read and wrote, and its own time.

ncnn names no kernel. What it does say is the format of every tensor between two layers, and its file which layers hold 8-bit
weights: a layer that reads and writes 32-bit floats, with weights of the same, multiplies in fp32. One that writes 16-bit floats
where fp16 storage and arithmetic are on, and bf16 is off, multiplies in fp16; what it reads is made such before, by ncnn itself:
https://github.com/Tencent/ncnn/blob/master/src/net.cpp (``convert_layout``). Nothing is claimed of others.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from edgecnn.backends.executed_layers import OVERHEAD, UNKNOWN, MovedTensor, executed_residency, listed_layers, moved_bytes
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

    Raises TraceUnreadable: the file is missing, or holds no layer.
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
    if _number(entry, _INT8.get(entry["type"])) != 0 or any(port is None for port in ports):
        return UNKNOWN
    if entry["outputs"] and all(port["bits"] == 16 for port in entry["outputs"]):
        return entry.get("sixteen_bits") or UNKNOWN
    return "fp32" if all(port["bits"] == 32 for port in ports) else UNKNOWN


def _moved(entry: Mapping[str, Any]) -> Mapping[str, int] | None:
    """Read and written, weights included; None where that is not known."""
    ports = [*entry["inputs"], *entry["outputs"]]
    precision = _precision(entry)
    if precision == UNKNOWN:
        return None
    tensors = [MovedTensor("fp32" if port["bits"] == 32 else precision, tuple(port["shape"])) for port in ports]
    return moved_bytes([*tensors, MovedTensor(precision, (_weights(entry) + _biases(entry),))])


def _weights(entry: Mapping[str, Any]) -> int:
    return _number(entry, _WEIGHTS.get(entry["type"]))


def _biases(entry: Mapping[str, Any]) -> int:
    """One an output channel, whose number is a layer's setting 0."""
    return _number(entry, "0") if _number(entry, _BIAS.get(entry["type"])) else 0


def _number(entry: Mapping[str, Any], setting: str | None) -> int:
    return 0 if setting is None else int(entry["settings"].get(setting, 0))
