"""edgecnn: from a recipe and a device to a bundle that tests itself, and its evidence."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# ONNX Runtime 1.29 and later sends model names, hashes and timings to its maker, and keeps a device id in the home folder, unless
# this variable is set before the import (microsoft/onnxruntime, pull request 27379). So edgecnn turns telemetry off, which also
# keeps its thread out of measurements. To allow telemetry, set the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from edgecnn.api import build
    from edgecnn.values.recipe import Recipe
    from edgecnn.values.report import BuildReport

__all__ = ["BuildReport", "Recipe", "__version__", "build"]

_HOME = {"build": "edgecnn.api", "Recipe": "edgecnn.values.recipe", "BuildReport": "edgecnn.values.report"}


def __getattr__(name: str) -> Any:  # lazily, so that `edgecnn --help` loads neither pydantic nor the planner
    if name not in _HOME:
        raise AttributeError(f"module 'edgecnn' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
