"""A meter of present power, which a thread reads periodically.

The thread would disturb timing, so runs that measure energy time nothing. It also runs while idle power is measured, so its own
energy cancels out of the energy above idle.
"""

from __future__ import annotations

import threading
import time
from typing import List, Optional

from .integral import Power, joules
from .meter import Meter, MeterAbsent, Spent

_LOST_IN_A_ROW = 4
"""Consecutive failed readings after which an interval counts as not measured."""


class SampledMeter(Meter):
    """Subclasses define ``watts`` and ``period_s``."""

    period_s = 0.1

    def __init__(self) -> None:
        self._readings: List[Power] = []
        self._failure: Optional[MeterAbsent] = None
        self._done = threading.Event()
        self._thread: Optional[threading.Thread] = None
        self._began_s = 0.0

    def watts(self) -> float:
        """Return the present power.

        Raises:
            MeterAbsent: the meter cannot be read.
        """
        raise NotImplementedError

    def start(self) -> None:
        """See ``Meter.start``."""
        self._readings, self._failure, self._done = [], None, threading.Event()
        self._take()
        if self._failure is not None:
            raise self._failure
        self._thread = threading.Thread(target=self._sample, name=self.name, daemon=True)
        self._thread.start()
        self._began_s = time.monotonic()

    def stop(self) -> Spent:
        """See ``Meter.stop``."""
        ended_s = time.monotonic()
        self._done.set()
        if self._thread is not None:
            self._thread.join()
        self._take()
        if self._failure is not None and len(self._readings) < 2:
            raise self._failure
        gap_s = (_LOST_IN_A_ROW + 1) * self.period_s
        return Spent(joules(self._readings, self._began_s, ended_s, max(gap_s, 1.0)), ended_s - self._began_s)

    def _sample(self) -> None:
        while not self._done.wait(self.period_s):
            self._take()

    def _take(self) -> None:
        """Take a reading. Its time is the middle of the query."""
        before = time.monotonic()
        try:
            watts = self.watts()
        except MeterAbsent as absent:
            self._failure = absent
            return
        self._readings.append(Power((before + time.monotonic()) / 2, watts))
