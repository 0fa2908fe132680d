"""The most memory that a process ever held, beside what it held before it opened a model.

The kernel keeps the peak, so nothing needs to watch while inferences are timed. ``ru_maxrss`` stands in where there is no
/proc; on Linux it is not preferred, since a process inherits it from the one that started it. GPU memory is what the driver
says that this process holds after its last inference: what a runtime allots for a batch, it keeps.
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
    """Begins where the runtime is imported and no model is open yet; ``facts`` is asked after the last inference."""

    def __init__(self, gpu: bool = False, root: Path = ROOT, libraries: Iterable[str] = LIBRARIES) -> None:
        """Read the baseline.

        Args:
            gpu: whether the model will run on an NVIDIA GPU.
            root: where ``proc`` is.
            libraries: where NVIDIA's management library is looked for.
        """
        self._root = root
        self._gpu = _GpuWatch(libraries) if gpu else None  # first: what loading the library takes is not the model's
        self._baseline = resident_peak(root)

    def facts(self) -> Dict[str, Any]:
        """``baseline_mib``, ``peak_mib`` and their ``source``, or ``absent``; of a GPU ``gpu_mib`` or ``gpu_absent``."""
        (baseline, source), (peak, _) = self._baseline, resident_peak(self._root)
        memory: Dict[str, Any] = {"absent": source}
        if baseline is not None and peak is not None:
            memory = {"baseline_mib": round(baseline, 3), "peak_mib": round(peak, 3), "source": source}
        if self._gpu is not None:
            memory.update(self._gpu.facts())
        return memory


def resident_peak(root: Path = ROOT) -> Tuple[Optional[float], str]:
    """Peak resident memory of this process in MiB and where that was read, or None and why it could not be."""
    for line in (read_text(root / "proc/self/status") or "").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024.0, "VmHWM"
    try:
        import resource
    except ModuleNotFoundError:
        return None, "this system has neither /proc/self/status nor getrusage"
    kept = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if kept <= 0:
        return None, "this system says of no process how much memory it held"
    return kept / (MIB if sys.platform == "darwin" else 1024.0), "ru_maxrss"


class _GpuWatch:
    """A process that the driver lists before it has opened anything is another one: a container numbers processes anew."""

    def __init__(self, libraries: Iterable[str]) -> None:
        self._library: Optional[Nvml] = None
        self._why = ""
        try:
            self._library = Nvml(libraries)
            if self._library.used_bytes(os.getpid()) is not None:
                self._why = "the driver lists process {} as another one, as in a container".format(os.getpid())
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
