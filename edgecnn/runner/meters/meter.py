"""What every meter promises: joules over a stretch of time, or a sentence on why there are none. Never zero, never a guess."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Dict, NamedTuple, Optional


class MeterAbsent(Exception):
    """There is no reading, with why; ``hint`` is what would mend it, where something would."""

    def __init__(self, why: str, hint: Optional[str] = None) -> None:
        super().__init__(why)
        self.why, self.hint = why, hint

    @property
    def sentence(self) -> str:
        """Why, and what would mend it."""
        return "{}; {}".format(self.why, self.hint) if self.hint else self.why


class Spent(NamedTuple):
    """Joules, and the seconds that they were counted over by the meter's own reckoning."""

    joules: float
    seconds: float


class Meter:
    """An opened meter. ``name`` is its kind; ``covers`` says of what the energy is, for a reader to judge."""

    name = ""
    covers = ""

    def start(self) -> None:
        """Begin.

        Raises:
            MeterAbsent: it cannot be read.
        """
        raise NotImplementedError

    def stop(self) -> Spent:
        """End, after one ``start``.

        Raises:
            MeterAbsent: it cannot be read, or what it says is no measurement of this stretch.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give back what ``open`` took."""


PLAUSIBLE_W = 1500.0
"""More than this no domain of one processor or GPU board draws for seconds; a counter that says so was reset, or went round more
than once."""


class CounterMeter(Meter):
    """A meter that counts energy since some moment: two readings are enough, and nothing runs between them."""

    wraps_at_uj: Dict[str, int] = {}
    """Largest value of each counter that goes round; one that is not named here never does."""

    def __init__(self) -> None:
        self._before: Dict[str, int] = {}
        self._began_s = 0.0

    def read_uj(self) -> Dict[str, int]:
        """Microjoules by counter.

        Raises:
            MeterAbsent: one of them cannot be read.
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
    """Microjoules between two readings of one counter that goes round at most once.

    Raises:
        MeterAbsent: the counter did not move, was reset, or may have gone round more than once.
    """
    if after == before:
        raise MeterAbsent("{} did not move in {:.1f} s".format(name, seconds))
    if wraps_at is not None and wraps_at / 1e6 < PLAUSIBLE_W * seconds:
        raise MeterAbsent("{} may go round more than once in {:.0f} s".format(name, seconds))
    difference_uj = after - before if after > before else (wraps_at or 0) - before + after
    if difference_uj < 0 or difference_uj / 1e6 > PLAUSIBLE_W * seconds:
        raise MeterAbsent("{} was reset: it went from {} to {} uJ in {:.1f} s".format(name, before, after, seconds))
    return difference_uj


def read_number(path: Path, root: Path, hint: Optional[str] = None) -> int:
    """The whole number in a small file.

    Args:
        path: the file.
        root: what is left out of its name in an error.
        hint: what lets this user read it, should it be forbidden.

    Raises:
        MeterAbsent: the file is absent, forbidden, or holds no number.
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
        raise MeterAbsent("{} holds {!r}, which is no number".format(name, text[:40])) from None
