"""Which meters can be read on this machine, by trying each."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, Iterable, List, NamedTuple

from ..machine.nvml import LIBRARIES
from ..machine.procfs import ROOT
from .gpu import GpuBoard
from .ina3221 import Ina3221
from .meter import Meter, MeterAbsent
from .pmic import Pmic
from .rapl import Rapl

OF_A_GPU = GpuBoard.name
"""The one meter that says nothing of a model on the CPU."""


def can_watch(meters: Iterable[str], on_gpu: bool) -> bool:
    """Whether one of these meters says something of a model, by where it runs."""
    return any(name != OF_A_GPU or on_gpu for name in meters)


class Meters(NamedTuple):
    """Opened meters, and of each of the others why it cannot be read and what would mend it."""

    opened: List[Meter]
    absent: Dict[str, str]

    def close(self) -> None:
        """Close all."""
        for meter in self.opened:
            meter.close()


def open_meters(gpu: bool, root: Path = ROOT, libraries: Iterable[str] = LIBRARIES) -> Meters:
    """Open every meter that can be read.

    Args:
        gpu: whether a GPU's own board is asked too; beside a model on a CPU it says nothing.
        root: where ``sys``, ``proc`` and ``usr`` are.
        libraries: where NVIDIA's management library is looked for.
    """
    kinds: Dict[str, Callable[[], Meter]] = {
        "rapl": lambda: Rapl(root),
        "ina3221": lambda: Ina3221(root),
        "pmic": lambda: Pmic(root),
    }
    if gpu:
        kinds["nvml"] = lambda: GpuBoard(libraries)
    found = Meters([], {})
    for name, opened in kinds.items():
        try:
            found.opened.append(opened())
        except MeterAbsent as absent:
            found.absent[name] = absent.sentence
    return found
