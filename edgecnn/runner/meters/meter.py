"""The interface of meters: joules over an interval, or the reason why there are none. Never zero, never a guess."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

PLAUSIBLE_W = 1500.0
"""No domain of a processor or GPU board draws more for seconds. A counter with a higher figure was reset, or wrapped more than
once."""
READINGS_NEEDED = 10
"""Readings inside an interval. With fewer, its two interpolated ends weigh more than a tenth."""
_LOST_IN_A_ROW = 4
"""Consecutive failed readings after which an interval counts as not measured."""


class MeterAbsent(Exception):
    """Raised when a meter gives no reading. ``why``: the reason. ``hint``: the fix, if there is one."""

    def __init__(self, why: str, hint: Optional[str] = None) -> None:
        super().__init__(why)
        self.why, self.hint = why, hint

    @property
    def sentence(self) -> str:
        """The reason and the fix."""
        return "{}; {}".format(self.why, self.hint) if self.hint else self.why


class Spent(NamedTuple):
    """Joules, and the seconds of their interval by the meter's clock."""

    joules: float
    seconds: float


class Meter:
    """An opened meter. ``name``: its kind. ``covers``: the part of the machine that it measures, for the report."""

    name = ""
    covers = ""

    def start(self) -> None:
        """Begin an interval.

        Raises:
            MeterAbsent: the meter cannot be read.
        """
        raise NotImplementedError

    def stop(self) -> Spent:
        """End the interval; return its energy.

        Raises:
            MeterAbsent: the meter cannot be read, or its readings do not measure this interval.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Release the meter's resources."""


class CounterMeter(Meter):
    """A meter with an energy counter. It needs two readings, and nothing runs between them."""

    wraps_at_uj: Dict[str, int] = {}
    """Largest value of each counter that wraps. Other counters never wrap."""

    def __init__(self) -> None:
        self._before: Dict[str, int] = {}
        self._began_s = 0.0

    def read_uj(self) -> Dict[str, int]:
        """Return microjoules by counter.

        Raises:
            MeterAbsent: a counter cannot be read.
        """
        raise NotImplementedError

    def start(self) -> None:
        """See ``Meter.start``."""
        self._before, self._began_s = self.read_uj(), time.monotonic()

    def stop(self) -> Spent:
        """See ``Meter.stop``."""
        after, seconds = self.read_uj(), time.monotonic() - self._began_s
        spent_uj = [
            counted_uj(name, before, after[name], seconds, self.wraps_at_uj.get(name)) for name, before in self._before.items()
        ]
        return Spent(sum(spent_uj) / 1e6, seconds)


def counted_uj(name: str, before: int, after: int, seconds: float, wraps_at: Optional[int] = None) -> int:
    """Return the microjoules between two readings of a counter that wraps at most once.

    Raises:
        MeterAbsent: the counter did not change, was reset, or may have wrapped more than once.
    """
    if after == before:
        raise MeterAbsent("{} did not change in {:.1f} s".format(name, seconds))
    if wraps_at is not None and wraps_at / 1e6 < PLAUSIBLE_W * seconds:
        raise MeterAbsent("{} may wrap more than once in {:.0f} s".format(name, seconds))
    difference_uj = after - before if after > before else (wraps_at or 0) - before + after
    if difference_uj < 0 or difference_uj / 1e6 > PLAUSIBLE_W * seconds:
        raise MeterAbsent("{} was reset: it went from {} to {} uJ in {:.1f} s".format(name, before, after, seconds))
    return difference_uj


def read_number(path: Path, root: Path, hint: Optional[str] = None) -> int:
    """Return the whole number in a small file.

    Args:
        path: the file.
        root: errors name the file relative to it.
        hint: the fix if this user may not read the file.

    Raises:
        MeterAbsent: the file is absent, forbidden, or has no number.
    """
    name = "/{}".format(path.relative_to(root))
    try:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except PermissionError:
        raise MeterAbsent("{} may not be read by this user".format(name), hint) from None
    except OSError as error:
        raise MeterAbsent("{} cannot be read: {}".format(name, error.strerror or error)) from None
    try:
        return int(text)
    except ValueError:
        raise MeterAbsent("{} holds {!r}, which is not a number".format(name, text[:40])) from None


class Power(NamedTuple):
    """One reading: seconds of a clock, and watts."""

    at_s: float
    watts: float


def joules(readings: Sequence[Power], begin_s: float, end_s: float, longest_gap_s: float) -> float:
    """Return the energy between two times of the readings' clock: the area under the line through the readings.

    Args:
        readings: in the order of their times.
        begin_s, end_s: the interval.
        longest_gap_s: the longest time between readings for which the power counts as known.

    Raises:
        MeterAbsent: the readings do not cover the interval, have a gap in it, or are too few.
    """
    if not readings or readings[0].at_s > begin_s or readings[-1].at_s < end_s:
        raise MeterAbsent("the readings do not cover the whole run{}".format(_missing_ends(readings, begin_s, end_s)))
    inside = [reading for reading in readings if begin_s < reading.at_s < end_s]
    if len(inside) < READINGS_NEEDED:
        noun = "reading" if len(inside) == 1 else "readings"
        raise MeterAbsent("only {} {} in {:.1f} s, {} are needed".format(len(inside), noun, end_s - begin_s, READINGS_NEEDED))
    before = max((reading for reading in readings if reading.at_s <= begin_s), key=lambda reading: reading.at_s)
    after = min((reading for reading in readings if reading.at_s >= end_s), key=lambda reading: reading.at_s)
    points = [before] + inside + [after]
    gap = max(right.at_s - left.at_s for left, right in zip(points, points[1:]))
    if gap > longest_gap_s:
        raise MeterAbsent("{:.1f} s without a reading".format(gap))
    points[0] = _interpolated(points[0], points[1], begin_s)
    points[-1] = _interpolated(points[-2], points[-1], end_s)
    return sum((left.watts + right.watts) / 2 * (right.at_s - left.at_s) for left, right in zip(points, points[1:]))


def _interpolated(left: Power, right: Power, at_s: float) -> Power:
    share = (at_s - left.at_s) / (right.at_s - left.at_s)
    return Power(at_s, left.watts + share * (right.watts - left.watts))


def _missing_ends(readings: Sequence[Power], begin_s: float, end_s: float) -> str:
    if not readings:
        return ": there are none"
    gaps: List[str] = []
    if readings[0].at_s > begin_s:
        gaps.append("the first is {:.1f} s after its start".format(readings[0].at_s - begin_s))
    if readings[-1].at_s < end_s:
        gaps.append("the last is {:.1f} s before its end".format(end_s - readings[-1].at_s))
    return ": " + ", ".join(gaps)


class SampledMeter(Meter):
    """A meter of present power, which a thread reads periodically. Subclasses define ``watts`` and ``period_s``.

    The thread would disturb timing, so runs that measure energy time nothing. It also runs while idle power is measured, so its
    own energy cancels out of the energy above idle.
    """

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
