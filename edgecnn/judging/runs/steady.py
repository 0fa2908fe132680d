"""Whether a run's inferences became steady, and from when on: told, and never a reason to drop anything.

The rule, fixed for every run. All inferences after the first, warm-up included, are cut into 20 windows of equal number (fewer
of a short run, each of at least 10 inferences). The steady level is the median of the last half. A window belongs to it where its
median is within 5 % of that level, or within what chance explains: of n inferences, a share of 1/2 ± 3.5 / (2 root n) as the
spread inside windows has it, whatever its shape. A window that stands alone among others is no change of level, save the first.
The run is steady from the window after the last one that does not belong; where that would be in the last half, the run does not
settle. A run that settles is flat, got faster (warmed up) or got slower.

That a steady level may never be reached, and that runs get slower as well as faster, and so must be classified rather than cut
after a fixed warm-up: Barrett, Bolz-Tereick, Killick, Mount and Tratt, "Virtual machine warmup blows hot and cold", OOPSLA 2017.
They find change points by PELT and call levels alike within a tolerance; windows stand in for change points here, so that every
reader can recompute them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgecnn.judging.intervals import median_interval
from edgecnn.values.base import Value
from edgecnn.values.figures import Steady
from edgecnn.values.profile import Run
from edgecnn.values.verdict import Interval

WINDOWS = 20
WINDOW_MIN = 10
WINDOWS_MIN = 8
LAST_SHARE = 0.5
TOLERANCE = 0.05
ERRORS = 3.5
"""Standard errors of a share of a window's inferences; by chance one of a run's 20 windows is further off once in 100 runs."""
NS_PER_MS = 1e6
State = Literal["flat", "faster", "slower", "unsettled", "short"]


def steady(runs: Sequence[Run], disturbed: str | None = None) -> Steady | None:
    """Of one race's runs of one kit; None where nothing was timed.

    Args:
        runs: every one is counted.
        disturbed: what the machine did besides, which may be why a run does not settle.
    """
    if not any(run.samples_ns for run in runs):
        return None
    each = [settling(run) for run in runs]
    count = Counter(one.state for one in each)
    became_steady = [(one, run) for one, run in zip(each, runs, strict=True) if one.state in ("flat", "faster", "slower")]
    late = sum(one.inferences > len(run.warmup_ns) for one, run in became_steady)
    after_ms = median_interval([one.after_ms for one, _ in became_steady]) if len(became_steady) == len(runs) else None
    return Steady(
        flat=count["flat"],
        faster=count["faster"],
        slower=count["slower"],
        unsettled=count["unsettled"],
        short=count["short"],
        late=late,
        after_ms=after_ms,
        says=_says(count, late, after_ms, disturbed),
    )


def _says(count: Mapping[State, int], late: int, after_ms: Interval | None, disturbed: str | None) -> str:
    runs = sum(count.values())
    if count["unsettled"]:
        why = f", and {disturbed}" if disturbed else ""
        still = "still changes in its" if count["unsettled"] == 1 else "still change in their"
        return f"does not settle: {count['unsettled']} of {runs} runs {still} last half{why}{_ways(count, late)}"
    if count["short"]:
        return f"not known: {count['short']} of {runs} runs have fewer than {WINDOW_MIN * WINDOWS_MIN} inferences"
    if count["flat"] == runs:
        return f"steady from the start in all {runs} runs" if runs > 1 else "steady from the start in the one run"
    after = f" {after_ms.estimate:.0f} ms [{after_ms.low:.0f}, {after_ms.high:.0f}]" if after_ms is not None else " some time"
    return f"settles{after} after the first inference{_ways(count, late)}"


def _ways(count: Mapping[State, int], late: int) -> str:
    known: Mapping[State, str] = {"flat": "steady from the start", "faster": "warmed up", "slower": "got slower"}
    ways = [f"{count[state]} {name}" for state, name in known.items() if count[state]]
    said = f"; of the {'others' if count['unsettled'] else 'runs'} {', '.join(ways)}" if ways else ""
    return said + (f"; in {late} of them timing had begun before that" if late else "")


class Settling(Value):
    """One run."""

    state: State
    inferences: int
    """After the first, until it was steady; all where it never was."""
    after_ms: float
    """The time that these took."""
    first_change: float = 0.0
    """How the first window's median stands to the steady level: 0.5 is half as slow again."""


def settling(run: Run) -> Settling:
    """From when on one run was steady."""
    times = np.asarray([*run.warmup_ns, *run.samples_ns], float)
    count = min(WINDOWS, len(times) // WINDOW_MIN)
    if count < WINDOWS_MIN:
        return Settling(state="short", inferences=len(times), after_ms=float(times.sum()) / NS_PER_MS)
    windows = np.array_split(times, count)
    last = round(count * (1 - LAST_SHARE))
    medians = np.array([np.median(window) for window in windows])
    level = float(np.median(np.concatenate(windows[last:])))
    down, up = _by_chance(windows, medians)
    apart = _lasting((medians > level + max(TOLERANCE * level, up)) | (medians < level - max(TOLERANCE * level, down)))
    first_steady = 0 if not len(apart) else int(apart[-1]) + 1
    before = sum(len(window) for window in windows[:first_steady])
    change = float(medians[0] / level - 1)
    took_ms = float(times[:before].sum()) / NS_PER_MS
    if first_steady > last:
        return Settling(state="unsettled", inferences=len(times), after_ms=float(times.sum()) / NS_PER_MS, first_change=change)
    state: State = "flat" if first_steady == 0 else "faster" if np.median(times[:before]) > level else "slower"
    return Settling(state=state, inferences=before, after_ms=took_ms, first_change=change)


def _lasting(apart: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Windows that do not belong, save those alone among others; the first may stand alone, since a warm-up is short."""
    beside = np.concatenate([[True], apart[:-1]]) | np.concatenate([apart[1:], [False]])
    return np.flatnonzero(apart & beside)


def _by_chance(windows: Sequence[npt.NDArray[np.float64]], medians: npt.NDArray[np.float64]) -> tuple[float, float]:
    """How far below and above its level the median of a window may lie by chance."""
    inside = np.concatenate([window - median for window, median in zip(windows, medians, strict=True)])
    share = ERRORS / (2 * np.sqrt(min(len(window) for window in windows)))
    low, high = np.quantile(inside, [max(0.0, 0.5 - share), min(1.0, 0.5 + share)])
    return float(-low), float(high)
