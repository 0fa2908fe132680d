"""Writes small ``.tflite`` files from dictionaries, so that a test can say anything in one, right or wrong.

A table is a dictionary by field number, as LiteRT's schema counts them (tensorflow/compiler/mlir/lite/schema/schema.fbs). A value
is a ``Number``, a ``Numbers``, bytes (also for a text), another table, or a list of tables.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

Table = dict[int, Any]
_DATA_ALIGNMENT = 16


class Number(NamedTuple):
    """A field in its table; ``form`` as ``struct`` writes it."""

    form: str
    value: int


class Numbers(NamedTuple):
    """A vector."""

    form: str
    values: Sequence[float]


def sum_network() -> Table:
    """y = x + [0, 1, 2, 3], each float32 (1, 1, 1, 4): a whole file that LiteRT opens."""
    shape = Numbers("i", (1, 1, 1, 4))
    names = (b"x", b"w", b"y")
    tensors = [{0: shape, 1: Number("b", 0), 2: Number("I", int(name == b"w")), 3: name} for name in names]
    add = {0: Number("I", 0), 1: Numbers("i", (0, 1)), 2: Numbers("i", (2,)), 3: Number("B", 11), 4: {0: Number("b", 0)}}
    graph = {0: tensors, 1: Numbers("i", (0,)), 2: Numbers("i", (2,)), 3: [add], 4: b"main"}
    signature = {0: [{0: b"x", 1: Number("I", 0)}], 1: [{0: b"y", 1: Number("I", 2)}], 2: b"serving_default"}
    return {
        0: Number("I", 3),
        1: [{0: Number("b", 0), 2: Number("i", 1), 3: Number("i", 0)}],
        2: [graph],
        3: b"small",
        4: [{}, {0: struct.pack("<4f", 0, 1, 2, 3)}],
        6: [{0: b"note", 1: Number("I", 0)}],
        7: [signature],
    }


def tflite_file(model: Table) -> bytes:
    """The FlatBuffer of a model."""
    out = bytearray(b"\0\0\0\0TFL3")
    struct.pack_into("<I", out, 0, _put(out, model))
    return bytes(out)


def _put(out: bytearray, value: Any) -> int:
    """Write a value, and what it refers to behind it; return its place."""
    if isinstance(value, dict):
        return _put_table(out, value)
    if isinstance(value, list):
        at = _begin(out, 4, 0)
        out += struct.pack("<I", len(value)) + bytes(4 * len(value))
        for index, entry in enumerate(value):
            _point(out, at + 4 + 4 * index, _put(out, entry))
        return at
    form, values = ("B", value) if isinstance(value, bytes) else value
    at = _begin(out, _DATA_ALIGNMENT, 4)
    out += struct.pack(f"<I{len(values)}{form}", len(values), *values) + b"\0"
    return at


def _put_table(out: bytearray, table: Table) -> int:
    places, size = [0] * (max(table, default=-1) + 1), 4
    for field, value in table.items():
        width = struct.calcsize(value.form) if isinstance(value, Number) else 4
        size += -size % width
        places[field], size = size, size + width
    header = _begin(out, 2, 0)
    out += bytes(4 + 2 * len(places))
    at = _begin(out, 8, 0)
    out += struct.pack("<i", at - header) + bytes(size - 4)
    struct.pack_into(f"<HH{len(places)}H", out, header, 4 + 2 * len(places), size, *places)
    for field, value in table.items():
        if isinstance(value, Number):
            struct.pack_into(f"<{value.form}", out, at + places[field], value.value)
        else:
            _point(out, at + places[field], _put(out, value))
    return at


def _begin(out: bytearray, alignment: int, before: int) -> int:
    """Fill up, so that what follows these bytes is aligned; return the end."""
    out += bytes(-(len(out) + before) % alignment)
    return len(out)


def _point(out: bytearray, at: int, to: int) -> None:
    struct.pack_into("<I", out, at, to - at)
