"""Builds a library that answers as NVIDIA's would, so that ctypes calls a real one on machines without a GPU."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("fake_nvml.c")


def built_library(folder: Path) -> str:
    """The path of the library."""
    library = folder / "libnvidia-ml.so.1"
    build(SOURCE, library)
    return str(library)


def build(source: Path, library: Path) -> None:
    """Compile one; the test is skipped where no C compiler is installed."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to build the stand-in for NVIDIA's library")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
