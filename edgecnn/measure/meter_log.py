"""An external meter's log, joined to the runs that it watched by the time on the wall.

The log is read when the last run is over. A meter that writes once a second may owe its last line then, so it is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecnn.errors.measuring import MeterLogUnreadable
from edgecnn.runner.failure import RunnerError
from edgecnn.runner.meters.log import COVERS, NAME, MeterLog, read_log
from edgecnn.runner.meters.meter import MeterAbsent
from edgecnn.values.profile import EnergyReading, RunEnergy, Stretch

PATIENCE_S = 20.0
_CLOCK_STEP_S = 0.1
"""By which the two clocks of a stretch may part: more is no drift but somebody setting the clock."""


def open_log(path: Path) -> MeterLog:
    """The log as it is now.

    Raises:
        MeterLogUnreadable: it is no such log, with the line.
    """
    try:
        return read_log(path)
    except RunnerError as error:
        raise MeterLogUnreadable(what=error.what, because=error.because) from error


def log_of(runs: Sequence[Mapping[str, Any]], path: Path | None, patience_s: float = PATIENCE_S) -> MeterLog | None:
    """The log once it reaches over the last of these runs, or as far as it reaches after ``patience_s`` seconds.

    Raises:
        MeterLogUnreadable: it is no such log.
    """
    if path is None:
        return None
    works = [Stretch.model_validate(run["energy"]["work"]) for run in runs if "energy" in run]
    last_s = max((work.began_unix_ns / 1e9 + work.seconds for work in works), default=0.0)
    give_up_at = time.monotonic() + patience_s
    while True:
        log = open_log(path)
        if log.end_s >= last_s or time.monotonic() >= give_up_at:
            return log
        time.sleep(min(0.5, patience_s))


def joined(energy: RunEnergy, log: MeterLog) -> RunEnergy:
    """The run with the external meter's reading, or with why it has none."""
    try:
        idle, work = (_spent(stretch, log) for stretch in (energy.idle, energy.work))
    except MeterAbsent as absent:
        return energy.model_copy(update={"absent": {**energy.absent, NAME: absent.sentence}})
    reading = EnergyReading(
        meter=NAME, covers=COVERS, idle_j=idle, idle_s=energy.idle.seconds, work_j=work, work_s=energy.work.seconds
    )
    return energy.model_copy(update={"readings": (*energy.readings, reading)})


def _spent(stretch: Stretch, log: MeterLog) -> float:
    if abs(stretch.clock_s - stretch.seconds) > _CLOCK_STEP_S:
        raise MeterAbsent(f"the machine's clock was set by {stretch.clock_s - stretch.seconds:+.1f} s during the run")
    return log.spent(stretch.began_unix_ns / 1e9, stretch.seconds).joules
