"""Judge a finished build: accuracy, size and residency from stored results, latency and energy from a new race.

The shipped kit is judged. Nothing is chosen or trained, and no file in the build's folder is written.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import edgecnn
from edgecnn.bench.subject import subject_of
from edgecnn.building.measuring import Observer
from edgecnn.building.notices import class_notices, fold_notices, notices, timing_command, weak_notices
from edgecnn.building.rows import candidate_facts, reported
from edgecnn.devices.this_machine import local_facts
from edgecnn.judging.gates import EffectiveGates, StoredRace
from edgecnn.judging.judgement import Judgement, judge_rows
from edgecnn.measure.energy import metered, open_log, why_not
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import latest_race
from edgecnn.measure.race_request import RaceOptions
from edgecnn.measure.subject import Subject
from edgecnn.planning.request import effective_gates
from edgecnn.results.finished import FinishedBuild, finished_build
from edgecnn.values.base import Value
from edgecnn.values.board import LocalFacts
from edgecnn.values.device import EngineBuilder
from edgecnn.values.profile import NOT_TIMED, ExtraRuns
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import BuildReport

RACED = ("latency", "memory", "energy")
"""Sources of metrics that only a race measures."""
ANEW_HOW = "a gate on latency or energy races again if the device is available and --allow-stored is not passed"


class MeasuringRequest(Value):
    """A finished build, the bounds of its gates, and what to measure."""

    folder: Path
    gates: GateChoice = GateChoice()
    """Bounds of the command line; if empty, those of the build's recipe, else the default."""
    meter: Path | None = None
    until: float | None = None
    extra_runs: ExtraRuns = ExtraRuns()


class JudgeRequest(MeasuringRequest):
    """A finished build that is judged without another build."""

    stored_race: StoredRace = "unless-gated"
    race: bool = False
    """Race even if no gate asks for it."""


def judge_finished(
    request: JudgeRequest, lab: Lab, facts: LocalFacts | None = None, builder: EngineBuilder | None = None
) -> BuildReport:
    """Judge a finished build in this lab. The report holds the rows of the shipped kit and of fp32, and is not written.

    ``facts``: of the lab's machine; None: this machine. ``builder``: of engines for that machine; None: a kit that needs an
    engine runs only if it holds one.

    Raises EdgecnnError: the folder is not a finished build, one of its files is damaged (see ``finished_build``), or the store
    cannot be read.
    """
    started = time.perf_counter()
    finished = finished_build(request.folder)
    gates = effective_gates(finished.resolved, request.gates, request.stored_race, finished=True)
    if request.meter is not None:
        open_log(request.meter)
    with lab.store.in_use.held():
        subject = subject_of(finished, lab, facts or local_facts(), builder)
        _race(finished, subject, gates, request)
        judged = _judged(finished, subject, gates)
    return finished.report.model_copy(
        update={
            "version": edgecnn.__version__,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "build": finished.report.build.model_copy(update={"device_attached": subject.attached}),
            "environment": lab.environment,
            "candidates": judged.rows,
            "verdict": judged.verdict,
            "gates": judged.gates,
            "require_measured": gates.require_measured,
            "notices": (
                *weak_notices(subject, judged.rows),
                *fold_notices(judged.rows, finished.resolved.weights),
                *notices(subject, anew=ANEW_HOW),
                *class_notices(judged.rows),
            ),
            "outcomes": {},
            "timings_s": {},
            "seconds": round(time.perf_counter() - started, 2),
            "output": str(request.folder),
        }
    )


def _race(finished: FinishedBuild, subject: Subject, gates: EffectiveGates, request: JudgeRequest) -> None:
    """Race for a gate or an option if this machine is the device and runs the kit, else use a stored race."""
    wanted = gates.sources & set(RACED)
    if subject.attached and not metered(subject.kits[finished.row.candidate.id], subject.lab.environment, request.meter):
        wanted -= {"energy"}
        subject.absent["energy"] = why_not(subject.lab.environment)
    wants_race = request.race or bool(wanted) or (request.meter, request.until, request.extra_runs) != (None, None, ExtraRuns())
    why = _why_no_race(finished, subject) if wants_race or not subject.timed else "no gate asks for a race"
    if why is None:
        _race_again(finished, subject, gates, request)
        return
    shipped = subject.kits[finished.row.candidate.id]
    max_age_h = finished.resolved.recipe.race.max_age_h
    kits = subject.kits.values()
    stored = latest_race(shipped, kits, subject.lab, device=subject.device, max_age_h=max_age_h) if subject.timed else None
    if stored is not None and gates.freshness != "this-job":
        subject.races["report"] = stored
        return
    if stored is not None and wants_race:
        why += f"; the stored race of {stored.observed_at} is not of this job: --allow-stored accepts it"
    subject.absent = {**dict.fromkeys(RACED, why), **subject.absent}


def _why_no_race(finished: FinishedBuild, subject: Subject) -> str | None:
    device = finished.resolved.device.name
    command = timing_command(finished.folder, device, finished.report.build.called)
    if not subject.attached:
        return f"not measured, because this machine is not {device}: {command}"
    if not subject.timed:
        return f"{NOT_TIMED}: {command}"
    return subject.why_not_runnable(finished.row.candidate.id)


def _race_again(finished: FinishedBuild, subject: Subject, gates: EffectiveGates, request: JudgeRequest) -> None:
    """Repeat the last race of a build: the shipped kit and, if it runs here, fp32."""
    shipped = finished.row.candidate.id
    names = [name for name in subject.kits if name == shipped or subject.why_not_runnable(name) is None]
    how = RaceOptions.of(gates, request.until, request.meter)
    energy = request.meter is not None or "energy" in gates.sources
    Observer(subject).report(names, how, request.extra_runs, energy=energy)


def _judged(finished: FinishedBuild, subject: Subject, gates: EffectiveGates) -> Judgement:
    """Judge the rows. The reason of a missing result names the command that makes the result again."""
    shipped, rows = finished.row, []
    forecasts = {} if subject.attached else {row.candidate.id: row.forecast for row in finished.report.candidates}
    for name, row in reported(candidate_facts(subject), subject).items():
        chosen = name == shipped.candidate.id
        update = {
            "chosen": chosen,
            "reason": shipped.reason if chosen else "",
            "because": shipped.because if chosen else None,
            "kept_float": shipped.kept_float if chosen else row.kept_float,
            "forecast": row.forecast or forecasts.get(name),
        }
        rows.append(row.model_copy(update=update))
    absent = {source: f"{why}; {finished.again}" for source, why in subject.absent.items() if source not in RACED}
    return judge_rows(rows, gates, absent)
