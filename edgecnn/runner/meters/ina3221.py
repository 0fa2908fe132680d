"""Power of a Jetson module, by the INA3221 chips on its supply rails: volts times amperes of each rail.

The rails that add up to the module differ by module. If one rail is the input of all others, it alone is read; otherwise the
known set of outermost rails must be complete. An incomplete set gives no figure, which would be too low. Sources:
Documentation/hwmon/ina3221.rst of the kernel; NVIDIA Jetson Linux Developer Guide, "Power and Performance"; NVIDIA's developer
forum on VDD_IN and POM_5V_IN as the total of their modules.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, NamedTuple, Optional, Tuple

from ..machine.procfs import ROOT, listed, read_text
from .meter import MeterAbsent, SampledMeter, read_number

_DRIVERS = "sys/bus/i2c/drivers"
_MODULES: Tuple[Tuple[str, ...], ...] = (
    ("VDD_IN",),  # Orin Nano, Orin NX, Xavier NX, TX2
    ("POM_5V_IN",),  # Nano
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),  # AGX Orin; its VDDQ_VDD2_1V8AO is fed by VIN_SYS_5V0
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),  # AGX Xavier
)
"""Sets of rails that add up to a module. The first complete set is used."""
_CHANNELS = (1, 2, 3)


class _Rail(NamedTuple):
    """The files of a rail: voltage and current, or power with the oldest drivers."""

    millivolts: Optional[Path]
    milliamperes: Optional[Path]
    milliwatts: Optional[Path]


class Ina3221(SampledMeter):
    """The module's supply."""

    name = "ina3221"
    period_s = 0.05

    def __init__(self, root: Path = ROOT) -> None:
        """Find the rails and read each once.

        Raises:
            MeterAbsent: there is no chip, the rails do not add up to a module, or this user may not read them.
        """
        super().__init__()
        self._root = root
        rails = dict(_rails(root))
        if not rails:
            raise MeterAbsent("/{} has no INA3221 with named rails: this is not a Jetson".format(_DRIVERS))
        module = next((names for names in _MODULES if set(names) <= set(rails)), None)
        if module is None:
            raise MeterAbsent("the rails {} are not known to add up to the module".format(", ".join(sorted(rails))))
        self._rails: Dict[str, _Rail] = {name: rails[name] for name in module}
        self.covers = "the Jetson module's supply ({}), without its carrier board".format(" + ".join(module))
        self.watts()

    def watts(self) -> float:
        """See ``SampledMeter.watts``."""
        return sum(self._milliwatts(rail) for rail in self._rails.values()) / 1e3

    def _milliwatts(self, rail: _Rail) -> float:
        if rail.milliwatts is not None:
            return float(read_number(rail.milliwatts, self._root))
        if rail.millivolts is None or rail.milliamperes is None:
            raise MeterAbsent("a rail has no voltage or no current")
        return read_number(rail.millivolts, self._root) * read_number(rail.milliamperes, self._root) / 1e3


def _rails(root: Path) -> Iterator[Tuple[str, _Rail]]:
    for chip in listed(root / _DRIVERS, "ina3221*/*-*"):
        for folder in listed(chip, "hwmon/hwmon*"):
            for channel in _CHANNELS:
                label = read_text(folder / "in{}_label".format(channel))
                if label and read_text(folder / "in{}_enable".format(channel)) != "0":
                    volts, amperes = folder / "in{}_input".format(channel), folder / "curr{}_input".format(channel)
                    yield label, _Rail(volts, amperes, None)
        for folder in listed(chip, "iio:device*"):  # JetPack 4
            for channel in range(3):
                label = read_text(folder / "rail_name_{}".format(channel))
                if label:
                    yield label, _Rail(None, None, folder / "in_power{}_input".format(channel))
