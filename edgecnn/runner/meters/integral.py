"""Energy from readings of power: the area under the line through them, between the begin and the end of an interval."""

from __future__ import annotations

from typing import List, NamedTuple, Sequence

from .meter import MeterAbsent

READINGS_NEEDED = 10
"""Readings inside an interval. With fewer, its two interpolated ends weigh more than a tenth."""


class Power(NamedTuple):
    """One reading: seconds of a clock, and watts."""

    at_s: float
    watts: float


def joules(readings: Sequence[Power], begin_s: float, end_s: float, longest_gap_s: float) -> float:
    """Return the energy between two times of the readings' clock.

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
    line = [before] + inside + [after]
    gap = max(right.at_s - left.at_s for left, right in zip(line, line[1:]))
    if gap > longest_gap_s:
        raise MeterAbsent("{:.1f} s without a reading".format(gap))
    line[0], line[-1] = _between(line[0], line[1], begin_s), _between(line[-2], line[-1], end_s)
    return sum((left.watts + right.watts) / 2 * (right.at_s - left.at_s) for left, right in zip(line, line[1:]))


def _between(left: Power, right: Power, at_s: float) -> Power:
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
