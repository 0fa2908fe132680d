"""A call on a sweep: its file is read, its state looked at, what is open worked off, and the report of all written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecnn.errors.base import ExitCode
from edgecnn.errors.sweeps import NothingSwept
from edgecnn.store.store import Store
from edgecnn.sweeps.file import Cell, Sweep, cells_of, read_sweep
from edgecnn.sweeps.fleet import FleetReport, fleet_of
from edgecnn.sweeps.plan import Planned, SweepPlan, plan_sweep
from edgecnn.sweeps.run import SweepRun, work_off
from edgecnn.sweeps.state import SweepState, changed_since, fingerprints, read_state, sweep_lock, write_state
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

    @property
    def changed(self) -> list[str]:
        """What is asked for otherwise than when it was last run."""
        return changed_since(self.state, self.asked)

    @property
    def todo(self) -> tuple[Cell, ...]:
        """Builds that did not end yet, or failed, or are asked for otherwise now."""
        return tuple(cell for cell in self.cells if self.state.finished(cell.name, self.asked[cell.name], self.out) is None)

    def report(self) -> FleetReport:
        """Of what the builds left so far."""
        found = fleet_of(self.cells, self.asked, self.state, self.out)
        return found.model_copy(update={"changed": tuple(self.changed)})


def open_sweep(path: Path, out: Path | None, store: Store, tell: Progress) -> OpenSweep:
    """Read a sweep's file and its state.

    ``out``: folder of its results; None: ``builds/`` and the file's name. Raises EdgecnnError: as ``read_sweep``, ``cells_of``,
    ``fingerprints`` and ``read_state``.
    """
    sweep = read_sweep(path)
    cells = cells_of(sweep)
    folder = out if out is not None else Path("builds") / path.stem
    return OpenSweep(sweep, folder, cells, fingerprints(cells, store, tell), read_state(folder, path))


def planned(given: OpenSweep, store: Store, tell: Progress) -> SweepPlan:
    """What a run would do. Runs nothing."""
    what = Planned(sweep=given.sweep.path, out=given.out, cells=given.cells, asked=given.asked, state=given.state)
    return plan_sweep(what, store, given.changed, tell)


def run_sweep(given: OpenSweep, jobs: int, tell: Progress) -> OpenSweep:
    """Work off what is open. Raises SweepIsRunning, NotASweepFolder."""
    with sweep_lock(given.out):
        state = read_state(given.out, given.sweep.path).model_copy(update={"sweep": str(given.sweep.path), "cells": given.asked})
        fresh = OpenSweep(given.sweep, given.out, given.cells, given.asked, state)
        if not fresh.todo:
            return fresh
        write_state(given.out, state)
        run = SweepRun(out=given.out, todo=fresh.todo, asked=given.asked, jobs=jobs, total=len(given.cells))
        return OpenSweep(given.sweep, given.out, given.cells, given.asked, work_off(run, state, tell))


def judge_sweep(given: OpenSweep, words: Sequence[str], tell: Progress) -> OpenSweep:
    """Judge every finished build again, as ``edgecnn judge`` does with these options.

    Raises NothingSwept: none is finished. SweepIsRunning, NotASweepFolder.
    """
    with sweep_lock(given.out):
        state = read_state(given.out, given.sweep.path)
        fresh = OpenSweep(given.sweep, given.out, given.cells, given.asked, state)
        ended = tuple(cell for cell in given.cells if cell not in fresh.todo)
        if not ended:
            raise NothingSwept(out=given.out, command=f"edgecnn sweep run {given.sweep.path} --out {given.out}")
        total = len(given.cells)
        run = SweepRun(out=given.out, todo=ended, asked=given.asked, total=total, verb="judge", words=tuple(words))
        return OpenSweep(given.sweep, given.out, given.cells, given.asked, work_off(run, state, tell))


def exit_code_of_builds(given: OpenSweep) -> ExitCode:
    """The first that holds of any build: bad input, own fault, missing, FAIL, UNSURE; a build that has not ended is missing."""
    outcomes = [given.state.outcomes.get(cell.name) for cell in given.cells]
    return worst([ExitCode.MISSING if each is None else _code(each.exit_code) for each in outcomes])


def worst(codes: Sequence[ExitCode]) -> ExitCode:
    """The first in the order in which codes win over each other; OK where all are."""
    return next((code for code in _WORST_FIRST if code in codes), ExitCode.OK)


def _code(of_process: int) -> ExitCode:
    """A build that a signal ended, and whatever else is no code of ours, is missing."""
    return ExitCode(of_process) if of_process in set(ExitCode) else ExitCode.MISSING
