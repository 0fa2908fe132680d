"""A build from beginning to end: resolve, plan, execute, measure, judge and publish."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from edgecnn.building.choosing import Call, Decision, decide, inside_budget, last_race
from edgecnn.building.desktop_gpu import local_record, play
from edgecnn.building.engines import resolve_builder
from edgecnn.building.execute import LAST_STEP, MEASURING, Execution, StageContext, execute
from edgecnn.building.folds import observe_folds
from edgecnn.building.forecasts import CandidateForecasts, planned_forecasts
from edgecnn.building.knob_race import race_knobs
from edgecnn.building.ladder import Limits
from edgecnn.building.objective_race import race_for_choice, require_meter
from edgecnn.building.observe import Observer, add_made, pixel_sets
from edgecnn.building.pace import Pace, Part, expected_parts
from edgecnn.building.publish import Page, check_output, publish_baseline, publish_plan, publish_progress, publish_report
from edgecnn.building.report import report_of
from edgecnn.bundle.publishing import staged_bundle
from edgecnn.devices.check.board import BoardUse, runtimes_for
from edgecnn.devices.machine import THIS_MACHINE, Machine, machine_for, this_machine
from edgecnn.errors.building import BASELINE_FAILED, NOTHING_TO_JUDGE, every_candidate_failed
from edgecnn.errors.measuring import KNOBS_BY_LATENCY
from edgecnn.judging.gates import EffectiveGates
from edgecnn.judging.resolution import GROUPED, labels_sentence, resolution_sentence
from edgecnn.measure.lab import Lab, kits_that_fail
from edgecnn.measure.race import open_log
from edgecnn.measure.subject import Subject
from edgecnn.planning.plan import Plan, plan
from edgecnn.planning.request import BuildRequest, Goal, effective_gates
from edgecnn.planning.resolve import resolve
from edgecnn.results.folder import BUNDLE, PLAN, output_lock
from edgecnn.results.origin import planned_data
from edgecnn.store.disk import json_object
from edgecnn.store.durations import Durations, total
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
    """None: the store holds it. Else why not; empty if an input is missing, whose own step says why."""
    fold: int = 1
    """The fold of cross-validation whose network it makes. Only the trunk of other folds than the first is listed."""


@dataclass(frozen=True)
class PlannedBuild:
    """The content of ``edgecnn plan``."""

    plan: Plan
    steps: tuple[PlannedStep, ...]
    gates: EffectiveGates
    test_set: str
    out: Path
    make_seconds: tuple[float, float] | None = None
    """Estimated time of the missing steps, from durations on this machine; None if a kind has none. Without optional rungs and
    measuring."""
    data_change: DataChange | None = None
    """Difference of the images from those of the build in ``out``; None without a difference or a build."""
    forecasts: CandidateForecasts = CandidateForecasts()

    def facts(self) -> dict[str, Any]:
        """The plan for ``--json``, with the stored steps and the resolution of the test set."""
        stored = [{"id": s.id, "key": s.key, "cached": s.missing is None, "why": list(s.missing or ())} for s in self.steps]
        gates = [gate.model_dump(mode="json") for gate in self.gates.gates]
        change = None if self.data_change is None else self.data_change.model_dump(mode="json")
        known = {"test_set": self.test_set, "make_seconds": self.make_seconds, "data_change": change}
        facts = {**self.plan.facts(), "stored": stored, "gates": gates, **known}
        if self.forecasts.by_candidate:
            facts["forecasts"] = {
                name: forecast.model_dump(mode="json") for name, forecast in self.forecasts.by_candidate.items()
            }
        return facts


def plan_build(request: BuildRequest, store: Store, tell: Progress) -> PlannedBuild:
    """Resolve, plan, and look up which steps are stored. No stage runs and nothing is written."""
    planned = plan(resolve(request, store, tell))
    gates = effective_gates(planned.resolved, request.gates, request.stored_race)
    steps = [*looked_up(planned, store)]
    for number, fold in enumerate(planned.folds, 2):
        steps += [replace(step, id=f"fold-{number}:{step.id}", fold=number) for step in looked_up(fold.trunk, store)]
    before = planned_data(json_object(request.out / PLAN) or {})
    return PlannedBuild(
        plan=planned,
        steps=tuple(steps),
        gates=gates,
        test_set=_can_show(planned.resolved),
        out=request.out,
        make_seconds=_make_seconds(planned, steps, store),
        data_change=None if before is None else DataChange.between(before, planned.resolved.data.totals),
        forecasts=planned_forecasts(planned.resolved),
    )


def _make_seconds(planned: Plan, steps: Sequence[PlannedStep], store: Store) -> tuple[float, float] | None:
    """Estimated time of the missing steps; None if this machine never made one of a missing kind."""
    perhaps = {candidate.id for rung in planned.rungs if rung.mends is not None for candidate in rung.candidates}
    stages = {step.key: step.stage for step in planned.steps if step.candidate not in perhaps}
    stages |= {step.key: step.stage for fold in planned.folds for step in fold.trunk.steps}
    missing = [stages[step.key] for step in steps if step.missing is not None and step.key in stages]
    durations = Durations(store) if missing else None
    estimate, unknown = total(None if durations is None else durations.of(stage) for stage in missing)
    return None if unknown else (estimate.low, estimate.high)


def _can_show(resolved: Resolved) -> str:
    images = sum(fold.counts["test"] for fold in (resolved.data, *resolved.folds))
    if not resolved.data.labelled:
        return f"{images:,} images without labels show how often two candidates agree, but not accuracy"
    of_accuracy = " of accuracy between two candidates"
    sentence = labels_sentence(images) if resolved.data.multi_label else f"{resolution_sentence(images)}{of_accuracy}"
    return sentence if resolved.data.grouping is None else f"{sentence}{GROUPED}"


def looked_up(planned: Plan, store: Store) -> tuple[PlannedStep, ...]:
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
        follows = any(key in keys and key not in stored for key in step.stage.inputs.values())  # that step says why
        missing = None if isinstance(answer, Artifact) else () if follows else answer.why
        steps.append(PlannedStep(id=step.id, key=step.key, missing=missing))
    return tuple(steps)


@dataclass(frozen=True)
class BuildContext:
    """The store, the progress and the pages of a build."""

    store: Store
    """Holds finished work."""
    tell: Progress
    """Shows progress."""
    pages: Mapping[str, Page] = field(default_factory=dict)
    """File name beside ``report.json``, or in ``bundle/``, to what words the report for people."""


def run_build(request: BuildRequest, store: Store, tell: Progress, pages: Mapping[str, Page] | None = None) -> BuildReport:
    """Build, measure, judge and write the results.

    ``store``: holds finished work; ``gc`` deletes nothing that this build uses. ``pages``: name of a file next to ``report.json``
    or in ``bundle/`` to the function that makes its text.

    Raises EdgecnnError: a named failure. Finished work is in the store, and the same call continues from there.
    """
    check_output(request.out, request.recipe.data.path)
    if request.meter is not None:
        open_log(request.meter)
    needs = BoardUse(request.device, str(request.command), runtimes_for(request.device, request.recipe.target.runtime))
    with machine_for(request.host, needs, tell) as machine:
        planned = plan(resolve_builder(resolve(request, store, tell, machine.facts), machine, tell))
        data = planned.resolved.data
        tell.note(f"data: {'; '.join(filter(None, (data.class_names, planned.resolved.roles_text)))}")
        if request.only_judge:
            require_made(planned, store, request)
        return measured_build(planned, machine, request, BuildContext(store, tell, pages or {}))


def measured_build(planned: Plan, machine: Machine, request: BuildRequest, context: BuildContext) -> BuildReport:
    """Run a planned build: make missing steps here, run kits on the machine, judge and write."""
    started = time.perf_counter()
    store, tell, resolved = context.store, context.tell, planned.resolved
    with output_lock(request.out):
        publish_plan(planned, request.out)
    if resolved.weights.fell_back and not request.only_judge:
        better = resolved.weights.alternative
        tell.note(f"training starts from random weights; {'the report says why' if better is None else better.sentence}")
    here = this_machine()
    _check_objective(planned, machine.environment, request)
    gates = effective_gates(resolved, request.gates, request.stored_race, finished=request.only_judge)
    call = Call(request, gates)
    pace = Pace(tell, partial(_expected_parts, planned, store, request.goal))
    environment = here.environment.conditions
    stages = StageContext(store=store, host=here.host, environment=environment, tell=tell, device=machine.host, pace=pace)
    lab = machine.lab(store, tell, resolved.device.name if resolved.attachment.attached else THIS_MACHINE)
    execution, subject = Execution(plan=planned), Subject.from_build(resolved, lab)
    observer, decision = Observer(subject, pace), None

    def drops(rung: Rung) -> Mapping[str, float]:
        add_made(subject, execution, rung.candidates)
        return observer.drops(rung, pixel_sets(execution)["validation"])

    with store.in_use.held():
        limits = _limits(planned, store, request, call.gates)
        execute(execution, stages, request.goal, limits, drops if request.goal in MEASURING else None)
        add_made(subject, execution, execution.candidates)
        if request.goal in MEASURING and not _none_left(subject, request.goal):
            decision = observe(execution, observer, call, stages, here.lab(store, tell))
        while True:
            report = report_of(execution, subject, call, time.perf_counter() - started, decision)
            if _none_left(subject, request.goal) or (request.goal == "judge" and report.choice.candidate is None):
                reasons = {row.candidate.id: row.reason for row in report.candidates if row.broken}
                device = None if resolved.recipe.target.runtime is None else resolved.device.name
                raise every_candidate_failed(reasons=reasons, device=device)
            failures = _publish(report, subject, planned, request, context)
            if not failures:
                return report
            for name, failed in failures.items():  # the choice is made again without it
                subject.fail(name, failed, "failed its self-test in the bundle")
            if subject.attached and subject.timed:
                decision = _race_winner(observer, call)


def _expected_parts(planned: Plan, store: Store, goal: Goal) -> list[Part]:
    def missing(part: Plan) -> set[str]:
        return {step.id for step in looked_up(part, store) if step.missing is not None}

    last: Literal["make", "evaluate", "measure"] = "make"
    if goal in MEASURING:
        last = "measure" if planned.resolved.attachment.attached else "evaluate"
    return expected_parts(planned, missing, Durations(store), LAST_STEP[goal], last)


def _none_left(subject: Subject, goal: Goal) -> bool:
    """Whether every candidate that was tried and that the target allows has failed, so that nothing can ship."""
    resolved = subject.resolved
    allowed = resolved.device.may_ship(resolved.recipe.target.runtime)
    kinds = ("quantize", "package", "compile") if goal == "compile" else ("quantize", "package")
    tried = {
        candidate.id: [outcome for kind, outcome in subject.steps.get(candidate.id, {}).items() if kind in kinds]
        for candidate in resolved.candidates
        if candidate.runtime in allowed
    }
    tried = {name: steps for name, steps in tried.items() if steps}
    return bool(tried) and all(
        name in subject.failures or any(isinstance(step, Failed | Blocked) for step in steps) for name, steps in tried.items()
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
    of = {step.id: step.candidate for step in planned.steps}
    missing = tuple(name for name in _lacking(planned, store) if of[name] in judged)
    for number, fold in enumerate(planned.folds, 2):
        missing += tuple(f"{name} of fold {number}" for name in _lacking(fold.trunk, store))
    if missing:
        raise NOTHING_TO_JUDGE(missing=missing[:3], command=str(request.command.to("build")))


def _lacking(planned: Plan, store: Store) -> list[str]:
    """Steps that the store does not hold, without engines, which are made on the device that runs them."""
    missing = (step.id for step in looked_up(planned, store) if step.missing is not None)
    return [name for name in missing if not is_of_a_device(name)]


def _publish(
    report: BuildReport, subject: Subject, planned: Plan, request: BuildRequest, context: BuildContext
) -> Mapping[str, Failed]:
    """Write all results under one lock, ``report.json`` last. An earlier goal does not touch a finished report or bundle.

    Returns the kits that failed their self-test in the finished bundle; then nothing was published.
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
        beside = {name: page(report) for name, page in context.pages.items() if name not in ships}  # they read the bundle
        publish_report(report, request.out, beside)
    return {}


