"""Reads OpenVINO's executed graph: each layer with the precision that the plugin chose and the primitive that really ran.

A layer counts as INT8 only where both say so: a convolution over 8-bit tensors that fell back to a float primitive is float.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgecnn.backends.layer_listing import listed_layers
from edgecnn.backends.mac_join import OVERHEAD, UNKNOWN, MacJoin, executed_residency
from edgecnn.backends.moved_bytes import MovedTensor, moved_bytes
from edgecnn.values.layers import LayerResidency, MacTable, Residency

_MULTIPLIES = frozenset({"Convolution", "Deconvolution", "FullyConnected", "MatMul"})
_MOVES = frozenset({"Reorder", "Convert", "FakeQuantize", "Transpose"})
_VIEWS = frozenset({"Reshape", "ShapeOf"})
"""Give the same numbers under another shape, or the shape alone: none is moved."""
_TYPES = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "i8": "int8", "u8": "int8"}
_PRIMITIVE = re.compile(r"_(I8|f32|bf16|f16)$", re.IGNORECASE)
_APPENDED = re.compile(r"(/WithoutBiases|/DequantizationMultiply)+$")
_NOT_RUN = frozenset({"Input", "Const", "Output", "Parameter", "Result"})


def residency_of(trace: Path, macs: MacTable) -> Residency:
    """The residency of a traced session.

    Args:
        trace: folder with ``layers.json``.
        macs: of the trunk.

    Raises:
        TraceUnreadable: the file is missing, or holds no layer.
    """
    join = MacJoin(macs)
    ran = [entry for entry in listed_layers(trace / "layers.json") if entry["layer_type"] not in _NOT_RUN]
    return executed_residency([_layer(entry, join) for entry in ran], macs)


def _layer(entry: Mapping[str, Any], join: MacJoin) -> LayerResidency:
    kind = str(entry["layer_type"])
    claimed = join.claim(_names(entry)) if kind in _MULTIPLIES else ()
    return LayerResidency(
        name=str(entry["name"]),
        op=kind,
        precision=OVERHEAD if kind in _MOVES else _precision(entry),
        macs=sum(layer.macs for layer in claimed),
        time_us=entry["time_us"],
        onnx_nodes=tuple(layer.name for layer in claimed),
        moved_bytes={} if kind in _VIEWS else _moved(entry),
    )


def _moved(entry: Mapping[str, Any]) -> Mapping[str, int] | None:
    """Read and written, by the types and shapes of the executed graph's edges; None where one has no fixed shape."""
    ports = (*entry["inputs"], *entry["outputs"]) if "inputs" in entry else ({"shape": None},)
    if any(port["shape"] is None for port in ports):
        return None
    return moved_bytes(MovedTensor(port["type"], tuple(port["shape"])) for port in ports)


def _names(entry: Mapping[str, Any]) -> Iterator[str]:
    """ONNX's names, as they are and without what conversion appends (``node_linear/WithoutBiases/DequantizationMultiply``)."""
    for name in (entry["name"], *entry["original_names"]):
        yield name
        yield onnx_name(name)


def onnx_name(name: str) -> str:
    """A layer's name without what conversion appends: ``node_linear/WithoutBiases`` → ``node_linear``."""
    return _APPENDED.sub("", name)


def _precision(entry: Mapping[str, Any]) -> str:
    chosen = _TYPES.get(entry["runtime_precision"], UNKNOWN)
    primitive = _PRIMITIVE.search(entry["primitive_type"])
    if chosen == "int8" and primitive is not None:
        return _TYPES.get(primitive[1].lower(), UNKNOWN)
    return chosen
