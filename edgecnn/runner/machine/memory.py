"""Peak memory of a process, and its memory before it opened a model.

The kernel records the peak, so nothing runs while inferences are timed. ``ru_maxrss`` is used without /proc; it is worse on
Linux, since a process inherits it from its parent. GPU memory is the driver's figure after the last inference: a runtime keeps
the memory that it allocated for a batch.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, Optional, Tuple

from .nvml import LIBRARIES, Nvml, NvmlAbsent
from .procfs import ROOT, read_text

MIB = 1024.0 * 1024.0


class MemoryWatch:
    """Create it when the runtime is imported and no model is open; call ``facts`` after the last inference."""

    def __init__(self, gpu: bool = False, root: Path = ROOT, libraries: Iterable[str] = LIBRARIES) -> None:
        """Read the baseline.

        Args:
            gpu: whether the model will run on an NVIDIA GPU.
            root: the folder of ``proc``.
            libraries: names of NVIDIA's management library.
        """
        self._root = root
        self._gpu = _GpuWatch(libraries) if gpu else None  # first: the memory of the library is not the model's
        self._baseline = resident_peak(root)

    def facts(self) -> Dict[str, Any]:
        """Return ``baseline_mib``, ``peak_mib`` and their ``source``, or ``absent``; for a GPU ``gpu_mib`` or ``gpu_absent``."""
        (baseline, source), (peak, _) = self._baseline, resident_peak(self._root)
        memory: Dict[str, Any] = {"absent": source}
        if baseline is not None and peak is not None:
            memory = {"baseline_mib": round(baseline, 3), "peak_mib": round(peak, 3), "source": source}
        if self._gpu is not None:
            memory.update(self._gpu.facts())
        return memory


def resident_peak(root: Path = ROOT) -> Tuple[Optional[float], str]:
    """Return this process's peak resident memory in MiB and its source, or None and the reason."""
    for line in (read_text(root / "proc/self/status") or "").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024.0, "VmHWM"
    try:
        import resource
    except ModuleNotFoundError:
        return None, "this system has neither /proc/self/status nor getrusage"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if peak <= 0:
        return None, "this system does not report a process's peak memory"
    return peak / (MIB if sys.platform == "darwin" else 1024.0), "ru_maxrss"


class _GpuWatch:
    """GPU memory by the driver. Containers renumber processes: a number that is already listed is another process."""

    def __init__(self, libraries: Iterable[str]) -> None:
        self._library: Optional[Nvml] = None
        self._why = ""
        try:
            self._library = Nvml(libraries)
            if self._library.used_bytes(os.getpid()) is not None:
                self._why = "the driver lists another process with number {}, as in a container".format(os.getpid())
        except NvmlAbsent as absent:
            self._why = absent.why

    def facts(self) -> Dict[str, Any]:
        if self._library is None or self._why:
            return {"gpu_absent": self._why}
        try:
            used = self._library.used_bytes(os.getpid())
        except NvmlAbsent as absent:
            return {"gpu_absent": absent.why}
        if used is None:
            return {"gpu_absent": "the driver does not list process {}, as in a container".format(os.getpid())}
        return {"gpu_mib": round(used / MIB, 3)}
