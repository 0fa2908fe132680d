"""A build from beginning to end: resolve, plan, execute, measure, judge and publish.

Results are ``report.json``, ``plan.json``, the pages and the bundle. Each is written atomically.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from edgecnn.building.choosing import Call, Decision, candidates_inside_budget, decide, last_race_candidates
from edgecnn.building.desktop_gpu import local_record, measure_desktop_gpu
from edgecnn.building.engines import resolve_builder
from edgecnn.building.execute import LAST_STEP, MEASURING, Execution, Limits, RungDrops, StageContext, execute
from edgecnn.building.forecasts import PlannedKit, planned_kit
from edgecnn.building.measuring import (
    Observer,
    add_execution_results,
    observe_folds,
    pixel_sets,
    race_for_choice,
    race_knobs,
    require_meter,
)
from edgecnn.building.notices import random_weights_text
from edgecnn.building.pace import Pace, Part, expected_parts
from edgecnn.building.report import report_of
from edgecnn.bundle.publishing import staged_bundle
from edgecnn.data.formats.registry import is_on_disk
from edgecnn.data.layout import root_of
from edgecnn.devices.check.board import BoardUse, runtimes_for
from edgecnn.devices.machine import THIS_MACHINE, Machine, machine_for, this_machine
from edgecnn.errors.base import system_reason
from edgecnn.errors.building import (
    BASELINE_FAILED,
    NOTHING_TO_JUDGE,
    OUTPUT_AMONG_DATA,
    OUTPUT_HOLDS_OTHER_FILES,
    OUTPUT_UNUSABLE,
    NoReport,
    ReportUnreadable,
    every_candidate_failed,
)
from edgecnn.errors.measuring import KNOBS_BY_LATENCY
from edgecnn.judging.desktop_baseline import BaselineRecord
from edgecnn.judging.gates import EffectiveGates
from edgecnn.judging.resolution import GROUPED, labels_sentence, resolution_sentence, validation_sentence
from edgecnn.measure.lab import Lab, kits_that_fail
from edgecnn.measure.race import open_log
from edgecnn.measure.subject import Subject
from edgecnn.planning.plan import Plan, plan
from edgecnn.planning.request import BuildRequest, Goal, effective_gates
from edgecnn.planning.resolve import resolve
from edgecnn.results.folder import BASELINE, BUNDLE, CHOICE, PLAN, PROGRESS, REPORT, output_lock, read_report, report_text
from edgecnn.results.origin import planned_data
from edgecnn.store.disk import json_object, write_text_atomically
from edgecnn.store.listing import Durations, total_duration
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact, Blocked, Failed
from edgecnn.values.artifact import FoundInput as GivenInput
from edgecnn.values.candidate import Rung, is_of_a_device, reference_of
from edgecnn.values.dataset import DataChange
from edgecnn.values.profile import Environment
from edgecnn.values.report import BuildReport
from edgecnn.values.resolved import Resolved
from edgecnn.values.stage import Key, Progress


@dataclass(frozen=True)
class PlannedStep:
    """A step of a plan, and whether the store holds it."""

    id: str
    key: Key
    missing: tuple[str, ...] | None
    """Reasons why the store does not hold the step; empty if only an input is missing, and None if the step is stored."""
    fold: int = 1
    """The fold of cross-validation. For folds after the first, only the steps of the trunk are listed."""


@dataclass(frozen=True)
class PlannedBuild:
    """The content of ``edgecnn plan``."""

    plan: Plan
    steps: tuple[PlannedStep, ...]
    gates: EffectiveGates
    test_set: str
    out: Path
    make_seconds: tuple[float, float] | None = None
    """Estimated time of the missing steps, without optional rungs and measuring.

    The estimate is from durations on this machine; None if this machine never made a step of a missing kind.
    """
    data_change: DataChange | None = None
    """Changes of the images since the build in ``out``; None without changes or a build."""
    expected: PlannedKit = PlannedKit()

    def facts(self) -> dict[str, Any]:
        """Return the plan for ``--json``, with the stored steps and the resolution of the test set."""
        stored = [{"id": s.id, "key": s.key, "cached": s.missing is None, "why": list(s.missing or ())} for s in self.steps]
        gates = [gate.model_dump(mode="json") for gate in self.gates.gates]
        change = None if self.data_change is None else self.data_change.model_dump(mode="json")
        dropped = self.gates.dropped.model_dump(mode="json")
        known = {"test_set": self.test_set, "make_seconds": self.make_seconds, "data_change": change, "gates_dropped": dropped}
        facts = {**self.plan.facts(), "stored": stored, "gates": gates, **known}
        if forecasts := self.expected.forecasts.by_candidate:
            facts["forecasts"] = {name: forecast.model_dump(mode="json") for name, forecast in forecasts.items()}
        if self.expected.kit is not None:
            facts["kit"] = self.expected.kit.model_dump(mode="json")
        return facts


def plan_build(request: BuildRequest, store: Store, tell: Progress) -> PlannedBuild:
    """Resolve, plan, and look up which steps are stored. No stage runs and nothing is written."""
    planned = plan(resolve(request, store, tell))
    gates = effective_gates(planned.resolved, request.gates, request.stored_race, _earlier_report(request.out, tell))
    steps = [*steps_in_store(planned, store)]
    for number, fold in enumerate(planned.folds, 2):
        steps += [replace(step, id=f"fold-{number}:{step.id}", fold=number) for step in steps_in_store(fold.trunk, store)]
    before = planned_data(json_object(request.out / PLAN) or {})
    return PlannedBuild(
        plan=planned,
        steps=tuple(steps),
        gates=gates,
        test_set=_smallest_visible_drop(planned.resolved),
        out=request.out,
        make_seconds=_make_seconds(planned, steps, store),
        data_change=None if before is None else DataChange.between(before, planned.resolved.data.totals),
        expected=planned_kit(planned.resolved, gates.most_mib),
    )


def _earlier_report(folder: Path, tell: Progress) -> BuildReport | None:
    """Return the report in the build's folder, whose gates the call keeps or names. An unreadable one is noted."""
    try:
        return read_report(folder)
    except NoReport:
        return None
    except ReportUnreadable as error:
        tell.note(f"{error.what} ({error.because}), so gates that its command line stated are neither judged nor named")
        return None


