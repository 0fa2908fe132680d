"""The table of power meters, and which of them can be read on this machine.

To add a meter, write its module next to this one and its row in ``KINDS``. The judgement, ``devices check`` and the doctor read
the row; the recorder of ``devices check`` is sent alone, so a test compares its list of files with the table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

from ..machine.nvml import LIBRARIES
from ..machine.procfs import ROOT
from . import log
from .gpu import GpuBoard
from .ina3221 import Ina3221
from .meter import Meter, MeterAbsent
from .pmic import Pmic
from .rapl import PERMIT, Rapl

MACHINE, PROCESSOR, GPU = "the whole machine", "the processor", "the GPU"
NOTHING_OF_A_CPU = "the GPU's meter does not measure a model on the CPU"


class Closed(NamedTuple):
    """The finding about a meter whose files this user may not read."""

    ref: str
    what: str
    remedy: str
    """The command that opens the files; ``{folder}`` is the folder of the first one."""


class MeterKind(NamedTuple):
    """Everything that edgecnn needs to know about one kind of meter."""

    name: str
    coverage: int
    """Rank by how much of the machine the meter includes; 1 includes the most."""
    watches: str
    """``MACHINE``, ``PROCESSOR`` or ``GPU``: a meter of one part is not used where the model runs on the other."""
    open: Optional[Callable[[Path, Iterable[str]], Meter]]
    """Opens the meter below a root, with NVIDIA's libraries; None where the user passes a log of the readings."""
    files: Tuple[str, ...]
    """Patterns, below the root, of the files without which the meter reads nothing."""
    closed: Optional[Closed]
    """None where the meter reads no files that permissions can close."""


KINDS = (
    MeterKind("rapl", 5, PROCESSOR, lambda root, libraries: Rapl(root),
        ("sys/class/powercap/intel-rapl*/name", "sys/class/powercap/intel-rapl*/*energy*_uj"),
        Closed("energy-closed", "this user has no permission to read the processor's energy counter, so energy is not measured",
               PERMIT),
    ),
    MeterKind("ina3221", 2, MACHINE, lambda root, libraries: Ina3221(root),
        tuple("sys/bus/i2c/drivers/ina3221*/*-*/hwmon/hwmon*/" + name for name in ("in*_label", "in*_input", "curr*_input")),
        Closed("rails-closed", "this user has no permission to read the module's power rails, so energy is not measured",
               "sudo chmod a+r /{folder}/* (lasts until the next boot)"),
    ),
    MeterKind("pmic", 3, MACHINE, lambda root, libraries: Pmic(root), (), None),
    MeterKind("nvml", 4, GPU, lambda root, libraries: GpuBoard(libraries), (), None),
    MeterKind(log.NAME, 1, MACHINE, None, (), None),
)  # fmt: skip
"""In the order in which a machine's meters are tried and listed."""


def can_watch(meters: Iterable[str], on_gpu: bool) -> bool:
    """Whether one of these meters measures a model on the GPU, or on the CPU."""
    gpu_meters = [kind.name for kind in KINDS if kind.watches == GPU]
    return any(on_gpu or name not in gpu_meters for name in meters)


class Meters(NamedTuple):
    """Opened meters; and why each other meter cannot be read, with its remedy."""

    opened: List[Meter]
    absent: Dict[str, str]

    def close(self) -> None:
        """Close all."""
        for meter in self.opened:
            meter.close()


def open_meters(gpu: bool, root: Path = ROOT, libraries: Iterable[str] = LIBRARIES) -> Meters:
    """Open every meter that can be read.

    Args:
        gpu: whether to open a GPU's meter too, which does not measure a model on a CPU.
        root: the folder of ``sys``, ``proc`` and ``usr``.
        libraries: names of NVIDIA's management library.
    """
    meters = Meters([], {})
    for kind in KINDS:
        if kind.open is None or (kind.watches == GPU and not gpu):
            continue
        try:
            meters.opened.append(kind.open(root, libraries))
        except MeterAbsent as absent:
            meters.absent[kind.name] = absent.sentence
    return meters
