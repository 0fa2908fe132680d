"""Residency of the executed layers of a trace: the multiply-adds credited to each layer, and the bytes that it moves.

Multiply-adds that no executed layer claims are ``unknown``. So a runtime that renames its nodes lowers the known shares and
raises none of them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from edgecnn.errors.measuring import TRACE_UNREADABLE
from edgecnn.values.layers import LayerMacs, LayerResidency, MacTable, Residency

OVERHEAD = "overhead"
"""Layers that only convert or move numbers: quantize, dequantize, reorder."""
UNKNOWN = "unknown"


class MacJoin:
    """The trunk's layers, by node name and by the names of their output tensors."""

    def __init__(self, macs: MacTable) -> None:
        self._by_name: dict[str, LayerMacs] = {}
        for layer in macs.layers:
            for name in (*layer.outputs, layer.name):
                self._by_name[name] = layer
        self._claimed: set[str] = set()

    def claim(self, names: Iterable[str]) -> tuple[LayerMacs, ...]:
        """Return the layers with these names that were not claimed before."""
        layers = {layer.name: layer for name in names if (layer := self._by_name.get(name)) is not None}
        fresh = tuple(layer for name, layer in layers.items() if name not in self._claimed)
        self._claimed.update(layer.name for layer in fresh)
        return fresh


def claim_by_macs(unclaimed: list[LayerMacs], count: int) -> LayerMacs | None:
    """Remove and return the first layer with this number of multiply-adds; None if there is none.

    For runtimes that rename every layer. Two layers with equal counts may be confused, which changes no share.
    """
    layer = next((layer for layer in unclaimed if layer.macs == count), None)
    if layer is not None:
        unclaimed.remove(layer)
    return layer


def executed_residency(layers: Sequence[LayerResidency], macs: MacTable) -> Residency:
    """Return the shares of multiply-adds, time and bytes in each precision, of layers that ran."""
    by_precision: dict[str, int] = defaultdict(int)
    for layer in layers:
        by_precision[layer.precision] += layer.macs
    by_precision[UNKNOWN] += macs.total - sum(by_precision.values())
    spent: dict[str, float] = defaultdict(float)
    for layer in layers:
        spent[layer.precision] += layer.time_us or 0.0
    total_us = sum(spent.values())
    return Residency.model_validate(
        {
            "basis": "executed",
            "layers": tuple(layers),
            "mac_share": {name: count / macs.total for name, count in sorted(by_precision.items()) if count},
            "time_share": {name: time / total_us for name, time in sorted(spent.items()) if time} if total_us else None,
            **_byte_facts(layers),
        }
    )


_TYPES = {
    "fp64": ("fp64", 8), "double": ("fp64", 8), "f64": ("fp64", 8),
    "fp32": ("fp32", 4), "float": ("fp32", 4), "f32": ("fp32", 4),
    "fp16": ("fp16", 2), "float16": ("fp16", 2), "f16": ("fp16", 2), "half": ("fp16", 2),
    "bf16": ("bf16", 2), "bfloat16": ("bf16", 2),
    "fp8": ("fp8", 1),
    "int8": ("int8", 1), "uint8": ("int8", 1), "i8": ("int8", 1), "u8": ("int8", 1),
    "int32": ("int32", 4), "i32": ("int32", 4), "uint32": ("int32", 4), "u32": ("int32", 4),
    "int64": ("int64", 8), "i64": ("int64", 8),
    "bool": ("bool", 1), "boolean": ("bool", 1),
}  # fmt: skip
"""A runtime's name of an element type, in lower case, to our name and the size in bytes."""


class MovedTensor(NamedTuple):
    """A tensor that a layer reads or writes."""

    element: str
    """The runtime's own name of the element type."""
    shape: tuple[int, ...]


def moved_bytes(tensors: Iterable[MovedTensor]) -> Mapping[str, int] | None:
    """Return the bytes moved for each element type; None if the size of a type is not known. An empty tensor moves none.

    A convolution may multiply in INT8 and still read and write floats. The bytes are counted from the shapes that the runtime
    executed, not measured: each tensor once for each layer that reads or writes it, weights included. Caches, padded blocks and
    in-place computation are ignored.
    """
    moved: dict[str, int] = defaultdict(int)
    for tensor in tensors:
        if not prod(tensor.shape):
            continue  # OpenVINO's mark of an absent optional input, whose type has no meaning
        element = _TYPES.get(tensor.element.lower())
        if element is None:
            return None
        moved[element[0]] += element[1] * prod(tensor.shape)
    return {name: count for name, count in sorted(moved.items()) if count}


def _byte_facts(layers: Sequence[LayerResidency]) -> Mapping[str, object]:
    """Return ``byte_share``, ``moved_bytes`` and ``bytes_absent`` of a ``Residency`` of these layers."""
    unknown = [layer.name for layer in layers if layer.moved_bytes is None]
    if unknown:
        more = f" and of {len(unknown) - 1} more" if len(unknown) > 1 else ""
        return {"bytes_absent": f"the trace does not give the shapes and types of all that {unknown[0]}{more} reads and writes"}
    spent: dict[str, int] = defaultdict(int)
    for layer in layers:
        for name, count in (layer.moved_bytes or {}).items():
            spent[name] += count
    total = sum(spent.values())
    if not total:
        return {"bytes_absent": "no layer of the trace reads or writes anything"}
    return {
        "byte_share": {name: count / total for name, count in sorted(spent.items())},
        "moved_bytes": total,
        "bytes_absent": None,
    }


def read_layers(path: Path) -> Sequence[Mapping[str, Any]]:
    """Read the layers that a traced session wrote, one object each.

    Raises TRACE_UNREADABLE: the file is missing, is not JSON, or has no layer.
    """
    try:
        entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TRACE_UNREADABLE(path=path, why=str(error)) from error
    if not entries:
        raise TRACE_UNREADABLE(path=path, why="it holds no layer")
    return entries
