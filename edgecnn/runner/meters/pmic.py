"""Power of a Raspberry Pi 5, by the currents and voltages that its power chip (PMIC) measures on its output rails.

Loads on the 5 V input (USB devices, a HAT, the fan) and the chip's losses are not on these rails. The figure excludes them, and
``covers`` says so: a factor for them would be a model, not a reading. Source: raspberrypi.com, documentation of
``vcgencmd pmic_read_adc``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict

from ..machine.procfs import ROOT
from ..machine.throttling import vcgencmd
from .meter import MeterAbsent, SampledMeter

_READING = re.compile(r"(\S+)_([AV])\s+(?:current|volt)\(\d+\)=(\d+(?:\.\d+)?)[AV]")
_CORE = "VDD_CORE"
"""The processor's rail. Output without it is from another board."""


class Pmic(SampledMeter):
    """The rails of the board's power chip."""

    name = "pmic"
    covers = "the rails of the Raspberry Pi's power chip, without its losses and the loads on the 5 V input (USB, fan)"
    period_s = 0.25

    def __init__(self, root: Path = ROOT) -> None:
        """Read the rails once.

        Raises:
            MeterAbsent: there is no such chip, or this user may not read it.
        """
        super().__init__()
        self._root = root
        self.watts()

    def watts(self) -> float:
        """See ``SampledMeter.watts``."""
        reply = vcgencmd("pmic_read_adc", self._root)
        if reply.text is not None:
            return rails_watts(reply.text)
        why = reply.why or "vcgencmd printed nothing"
        if "vcio" in why or "VCHI" in why:
            raise MeterAbsent(why, "sudo usermod -aG video $USER, then log in again")
        raise MeterAbsent(why, "Raspberry Pis before the 5 have no such chip" if "not registered" in why else None)


def rails_watts(answer: str) -> float:
    """Return the sum of amperes times volts of all rails. Voltages without a current (the input, the battery) do not count.

    Raises:
        MeterAbsent: a rail has a current and no voltage, or the processor's rail is missing.
    """
    readings: Dict[str, Dict[str, float]] = {"A": {}, "V": {}}
    for rail, kind, number in _READING.findall(answer):
        readings[kind][rail] = float(number)
    lacking = sorted(rail for rail in readings["A"] if rail not in readings["V"])
    if _CORE not in readings["A"] or lacking:
        raise MeterAbsent(
            "pmic_read_adc printed no {} of {}".format(*(("voltage", lacking[0]) if lacking else ("current", _CORE)))
        )
    return sum(amperes * readings["V"][rail] for rail, amperes in readings["A"].items())