def _make_seconds(planned: Plan, steps: Sequence[PlannedStep], store: Store) -> tuple[float, float] | None:
    optional = {candidate.id for rung in planned.rungs if rung.mends is not None for candidate in rung.candidates}
    stages = {step.key: step.stage for step in planned.steps if step.candidate not in optional}
    stages |= {step.key: step.stage for fold in planned.folds for step in fold.trunk.steps}
    missing = [stages[step.key] for step in steps if step.missing is not None and step.key in stages]
    durations = Durations(store) if missing else None
    estimate, unknown = total_duration(None if durations is None else durations.of(stage) for stage in missing)
    return None if unknown else (estimate.low, estimate.high)


def _smallest_visible_drop(resolved: Resolved) -> str:
    images = resolved.test_images
    if not resolved.data.labelled:
        return f"{images:,} images without labels show how often two candidates agree, but not accuracy"
    of_accuracy = " of accuracy between two candidates"
    sentence = labels_sentence(images) if resolved.data.multi_label else f"{resolution_sentence(images)}{of_accuracy}"
    sentence = sentence if resolved.data.grouping is None else f"{sentence}{GROUPED}"
    return "; ".join(filter(None, (sentence, validation_sentence(resolved.data.counts["validation"]))))


def steps_in_store(planned: Plan, store: Store) -> tuple[PlannedStep, ...]:
    """Look in the store for every step of a plan, in its order."""
    stored: dict[Key, Artifact] = {}
    keys = {step.key for step in planned.steps}
    steps = []
    for step in planned.steps:
        inputs = {
            role: GivenInput(path=stored[key].folder, key=key, content=stored[key].content)
            for role, key in step.stage.inputs.items()
            if key in stored
        }
        answer = store.artifacts.find(step.stage, planned.resolved.versions, inputs)
        if isinstance(answer, Artifact):
            stored[step.key] = answer
        input_missing = any(key in keys and key not in stored for key in step.stage.inputs.values())
        missing = None if isinstance(answer, Artifact) else () if input_missing else answer.why
        steps.append(PlannedStep(id=step.id, key=step.key, missing=missing))
    return tuple(steps)


@dataclass(frozen=True)
class BuildContext:
    """The store, the progress and the pages of a build."""

    store: Store
    tell: Progress
    pages: Mapping[str, Page] = field(default_factory=dict)
    """Name of a file next to ``report.json`` or in ``bundle/`` to the function that makes its text."""


