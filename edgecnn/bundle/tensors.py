"""Check model files and arrays of a kit before a runtime opens them, without loading weights."""

from __future__ import annotations

import io
from collections.abc import Mapping
from math import prod
from pathlib import PurePosixPath

import numpy as np

from edgecnn.installed import installed_version
from edgecnn.runner.model_files import is_checked, model_fault


def has_tensors(name: str) -> bool:
    """Whether the tensors of a file with this name can be checked."""
    return is_checked(name) or PurePosixPath(name).suffix == ".npy"


def unreadable_here(name: str) -> str:
    """Why a file's shapes cannot be checked on this machine, or an empty text. Its external files are checked anyway."""
    lacking = PurePosixPath(name).suffix == ".onnx" and installed_version("onnx") is None
    return f"tensor sizes of {name} were not checked: pip install onnx" if lacking else ""


def fault_of(name: str, content: bytes, beside: Mapping[str, int]) -> str:
    """Return the fault of a file's tensors, or an empty text.

    ``beside``: every file of its folder, name to bytes.
    """
    if not is_checked(name):
        return _array_fault(content)
    if PurePosixPath(name).suffix == ".onnx" and not unreadable_here(name):
        from edgecnn.graph.tensor_claims import false_claim

        if (fault := false_claim(content, beside)) != "":
            return fault
    return model_fault(PurePosixPath(name).name, content, beside)


def _array_fault(content: bytes) -> str:
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    except (ValueError, EOFError, SyntaxError) as error:
        return f"it is not a NumPy array ({str(error)[:100]})"
    if dtype.hasobject:
        return "it holds Python objects, which may run code"
    expected, available = prod(shape) * dtype.itemsize, len(content) - stream.tell()
    return (
        "" if expected == available and min(shape, default=0) >= 0 else f"it has the shape {list(shape)}, but {available:,} bytes"
    )
