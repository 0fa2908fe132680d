"""Plan a sweep: its builds, their stored stages, and the remaining time. Nothing runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any, Literal

from pydantic import Field

from edgecnn.building.build import PlannedBuild, plan_build
from edgecnn.devices.files import settle_target
from edgecnn.errors.base import EdgecnnError
from edgecnn.planning.request import BuildRequest
from edgecnn.results.folder import report_or_none
from edgecnn.store.listing import Durations, Seconds, total_duration
from edgecnn.store.store import Store
from edgecnn.store.transfer import remote_names
from edgecnn.sweeps.file import Cell
from edgecnn.sweeps.state import build_folder
from edgecnn.sweeps.sweep import OpenSweep, pool_of
from edgecnn.sweeps.tasks import first_rung_steps
from edgecnn.values.base import Value
from edgecnn.values.stage import Key, Progress


class PlannedCell(Value):
    """A build of a sweep before it runs."""

    name: str
    network: str
    device: str
    words: tuple[str, ...]
    finished: bool
    """Whether it is finished with the present settings, so that a run skips it."""
    error: str | None = None
    """Why it cannot be planned; a run would fail with the same line."""
    stages: int = 0
    cached: int = 0
    """Number of stages in the store."""
    afar: int = 0
    """Number of stages that only the remote store has; a build fetches them."""
    shared: int = 0
    """Number of stages that an earlier build of this sweep makes."""
    seconds: tuple[float, float] | None = None
    """Time of the other stages: nine of ten similar stages took longer than the first and less than the second. None: no
    similar one."""


class SweepPlan(Value):
    """``edgecnn sweep plan --json``."""

    schema_: Literal["edgecnn.sweep-plan/1"] = Field(default="edgecnn.sweep-plan/1", alias="schema")
    sweep: str
    out: str
    cells: tuple[PlannedCell, ...]
    changed: tuple[str, ...] = ()
    boards_from: str | None = None
    """Source of leased boards."""
    boards: Mapping[str, tuple[str, ...]] = {}
    """Device with pending builds to the boards that may measure it. A device without boards is measured without a
    lease."""
    make_seconds: tuple[float, float]
    """Time of all missing stages of known kinds, one after another."""
    unknown: int
    """Number of missing stages of unknown kinds."""
    measure_seconds: float | None
    """Time of evaluating and racing the pending builds, by the median of this sweep's finished ones; None: there is none."""


class _Stages:
    """Stages over all builds, each counted once."""

    def __init__(self, store: Store, tell: Progress) -> None:
        self.durations = Durations(store)
        self.afar = remote_names(store, tell)
        self.missing = dict[Key, Seconds | None]()

    def of(self, planned: PlannedBuild) -> dict[str, object]:
        """Count the stages of one build."""
        stages = {step.key: step.stage for step in first_rung_steps(planned.plan)}
        looked = [step for step in planned.steps if step.key in stages]
        missing = [step.key for step in looked if step.missing is not None]
        lacking = [key for key in missing if f"artifacts/{stages[key].kind}/{key}" not in self.afar]
        own = [key for key in lacking if key not in self.missing]
        seconds = [self.durations.of(stages[key]) for key in own]
        self.missing |= dict(zip(own, seconds, strict=True))
        span, unknown = total_duration(seconds)
        return {
            "stages": len(looked),
            "cached": len(looked) - len(missing),
            "afar": len(missing) - len(lacking),
            "shared": len(lacking) - len(own),
            "seconds": None if unknown and unknown == len(own) else tuple(span),
        }


def request_of(cell: Cell, out: Path) -> BuildRequest:
    """Return the build request of a cell, without its board. Raises EdgecnnError: an unknown device or runtime."""
    recipe, device, file = settle_target(cell.recipe)
    folder = build_folder(out, cell.name)
    return BuildRequest(recipe=recipe, device=device, device_file=file, out=folder, gates=cell.gates)


def plan_sweep(opened: OpenSweep, store: Store, tell: Progress) -> SweepPlan:
    """Plan every build, and look up its stored stages. A build that cannot be planned is listed with its error.

    Raises EdgecnnError: see ``open_pool``.
    """
    pool = pool_of(opened, tell)
    stages, planned, todo = _Stages(store, tell), list[PlannedCell](), {cell.name for cell in opened.todo(pool)}
    for done, cell in enumerate(opened.cells):
        tell.step("sweep: plan", done, len(opened.cells), "builds")
        facts: dict[str, Any] = {"name": cell.name, "network": cell.network, "device": cell.device, "words": cell.words}
        facts["finished"] = cell.name not in todo
        try:
            if cell.name in todo:
                facts |= stages.of(plan_build(request_of(cell, opened.out), store, tell))
        except EdgecnnError as error:
            facts["error"] = error.line()
        planned.append(PlannedCell.model_validate(facts))
    tell.step("sweep: plan", len(opened.cells), len(opened.cells), "builds")
    span, unknown = total_duration(stages.missing.values())
    return SweepPlan(
        sweep=str(opened.sweep.path),
        out=str(opened.out),
        cells=tuple(planned),
        changed=opened.report.changed,
        boards_from=None if pool is None else pool.boards.where,
        boards={}
        if pool is None
        else {kind.device: tuple(board.name for board in boards) for kind, boards in pool.boards_by_kind.items()},
        make_seconds=tuple(span),
        unknown=unknown,
        measure_seconds=_measure_seconds(opened, sum(not row.finished and row.error is None for row in planned)),
    )


def _measure_seconds(opened: OpenSweep, builds: int) -> float | None:
    reports = [report_or_none(build_folder(opened.out, name)) for name in opened.state.outcomes]
    spent = [report.seconds - sum(report.timings_s.values()) for report in reports if report is not None]
    return round(builds * max(0.0, median(spent)), 1) if spent else (0.0 if builds == 0 else None)