def run_build(request: BuildRequest, store: Store, tell: Progress, pages: Mapping[str, Page] | None = None) -> BuildReport:
    """Build, measure, judge and write the results.

    ``store``: holds finished work; ``gc`` deletes nothing that this build uses. ``pages``: name of a file next to ``report.json``
    or in ``bundle/`` to the function that makes its text.

    Raises EdgecnnError: finished work is in the store, and the same call continues from there.
    """
    check_output(request.out, request.recipe.data.path)
    if request.meter is not None:
        open_log(request.meter)
    needs = BoardUse(request.device, str(request.command), runtimes_for(request.device, request.recipe.target.runtime))
    with machine_for(request.host, needs, tell) as machine:
        planned = plan(resolve_builder(resolve(request, store, tell, machine.facts), machine, tell))
        data = planned.resolved.data
        if planned.resolved.weights.fell_back and not request.only_judge:
            tell.note(random_weights_text(planned.resolved))
        tell.note(f"data: {'; '.join(filter(None, (data.class_names, planned.resolved.roles_text)))}")
        if request.only_judge:
            require_made(planned, store, request)
        return run_planned_build(planned, machine, request, BuildContext(store, tell, pages or {}))


def run_planned_build(planned: Plan, machine: Machine, request: BuildRequest, context: BuildContext) -> BuildReport:
    """Run a planned build: make missing steps here, run kits on the machine, judge and write."""
    started = time.perf_counter()
    store, tell, resolved = context.store, context.tell, planned.resolved
    with output_lock(request.out):
        publish_plan(planned, request.out)
    here = this_machine()
    _check_objective(planned, machine.environment, request)
    earlier = _earlier_report(request.out, tell)
    gates = effective_gates(resolved, request.gates, request.stored_race, earlier, finished=request.only_judge)
    call = Call(request, gates)
    pace = Pace(tell, partial(_expected_parts, planned, store, request.goal))
    environment = here.environment.conditions
    stages = StageContext(store=store, host=here.host, environment=environment, tell=tell, device=machine.host, pace=pace)
    lab = machine.lab(store, tell, resolved.device.name if resolved.attachment.attached else THIS_MACHINE)
    execution, subject = Execution(plan=planned), Subject.from_build(resolved, lab)
    observer, decision = Observer(subject, pace), None

    def drops(rung: Rung) -> RungDrops:
        add_execution_results(subject, execution, rung.candidates)
        return observer.validation_drops(rung, pixel_sets(execution)["validation"])

    with store.in_use.held():
        limits = _limits(planned, store, request, call.gates)
        execute(execution, stages, request.goal, limits, drops if request.goal in MEASURING else None)
        add_execution_results(subject, execution, execution.candidates)
        if request.goal in MEASURING and not _none_left(subject, request.goal):
            decision = measure_and_choose(execution, observer, call, stages, here.lab(store, tell))
        while True:
            report = report_of(execution, subject, call, time.perf_counter() - started, decision)
            if _none_left(subject, request.goal) or (request.goal == "judge" and report.choice.candidate is None):
                reasons = {row.candidate.id: row.reason for row in report.candidates if row.broken}
                device = None if resolved.recipe.target.runtime is None else resolved.device.name
                raise every_candidate_failed(reasons=reasons, device=device)
            failures = _publish(report, subject, planned, request, context)
            if not failures:
                return report
            for name, failed in failures.items():  # choose again without these candidates
                subject.fail(name, failed, "failed its self-test in the bundle")
            if subject.attached and subject.timed:
                decision = _race_winner(observer, call)


def _expected_parts(planned: Plan, store: Store, goal: Goal) -> list[Part]:
    def missing(part: Plan) -> set[str]:
        return {step.id for step in steps_in_store(part, store) if step.missing is not None}

    last: Literal["make", "evaluate", "measure"] = "make"
    if goal in MEASURING:
        last = "measure" if planned.resolved.attachment.attached else "evaluate"
    return expected_parts(planned, missing, Durations(store), LAST_STEP[goal], last)


def _none_left(subject: Subject, goal: Goal) -> bool:
    """Whether every candidate that may ship and was tried has failed."""
    resolved = subject.resolved
    allowed = resolved.device.may_ship(resolved.recipe.target.runtime)
    kinds = ("quantize", "package", "compile") if goal == "compile" else ("quantize", "package")
    outcomes_by_candidate = {
        candidate.id: [outcome for kind, outcome in subject.steps.get(candidate.id, {}).items() if kind in kinds]
        for candidate in resolved.candidates
        if candidate.runtime in allowed
    }
    tried = {name: outcomes for name, outcomes in outcomes_by_candidate.items() if outcomes}
    return bool(tried) and all(
        name in subject.failures or any(isinstance(outcome, Failed | Blocked) for outcome in outcomes)
        for name, outcomes in tried.items()
    )


