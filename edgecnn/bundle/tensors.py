"""Model files and arrays of a kit, looked into before a runtime opens them: by their kind, and without loading any weights."""

from __future__ import annotations

import io
from collections.abc import Mapping
from math import prod
from pathlib import PurePosixPath
from typing import Final
from xml.etree import ElementTree

import numpy as np

from edgecnn.backends.installed import installed_version

_BITS: Final = {
    **dict.fromkeys(("f64", "i64", "u64"), 64),
    **dict.fromkeys(("f32", "i32", "u32"), 32),
    **dict.fromkeys(("f16", "bf16", "i16", "u16"), 16),
    **dict.fromkeys(("i8", "u8", "boolean", "f8e4m3", "f8e5m2", "f8e8m0"), 8),
    **dict.fromkeys(("i4", "u4", "nf4", "f4e2m1"), 4),
}
"""Of OpenVINO's element types (openvino/core/type/element_type.hpp); others are counted as one bit, as their least."""

_TFLITE: Final = b"TFL3"
"""The identifier of the FlatBuffer, behind its first four bytes (tensorflow/compiler/mlir/lite/schema/schema.fbs)."""
_NCNN: Final = "7767517"
"""The first line of a network in text (ncnn, docs/developer-guide/param-and-model-file-structure.md)."""


def has_tensors(name: str) -> bool:
    """Whether a file of that name has tensors that can be checked."""
    return PurePosixPath(name).suffix in (".onnx", ".xml", ".npy", ".tflite", ".param")


def unreadable_here(name: str) -> str:
    """Why a file cannot be looked into on this machine; empty where it can."""
    lacking = PurePosixPath(name).suffix == ".onnx" and installed_version("onnx") is None
    return f"{name} was not looked into: pip install onnx" if lacking else ""


def fault_of(name: str, content: bytes, beside: Mapping[str, int]) -> str:
    """What is wrong with a file's tensors; empty where nothing is.

    ``beside``: every file of its folder, name to bytes.
    """
    suffix = PurePosixPath(name).suffix
    if suffix == ".onnx":
        from edgecnn.graph.tensor_claims import false_claim

        return false_claim(content, beside)
    if suffix == ".xml":
        return _ir_fault(content, beside.get(PurePosixPath(name).with_suffix(".bin").name, 0))
    if suffix == ".tflite":  # its weights lie in the file itself, where the runtime reads them
        return "" if content[4:8] == _TFLITE else "it is no TensorFlow Lite model"
    if suffix == ".param":
        return _param_fault(content, beside.get(PurePosixPath(name).with_suffix(".bin").name, 0))
    return _array_fault(content)


def _array_fault(content: bytes) -> str:
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    except (ValueError, EOFError, SyntaxError) as error:
        return f"it is no array of NumPy ({str(error)[:100]})"
    if dtype.hasobject:
        return "it holds objects, which are code"
    wanted, held = prod(shape) * dtype.itemsize, len(content) - stream.tell()
    return "" if wanted == held and min(shape, default=0) >= 0 else f"it has the shape {list(shape)}, and {held:,} bytes"


def _ir_fault(content: bytes, weights: int) -> str:
    """OpenVINO's IR: each constant says from where to where in the ``.bin`` it lies."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content or b"\0" in content:
        return "it declares entities, which can grow beyond all bounds"
    try:
        constants = list(ElementTree.fromstring(content.decode("utf-8")).iter("data"))
    except (ElementTree.ParseError, UnicodeDecodeError, RecursionError) as error:
        return f"it is no OpenVINO model ({str(error)[:100]})"
    for data in constants:
        if "offset" not in data.attrib:
            continue
        said = data.get("offset", ""), data.get("size", ""), *(side.strip() for side in data.get("shape", "").split(",") if side)
        if not all(text.isascii() and text.isdigit() and len(text) < 20 for text in said):
            return f"a constant of it says {ascii(dict(data.attrib))[:200]}"
        start, size, *shape = map(int, said)
        if start + size > weights or prod(shape) * _BITS.get(data.get("element_type", ""), 1) > 8 * size:
            return f"a constant of the shape {shape} would be read from beyond the {weights:,} bytes of its weights"
    return ""


def _param_fault(content: bytes, weights: int) -> str:
    """ncnn's network: its second line says how many layers and tensors follow, each layer how many weights it reads."""
    try:
        magic, said, *layers = content.decode("ascii").splitlines()
        counts = [int(word) for word in said.split()]
    except ValueError:
        magic, counts, layers = "", [], []
    words = [line.split() for line in layers]
    if magic.strip() != _NCNN or len(counts) != 2 or not 0 < counts[0] <= len(words) or not 0 < counts[1] <= sum(map(len, words)):
        return "it is no network of ncnn"
    for kind, *rest in filter(None, words):
        numbers = [int(value) for key, _, value in (word.partition("=") for word in rest) if key.isdigit() and value.isdigit()]
        most = max([prod(numbers)] if kind == "MemoryData" else numbers, default=0)
        if most > 8 * weights:  # no weight takes less than a bit
            return f"a layer {ascii(kind)[:100]} of it would take {most:,} numbers, and its weights have {weights:,} bytes"
    return ""
