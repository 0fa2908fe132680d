"""Measure a finished build again on its device, this machine or a board, or judge it again from stored measurements.

If the store still holds every step of the build, its kits are raced and judged again, the report and the bundle are rewritten,
and a provisional choice is settled. Otherwise the bundle's kit is measured and the report stays.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import edgecnn
from edgecnn.bench.subject import subject_of
from edgecnn.building.build import BuildContext, Page, check_output, require_made, run_planned_build
from edgecnn.building.engines import resolve_builder
from edgecnn.building.measuring import Observer
from edgecnn.building.notices import class_notices, fold_notices, notices, timing_command, weak_notices, weak_remedy
from edgecnn.building.rows import add_reported_figures, candidate_facts
from edgecnn.devices.check.board import BoardUse, runtimes_of
from edgecnn.devices.files import parse_target
from edgecnn.devices.machine import Machine, machine_for
from edgecnn.devices.this_machine import attachment_of, local_facts
from edgecnn.errors.building import BENCH_PROCESSOR_DIFFERS, BENCH_TARGET_DIFFERS, NothingToJudge
from edgecnn.errors.wording import shell_word
from edgecnn.judging.gates import EffectiveGates, StoredRace
from edgecnn.judging.judgement import Judgement, judge_rows
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import has_meter, latest_race, open_log, why_no_meter_here
from edgecnn.measure.race_request import RaceOptions
from edgecnn.measure.subject import Subject
from edgecnn.planning.plan import plan
from edgecnn.planning.request import BuildRequest, effective_gates
from edgecnn.results.finished import FinishedBuild, finished_build
from edgecnn.results.folder import BUNDLE
from edgecnn.store.store import Store
from edgecnn.values.base import Value
from edgecnn.values.board import HostRequest, LocalFacts
from edgecnn.values.device import EngineBuilder
from edgecnn.values.profile import NOT_TIMED, Environment, ExtraRuns
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import BuildReport
from edgecnn.values.stage import Progress

RACED = ("latency", "memory", "energy")
"""Sources of metrics that are measured only by a race."""
ANEW_HOW = "a gate on latency or energy races again if the device is available and --allow-stored is not passed"


class MeasuringRequest(Value):
    """A finished build, the bounds of its gates, and the measurements."""

    folder: Path
    bundle: Path | None = None
    """A private copy of the build's verified bundle, whose kits run; None: the bundle in the folder."""
    gates: GateChoice = GateChoice()
    """Bounds of the command line. They replace the build's bounds of the same metrics and leave its other bounds."""
    meter: Path | None = None
    until: float | None = None
    extra_runs: ExtraRuns = ExtraRuns()


class JudgeRequest(MeasuringRequest):
    """A finished build that is judged without another build."""

    stored_race: StoredRace = "unless-gated"
    race: bool = False
    """Whether to race even if no gate needs a race."""


