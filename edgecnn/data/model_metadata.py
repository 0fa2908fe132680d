"""Read what a model states about itself: the metadata of an ONNX file, and the JSON files next to it."""

from __future__ import annotations

import ast
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

from edgecnn.runner.files import open_regular
from edgecnn.store.disk import DAMAGED_ZIP, bounded_zip, json_object

FIRST_BYTE: Final = b"\x08"
"""First byte of an ONNX file, whose first field is a number. No text file begins with it."""
KEYS: Final = ("names", "character", "class_names", "classes", "labels", "id2label", "idx_to_class", "categories")
_METADATA: Final = 14
_BYTES_MAX: Final = 1 << 20
_EXTRA: Final = "/extra/config.txt"
_CHARACTERS_MAX: Final = 4 << 20
_SKIPPED: Final = {1: 8, 5: 4}
"""Bytes of a fixed-width value, by wire type."""
CONFIG: Final = "config.json"


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
        names = _names_in_text(metadata.get(key, ""))
        if len(names) > 1 and len(set(names)) == len(names) and all(name.isprintable() and name.strip() for name in names):
            return names
    return None


def metadata_of(file: Path) -> dict[str, str]:
    """Return the metadata of a model file by key, up to the first damage. Raises OSError: the file cannot be read."""
    if not is_onnx(file):
        with open_regular(file) as opened:
            return _torchscript_metadata(opened)
    metadata, characters = dict[str, str](), 0
    with open_regular(file) as opened:
        for key, value in _metadata_entries(opened, os.fstat(opened.fileno()).st_size):
            if key not in KEYS:  # this number is bounded
                characters += len(key) + len(value)
                if characters > _CHARACTERS_MAX:
                    continue
            metadata.setdefault(key, value)
    return metadata


def _torchscript_metadata(opened: IO[bytes]) -> dict[str, str]:
    try:
        with bounded_zip(opened) as archive:
            name = next((name for name in archive.namelist() if name.endswith(_EXTRA)), None)
            if name is None or archive.getinfo(name).file_size > _BYTES_MAX:
                return {}
            with archive.open(name) as entry:
                values = json.loads(entry.read(_BYTES_MAX))
    except DAMAGED_ZIP:  # RecursionError is a RuntimeError
        return {}  # not an archive, or damaged: the code that opens the model reports it
    return {str(key): str(value) for key, value in values.items()} if isinstance(values, dict) else {}


def _names_in_text(text: str) -> tuple[str, ...]:
    try:
        value: Any = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):  # TypeError: a key that cannot be hashed
        value = text.split("\n")
    if isinstance(value, dict):
        names = {str(index): name for index, name in value.items()}
        value = [names.get(str(index)) for index in range(len(names))]
    are_names = isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)
    return tuple(value) if are_names else ()


def _metadata_entries(opened: IO[bytes], size: int) -> Iterator[tuple[str, str]]:
    try:
        while opened.tell() < size:
            field, kind = divmod(_read_varint(opened), 8)
            if kind == 2:
                length = _read_varint(opened)
                if field == _METADATA and length <= _BYTES_MAX:
                    yield _key_and_value(opened.read(length))
                else:
                    opened.seek(length, os.SEEK_CUR)
            elif kind == 0:
                _read_varint(opened)
            else:
                opened.seek(_SKIPPED[kind], os.SEEK_CUR)
    except (ValueError, KeyError, OverflowError, OSError):
        return  # damaged: the code that opens the graph reports it


def _key_and_value(entry: bytes) -> tuple[str, str]:
    opened, fields = io.BytesIO(entry), {1: "", 2: ""}
    while opened.tell() < len(entry):
        field = _read_varint(opened) // 8
        fields[field] = opened.read(_read_varint(opened)).decode("utf-8")
    return fields[1], fields[2]


def _read_varint(opened: IO[bytes]) -> int:
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


def repository_file(model: Path, name: str) -> Path | None:
    """Return the file with this name next to a model, or above a folder ``onnx`` that contains the model; None if there is none.

    For a link, as in the cache of Hugging Face, look next to the link first, then next to its target.
    """
    folders = (model.parent, Path(os.path.realpath(model)).parent)
    candidates = [
        candidate for folder in folders for candidate in ((folder, folder.parent) if folder.name == "onnx" else (folder,))
    ]
    return next((candidate / name for candidate in candidates if (candidate / name).is_file()), None)


def names_in_config(file: Path) -> tuple[str, ...] | None:
    """Return the names of at least two classes in a ``config.json``, in output order; None if there are none.

    Names are read from ``id2label`` (transformers), unless they are numbers such as ``LABEL_0``, or ``label_names`` (timm).
    """
    config = json_object(file) or {}
    table = config.get("id2label")
    by_index = [table.get(str(index)) for index in range(len(table))] if isinstance(table, Mapping) else None
    stated = by_index or config.get("label_names")
    if not isinstance(stated, list) or len(stated) < 2 or not all(isinstance(name, str) and name.strip() for name in stated):
        return None
    names = tuple(str(name) for name in stated)
    are_numbers = all(name == f"LABEL_{index}" for index, name in enumerate(names))
    return None if are_numbers or len(set(names)) < len(names) or not all(map(str.isprintable, names)) else names
