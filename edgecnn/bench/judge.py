"""Judges a finished build by itself: accuracy, size and residency from what is stored of it, time and energy raced anew.

Nothing is chosen again, nothing is trained, and nothing in the build's folder is written: the kit that ships is what is judged.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import edgecnn
from edgecnn.bench.subject import JudgedScene, arm, read_accuracy, read_residency, scene_of
from edgecnn.building.data_notices import class_notices
from edgecnn.building.extra_runs import ExtraRunner
from edgecnn.building.notices import bench_command, notices
from edgecnn.building.observe import RaceManner
from edgecnn.building.rows import PURPOSES, candidate_facts, with_extents, with_quality
from edgecnn.devices.this_machine import LocalFacts, attachment_of, local_facts
from edgecnn.judging.bounds import METRICS
from edgecnn.judging.gates import gates_for, judge_candidate, overall, verdict_of
from edgecnn.measure.kits import entrant_of
from edgecnn.measure.lab import Lab
from edgecnn.measure.meter_log import open_log
from edgecnn.measure.race import RaceResult, fresh
from edgecnn.planning.request import ExtraRuns
from edgecnn.results.finished import finished_build
from edgecnn.values.base import Value
from edgecnn.values.device import EngineBuilder
from edgecnn.values.profile import CONDITIONS_THAT_MUST_MATCH, Profile
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import Gate, GateResult, Verdict

RACED = ("latency", "memory", "energy")
"""Sources of metrics that only a race gives."""
ANEW = ("latency", "energy")
"""Those of which a race of another hour says too little."""
ANEW_HOW = "a gate on latency or energy, where the device is at hand and without --allow-stored, races anew"
_OF_THE_KIT = ("runtime", "runtime_version")


class JudgeRequest(Value):
    """Which finished build, under which bounds."""

    folder: Path
    gates: GateChoice = GateChoice()
    """Bounds of the command line; without any, those of the build's own recipe hold, else the default."""
    allow_stored: bool = False
    """Whether a stored race that is young enough may serve, in CI too."""
    meter: Path | None = None
    until: float | None = None
    extent: ExtraRuns = ExtraRuns()
    race: bool = False
    """Whether to race though no gate asks for it."""


@dataclass(frozen=True)
class Judgement:
    """What a finished build is worth now."""

    report: BuildReport
    """Of this judging: rows of what ships and of the fp32 network, and the gates. It is written nowhere."""
    require_measured: bool
    """Whether the call or the build's recipe wants everything measured."""


def judge_finished(
    request: JudgeRequest, lab: Lab, facts: LocalFacts | None = None, builder: EngineBuilder | None = None
) -> Judgement:
    """Judge what lies in the folder of a finished build, in this lab.

    Args:
        request: which, under which bounds.
        lab: where its kits run.
        facts: of the lab's machine; None: it is this one.
        builder: what builds engines there; None: a kit that needs one runs only where it lies in the kit.

    Raises:
        EdgecnnError: the folder is no finished build, or a file of it is damaged (see ``finished_build``); the store cannot be
            read.
    """
    started = time.perf_counter()
    finished = finished_build(request.folder)
    device = finished.resolved.device
    usually = device.usually_attached
    labelled = finished.resolved.data.labelled
    stated = finished.resolved.recipe.gates
    gates = gates_for(stated, device_usually_attached=usually, command_line=request.gates, labelled=labelled)
    if request.meter is not None:
        open_log(request.meter)
    facts = facts or local_facts()
    attached = attachment_of(device, facts).attached
    with lab.store.in_use.held():
        judged = scene_of(finished, replace(lab, device=device.name if attached else lab.device), facts)
        if builder is not None:
            arm(judged, builder)
        read_accuracy(judged)
        read_residency(judged)
        _race(judged, gates, request)
        rows = _rows(judged, gates, request)
    results = next(row.gates for row in rows if row.chosen)
    report = finished.report.model_copy(
        update={
            "version": edgecnn.__version__,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "build": finished.report.build.model_copy(update={"device_attached": attached}),
            "environment": lab.environment,
            "candidates": rows,
            "verdict": overall(results),
            "gates": results,
            "notices": (*notices(judged.scene, anew=ANEW_HOW), *class_notices(rows)),
            "outcomes": {},
            "timings_s": {},
            "seconds": round(time.perf_counter() - started, 2),
            "output": str(request.folder),
        }
    )
    return Judgement(report, request.gates.require_measured or finished.resolved.recipe.gates.require_measured)


# ---------------------------------------------------------------------------------------------------------------------


def _race(judged: JudgedScene, gates: Sequence[Gate], request: JudgeRequest) -> None:
    """Race what a gate or an option asks for, where this machine is the device and runs the kit; else look for a stored race."""
    wanted = {METRICS[gate.metric].source for gate in gates} & set(RACED)
    asked = request.race or bool(wanted) or (request.meter, request.until, request.extent) != (None, None, ExtraRuns())
    in_ci = bool(os.environ.get("CI")) and not request.allow_stored
    why = _why_no_race(judged) if asked else "no gate asks for a race"
    if why is None:
        anew = not request.allow_stored and (in_ci or bool(wanted & set(ANEW)))
        _raced(judged, gates, request, anew=anew)
        return
    stored = _stored_race(judged)
    if stored is not None and not in_ci:
        judged.observer.seen.races["report"] = stored
        return
    if stored is not None and asked:
        why += f"; the race of {stored.observed_at} is not of this job, and only --allow-stored lets it serve"
    judged.absent.update(dict.fromkeys(RACED, why))


