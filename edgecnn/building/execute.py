"""Run the stages of a plan against the store, and climb its rungs.

A failure on the trunk ends the build. A failure on a candidate's branch ends only that candidate, and the report states the
failure.

A rung is climbed unless the measurements show that it is not needed, the time budget is spent, or the call builds nothing.
``next_rung`` decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from edgecnn.building.pace import Pace
from edgecnn.hosts.protocol import Host
from edgecnn.measure.lab import tried
from edgecnn.planning.plan import Plan, Step
from edgecnn.planning.request import Goal
from edgecnn.stages.engine import CompileStage, EngineStage
from edgecnn.store.artifacts import Maker
from edgecnn.store.entry import StageInputs
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact, Blocked, FoundInput, Outcome
from edgecnn.values.candidate import Candidate, Rung
from edgecnn.values.reason import OutOfTime
from edgecnn.values.stage import Plotting, Progress, Role


@dataclass(frozen=True)
class Climb:
    """Build this rung next."""

    rung: Rung


@dataclass(frozen=True)
class Stop:
    """Stop the climb."""

    why: Mapping[str, str]
    """Rung that is not climbed to the reason."""
    out_of_time: frozenset[str] = frozenset()
    """Rungs that are not climbed only because of the time budget."""


@dataclass(frozen=True)
class RungResult:
    """Time and drops of one rung, also if all its candidates failed."""

    seconds: float
    drops_pp: Mapping[str, float] = field(default_factory=dict)
    """Candidate to its estimated drop on ``validation``, percentage points; without candidates that were not evaluated."""
    at_chance: bool = False
    """Whether the reference is not shown to beat guessing on ``validation``. No layer that stays in float can help then."""


@dataclass(frozen=True)
class Limits:
    """Limits of a climb."""

    seconds: float | None = None
    """None: no time budget."""
    budget_pp: float = 1.0
    """The bound of the drop_pp gate."""
    unbuilt: frozenset[str] = frozenset()
    """Rungs that the store does not hold, in a call that builds nothing."""


def next_rung(rungs: Sequence[Rung], climbed: Mapping[str, RungResult], limits: Limits) -> Climb | Stop:
    """Return the next rung to climb, or the reasons to stop. The first rung ignores the time budget."""
    drops = {name: drop for result in climbed.values() for name, drop in result.drops_pp.items()}
    spent_s = sum(result.seconds for result in climbed.values())
    is_late = bool(climbed) and limits.seconds is not None and spent_s >= limits.seconds
    why, late = dict[str, str](), set[str]()
    for rung in rungs:
        if rung.name in climbed:
            continue
        reason = _why_not_needed(rung, rungs, drops, limits.budget_pp)
        if rung.mends is not None and any(result.at_chance for result in climbed.values()):
            reason = "the network is not shown to have learned on validation, so no layer that stays in float would help"
        if is_late and (reason is None or rung.mends not in drops):  # with the drop known, more time would not help
            reason = f"out of time, {spent_s:.0f} s spent of a budget of {limits.seconds:.0f} s"
            late.add(rung.name)
        if reason is None and rung.name in limits.unbuilt:
            reason = "it was never built, and judging builds nothing: `edgecnn build` does"
        if reason is None:
            return Climb(rung=rung)
        why[rung.name] = reason
    return Stop(why=why, out_of_time=frozenset(late))


def _why_not_needed(rung: Rung, rungs: Sequence[Rung], drops_pp: Mapping[str, float], budget_pp: float) -> str | None:
    if rung.mends is None:
        return None
    if rung.mends not in drops_pp:
        return f"{rung.mends} was not evaluated on validation, so nothing says that one of its layers must stay in float"
    fewer = [candidate.id for mending in rungs if mending.mends == rung.mends for candidate in mending.candidates]
    for name in (rung.mends, *fewer):
        if name in drops_pp and (drop := drops_pp[name]) <= budget_pp:
            loses = f"loses {drop:.2f} pp" if drop > 0 else "loses nothing"
            layers = "no layer" if name == rung.mends else "no further layer"
            return f"{name} {loses} on validation, within the budget of {budget_pp:g} pp: {layers} stays in float"
    return None


TRUNK = ("prepare", "synthesize", "fetch", "transfer", "train", "export", "adopt")
BRANCH = ("rank", "quantize", "package", "compile")
MEASURING: tuple[Goal, ...] = ("profile", "judge")
"""Goals that end with figures. Only these goals measure the desktop baseline."""
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
    """The results of the steps of a plan. Filled in during the run, so that an interrupted build can still be reported."""

    plan: Plan
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    climbed: dict[str, RungResult] = field(default_factory=dict)
    skipped_rungs: dict[str, str] = field(default_factory=dict)
    """Rung that was not climbed to the reason."""
    out_of_time: dict[str, OutOfTime] = field(default_factory=dict)
    """Skipped rungs for which the time budget was too short."""

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates of this build, without those of mixed-precision rungs that were not climbed."""
        needed = (rung for rung in self.plan.rungs if rung.mends is not None and rung.name in self.climbed)
        return (*self.plan.resolved.candidates, *(candidate for rung in needed for candidate in rung.candidates))