def _check_objective(planned: Plan, here: Environment, request: BuildRequest) -> None:
    """Refuse an objective that cannot be measured, before any time is spent."""
    resolved = planned.resolved
    objective = resolved.recipe.choice.objective
    if resolved.recipe.race.knobs and objective in ("throughput", "energy"):
        raise KNOBS_BY_LATENCY(objective=objective)
    if objective == "energy" and request.goal in MEASURING and resolved.attachment.attached and here.timed:
        require_meter(here, resolved.candidates, request.meter)


def require_made(planned: Plan, store: Store, request: BuildRequest) -> None:
    """Check that the store holds every step of the build. Steps of the desktop GPU may be missing; the report says so.

    Raises NothingToJudge: the store does not hold a step of a candidate or of the trunk.
    """
    judged = {None, *(candidate.id for candidate in planned.resolved.candidates)}
    candidate_of = {step.id: step.candidate for step in planned.steps}
    missing = tuple(name for name in _missing_steps(planned, store) if candidate_of[name] in judged)
    for number, fold in enumerate(planned.folds, 2):
        missing += tuple(f"{name} of fold {number}" for name in _missing_steps(fold.trunk, store))
    if missing:
        raise NOTHING_TO_JUDGE(missing=missing[:3], command=str(request.command.to("build")))


def _missing_steps(planned: Plan, store: Store) -> list[str]:
    """Return the steps that the store does not hold, without engines, which are built on the device that runs them."""
    missing = (step.id for step in steps_in_store(planned, store) if step.missing is not None)
    return [name for name in missing if not is_of_a_device(name)]


def _publish(
    report: BuildReport, subject: Subject, planned: Plan, request: BuildRequest, context: BuildContext
) -> Mapping[str, Failed]:
    """Write all results under one lock, ``report.json`` last. A goal before ``judge`` changes no finished report or bundle.

    Return the kits that failed their self-test in the new bundle. If there are any, nothing is published.
    """
    with output_lock(request.out):
        publish_plan(planned, request.out)
        if request.goal != "judge":
            publish_progress(report, request.goal, request.out)
            return {}
        ships = {name: page for name, page in context.pages.items() if name.startswith(f"{BUNDLE}/")}
        inside = {name.removeprefix(f"{BUNDLE}/"): page(report) for name, page in ships.items()}
        with staged_bundle(report, subject.kits, request.out, inside, subject.lab.tell.note) as bundle:
            carried = {name: subject.kits[name] for name in report.choice.carried if name in subject.kits}
            home = this_machine().lab(context.store, context.tell)
            if failures := kits_that_fail(bundle.folder, carried, home, is_new=bundle.is_new):
                return failures
            bundle.publish()
        publish_baseline(local_record(subject), request.out)
        pages = {name: page(report) for name, page in context.pages.items() if name not in ships}  # they read the bundle
        publish_report(report, request.out, pages)
    return {}


def _limits(planned: Plan, store: Store, request: BuildRequest, gates: EffectiveGates) -> Limits:
    """Return the budgets of accuracy and time, and the rungs that a call that only judges must not build."""
    unbuilt = frozenset[str]()
    if request.only_judge:
        missing = set(_missing_steps(planned, store))
        lacking = {step.candidate for step in planned.steps if step.id in missing}
        unbuilt = frozenset(rung.name for rung in planned.rungs if any(candidate.id in lacking for candidate in rung.candidates))
    return Limits(seconds=request.time_budget_s, budget_pp=gates.budget_pp, unbuilt=unbuilt)


def measure_and_choose(execution: Execution, observer: Observer, call: Call, stages: StageContext, home: Lab) -> Decision | None:
    """Evaluate the kits. If the machine is the device and not an emulator, race them and choose.

    ``stages``: for the networks of other folds. ``home``: this machine, whose GPU gives the desktop baseline. Return the choice
    before the last race; None without a race.
    """
    subject, request = observer.subject, call.request
    reference = reference_of(subject.candidates)
    if reference not in subject.answering:
        reasons = {name: outcome.what for name, outcome in execution.outcomes.items() if isinstance(outcome, Failed)}
        raise every_candidate_failed(reasons=reasons)
    pixels = pixel_sets(execution)
    observer.evaluate_all(pixels)
    if _none_left(subject, request.goal):
        return None
    observe_folds(observer, execution.plan.folds, stages)
    if (failed := subject.failures.get(reference)) is not None:
        raise BASELINE_FAILED(reason=failed.what)
    observer.read_residency()
    subject.desktop = measure_desktop_gpu(execution, home, pixels["test"], request.extra_runs, anew=call.gates.races_again)
    if not (subject.attached and subject.timed):
        return None
    inside = candidates_inside_budget(subject, call.gates)
    observer.time_all(inside, call.races)
    race_for_choice(observer, inside, subject.objective, call.races)
    return _race_winner(observer, call)


