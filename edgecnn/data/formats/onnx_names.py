"""Read a model file's metadata, and its class names, without the ONNX library, so that a plan imports nothing heavy.

Ultralytics writes ``names``, a dictionary from index to name; PaddleX and RapidOCR write ``character``, one class a line. An ONNX
file is a protobuf message (onnx/onnx.proto, ModelProto) whose field 14 contains key and value pairs; other fields are skipped. In
a TorchScript file Ultralytics writes the same as JSON, as the extra file ``config.txt`` of ``torch.jit.save``.
"""

from __future__ import annotations

import ast
import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from edgecnn.runner.files import open_regular
from edgecnn.store.disk import DAMAGED_ZIP

FIRST_BYTE: Final = b"\x08"
"""First byte of an ONNX file, whose first field is a number. No text file begins with it."""
KEYS: Final = ("names", "character", "class_names", "classes", "labels", "id2label", "idx_to_class", "categories")
_METADATA: Final = 14
_MOST_BYTES: Final = 1 << 20
_EXTRA: Final = "/extra/config.txt"
_ALL_SIGNS_MAX: Final = 4 << 20
_SKIPPED: Final = {1: 8, 5: 4}
"""Bytes of a fixed-width value, by wire type."""


def is_onnx(file: Path) -> bool:
    """Whether a file begins like ONNX. Pipes are not read, since they could block. Raises OSError: it cannot be read."""
    if not file.is_file():
        return False
    with open_regular(file) as opened:
        return opened.read(1) == FIRST_BYTE


def names_in_metadata(file: Path) -> tuple[str, ...] | None:
    """Return the names of at least two classes in output order; None if the metadata has none or is damaged.

    Raises OSError: the file cannot be read.
    """
    metadata = metadata_of(file)
    for key in KEYS:
        names = _parsed(metadata.get(key, ""))
        if len(names) > 1 and len(set(names)) == len(names) and all(name.isprintable() and name.strip() for name in names):
            return names
    return None


def metadata_of(file: Path) -> dict[str, str]:
    """Return the metadata of a model file by key, up to the first damage. Raises OSError: the file cannot be read."""
    if not is_onnx(file):
        with open_regular(file) as opened:
            return _torchscript_metadata(opened)
    metadata, signs = dict[str, str](), 0
    with open_regular(file) as opened:
        for key, value in _entries(opened, os.fstat(opened.fileno()).st_size):
            if key not in KEYS:  # this number is bounded
                signs += len(key) + len(value)
                if signs > _ALL_SIGNS_MAX:
                    continue
            metadata.setdefault(key, value)
    return metadata


def _torchscript_metadata(opened: IO[bytes]) -> dict[str, str]:
    try:
        with zipfile.ZipFile(opened) as archive:
            name = next((name for name in archive.namelist() if name.endswith(_EXTRA)), None)
            if name is None or archive.getinfo(name).file_size > _MOST_BYTES:
                return {}
            with archive.open(name) as entry:
                values = json.loads(entry.read(_MOST_BYTES))
    except DAMAGED_ZIP:  # RecursionError is a RuntimeError
        return {}  # not an archive, or damaged: the code that opens the model reports it
    return (
        {str(key): value if isinstance(value, str) else str(value) for key, value in values.items()}
        if isinstance(values, dict)
        else {}
    )


def _parsed(text: str) -> tuple[str, ...]:
    try:
        value: Any = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):  # TypeError: a key that cannot be hashed
        value = text.split("\n")
    if isinstance(value, dict):
        places = {str(place): name for place, name in value.items()}
        value = [places.get(str(place)) for place in range(len(places))]
    are_names = isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)
    return tuple(value) if are_names else ()


def _entries(opened: IO[bytes], size: int) -> Iterator[tuple[str, str]]:
    try:
        while opened.tell() < size:
            field, kind = divmod(_number(opened), 8)
            if kind == 2:
                length = _number(opened)
                if field == _METADATA and length <= _MOST_BYTES:
                    yield _pair(opened.read(length))
                else:
                    opened.seek(length, os.SEEK_CUR)
            elif kind == 0:
                _number(opened)
            else:
                opened.seek(_SKIPPED[kind], os.SEEK_CUR)
    except (ValueError, KeyError, OverflowError, OSError):
        return  # damaged: the code that opens the graph reports it


def _pair(entry: bytes) -> tuple[str, str]:
    opened, fields = io.BytesIO(entry), {1: "", 2: ""}
    while opened.tell() < len(entry):
        field = _number(opened) // 8
        fields[field] = opened.read(_number(opened)).decode("utf-8")
    return fields[1], fields[2]


def _number(opened: IO[bytes]) -> int:
    """Read a protobuf varint: seven bits a byte, lowest first, at most 64 bits. Raises ValueError: there is none."""
    number = 0
    for shift in range(0, 64, 7):
        byte = opened.read(1)
        if not byte:
            break
        number |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return number
    raise ValueError("no number")
