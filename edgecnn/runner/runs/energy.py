"""Energy of inferences over a fixed interval, in a separate run that times nothing.

Idle power is measured first, in the same process and over the same time, with the runtime imported and no model open. The energy
above it is the cost of inference on a machine that runs anyway. Both are kept with their times, so that an external meter's log
can be added later.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List

from ..machine.nvml import LIBRARIES
from ..machine.procfs import ROOT
from ..meters.kinds import open_meters
from ..meters.meter import MeterAbsent, Spent

WINDOW_S = 4.0
_SETTLE_S = 0.5
"""The wait before idle power is measured, in which processors and threads go to sleep."""


class EnergyRun:
    """One run: ``idle`` before the model is opened, ``work`` after it is warm, ``facts`` at the end."""

    def __init__(self, gpu: bool, window_s: float, root: Path = ROOT, libraries: Iterable[str] = LIBRARIES) -> None:
        """Open the meters.

        Args:
            gpu: whether the model runs on an NVIDIA GPU.
            window_s: length of each of the two intervals.
            root: the folder of ``sys``, ``proc`` and ``usr``.
            libraries: names of NVIDIA's management library.
        """
        self._window_s = window_s
        self._meters = open_meters(gpu, root, libraries)
        self._absent: Dict[str, str] = dict(self._meters.absent)
        self._stretches: Dict[str, Dict[str, Any]] = {}
        self._spent: Dict[str, Dict[str, Spent]] = {}
        self._images = 0

    def idle(self) -> None:
        """Measure the energy of the idle machine."""
        time.sleep(min(_SETTLE_S, self._window_s))
        self._over("idle", lambda: time.sleep(self._window_s))

    def work(self, call: Callable[[], Any]) -> None:
        """Measure the energy of repeated calls until the interval ends."""
        self._over("work", lambda: self._repeat(call))

    def facts(self) -> Dict[str, Any]:
        """Return the run file's ``energy``: images, both intervals, a reading of each meter, and why other meters have none."""
        self._meters.close()
        meters = [meter for meter in self._meters.opened if all(meter.name in self._spent[name] for name in ("idle", "work"))]
        readings: List[Dict[str, Any]] = []
        for meter in meters:
            idle, work = self._spent["idle"][meter.name], self._spent["work"][meter.name]
            spent = {"idle_j": idle.joules, "idle_s": idle.seconds, "work_j": work.joules, "work_s": work.seconds}
            readings.append(dict(spent, meter=meter.name, covers=meter.covers))
        return dict(self._stretches, images=self._images, readings=readings, absent=self._absent)

    def _repeat(self, call: Callable[[], Any]) -> None:
        stop = time.monotonic() + self._window_s
        while True:
            call()
            self._images += 1
            if time.monotonic() >= stop:
                return

    def _over(self, name: str, do: Callable[[], Any]) -> None:
        started = []
        for meter in self._meters.opened:
            try:
                meter.start()
                started.append(meter)
            except MeterAbsent as absent:
                self._absent[meter.name] = absent.sentence
        began_unix_ns, began_s = time.time_ns(), time.monotonic()
        do()
        seconds, clock_s = time.monotonic() - began_s, (time.time_ns() - began_unix_ns) / 1e9
        self._spent[name] = {}
        for meter in started:
            try:
                self._spent[name][meter.name] = meter.stop()
            except MeterAbsent as absent:
                self._absent[meter.name] = absent.sentence
        self._stretches[name] = {"began_unix_ns": began_unix_ns, "seconds": seconds, "clock_s": clock_s}
