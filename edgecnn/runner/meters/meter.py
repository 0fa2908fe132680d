"""The interface of meters: joules over an interval, or the reason why there are none. Never zero, never a guess."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Dict, NamedTuple, Optional


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


PLAUSIBLE_W = 1500.0
"""No domain of a processor or GPU board draws more for seconds. A counter with a higher figure was reset, or wrapped more than
once."""


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
            spent(name, before, after[name], seconds, self.wraps_at_uj.get(name)) for name, before in self._before.items()
        ]
        return Spent(sum(spent_uj) / 1e6, seconds)


def spent(name: str, before: int, after: int, seconds: float, wraps_at: Optional[int] = None) -> int:
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