def _race_winner(observer: Observer, call: Call) -> Decision:
    """Choose, race the winner's knobs if requested, and race the winner again for the reported figures."""
    subject, request, how = observer.subject, call.request, call.races
    decision = decide(subject, call.gates)
    last, winner = last_race_candidates(decision), decision.chosen.choice.candidate
    if subject.race_choice.knobs and last and winner is not None:
        race_knobs(observer, winner, how)
    best_batch = request.extra_runs.best_batch or subject.objective == "throughput"
    observer.report(last, how, request.extra_runs.model_copy(update={"best_batch": best_batch}))
    return decision


Page = Callable[[BuildReport], str]
"""Renders a report as text. The room ``render`` is above this one, so callers pass its functions."""


def check_output(folder: Path, data: str) -> None:
    """Refuse a folder that cannot or must not be written, before any time is spent.

    Raises:
        OUTPUT_UNUSABLE: the path is a file, or cannot be written.
        OUTPUT_HOLDS_OTHER_FILES: the folder holds a ``bundle`` that edgecnn did not write.
        OUTPUT_AMONG_DATA: the folder is inside the images' folder.
        DATA_PATH_UNUSABLE: ``data`` cannot name a folder.
    """
    images = _links_followed(root_of(data)) if is_on_disk(data) else None
    try:
        output = _links_followed(folder)
        if images is not None and (output == images or images in output.parents):
            raise OUTPUT_AMONG_DATA(out=folder, data=Path(data))
        # Create the folder in a temporary one, so that a build that is refused later leaves no empty folder.
        existing = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
        with tempfile.TemporaryDirectory(dir=existing, prefix=".edgecnn.") as probe:
            (Path(probe) / folder.relative_to(existing)).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OUTPUT_UNUSABLE(folder=folder, because=system_reason(error)) from error
    except ValueError as error:  # a NUL inside the path
        raise OUTPUT_UNUSABLE(folder=folder, because=str(error)) from error
    bundle = folder / BUNDLE
    if bundle.exists() and not (bundle / CHOICE).is_file():
        raise OUTPUT_HOLDS_OTHER_FILES(path=bundle)


def _links_followed(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises a RuntimeError for a link to itself


def publish_plan(plan: Plan, folder: Path) -> None:
    """Write ``plan.json``: the resolved request and every key. The next build in this folder reads its choice of weights."""
    write_text_atomically(folder / PLAN, json.dumps(plan.facts(), indent=1, ensure_ascii=False) + "\n")


def publish_report(report: BuildReport, folder: Path, pages: Mapping[str, str] | None = None) -> None:
    """Write the pages of a report and then ``report.json``, so that a new report never appears without its pages.

    ``folder``: the output folder; the caller holds its ``output_lock``, so that no page describes another build's report.
    ``pages``: file name, such as ``report.md``, to its text.
    """
    for name, text in (pages or {}).items():
        write_text_atomically(folder / name, text)
    write_text_atomically(folder / REPORT, report_text(report))


def publish_baseline(record: BaselineRecord | None, folder: Path) -> None:
    """Write ``baseline.json``, the record of this machine's GPU in the format of ``baselines/``; delete it without a record."""
    if record is None:
        (folder / BASELINE).unlink(missing_ok=True)
        return
    write_text_atomically(folder / BASELINE, record.model_dump_json(indent=1, by_alias=True) + "\n")


def publish_progress(report: BuildReport, goal: str, folder: Path) -> None:
    """Write ``progress.json`` for a goal before ``judge``. The report of a finished build in the folder is not changed."""
    outcomes = {name: outcome.model_dump(mode="json") for name, outcome in report.outcomes.items()}
    facts = {"schema": "edgecnn.progress/1", "goal": goal, "outcomes": outcomes, "timings_s": dict(report.timings_s)}
    write_text_atomically(folder / PROGRESS, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
