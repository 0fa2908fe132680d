"""What kits ask of a machine."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from edgecnn.backends.registry import backend_for
from edgecnn.values.candidate import Runtime
from edgecnn.values.device import Device

OWN_PACKAGES = ("numpy", "pillow")
"""What the runner needs beside a runtime."""
OLDEST_PYTHON = (3, 8)
DISK_MIB = 1024
"""onnxruntime 1.31 with NumPy and Pillow takes 134 MiB unpacked for aarch64; kits, an engine, pixels and logits come on top."""
MEMORY_MIB = 512
"""A bound of caution, which nothing was measured for: below it a board begins to swap, and its latencies are its card's."""


class Needs(NamedTuple):
    """Of one set of kits."""

    runtimes: Mapping[Runtime, str]
    """Runtime to the PEP 440 range of its distribution."""
    machines: tuple[str, ...] = ("x86_64", "aarch64")
    disk_mib: int = DISK_MIB
    memory_mib: int = MEMORY_MIB


def needs_of(device: Device | None, runtimes: Collection[Runtime] | None = None) -> Needs:
    """What kits need of a board.

    Args:
        device: what it is; None: not known, and each runtime in the range of its backend will do.
        runtimes: those of the kits; None: every one of the device, else ONNX Runtime, which every 64-bit board has.
    """
    if device is None:
        return Needs({runtime: _range(runtime) for runtime in runtimes or (Runtime.ONNXRUNTIME,)})
    return Needs(
        {
            runtime: facts.versions
            for runtime, facts in device.runtimes.items()
            if facts.by_default and (runtimes is None or runtime in runtimes)
        }
    )


def _range(runtime: Runtime) -> str:
    return backend_for(runtime).runtime_packages[runtime.value]
