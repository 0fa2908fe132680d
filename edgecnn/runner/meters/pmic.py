"""Power of a Raspberry Pi 5, from the currents and voltages that its power chip (PMIC) measures on the rails it makes.

What the 5 V input feeds directly (USB devices, a hat, the fan) and the chip's own losses are on none of these rails. They are
left out and said to be: a factor that guesses them from the rest is a model, and no reading. Source: raspberrypi.com,
documentation of ``vcgencmd pmic_read_adc``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, Optional

from ..machine.procfs import ROOT
from ..machine.vcgencmd import vcgencmd
from .meter import MeterAbsent
from .sampled import SampledMeter

_READING = re.compile(r"(\S+)_([AV])\s+(?:current|volt)\(\d+\)=(\d+(?:\.\d+)?)[AV]")
_CORE = "VDD_CORE"
"""The rail that computes: an answer without it is not of this board."""


class Pmic(SampledMeter):
    """The rails of the board's power chip."""

    name = "pmic"
    covers = "the rails of the Raspberry Pi's power chip, without its losses and what the 5 V input feeds directly (USB, fan)"
    period_s = 0.25

    def __init__(self, root: Path = ROOT) -> None:
        """Ask once.

        Raises:
            MeterAbsent: there is no such chip, or this user may not ask.
        """
        super().__init__()
        self._root = root
        self.watts()

    def watts(self) -> float:
        """See ``SampledMeter.watts``."""
        reply = vcgencmd("pmic_read_adc", self._root)
        if reply.text is None:
            why = reply.why or "vcgencmd gives no answer"
            raise MeterAbsent(why, _remedy(why))
        return rails_watts(reply.text)


def rails_watts(answer: str) -> float:
    """The sum over rails of amperes times volts; voltages without a current (the input, the battery) are no rail's power.

    Raises:
        MeterAbsent: a rail has a current and no voltage, or the core's rail is not there.
    """
    readings: Dict[str, Dict[str, float]] = {"A": {}, "V": {}}
    for rail, kind, number in _READING.findall(answer):
        readings[kind][rail] = float(number)
    lacking = sorted(rail for rail in readings["A"] if rail not in readings["V"])
    if _CORE not in readings["A"] or lacking:
        raise MeterAbsent("pmic_read_adc says no {} of {}".format(*(("voltage", lacking[0]) if lacking else ("current", _CORE))))
    return sum(amperes * readings["V"][rail] for rail, amperes in readings["A"].items())


def _remedy(why: str) -> Optional[str]:
    if "vcio" in why or "VCHI" in why:
        return "sudo usermod -aG video $USER, then log in again"
    return "Raspberry Pis before the 5 have no such chip" if "not registered" in why else None
