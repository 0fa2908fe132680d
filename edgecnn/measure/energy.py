"""Measure energy in a separate race, in processes that time nothing, interleaved like any other race.

It is scheduled only if a meter is readable; otherwise the reasons are reported. An external meter's log is matched with the runs
by wall-clock time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecnn.errors.measuring import METER_LOG_UNREADABLE
from edgecnn.measure.kits import KitRef
from edgecnn.measure.race_request import RaceOptions, RaceRequest
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.meters.kinds import NOTHING_OF_A_CPU, can_watch
from edgecnn.runner.meters.log import COVERS, NAME, MeterLog, read_log
from edgecnn.runner.meters.meter import MeterAbsent
from edgecnn.values.profile import EnergyReading, Environment, Purpose, RunEnergy, Stretch
from edgecnn.values.recipe import RaceChoice

WINDOW_S = 4.0
"""Length of each of an energy run's two periods, in which every built-in meter is read often enough."""
EXTERNAL_WINDOW_S = 15.0
"""The same with an external meter, which may write one line a second."""


def metered(kit: KitRef, environment: Environment, log: Path | None = None) -> bool:
    """Whether a meter can be read for this kit, as the host reports."""
    meters = environment.observed.get("energy_meters", "").split()
    return log is not None or can_watch(meters, kit.on_gpu)


def no_meter(environment: Environment) -> str:
    """Return why no meter can measure a model on that CPU, and how to make one readable."""
    reason = environment.observed.get("energy_absent")
    only_gpu = NOTHING_OF_A_CPU if "energy_meters" in environment.observed else None
    return reason or only_gpu or "the host reports no readable meter"


def why_not(environment: Environment) -> str:
    """Return the same for this machine, for which an external meter's log may be given."""
    return f"no meter can be read here: {no_meter(environment)}; pass the log of an external meter with --meter"


def energy_request(choice: RaceChoice, kits: Sequence[KitRef], how: RaceOptions, purpose: Purpose = "energy") -> RaceRequest:
    """Return the race that measures these kits' energy: for reported figures, or for the choice (``select-energy``)."""
    window_s = WINDOW_S if how.meter is None else EXTERNAL_WINDOW_S
    rounds = max(choice.rounds, how.runs.energy) if purpose == "energy" else choice.rounds
    log = {"samples": 1, "max_s": window_s, "meter_log": how.meter}
    return RaceRequest.of(choice, kits, purpose, anew=how.anew, rounds=rounds, **log)


TIMEOUT_S = 20.0
_CLOCK_STEP_S = 0.1
"""Allowed difference between the two clocks of a period; more means that the clock was set."""


def open_log(path: Path) -> MeterLog:
    """Open the log in its current state. Raises METER_LOG_UNREADABLE: it is not such a log, with the line."""
    try:
        return read_log(path)
    except RunnerError as error:
        raise METER_LOG_UNREADABLE(what=error.what, because=error.because) from error


def log_of(runs: Sequence[Mapping[str, Any]], path: Path | None, timeout_s: float = TIMEOUT_S) -> MeterLog | None:
    """Return the log once it covers the last of these runs, or whatever it covers after ``timeout_s`` seconds.

    The log is read after the last run. A meter that writes once a second may write its last line later, so it is waited for.

    Raises METER_LOG_UNREADABLE: it is not such a log.
    """
    if path is None:
        return None
    works = [Stretch.model_validate(run["energy"]["work"]) for run in runs if "energy" in run]
    last_s = max((work.began_unix_ns / 1e9 + work.seconds for work in works), default=0.0)
    give_up_at = time.monotonic() + timeout_s
    while True:
        log = open_log(path)
        if log.end_s >= last_s or time.monotonic() >= give_up_at:
            return log
        time.sleep(min(0.5, timeout_s))


def joined(energy: RunEnergy, log: MeterLog) -> RunEnergy:
    """Return the run with the external meter's reading, or with the reason why it has none."""
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
