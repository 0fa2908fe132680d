"""What happens once in a process, over processes: opening the model, the first inference, the whole way to the first answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edgecnn.errors.wording import counted
from edgecnn.judging.intervals import LATENCY_CONFIDENCE
from edgecnn.judging.runs.dependence import runs_interval
from edgecnn.values.base import Value
from edgecnn.values.profile import Run
from edgecnn.values.verdict import Interval

NS_PER_MS = 1e6


class Startup(Value):
    """Medians over runs in milliseconds; ``absent`` has the name of each that is None, and why."""

    load_ms: Interval | None
    first_ms: Interval | None
    cold_start_ms: Interval | None
    absent: Mapping[str, str]


def startup(runs: Sequence[Run], confidence: float = LATENCY_CONFIDENCE) -> Startup:
    """Of one race's runs of one kit."""
    asked: dict[str, Callable[[Run], int | None]] = {
        "load_ms": lambda run: run.load_ns,
        "first_ms": lambda run: run.first_ns,
        "cold_start_ms": lambda run: run.process_ns,
    }
    found: dict[str, Interval | None] = {}
    absent: dict[str, str] = {}
    for name, of in asked.items():
        known = [value / NS_PER_MS for run in runs if (value := of(run)) is not None]
        found[name] = runs_interval(known, confidence) if len(known) == len(runs) else None
        if found[name] is None:
            absent[name] = _why(len(known), len(runs))
    return Startup(absent=absent, **found)


def _why(known: int, runs: int) -> str:
    if known < runs:
        return f"{runs - known} of {runs} runs did not record it"
    return f"{counted(runs, 'run')}: too few for an interval"
