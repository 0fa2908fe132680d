"""Runs the stages of a plan against the store, rung by rung.

A failure on the trunk ends the build. A failure on a candidate's branch ends that candidate: the others go on, and the report
says what happened to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from edgecnn.building.ladder import Limits, RungResult, Stop, next_rung
from edgecnn.building.pace import Pace
from edgecnn.hosts.protocol import Host
from edgecnn.measure.runnable import tried
from edgecnn.planning.plan import Plan
from edgecnn.planning.request import Goal
from edgecnn.planning.trunk import Step
from edgecnn.stages.engine import CompileStage, EngineStage
from edgecnn.store.artifacts import Maker
from edgecnn.store.entry import StageInputs
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact, Blocked, FoundInput, Outcome
from edgecnn.values.candidate import Candidate, Rung
from edgecnn.values.reason import OutOfTime
from edgecnn.values.stage import Plotting, Progress, Role

TRUNK = ("prepare", "synthesize", "fetch", "transfer", "train", "export", "adopt")
BRANCH = ("rank", "quantize", "package", "compile")
MEASURING: tuple[Goal, ...] = ("profile", "judge")
"""Goals that end with figures: only these need the desktop baseline."""
LAST_STEP: Mapping[Goal, tuple[str, ...]] = {
    "train": ("prepare", "synthesize", "fetch", "transfer", "train"),
    "export": TRUNK,
    "quantize": (*TRUNK, "rank", "quantize"),
    "package": (*TRUNK, "rank", "quantize", "package"),
    "compile": (*TRUNK, *BRANCH),
    "profile": (*TRUNK, *BRANCH),
    "judge": (*TRUNK, *BRANCH),
}


@dataclass
class Execution:
    """What became of each step. Filled in while it runs, so that an interrupted build can still be described."""

    plan: Plan
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    climbed: dict[str, RungResult] = field(default_factory=dict)
    """Rung to what it took and showed."""
    skipped_rungs: dict[str, str] = field(default_factory=dict)
    out_of_time: dict[str, OutOfTime] = field(default_factory=dict)
    """Those of them that the time budget left out."""

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every candidate that this build is about: those of rungs that were not needed are none of it."""
        needed = (rung for rung in self.plan.rungs if rung.mends is not None and rung.name in self.climbed)
        return (*self.plan.resolved.candidates, *(candidate for rung in needed for candidate in rung.candidates))


DropsOfRung = Callable[[Rung], Mapping[str, float]]
"""Asked after each rung: candidate to its estimated drop on the validation images, in percentage points."""


@dataclass(frozen=True)
class StageContext:
    """What stages are run with: where results go, who runs kits, and who is told."""

    store: Store
    host: Host
    environment: Mapping[str, str]
    tell: Progress
    device: Host | None = None
    """What builds the engines that run there; None: ``host``."""
    fold: str = ""
    """Begins the names of curves, where networks are trained that do not ship."""
    pace: Pace | None = None
    """Hears of each step that is made and not found in the store."""


def execute(
    execution: Execution,
    context: StageContext,
    goal: Goal = "judge",
    limits: Limits | None = None,
    drops_of: DropsOfRung | None = None,
) -> Execution:
    """Run the trunk, then climb the rungs.

    ``execution``: of the plan to run, which is filled in and handed back. ``limits``: what ends the climb; None: nothing but
    what was seen.

    Raises:
        EdgecnnError: a step of the trunk failed; finished steps stay in the store.
        BoardError: the board on which engines are built went away, which says nothing of a candidate.
    """
    plan, kinds = execution.plan, LAST_STEP[goal]
    _run_trunk(execution, context, kinds)
    if any(kind in kinds for kind in BRANCH):
        _climb(execution, context, kinds, limits or Limits(), drops_of)
    if goal in MEASURING and plan.resolved.desktop_gpu is not None:
        for candidate in (plan.resolved.desktop_gpu.candidate, *plan.resolved.desktop_gpu.variants):
            for step in plan.branch_of(candidate.id):
                _try(step, execution, context)
    return execution