def judge_finished(
    request: JudgeRequest, lab: Lab, facts: LocalFacts | None = None, builder: EngineBuilder | None = None
) -> BuildReport:
    """Judge the shipped kit of a finished build in this lab; nothing is chosen, trained or written.

    The returned report has the rows of the shipped kit and of fp32.

    ``facts``: facts of the lab's machine; None: this machine. ``builder``: builds engines for that machine; None: a kit that
    needs an engine runs only if it holds one.

    Raises EdgecnnError: the folder is not a finished build, one of its files is damaged (see ``finished_build``), or the store
    cannot be read.
    """
    started = time.perf_counter()
    finished = finished_build(request.folder, request.bundle)
    gates = effective_gates(finished.resolved, request.gates, request.stored_race, finished.report, finished=True)
    if request.meter is not None:
        open_log(request.meter)
    with lab.store.in_use.held():
        subject = subject_of(finished, lab, facts or local_facts(), builder)
        _race_if_needed(finished, subject, gates, request)
        judged = _judge(finished, subject, gates)
    return finished.report.model_copy(
        update={
            "version": edgecnn.__version__,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "build": finished.report.build.model_copy(update={"device_attached": subject.attached}),
            "environment": lab.environment,
            "candidates": judged.rows,
            "verdict": judged.verdict,
            "gates": judged.gates,
            "gates_dropped": GateChoice(),
            "require_measured": gates.require_measured,
            "remedy": weak_remedy(subject, judged.rows),
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


def _race_if_needed(finished: FinishedBuild, subject: Subject, gates: EffectiveGates, request: JudgeRequest) -> None:
    """Race if a gate or an option needs a race and this machine is the device and runs the kit; else use a stored race."""
    wanted = gates.sources & set(RACED)
    if subject.attached and not has_meter(subject.kits[finished.row.candidate.id], subject.lab.environment, request.meter):
        wanted -= {"energy"}
        subject.absent["energy"] = why_no_meter_here(subject.lab.environment)
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
    """Repeat the final race of a build with the shipped kit and, if it runs here, fp32."""
    shipped = finished.row.candidate.id
    names = [name for name in subject.kits if name == shipped or subject.why_not_runnable(name) is None]
    how = RaceOptions.of(gates, request.until, request.meter)
    energy = request.meter is not None or "energy" in gates.sources
    Observer(subject).report(names, how, request.extra_runs, energy=energy)


def _judge(finished: FinishedBuild, subject: Subject, gates: EffectiveGates) -> Judgement:
    """Judge the rows. The reason of a missing result names the command that restores the result."""
    shipped, rows = finished.row, []
    forecasts = {} if subject.attached else {row.candidate.id: row.forecast for row in finished.report.candidates}
    for name, row in add_reported_figures(candidate_facts(subject), subject).items():
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


class BenchRequest(MeasuringRequest):
    """A finished build, its measurements, and the machine to measure on."""

    host: HostRequest | None = None
    """None: this machine."""
    target: str | None = None
    """Device that the user names for the board; it must be the device of the build."""
    anew: bool = False
    """Whether to race again even if the store holds a race."""

    @property
    def stored_race(self) -> StoredRace:
        """Whether a stored race may be used."""
        return "never" if self.anew else "fresh-enough"

    @property
    def build(self) -> Path:
        """The folder of the build, also if the user named its bundle."""
        inside = self.folder.resolve().name == BUNDLE and not (self.folder / BUNDLE).exists()
        return self.folder.resolve().parent if inside else self.folder


@dataclass(frozen=True)
class Benched:
    """A report, and whether it replaced the one in the build's folder."""

    report: BuildReport
    written: bool


def bench(request: BenchRequest, store: Store, tell: Progress, pages: Mapping[str, Page] | None = None) -> Benched:
    """Measure and judge a finished build. If the store still holds its steps, rewrite its report and bundle.

    Raises EdgecnnError: the folder is not a finished build; the board is another device, has another processor, or cannot be
    reached; or the link was lost. After a lost link, the same call continues where it stopped.
    """
    finished = finished_build(request.build, request.bundle)
    device = finished.resolved.device
    if request.target is not None and parse_target(request.target).device.name != device.name:
        raise BENCH_TARGET_DIFFERS(folder=request.folder, built_for=device.name, target=request.target)
    build_request = _build_request(request, finished)
    check_output(build_request.out, build_request.recipe.data.path)
    command = f"edgecnn bench {shell_word(request.folder)}"
    with machine_for(request.host, BoardUse(device, command, runtimes_of(finished.resolved.candidates)), tell) as machine:
        _require_same_processor(finished, machine)
        # Only the keys of engines depend on the machine; all other keys are those of the original plan.
        resolved = finished.resolved.model_copy(
            update={"attachment": attachment_of(finished.resolved.device, machine.facts, machine.board)}
        )
        planned = plan(resolve_builder(resolved, machine, tell))
        if not planned.resolved.attachment.attached:
            tell.note(f"{planned.resolved.attachment.why}: latency is not measured; --host USER@ADDRESS names a board")
        try:
            require_made(planned, store, build_request)
        except NothingToJudge as error:
            tell.note(f"{error.what}: accuracy is the recorded one, and report.json is not rewritten")
            settings = {name: getattr(request, name) for name in MeasuringRequest.model_fields}
            judge = JudgeRequest(**{**settings, "folder": request.build}, stored_race=request.stored_race, race=True)
            report = judge_finished(judge, machine.lab(store, tell), machine.facts, planned.resolved.device_builder)
            return Benched(report, written=False)
        report = run_planned_build(planned, machine, build_request, BuildContext(store, tell, pages or {}))
    return Benched(report, written=True)


def _require_same_processor(finished: FinishedBuild, machine: Machine) -> None:
    """Refuse another processor if the device file states none, because such a file recognises every machine."""
    device = finished.resolved.device
    if device.processor.architecture != "any":
        return
    built_for, here = _processor(finished.report.environment), _processor(machine.environment)
    if any(here[name] != value for name, value in built_for.items() if value and here[name]):
        raise BENCH_PROCESSOR_DIFFERS(
            folder=finished.folder,
            device=device.name,
            built_for=_processor_text(built_for),
            machine=machine.board or "this machine",
            here=_processor_text(here),
        )


def _processor(environment: Environment) -> dict[str, str]:
    return {
        "architecture": environment.observed.get("architecture") or "",
        "isa": environment.conditions.get("isa") or "",
    }


def _processor_text(processor: Mapping[str, str]) -> str:
    return " with ".join(part for part in processor.values() if part)


def _build_request(request: BenchRequest, finished: FinishedBuild) -> BuildRequest:
    """Return the request of the build, with the measuring options of this call."""
    resolved = finished.resolved
    return BuildRequest(
        recipe=resolved.asked,
        device=resolved.device,
        device_file=None if resolved.device_file is None else Path(resolved.device_file),
        out=request.build,
        stored_race=request.stored_race,
        only_judge=True,
        gates=request.gates if request.gates != GateChoice() else None,
        host=request.host,
        **{name: getattr(request, name) for name in ("meter", "until", "extra_runs")},
        command=finished.report.build.called,
    )
