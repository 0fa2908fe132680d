"""The check of the file names in an ONNX file: its weights may be in files of its kit, and nowhere else.

The file is a protobuf message (https://protobuf.dev/programming-guides/encoding), read here without the ``onnx`` package: a board
does not have it.
"""

from __future__ import annotations

import mmap
from pathlib import Path, PurePath
from typing import Any, Dict, Iterator, List, Mapping, Tuple

from ..files import open_regular

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
"""Deepest nesting of messages, the limit of protobuf itself."""
_FIELDS_MAX = 500000
"""Number of fields that are read at most. A DenseNet-201 or an EfficientNet-B7 has about 17,000."""
_KEY_MAX = 0xFFFFFFFF
"""Protobuf's C++ reader drops the higher bits of a key, so a larger key would name another field there."""
_MEMORY = "*"
"""ONNX Runtime reads weights from an address of its memory where the location begins with ``*/`` (tensorprotoutils.h)."""


def onnx_fault(name: str, content: Any, sizes: Mapping[str, int]) -> str:
    """Return which weights are not in the kit, or an empty text; see ``model_fault``."""
    try:
        for location in _locations(_Reader(content), 0, len(content), "model", 0):
            fault = location_fault(location, sizes)
            if fault:
                return "its weights are {}".format(fault)
    except ValueError as error:
        return "it is not an ONNX model: {}".format(error)
    return ""


def named_beside(path: Path) -> List[str]:
    """Return the files next to an ONNX file that it names as its weights, sorted; none if it is not an ONNX file.

    Names that leave the folder, and names of absent files, are omitted: reading the file reports them.
    """
    try:
        with open_regular(path) as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            names = set(_locations(_Reader(content), 0, len(content), "model", 0))
    except (OSError, ValueError):
        return []
    inside = [name for name in names if name and not PurePath(name).is_absolute() and ".." not in PurePath(name).parts]
    return sorted(name for name in inside if "\0" not in name and (path.parent / name).is_file())


def location_fault(location: str, sizes: Mapping[str, int]) -> str:
    """Return why a tensor must not be read from this location, or an empty text."""
    if location in sizes and _MEMORY not in location:
        return ""
    return "in {}, which is not a file of the kit".format(ascii(location)[:100])


def _locations(reader: _Reader, start: int, end: int, kind: str, depth: int) -> Iterator[str]:
    if depth > _DEPTH_MAX:
        raise ValueError("messages are nested too deeply")
    entry: Dict[int, str] = {}
    for field, begin, until in reader.fields(start, end):
        if kind == "entry":
            entry[field] = reader.text(begin, until)
        elif field in _PATHS[kind]:
            yield from _locations(reader, begin, until, _PATHS[kind][field], depth + 1)
    if entry.get(1) == "location":
        yield entry.get(2, "")


class _Reader:
    """Reads a limited number of fields of the file."""

    def __init__(self, content: Any) -> None:
        self._content, self._left = content, _FIELDS_MAX

    def text(self, begin: int, end: int) -> str:
        return bytes(self._content[begin:end]).decode("utf-8", errors="replace")

    def fields(self, at: int, end: int) -> Iterator[Tuple[int, int, int]]:
        """Yield number, begin and end of each field that has a length; the others hold no message."""
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise ValueError("it has more fields than any image classifier")
            key, at = self._varint(at, end)
            field, wire = key >> 3, key & 7
            if not 0 < field <= _KEY_MAX >> 3:
                raise ValueError("a field has the number {}".format(field))
            begin = at
            if wire == 0:
                _, at = self._varint(at, end)
            elif wire == 1:
                at += 8
            elif wire == 2:
                length, begin = self._varint(at, end)
                at = begin + length
            elif wire == 5:
                at += 4
            else:
                raise ValueError("a field has the wire type {}".format(wire))
            if at > end:
                raise ValueError("a field leads outside the file")
            if wire == 2:
                yield field, begin, at

    def _varint(self, at: int, end: int) -> Tuple[int, int]:
        """Read a number in its shortest form, as every exporter writes it: readers differ in the bits that they drop."""
        value = 0
        for shift in range(0, 70, 7):
            if at >= end:
                raise ValueError("it ends inside a number")
            byte = self._content[at]
            value |= (byte & 127) << shift
            at += 1
            if byte < 128:
                if value >> 64 or (shift and byte == 0):
                    raise ValueError("a number is not in its shortest form")
                return value, at
        raise ValueError("a number has more than ten bytes")