def execute_candidates(execution: Execution, context: StageContext, candidates: Iterable[Candidate]) -> Execution:
    """Run the trunk, and make these candidates of it, whatever rungs they are of. Raises as ``execute`` does."""
    _run_trunk(execution, context, TRUNK)
    for candidate in candidates:
        for step in execution.plan.branch_of(candidate.id):
            _try(step, execution, context)
    return execution


def _run_trunk(execution: Execution, context: StageContext, kinds: tuple[str, ...]) -> None:
    for step in execution.plan.steps:
        if step.candidate is None and (step.stage.kind in kinds or (step.id == "export" and "export" in kinds)):  # or surgery
            _run(step, execution, context)


def _climb(
    execution: Execution, context: StageContext, kinds: tuple[str, ...], limits: Limits, drops_of: DropsOfRung | None
) -> None:
    while not isinstance(move := next_rung(execution.plan.rungs, execution.climbed, limits), Stop):
        started = time.perf_counter()
        for candidate in move.rung.candidates:
            for step in execution.plan.branch_of(candidate.id):
                if step.stage.kind in kinds:
                    _try(step, execution, context)
        drops = {} if drops_of is None else drops_of(move.rung)
        execution.climbed[move.rung.name] = RungResult(seconds=time.perf_counter() - started, drops_pp=drops)
    execution.skipped_rungs.update(move.why)
    spent_s = sum(result.seconds for result in execution.climbed.values())
    for name in move.why:
        if name in move.out_of_time:
            execution.out_of_time[name] = OutOfTime(rung=name, spent_s=spent_s, budget_s=limits.seconds or 0.0)


def _try(step: Step, execution: Execution, context: StageContext) -> None:
    for shared in _untried_before(step, execution):
        _try(shared, execution, context)
    available = {artifact.key for artifact in execution.artifacts.values()} | set(execution.plan.resolved.sources)
    missing = [key for key in step.stage.inputs.values() if key not in available]
    if missing:
        failed = next((other.id for other in execution.plan.steps if other.key in missing), missing[0])
        execution.outcomes[step.id] = Blocked(by=failed)
        return
    broke = tried(partial(_run, step, execution, context))
    if broke is not None:
        execution.outcomes[step.id] = broke
        context.tell.note(f"{step.id} failed: {broke.what}")


def _untried_before(step: Step, execution: Execution) -> list[Step]:
    """What a branch needs that is on none: made when the first of the candidates that share it comes to it."""
    needed = set(step.stage.inputs.values())
    return [
        other
        for other in execution.plan.steps
        if other.candidate is None and other.key in needed and other.id not in execution.outcomes
    ]


def _run(step: Step, execution: Execution, context: StageContext) -> None:
    versions = execution.plan.resolved.versions
    inputs = _inputs(step, execution)
    started = time.perf_counter()
    if isinstance(context.tell, Plotting):
        context.tell.begin(f"{context.fold}{step.id}")
    under = StageInputs(versions=versions, inputs=inputs, environment=context.environment)
    artifact, outcome = context.store.artifacts.obtain(step.stage, under, context.tell, _maker(step, context))
    execution.artifacts[step.id] = artifact
    execution.outcomes[step.id] = outcome
    execution.seconds[step.id] = time.perf_counter() - started


def _inputs(step: Step, execution: Execution) -> dict[Role, FoundInput]:
    resolved = execution.plan.resolved
    by_key = {artifact.key: artifact for artifact in execution.artifacts.values()}
    inputs: dict[Role, FoundInput] = {}
    for role, key in step.stage.inputs.items():
        if key in by_key:
            inputs[role] = FoundInput(path=by_key[key].folder, key=key, content=by_key[key].content)
        else:
            inputs[role] = FoundInput(path=resolved.sources[key], key=key, content=key)
    return inputs


def _maker(step: Step, context: StageContext) -> Maker:
    stage = step.stage

    def make(inputs: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        if context.pace is not None:
            context.pace.begin(f"{context.fold}{step.id}")
        if isinstance(stage, CompileStage):
            host = (context.device or context.host) if isinstance(stage, EngineStage) else context.host
            stage.make_on(host, inputs, out, tell)
        else:
            stage.make(inputs, out, tell)

    return make
