"""Judges a finished build by itself: accuracy, size and residency from what is stored of it, time and energy raced anew.

Nothing is chosen again, nothing is trained, and nothing in the build's folder is written: the kit that ships is what is judged.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import edgecnn
from edgecnn.bench.subject import subject_of
from edgecnn.building.data_notices import class_notices
from edgecnn.building.fold_notices import fold_notices
from edgecnn.building.notices import notices, timing_command
from edgecnn.building.observe import Observer
from edgecnn.building.rows import candidate_facts, reported
from edgecnn.building.subject import Subject
from edgecnn.building.weak_result import weak_notices
from edgecnn.devices.this_machine import local_facts
from edgecnn.judging.gates import EffectiveGates, StoredRace
from edgecnn.judging.judgement import Judgement, judge_rows
from edgecnn.measure.energy import metered, open_log, why_not
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import latest_race
from edgecnn.measure.race_request import RaceOptions
from edgecnn.planning.request import ExtraRuns, effective_gates
from edgecnn.results.finished import FinishedBuild, finished_build
from edgecnn.values.base import Value
from edgecnn.values.board import LocalFacts
from edgecnn.values.device import EngineBuilder
from edgecnn.values.profile import NOT_TIMED
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import BuildReport

RACED = ("latency", "memory", "energy")
"""Sources of metrics that only a race gives."""
ANEW_HOW = "a gate on latency or energy, where the device is at hand and without --allow-stored, races anew"


class MeasuringRequest(Value):
    """Which finished build, under which bounds, and what is measured of it."""

    folder: Path
    gates: GateChoice = GateChoice()
    """Bounds of the command line; without any, those of the build's own recipe hold, else the default."""
    meter: Path | None = None
    until: float | None = None
    extra_runs: ExtraRuns = ExtraRuns()


class JudgeRequest(MeasuringRequest):
    """The same of a build that is judged by itself."""

    stored_race: StoredRace = "unless-gated"
    race: bool = False
    """Whether to race though no gate asks for it."""


def judge_finished(
    request: JudgeRequest, lab: Lab, facts: LocalFacts | None = None, builder: EngineBuilder | None = None
) -> BuildReport:
    """Judge a finished build in this lab. The report holds the rows of the shipped and the fp32 network, and is not written.

    ``facts``: of the lab's machine; None: it is this one. ``builder``: what builds engines there; None: a kit that needs one
    runs only where it lies in the kit.

    Raises EdgecnnError: the folder is no finished build, or a file of it is damaged (see ``finished_build``); the store cannot
    be read.
    """
    started = time.perf_counter()
    finished = finished_build(request.folder)
    gates = effective_gates(finished.resolved, request.gates, request.stored_race, finished=True)
    if request.meter is not None:
        open_log(request.meter)
    with lab.store.in_use.held():
        seen = subject_of(finished, lab, facts or local_facts(), builder)
        _race(finished, seen, gates, request)
        judged = _judged(finished, seen, gates)
    return finished.report.model_copy(
        update={
            "version": edgecnn.__version__,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "build": finished.report.build.model_copy(update={"device_attached": seen.attached}),
            "environment": lab.environment,
            "candidates": judged.rows,
            "verdict": judged.verdict,
            "gates": judged.gates,
            "require_measured": gates.require_measured,
            "notices": (
                *weak_notices(seen, judged.rows),
                *fold_notices(judged.rows, finished.resolved.weights),
                *notices(seen, anew=ANEW_HOW),
                *class_notices(judged.rows),
            ),
            "outcomes": {},
            "timings_s": {},
            "seconds": round(time.perf_counter() - started, 2),
            "output": str(request.folder),
        }
    )


def _race(finished: FinishedBuild, seen: Subject, gates: EffectiveGates, request: JudgeRequest) -> None:
    """Race what a gate or an option asks for, where this machine is the device and runs the kit; else look for a stored race."""
    wanted = gates.sources & set(RACED)
    if seen.attached and not metered(seen.kits[finished.row.candidate.id], seen.lab.environment, request.meter):
        wanted -= {"energy"}
        seen.absent["energy"] = why_not(seen.lab.environment)
    asked = request.race or bool(wanted) or (request.meter, request.until, request.extra_runs) != (None, None, ExtraRuns())
    why = _why_no_race(finished, seen) if asked or not seen.timed else "no gate asks for a race"
    if why is None:
        _raced(finished, seen, gates, request)
        return
    mine = seen.kits[finished.row.candidate.id]
    max_age_h = finished.resolved.recipe.race.max_age_h
    others = seen.kits.values()
    stored = latest_race(mine, others, seen.lab, device=seen.device, max_age_h=max_age_h) if seen.timed else None
    if stored is not None and gates.freshness != "this-job":
        seen.races["report"] = stored
        return
    if stored is not None and asked:
        why += f"; the race of {stored.observed_at} is not of this job, and only --allow-stored lets it serve"
    seen.absent = {**dict.fromkeys(RACED, why), **seen.absent}


def _why_no_race(finished: FinishedBuild, seen: Subject) -> str | None:
    device, folder = finished.resolved.device, finished.folder
    measures = timing_command(folder, device.name, finished.report.build.called)
    if not seen.attached:
        return f"not measured on {device.name}, which this machine is not: {measures}"
    if not seen.timed:
        return f"{NOT_TIMED}: {measures}"
    return seen.why_not_runnable(finished.row.candidate.id)


def _raced(finished: FinishedBuild, seen: Subject, gates: EffectiveGates, request: JudgeRequest) -> None:
    """As a build's last race: what ships against fp32, where that runs here too."""
    ships = finished.row.candidate.id
    names = [name for name in seen.kits if name == ships or seen.why_not_runnable(name) is None]
    how = RaceOptions.of(gates, request.until, request.meter)
    energy = request.meter is not None or "energy" in gates.sources
    Observer(seen).report(names, how, request.extra_runs, energy=energy)


def _judged(finished: FinishedBuild, seen: Subject, gates: EffectiveGates) -> Judgement:
    """What is missing for want of stored work says which command makes it again."""
    ships, rows = finished.row, []
    forecasts = {} if seen.attached else {row.candidate.id: row.forecast for row in finished.report.candidates}
    for name, row in reported(candidate_facts(seen), seen).items():
        chosen = name == ships.candidate.id
        update = {
            "chosen": chosen,
            "reason": ships.reason if chosen else "",
            "because": ships.because if chosen else None,
            "kept_float": ships.kept_float if chosen else row.kept_float,
            "forecast": row.forecast or forecasts.get(name),
        }
        rows.append(row.model_copy(update=update))
    gone = {source: f"{why}; {finished.again}" for source, why in seen.absent.items() if source not in RACED}
    return judge_rows(rows, gates, gone)
