"""Find the installed runtimes without importing them. The names of their distributions differ by vendor and board."""

from __future__ import annotations

from importlib import metadata
from typing import Dict, Optional, Tuple

from .browser.installed import browser_version

DISTRIBUTIONS: Dict[str, Tuple[str, ...]] = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino"),
    "openvino": ("openvino",),
    "tensorrt": ("tensorrt", "tensorrt-cu12", "tensorrt-cu13", "nvidia-tensorrt"),
    "ncnn": ("ncnn",),
    "litert": ("ai-edge-litert",),
    "wasm": ("chromium",),
    "webgpu": ("chromium",),
    "torch": ("torch",),
    "tensorrt-rtx": ("tensorrt-rtx", "tensorrt-rtx-cu13-bindings", "tensorrt-rtx-cu12-bindings"),
}
"""A requirement's name to the distributions that satisfy it. Kits contain ONNX Runtime Web, and need a browser."""
BROWSER = "chromium"


def distribution_of(runtime: str) -> str:
    """Return the distribution by which pip installs a runtime."""
    return DISTRIBUTIONS.get(runtime, (runtime,))[0]


def installed_version(name: str) -> Optional[str]:
    """Return the version of the installed distribution for a requirement of this name, or None."""
    for distribution in DISTRIBUTIONS.get(name, (name,)):
        if distribution == BROWSER:
            return browser_version()
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None


def installed_runtimes() -> Dict[str, str]:
    """Return the installed runtimes and their versions."""
    versions = {name: installed_version(name) for name in DISTRIBUTIONS}
    return {name: version for name, version in versions.items() if version is not None}


def runtime_of(session_module: str) -> str:
    """Return the runtime of a module of ``sessions/`` by its name: ``openvino_cpu`` opens ``openvino``."""
    return session_module.rsplit("_", 1)[0]


def runs_on_gpu(session_module: str) -> bool:
    """Whether a module of ``sessions/`` computes on an NVIDIA GPU, by the end of its name."""
    return session_module.endswith("_gpu")