def _why_no_race(judged: JudgedScene) -> str | None:
    device, folder = judged.finished.resolved.device, judged.finished.folder
    if not judged.scene.attached:
        return f"not measured on {device.name}, which this machine is not: {bench_command(folder, device)}"
    return judged.why_not_runnable(judged.finished.row.candidate.id)


def _raced(judged: JudgedScene, gates: Sequence[Gate], request: JudgeRequest, *, anew: bool) -> None:
    """As a build's last race: what ships against fp32, where that runs here too."""
    observer, ships = judged.observer, judged.finished.row.candidate.id
    names = [name for name in observer.seen.kits if name == ships or judged.why_not_runnable(name) is None]
    patient = any(gate.metric in ("p90_ms", "p99_ms") for gate in gates)
    observer.race(names, "report", RaceManner(anew=anew, patient=patient, until=request.until))
    if request.meter is not None or any(METRICS[gate.metric].source == "energy" for gate in gates):
        observer.energy(names, anew=anew, log=request.meter)
    kits = tuple(observer.seen.kits[name] for name in names)
    ExtraRunner(observer.seen, kits, observer.lab, judged.finished.resolved.recipe.race, anew=anew).measure(request.extent)


def _stored_race(judged: JudgedScene) -> RaceResult | None:
    """The newest fresh race of what ships, as it ships, on this device: of reported figures, else of those it was chosen by."""
    profiles, kits = judged.lab.store.profiles, judged.observer.seen.kits
    mine = kits[judged.finished.row.candidate.id]
    max_age_h = judged.finished.resolved.recipe.race.max_age_h
    stored = [entry.profile for entry in profiles.of(mine.digest, "race") if entry.profile.knobs == mine.knobs.options]
    for found in sorted((each for each in stored if each.purpose in PURPOSES), key=_by_purpose):
        young = fresh(datetime.fromisoformat(found.observed_at), max_age_h)
        if not found.runs or not young or not _of_this_device(found, judged):
            continue
        others = [each.profile for kit in kits.values() for each in profiles.of(kit.digest, "race")]
        together = {entrant_of(each.subject, each.knobs): each for each in others if each.race == found.race and each.runs}
        return RaceResult(race=found.race or "", observed_at=found.observed_at, profiles=together, failed={}, reused=True)
    return None


def _by_purpose(profile: Profile) -> int:
    """What was raced to be chosen by flatters the kit that won."""
    return PURPOSES.index(profile.purpose) if profile.purpose in PURPOSES else len(PURPOSES)


def _of_this_device(profile: Profile, judged: JudgedScene) -> bool:
    """Where this machine is the device, every condition but the runtime's own must be this machine's."""
    if profile.device != judged.finished.resolved.device.name:
        return False
    then = profile.environment.conditions
    now = dict(judged.lab.environment.conditions)
    if (own := judged.lab.own_python(then.get("runtime", ""))) is not None:
        now["python"] = own
    names = [name for name in CONDITIONS_THAT_MUST_MATCH if name not in _OF_THE_KIT]
    return not judged.scene.attached or all(then.get(name) == now.get(name) for name in names)


def _rows(judged: JudgedScene, gates: Sequence[Gate], request: JudgeRequest) -> tuple[CandidateFacts, ...]:
    scene, ships = judged.scene, judged.finished.row
    found = with_extents(with_quality(candidate_facts(scene), scene), scene, request.extent)
    rows = []
    for name, row in found.items():
        said = _with_reasons(row, judged)
        results = tuple(_worded(result, judged) for result in judge_candidate(gates, said))
        chosen = name == ships.candidate.id
        update = {
            "gates": results,
            "verdict": verdict_of(said, results),
            "chosen": chosen,
            "reason": ships.reason if chosen else "",
            "because": ships.because if chosen else None,
            "kept_float": ships.kept_float if chosen else row.kept_float,
        }
        rows.append(said.model_copy(update=update))
    return tuple(rows)


def _with_reasons(row: CandidateFacts, judged: JudgedScene) -> CandidateFacts:
    update = {}
    for source, seen in (("latency", row.latency), ("memory", row.memory), ("energy", row.energy)):
        if seen is not None and not seen.runs and source in judged.absent:
            update[source] = seen.model_copy(update={"reason": judged.absent[source]})
    return row.model_copy(update=update)


def _worded(result: GateResult, judged: JudgedScene) -> GateResult:
    """What is missing for want of stored work, with the command that makes it again."""
    source = METRICS[result.gate.metric].source
    why = judged.absent.get(source)
    if result.verdict is not Verdict.MISSING or source in RACED or why is None:
        return result
    return result.model_copy(update={"reason": f"{why}; {judged.finished.again}"})
