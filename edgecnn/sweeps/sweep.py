"""A call on a sweep: read its file and state, work off or judge again its builds, and write the report of all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field

from edgecnn.bench.judge import JudgeRequest, judge_finished
from edgecnn.devices.leases.protocol import Boards
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.hosts.leases import CoordinatorUnreachable, LabgridAbsent
from edgecnn.errors.sweeps import NOTHING_SWEPT
from edgecnn.judging.gates import bound_parts, exit_code_of
from edgecnn.measure.lab import Lab
from edgecnn.planning.complete import tool_versions
from edgecnn.store.store import Store
from edgecnn.sweeps.boards import Pool, boards_line, boards_of, leased, open_pool
from edgecnn.sweeps.file import Cell, Sweep, cells_of, read_sweep
from edgecnn.sweeps.fleet import FleetReport, fleet_of
from edgecnn.sweeps.run import Make, SweepRun, work_off
from edgecnn.sweeps.state import SweepState, fingerprints, read_state, sweep_lock, write_state
from edgecnn.values.base import Value
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import BuildReport
from edgecnn.values.stage import Progress
from edgecnn.values.verdict import Verdict

_WORST_FIRST = (ExitCode.BAD_INPUT, ExitCode.OWN_FAULT, ExitCode.MISSING, ExitCode.GATE_FAILED, ExitCode.UNSURE)


@dataclass(frozen=True)
class OpenSweep:
    """A sweep, what is asked of each build now, and what is known of earlier calls."""

    sweep: Sweep
    out: Path
    cells: tuple[Cell, ...]
    asked: dict[str, str]
    state: SweepState
    store: Store
    boards: Boards | None = None
    """From where boards are leased; nobody was asked yet."""

    @cached_property
    def report(self) -> FleetReport:
        """Of what the builds left so far; read once."""
        return fleet_of(self.cells, self.asked, self.state, self.out)

    @property
    def unfinished(self) -> tuple[Cell, ...]:
        """Builds that did not end yet, or failed, or are asked for otherwise now."""
        finished = {each.name for each in self.report.cells if each.state == "finished"}
        return tuple(cell for cell in self.cells if cell.name not in finished)

    @property
    def boardless(self) -> tuple[Cell, ...]:
        """Finished builds that were to be measured on a leased board when there was none."""
        without = {each.name for each in self.report.cells if each.state == "finished" and each.board is None}
        return tuple(cell for cell in self.cells if cell.leased is not None and cell.name in without)

    def todo(self, pool: Pool | None) -> tuple[Cell, ...]:
        """Builds that are not finished, and those that a board of ``pool`` would now measure at last."""
        again = () if pool is None else tuple(cell for cell in self.boardless if pool.has(cell))
        names = {cell.name for cell in (*self.unfinished, *again)}
        return tuple(cell for cell in self.cells if cell.name in names)


def open_sweep(path: Path, out: Path | None, store: Store, tell: Progress, gates: GateChoice | None = None) -> OpenSweep:
    """Read a sweep's file and its state.

    ``out``: folder of its results; None: ``builds/`` and the file's name. ``gates``: bounds of every build, which replace those
    of its recipe; None: as the last run had them. Raises EdgecnnError: as ``read_sweep``, ``cells_of``, ``boards_of``,
    ``fingerprints`` and ``read_state``.
    """
    sweep = read_sweep(path)
    cells = cells_of(sweep)
    boards = boards_of(sweep, cells)
    folder = out if out is not None else Path("builds") / path.stem
    state = read_state(folder, path)
    state = state if gates is None else state.model_copy(update={"gates": gates})
    cells = tuple(_bounded(cell, state.gates) for cell in leased(sweep, boards, cells))
    return OpenSweep(sweep, folder, cells, fingerprints(cells, store, tell), state, store, boards)


def _bounded(cell: Cell, gates: GateChoice) -> Cell:
    return cell.model_copy(
        update={"gates": gates, "words": (*cell.words, *(word for part in bound_parts(gates) for word in part))}
    )


def pool_of(given: OpenSweep, tell: Progress) -> Pool | None:
    """The boards that open builds, and ones that found none, would be measured on; None where none are leased.

    Raises EdgecnnError: see ``open_pool``. A lab that cannot be asked is told where every build is finished.
    """
    if given.boards is None:
        return None
    try:
        return open_pool(given.sweep, given.boards, (*given.unfinished, *given.boardless))
    except (CoordinatorUnreachable, LabgridAbsent) as error:
        if given.unfinished:
            raise
        tell.note(error.line())
        return None


def run_sweep(given: OpenSweep, jobs: int, tell: Progress, make: Make | None = None) -> OpenSweep:
    """Work off what is open.

    ``make``: who makes their stages; None: this machine.
    Raises SWEEP_IS_RUNNING, NOT_A_SWEEP_FOLDER; before anything is made, what ``open_pool`` does; and what ``make`` does.
    """
    pool = pool_of(given, tell)
    if pool is not None:
        for kind in (kind for kind, boards in pool.found.items() if not boards):
            tell.note(boards_line(kind.device, pool.boards.where, ()))
    with sweep_lock(given.out):
        now = {"sweep": str(given.sweep.path), "cells": given.asked, "tools": tool_versions(), "gates": given.state.gates}
        state = read_state(given.out, given.sweep.path).model_copy(update=now)
        fresh = replace(given, state=state)
        write_state(given.out, state)
        todo = fresh.todo(pool)
        run = SweepRun(given.out, todo, given.asked, given.store, jobs, len(given.cells), pool, given.cells)
        return replace(fresh, state=work_off(run, state, tell, make)) if todo else fresh


def worst(codes: Iterable[int]) -> ExitCode:
    """The first that holds of any build: bad input, own fault, missing, FAIL, UNSURE; else OK."""
    held = set(codes)
    return next((code for code in _WORST_FIRST if code in held), ExitCode.OK)


class JudgedBuild(Value):
    """One build of the sweep, as this call judges it."""

    name: str
    exit_code: int
    verdict: Verdict = Verdict.MISSING
    report: BuildReport | None = None
    """Of this judging; None where there is nothing to judge."""
    require_measured: bool = False
    error: str | None = None


class SweepJudgement(Value):
    """``edgecnn sweep judge --json``."""

    schema_: Literal["edgecnn.sweep-judgement/1"] = Field(default="edgecnn.sweep-judgement/1", alias="schema")
    sweep: str
    builds: tuple[JudgedBuild, ...]


def judge_sweep(given: OpenSweep, how: JudgeRequest, lab: Lab, tell: Progress) -> SweepJudgement:
    """Judge every finished build as ``edgecnn judge FOLDER`` does; of one that is not finished, something is missing.

    ``how``: bounds and what is measured, whatever its folder. Raises NOTHING_SWEPT: none is finished.
    """
    cells = given.report.cells
    if not any(cell.state == "finished" for cell in cells):
        raise NOTHING_SWEPT(out=given.out, command=given.report.command)

    def judged() -> Iterator[JudgedBuild]:
        for done, cell in enumerate(cells):
            tell.step(f"judge {cell.name}", done, len(cells), "builds")
            if cell.state != "finished":
                yield JudgedBuild(name=cell.name, exit_code=cell.exit_code, error=cell.error or f"its build is {cell.state}")
                continue
            yield _judged(cell.name, how.model_copy(update={"folder": Path(cell.folder)}), lab)

    return SweepJudgement(sweep=str(given.sweep.path), builds=tuple(judged()))


def _judged(name: str, request: JudgeRequest, lab: Lab) -> JudgedBuild:
    try:
        report = judge_finished(request, lab)
    except EdgecnnError as error:
        return JudgedBuild(name=name, exit_code=int(error.exit_code), error=error.line())
    code: ExitCode = exit_code_of(report.gates, require_measured=report.require_measured)
    return JudgedBuild(name=name, exit_code=code, verdict=report.verdict, report=report, require_measured=report.require_measured)