class RungDrops(NamedTuple):
    """What one rung shows on the validation images; see ``RungResult``."""

    drops_pp: Mapping[str, float]
    at_chance: bool = False


DropsOfRung = Callable[[Rung], RungDrops]
"""Called after each rung."""


@dataclass(frozen=True)
class StageContext:
    """The store, hosts and progress of a run of stages."""

    store: Store
    host: Host
    environment: Mapping[str, str]
    tell: Progress
    device: Host | None = None
    """The host that builds and runs engines; None: ``host``."""
    fold: str = ""
    """Prefix of the names of curves in folds whose network does not ship."""
    pace: Pace | None = None
    """Receives each step that is made because the store does not hold it."""


def execute(
    execution: Execution,
    context: StageContext,
    goal: Goal = "judge",
    limits: Limits | None = None,
    drops_of: DropsOfRung | None = None,
) -> Execution:
    """Run the trunk, then climb the rungs.

    ``execution``: filled in and returned. ``limits``: None: no time budget, and the default accuracy budget.

    Raises:
        EdgecnnError: a step of the trunk failed; finished steps stay in the store.
        BoardError: the connection to the board that builds engines was lost, so no candidate is to blame.
    """
    plan, kinds = execution.plan, LAST_STEP[goal]
    _run_trunk(execution, context, kinds)
    if any(kind in kinds for kind in BRANCH):
        _climb(execution, context, kinds, limits or Limits(), drops_of)
    if goal in MEASURING and plan.resolved.desktop_gpu is not None:
        for candidate in (plan.resolved.desktop_gpu.candidate, *plan.resolved.desktop_gpu.variants):
            for step in plan.branch_of(candidate.id):
                _try_step(step, execution, context)
    return execution


def execute_candidates(execution: Execution, context: StageContext, candidates: Iterable[Candidate]) -> Execution:
    """Run the trunk and the branches of these candidates, whatever their rungs. Raises as ``execute`` does."""
    _run_trunk(execution, context, TRUNK)
    for candidate in candidates:
        for step in execution.plan.branch_of(candidate.id):
            _try_step(step, execution, context)
    return execution


def _run_trunk(execution: Execution, context: StageContext, kinds: tuple[str, ...]) -> None:
    for step in execution.plan.steps:
        if step.candidate is None and (step.stage.kind in kinds or (step.id == "export" and "export" in kinds)):  # or surgery
            _run_step(step, execution, context)


def _climb(
    execution: Execution, context: StageContext, kinds: tuple[str, ...], limits: Limits, drops_of: DropsOfRung | None
) -> None:
    while not isinstance(move := next_rung(execution.plan.rungs, execution.climbed, limits), Stop):
        started = time.perf_counter()
        for candidate in move.rung.candidates:
            for step in execution.plan.branch_of(candidate.id):
                if step.stage.kind in kinds:
                    _try_step(step, execution, context)
        shown = RungDrops({}) if drops_of is None else drops_of(move.rung)
        seconds = time.perf_counter() - started
        execution.climbed[move.rung.name] = RungResult(seconds=seconds, drops_pp=shown.drops_pp, at_chance=shown.at_chance)
    execution.skipped_rungs.update(move.why)
    spent_s = sum(result.seconds for result in execution.climbed.values())
    for name in move.why:
        if name in move.out_of_time:
            execution.out_of_time[name] = OutOfTime(rung=name, spent_s=spent_s, budget_s=limits.seconds or 0.0)


def _try_step(step: Step, execution: Execution, context: StageContext) -> None:
    needed = set(step.stage.inputs.values())
    for shared in execution.plan.steps:  # a separate training is run for the first candidate that needs its network
        if shared.candidate is None and shared.key in needed and shared.id not in execution.outcomes:
            _try_step(shared, execution, context)
    available = {artifact.key for artifact in execution.artifacts.values()} | set(execution.plan.resolved.sources)
    missing = [key for key in step.stage.inputs.values() if key not in available]
    if missing:
        failed = next((other.id for other in execution.plan.steps if other.key in missing), missing[0])
        execution.outcomes[step.id] = Blocked(by=failed)
        return
    broke = tried(partial(_run_step, step, execution, context))
    if broke is not None:
        execution.outcomes[step.id] = broke
        context.tell.note(f"{step.id} failed: {broke.what}")


def _run_step(step: Step, execution: Execution, context: StageContext) -> None:
    versions = execution.plan.resolved.versions
    inputs = _found_inputs(step, execution)
    started = time.perf_counter()
    if isinstance(context.tell, Plotting):
        context.tell.begin(f"{context.fold}{step.id}")
    under = StageInputs(versions=versions, inputs=inputs, environment=context.environment)
    artifact, outcome = context.store.artifacts.obtain(step.stage, under, context.tell, _maker(step, context))
    execution.artifacts[step.id] = artifact
    execution.outcomes[step.id] = outcome
    execution.seconds[step.id] = time.perf_counter() - started


def _found_inputs(step: Step, execution: Execution) -> dict[Role, FoundInput]:
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
