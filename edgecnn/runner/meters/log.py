"""An external meter's log, matched to runs by the clock: a CSV file with a time and watts in each line.

Times are Unix seconds, or ISO 8601 with a time zone. The meter's clock must agree with the machine's. No file can prove this, so
the log must cover a run completely.
"""

from __future__ import annotations

import csv
import io
from datetime import datetime
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple

from ..files import bounded_content
from ..messages import RunnerError
from .meter import MeterAbsent, Power, Spent, joules

NAME = "external"
COVERS = "the circuit that the external meter measures"
TIMES = ("timestamp", "time", "unix_s")
POWERS = ("watts", "power_w", "w")
"""Names of the two columns; a file without a header has them first and second."""
LOG_BYTES_MAX = 256 << 20
_GAP_PERIODS = 5.0


class MeterLog(NamedTuple):
    """Readings in the order of their times, in Unix seconds."""

    path: Path
    readings: List[Power]

    @property
    def end_s(self) -> float:
        """The time of the last reading."""
        return self.readings[-1].at_s

    def spent(self, begin_s: float, seconds: float) -> Spent:
        """Return the energy of an interval that began at this Unix time.

        Raises:
            MeterAbsent: the log does not cover the interval, has a gap in it, or has too few readings.
        """
        steps = sorted(right.at_s - left.at_s for left, right in zip(self.readings, self.readings[1:]))
        gap_s = _GAP_PERIODS * steps[len(steps) // 2] if steps else 0.0
        try:
            return Spent(joules(self.readings, begin_s, begin_s + seconds, gap_s), seconds)
        except MeterAbsent as absent:
            raise MeterAbsent("{}: {}".format(self.path, absent.why)) from None


def read_log(path: Path) -> MeterLog:
    """Read and check a log.

    Raises:
        RunnerError: bad-meter-log, with the line: the file is unreadable or not such a CSV, or its times do not rise.
    """
    try:
        text = bounded_content(path, LOG_BYTES_MAX).decode("utf-8-sig")
        lines = csv.reader(io.StringIO(text, newline=""))
        rows = [_Row(lines.line_num, row) for row in lines if any(cell.strip() for cell in row)]
    except OSError as error:
        raise _bad_log(path, "cannot be read", str(error.strerror or error)) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise _bad_log(path, "cannot be read as CSV", str(error)) from error
    columns = _columns(path, rows[0].cells if rows else [])
    rows = rows if columns is None else rows[1:]
    time_at, watts_at = columns or (0, 1)
    readings = [_reading(path, row, time_at, watts_at) for row in rows]
    if len(readings) < 2:
        raise _bad_log(path, "holds fewer than two readings", "a line is a time and watts, as in 1700000000.25,3.91")
    for row, left, right in zip(rows[1:], readings, readings[1:]):
        if right.at_s <= left.at_s:
            raise _bad_log(
                path, "line {}: its time is not after the one before".format(row.line), "the meter's clock was set back"
            )
    return MeterLog(path, readings)


class _Row(NamedTuple):
    line: int
    cells: Sequence[str]


def _columns(path: Path, first: Sequence[str]) -> Optional[Tuple[int, int]]:
    """Return the columns of time and watts by the header; None if the first line is a reading."""
    names = [cell.strip().lower() for cell in first]
    time_at = next((index for index, name in enumerate(names) if name in TIMES), None)
    watts_at = next((index for index, name in enumerate(names) if name in POWERS), None)
    if time_at is not None and watts_at is not None:
        return time_at, watts_at
    if names and not any(character.isdigit() for character in names[0]):
        why = "its columns are {}".format(", ".join(names)[:200])
        raise _bad_log(path, "names no column {} and {}".format(TIMES[0], POWERS[0]), why)
    return None


def _reading(path: Path, row: _Row, time_at: int, watts_at: int) -> Power:
    cells = row.cells
    if len(cells) <= max(time_at, watts_at):
        raise _bad_log(path, "line {}: has {} cells".format(row.line, len(cells)), "a line needs a time and watts")
    watts, at_s = _number(cells[watts_at]), _number(cells[time_at])
    at_s = _unix_seconds(cells[time_at]) if at_s is None else at_s
    if at_s is None:
        because = "Unix seconds, or ISO 8601 with a time zone, such as 2026-11-20T09:00:00+00:00"
        raise _bad_log(path, "line {}: {!r} is not a time".format(row.line, cells[time_at].strip()[:100]), because)
    if watts is None or watts < 0:
        what = "line {}: {!r} is not a power in watts".format(row.line, cells[watts_at].strip()[:100])
        raise _bad_log(path, what, "a number of at least 0")
    return Power(at_s, watts)


def _number(text: str) -> Optional[float]:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def _unix_seconds(text: str) -> Optional[float]:
    try:
        stated = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return stated.timestamp() if stated.tzinfo is not None else None


def _bad_log(path: Path, what: str, because: str) -> RunnerError:
    return RunnerError("bad-meter-log", "{}: {}".format(path, what), because)
