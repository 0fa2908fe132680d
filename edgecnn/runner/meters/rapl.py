"""Energy of the processor's packages, by the counters of Intel's and AMD's processors (RAPL).

Packages are summed. Core and uncore are parts of a package, ``psys`` includes it, and ``intel-rapl-mmio`` counts it a second
time, so none of these is added. The memory domain of servers is not part of the package, and the figure excludes it. Source:
Documentation/power/powercap/powercap.rst of the kernel.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List

from ..machine.procfs import ROOT, cpuinfo, listed, read_text
from .meter import CounterMeter, MeterAbsent, read_number

_POWERCAP = "sys/class/powercap"
_TOP = (re.compile(r"intel-rapl:\d+"), re.compile(r"intel-rapl-mmio:\d+"))
"""Top-level domains; the second kind is used only if the first is absent."""
PERMIT = "sudo chmod a+r /sys/class/powercap/intel-rapl*/energy_uj (lasts until the next boot)"


class Rapl(CounterMeter):
    """Every package of this machine."""

    name = "rapl"
    covers = "the processor's packages, without memory, disk and power supply"

    def __init__(self, root: Path = ROOT) -> None:
        """Find the packages and read each once.

        Raises:
            MeterAbsent: there are no packages, or this user may not read them.
        """
        super().__init__()
        self._root = root
        self._folders = {str(read_text(folder / "name")): folder for folder in _packages(root)}
        if not self._folders:
            raise _absence(root)
        self.wraps_at_uj = {
            name: read_number(folder / "max_energy_range_uj", root, PERMIT) for name, folder in self._folders.items()
        }
        self.read_uj()

    def read_uj(self) -> Dict[str, int]:
        """See ``CounterMeter.read_uj``."""
        return {name: read_number(folder / "energy_uj", self._root, PERMIT) for name, folder in self._folders.items()}


def _packages(root: Path) -> List[Path]:
    folders = listed(root / _POWERCAP, "intel-rapl*")
    for kind in _TOP:
        packages = [
            folder
            for folder in folders
            if kind.fullmatch(folder.name) and (read_text(folder / "name") or "").startswith("package")
        ]
        if packages:
            return packages
    return []


def _absence(root: Path) -> MeterAbsent:
    dangling = [folder for folder in listed(root / _POWERCAP, "intel-rapl*") if not folder.exists()]
    if dangling:  # Docker hides the target folder
        why = "/{} is a dangling link, as in a container".format(dangling[0].relative_to(root))
        return MeterAbsent(why, "mount /sys/devices/virtual/powercap into the container, read-only")
    virtual = "hypervisor" in (cpuinfo(root).get("flags") or "").split()
    hidden = "this is a virtual machine, which cannot read the processor's counters"
    why = hidden if virtual else "this processor or its kernel counts no energy"
    return MeterAbsent("/{} has no package: {}".format(_POWERCAP, why))
