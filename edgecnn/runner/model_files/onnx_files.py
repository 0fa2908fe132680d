"""The check of the file names in an ONNX file: its weights may be in files of its kit, and nowhere else.

The file is a protobuf message (https://protobuf.dev/programming-guides/encoding), read here without the ``onnx`` package: a board
does not have it.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, Mapping, Tuple

_PATHS: Dict[str, Dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
    "function": {7: "node", 11: "attribute"},
    "entry": {},
}
"""The fields of onnx.proto that lead to a tensor's external data."""
_DEPTH_MAX = 100
"""Of messages in messages, as protobuf itself limits it."""
_MEMORY = "*"
"""ONNX Runtime reads weights from an address of its memory where the location begins with ``*/`` (tensorprotoutils.h)."""


def onnx_fault(name: str, content: Any, sizes: Mapping[str, int]) -> str:
    """Return which weights are not in the kit, or nothing; see ``model_fault``."""
    try:
        for location in _locations(content, 0, len(content), "model", 0):
            fault = location_fault(location, sizes)
            if fault:
                return "weights of it {}".format(fault)
    except ValueError as error:
        return "it is no ONNX model ({})".format(error)
    return ""


def location_fault(location: str, sizes: Mapping[str, int]) -> str:
    """Return why a tensor must not be read from there, or nothing."""
    if location in sizes and _MEMORY not in location:
        return ""
    return "would be read from {}, which is no file of its kit".format(ascii(location)[:100])


def _locations(content: Any, start: int, end: int, kind: str, depth: int) -> Iterator[str]:
    if depth > _DEPTH_MAX:
        raise ValueError("messages are nested too deeply")
    entry: Dict[int, str] = {}
    for field, begin, until in _fields(content, start, end):
        if kind == "entry":
            entry[field] = bytes(content[begin:until]).decode("utf-8", errors="replace")
        elif field in _PATHS[kind]:
            yield from _locations(content, begin, until, _PATHS[kind][field], depth + 1)
    if entry.get(1) == "location":
        yield entry.get(2, "")


def _fields(content: Any, at: int, end: int) -> Iterator[Tuple[int, int, int]]:
    """Yield number, begin and end of each field that has a length; the others hold no message."""
    while at < end:
        key, at = _varint(content, at, end)
        field, wire = key >> 3, key & 7
        begin = at
        if wire == 0:
            _, at = _varint(content, at, end)
        elif wire == 1:
            at += 8
        elif wire == 2:
            length, begin = _varint(content, at, end)
            at = begin + length
        elif wire == 5:
            at += 4
        else:
            raise ValueError("a field of the wire type {}".format(wire))
        if at > end or field == 0:
            raise ValueError("a field leads outside the file")
        if wire == 2:
            yield field, begin, at


def _varint(content: Any, at: int, end: int) -> Tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise ValueError("it ends inside a number")
        byte = content[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise ValueError("a number of more than ten bytes")