def _limits(planned: Plan, store: Store, request: BuildRequest, gates: EffectiveGates) -> Limits:
    """The budgets of accuracy and time, and the rungs that a call that only judges must not build."""
    unbuilt = frozenset[str]()
    if request.only_judge:
        missing = set(_lacking(planned, store))
        lacking = {step.candidate for step in planned.steps if step.id in missing}
        unbuilt = frozenset(rung.name for rung in planned.rungs if any(candidate.id in lacking for candidate in rung.candidates))
    return Limits(seconds=request.time_budget_s, budget_pp=gates.budget_pp, unbuilt=unbuilt)


def observe(execution: Execution, observer: Observer, call: Call, stages: StageContext, home: Lab) -> Decision | None:
    """Evaluate kits, and race them if the machine is the device and not an emulator.

    ``stages``: makes the networks of other folds. ``home``: this machine, whose GPU gives the desktop baseline. Returns the
    choice that the last race was run for; None if nothing was raced.
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
    subject.desktop = play(execution, home, pixels["test"], request.extra_runs, anew=call.gates.races_again)
    return _race(observer, call) if subject.attached and subject.timed else None


def _race(observer: Observer, call: Call) -> Decision:
    """First race, then the winner's knobs if requested, then the winner again for the figures."""
    inside = inside_budget(observer.subject, call.gates)
    observer.time_all(inside, call.races)
    race_for_choice(observer, inside, observer.subject.objective, call.races)
    return _race_winner(observer, call)


def _race_winner(observer: Observer, call: Call) -> Decision:
    subject, request, how = observer.subject, call.request, call.races
    decision = decide(subject, call.gates)
    last, winner = last_race(decision), decision.chosen.choice.candidate
    if subject.race_choice.knobs and last and winner is not None:
        race_knobs(observer, winner, how)
    best_batch = request.extra_runs.best_batch or subject.objective == "throughput"
    observer.report(last, how, request.extra_runs.model_copy(update={"best_batch": best_batch}))
    return decision
