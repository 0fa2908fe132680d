"""Energy of a fixed stretch of inferences, in a run of its own that times nothing.

Idle power is taken first, in the same process, over as long a stretch, with the runtime imported and no model open: what is
above it is what inferring costs on top of a machine that is switched on anyway. Both are kept, and the moments too, so that an
external meter's log can be joined later.
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
"""After imports, before idle power is taken: processors and runtimes' threads need a moment to fall asleep."""


class EnergyRun:
    """One run: ``idle`` before the model is opened, ``work`` after it is warm, ``facts`` at the end."""

    def __init__(self, gpu: bool, window_s: float, root: Path = ROOT, libraries: Iterable[str] = LIBRARIES) -> None:
        """Open the meters.

        Args:
            gpu: whether the model runs on an NVIDIA GPU.
            window_s: length of each of the two stretches.
            root: where ``sys``, ``proc`` and ``usr`` are.
            libraries: where NVIDIA's management library is looked for.
        """
        self._window_s = window_s
        self._meters = open_meters(gpu, root, libraries)
        self._absent: Dict[str, str] = dict(self._meters.absent)
        self._stretches: Dict[str, Dict[str, Any]] = {}
        self._spent: Dict[str, Dict[str, Spent]] = {}
        self._images = 0

    def idle(self) -> None:
        """Sleep, and take the power of a machine that waits."""
        time.sleep(min(_SETTLE_S, self._window_s))
        self._over("idle", lambda: time.sleep(self._window_s))

    def work(self, call: Callable[[], Any]) -> None:
        """Call again and again until the stretch is over."""
        self._over("work", lambda: self._repeat(call))

    def facts(self) -> Dict[str, Any]:
        """The run file's ``energy``: images, both stretches, a reading a meter, and why the other meters gave none."""
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
