"""A call on a sweep: its file is read, its state looked at, what is open worked off, and the report of all written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from edgecnn.devices.leases.protocol import Boards
from edgecnn.errors.base import ExitCode
from edgecnn.errors.hosts.leases import CoordinatorUnreachable, LabgridAbsent
from edgecnn.judging.bounds import bound_parts
from edgecnn.planning.complete import tool_versions
from edgecnn.store.store import Store
from edgecnn.sweeps.boards import Pool, boards_line, boards_of, leased, open_pool
from edgecnn.sweeps.file import Cell, Sweep, cells_of, read_sweep
from edgecnn.sweeps.fleet import FleetReport, fleet_of
from edgecnn.sweeps.run import Make, SweepRun, work_off
from edgecnn.sweeps.state import SweepState, fingerprints, read_state, sweep_lock, write_state
from edgecnn.values.recipe import GateChoice
from edgecnn.values.stage import Progress

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
    Raises SweepIsRunning, NotASweepFolder; before anything is made, what ``open_pool`` does; and what ``make`` does.
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
