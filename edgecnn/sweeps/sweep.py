"""Open a sweep from its file and state, run or judge its builds, and report on all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field

from edgecnn.bench.bench import JudgeRequest, judge_finished
from edgecnn.devices.leases import Boards
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.hosts import CoordinatorUnreachable, LabgridAbsent
from edgecnn.errors.sweeps import NOTHING_SWEPT
from edgecnn.judging.gates import StatedBounds, bound_parts, exit_code_of, no_longer_stated
from edgecnn.measure.lab import Lab
from edgecnn.planning.complete import tool_versions
from edgecnn.store.store import Store
from edgecnn.sweeps.boards import Pool, boards_line, boards_of, mark_leasable, open_pool
from edgecnn.sweeps.file import Cell, Sweep, cells_of, read_sweep
from edgecnn.sweeps.fleet import FleetReport, fleet_report
from edgecnn.sweeps.run import Make, SweepRun, run_builds
from edgecnn.sweeps.state import SweepState, fingerprints, read_state, sweep_lock, write_state
from edgecnn.values.base import Value
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import BuildReport
from edgecnn.values.stage import Progress
from edgecnn.values.verdict import Verdict

_WORST_FIRST = (ExitCode.BAD_INPUT, ExitCode.OWN_FAULT, ExitCode.MISSING, ExitCode.GATE_FAILED, ExitCode.UNSURE)


@dataclass(frozen=True)
class OpenSweep:
    """A sweep with the fingerprints of its builds and the state of earlier calls."""

    sweep: Sweep
    out: Path
    cells: tuple[Cell, ...]
    fingerprints: dict[str, str]
    state: SweepState
    store: Store
    boards: Boards | None = None
    """Source of leased boards, not asked yet."""
    dropped: GateChoice = GateChoice()
    """Gates from the command line of the last run that this call does not state."""

    @cached_property
    def report(self) -> FleetReport:
        """Report on the finished builds, read once."""
        return fleet_report(self.cells, self.fingerprints, self.state, self.out)

    @property
    def unfinished(self) -> tuple[Cell, ...]:
        """Builds that are pending, failed or changed."""
        finished = {cell.name for cell in self.report.cells if cell.state == "finished"}
        return tuple(cell for cell in self.cells if cell.name not in finished)

    @property
    def boardless(self) -> tuple[Cell, ...]:
        """Finished builds for which no board could be leased."""
        without = {cell.name for cell in self.report.cells if cell.state == "finished" and cell.board is None}
        return tuple(cell for cell in self.cells if cell.leased is not None and cell.name in without)

    def todo(self, pool: Pool | None) -> tuple[Cell, ...]:
        """Return the unfinished builds, and those that a board of ``pool`` can measure now."""
        again = () if pool is None else tuple(cell for cell in self.boardless if pool.has(cell))
        names = {cell.name for cell in (*self.unfinished, *again)}
        return tuple(cell for cell in self.cells if cell.name in names)


def open_sweep(path: Path, out: Path | None, store: Store, tell: Progress, gates: GateChoice | None = None) -> OpenSweep:
    """Read a sweep's file and its state.

    ``out``: results folder; None: ``builds/`` and the file's name. ``gates``: bounds of every build; each replaces the bound of
    the same metric in its recipe; None: the bounds of the last run. Raises EdgecnnError: see ``read_sweep``, ``cells_of``,
    ``boards_of``, ``fingerprints`` and ``read_state``.
    """
    sweep = read_sweep(path)
    cells = cells_of(sweep)
    boards = boards_of(sweep, cells)
    folder = out if out is not None else Path("builds") / path.stem
    state = read_state(folder, path)
    dropped = GateChoice()
    if gates is not None:
        present = StatedBounds(GateChoice(), command_line=gates)
        dropped = no_longer_stated(state.gates, present.gates(), require_measured=present.require_measured)
        state = state.model_copy(update={"gates": gates})
    bounds = [word for part in bound_parts(state.gates) for word in part]
    cells = tuple(
        cell.model_copy(update={"gates": state.gates, "words": (*cell.words, *bounds)})
        for cell in mark_leasable(sweep, boards, cells)
    )
    return OpenSweep(sweep, folder, cells, fingerprints(cells, store, tell), state, store, boards, dropped)


def pool_of(opened: OpenSweep, tell: Progress) -> Pool | None:
    """Return the boards for unfinished builds and builds without a board; None if the sweep leases none.

    Raises EdgecnnError: see ``open_pool``. If every build is finished, an unreachable lab is only noted.
    """
    if opened.boards is None:
        return None
    try:
        return open_pool(opened.sweep, opened.boards, (*opened.unfinished, *opened.boardless))
    except (CoordinatorUnreachable, LabgridAbsent) as error:
        if opened.unfinished:
            raise
        tell.note(error.line())
        return None


def run_sweep(opened: OpenSweep, jobs: int, tell: Progress, make: Make | None = None) -> OpenSweep:
    """Run the pending builds.

    ``make``: makes the stages; None: this machine does. Raises SWEEP_IS_RUNNING, NOT_A_SWEEP_FOLDER, and the errors of
    ``open_pool`` (before any work) and of ``make``.
    """
    pool = pool_of(opened, tell)
    if pool is not None:
        for kind in (kind for kind, boards in pool.boards_by_kind.items() if not boards):
            tell.note(boards_line(kind.device, pool.boards.where, ()))
    with sweep_lock(opened.out):
        now = {
            "sweep": str(opened.sweep.path),
            "cells": opened.fingerprints,
            "tools": tool_versions(),
            "gates": opened.state.gates,
        }
        state = read_state(opened.out, opened.sweep.path).model_copy(update=now)
        fresh = replace(opened, state=state)
        write_state(opened.out, state)
        todo = fresh.todo(pool)
        run = SweepRun(opened.out, todo, opened.fingerprints, opened.store, jobs, len(opened.cells), pool, opened.cells)
        return replace(fresh, state=run_builds(run, state, tell, make)) if todo else fresh


def worst_exit_code(codes: Iterable[int]) -> ExitCode:
    """Return the worst exit code of all builds: bad input, own fault, missing, FAIL, UNSURE, OK."""
    present = set(codes)
    return next((code for code in _WORST_FIRST if code in present), ExitCode.OK)


class JudgedBuild(Value):
    """One build of the sweep, as this call judges it."""

    name: str
    exit_code: int
    verdict: Verdict = Verdict.MISSING
    report: BuildReport | None = None
    """None: the build cannot be judged."""
    require_measured: bool = False
    error: str | None = None


class SweepJudgement(Value):
    """``edgecnn sweep judge --json``."""

    schema_: Literal["edgecnn.sweep-judgement/1"] = Field(default="edgecnn.sweep-judgement/1", alias="schema")
    sweep: str
    builds: tuple[JudgedBuild, ...]


def judge_sweep(opened: OpenSweep, how: JudgeRequest, lab: Lab, tell: Progress) -> SweepJudgement:
    """Judge every finished build like ``edgecnn judge FOLDER``; unfinished builds are missing.

    ``how``: bounds and measurements; its folder is ignored. Raises NOTHING_SWEPT: no build is finished.
    """
    cells = opened.report.cells
    if not any(cell.state == "finished" for cell in cells):
        raise NOTHING_SWEPT(out=opened.out, command=opened.report.command)

    def judged() -> Iterator[JudgedBuild]:
        for done, cell in enumerate(cells):
            tell.step(f"judge {cell.name}", done, len(cells), "builds")
            if cell.state != "finished":
                yield JudgedBuild(name=cell.name, exit_code=cell.exit_code, error=cell.error or f"its build is {cell.state}")
                continue
            yield _judge_build(cell.name, how.model_copy(update={"folder": Path(cell.folder)}), lab)

    return SweepJudgement(sweep=str(opened.sweep.path), builds=tuple(judged()))


def _judge_build(name: str, request: JudgeRequest, lab: Lab) -> JudgedBuild:
    try:
        report = judge_finished(request, lab)
    except EdgecnnError as error:
        return JudgedBuild(name=name, exit_code=int(error.exit_code), error=error.line())
    code: ExitCode = exit_code_of(report.gates, require_measured=report.require_measured)
    return JudgedBuild(name=name, exit_code=code, verdict=report.verdict, report=report, require_measured=report.require_measured)
