"""Bytes that an executed layer reads and writes, by element type: what a share of multiply-adds hides.

A convolution may multiply in INT8 and still read and write floats, and the work between two of them may be float altogether. The
bytes are counted from the shapes of what the runtime executed, not measured: each tensor once for each layer that reads or writes
it, weights included. What caches keep, how a runtime pads its blocks and what it computes in place are not seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import NamedTuple

from edgecnn.values.layers import LayerResidency

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
"""Each runtime's name of an element type, in lower case, to ours and its bytes."""


class MovedTensor(NamedTuple):
    """A tensor that a layer reads or writes."""

    element: str
    """The runtime's own name of the element type."""
    shape: tuple[int, ...]


def moved_bytes(tensors: Iterable[MovedTensor]) -> Mapping[str, int] | None:
    """Element type to bytes; None where a type is one whose size is not known. A tensor without numbers moves none."""
    moved: dict[str, int] = defaultdict(int)
    for tensor in tensors:
        if not prod(tensor.shape):
            continue  # OpenVINO's way to say that an optional input is not there; its type says nothing then
        known = _TYPES.get(tensor.element.lower())
        if known is None:
            return None
        moved[known[0]] += known[1] * prod(tensor.shape)
    return {name: count for name, count in sorted(moved.items()) if count}


def byte_facts(layers: Sequence[LayerResidency]) -> Mapping[str, object]:
    """``byte_share``, ``moved_bytes`` and ``bytes_absent`` of a ``Residency`` of these layers."""
    silent = [layer.name for layer in layers if layer.moved_bytes is None]
    if silent:
        more = f" and of {len(silent) - 1} more" if len(silent) > 1 else ""
        return {"bytes_absent": f"the trace does not give the shapes and types of all that {silent[0]}{more} reads and writes"}
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
