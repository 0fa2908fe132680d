"""Measure the error of forecasts on networks and devices that were left out. Intervals are quantiles of these errors.

The method is conformal prediction. Each classifier of the tables is left out in turn and forecast like a user's network. The
board is placed with as many networks as the device in question has. Networks with unusual work are harder to predict, so their
errors are divided by their difficulty, and intervals are multiplied by it. A user's board differs from the table's board of the
same device, so every interval includes the spread between boards of one device.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecnn.forecast.structure import (
    RIDGE_WORK,
    Array,
    Matrix,
    base_matrix,
    learn_structure,
    place_runs,
    predicted_log_ms,
    times_of,
)
from edgecnn.forecast.tables import TableRun, table_runs
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.forecast import ForecastBasis

LEVEL = 0.92
"""Level of the quantile: 0.9, plus a correction for the small number of networks."""
LEAST_NETWORKS = 3
"""Networks that a run must have timed to place a device."""
PLACING = (3, 4, 6, 10, 20)
"""Numbers of networks with which boards are placed to measure errors. A device uses the next smaller one."""
DRAWS = 4
"""Draws of the networks by which a board is placed."""
DEVICE_GROUPS = 8
HERE = (("azure-d64s-v6", (1, 2)), ("azure-d64as-v7", (1, 2)), ("amd-epyc-7742", (1, 64)), ("amd-ryzen-embedded-v1605b", (1, 2)))
"""x86 machines of the tables, and their threads. Each simulates a computer that is the only one that timed a network."""
Machine = tuple[str, tuple[int, ...]]
Way = tuple[Runtime, Precision]
BASE: Way = (Runtime.NCNN, Precision.FP32)


class Errors(NamedTuple):
    """Errors of one basis, for one way of running a network."""

    logs: Array
    """|log (predicted / published)| of each left-out network on each run."""
    difficulty: Array
    """Difficulty of the network of each error."""
    columns: NDArray[np.int_]
    """The network of each error."""
    socs: NDArray[np.str_]
    """The CPU of each error."""

    @property
    def networks(self) -> int:
        """Number of different networks."""
        return len(set(self.columns.tolist()))

    @property
    def devices(self) -> int:
        """Number of different CPUs."""
        return len(set(self.socs.tolist()))

    @property
    def median_percent(self) -> float:
        """Median of the errors, percent."""
        return float(100 * np.expm1(np.median(self.logs)))

    @property
    def half_width(self) -> float:
        """Half the width of the log interval for a network of difficulty 1."""
        return float(np.quantile(self.logs / self.difficulty, LEVEL))

    def without(self, column: int, soc: str) -> Errors:
        """Return errors of other networks on other devices."""
        kept = (self.columns != column) & (self.socs != soc)
        return Errors(*(values[kept] for values in self))


class Question(NamedTuple):
    """Times that are known of a network and a device when the network is forecast."""

    basis: ForecastBasis
    placed_by: int = PLACING[-1]
    """Timed networks of the device."""
    here: int = 0
    """For a network that was timed only on one computer, the number of runs."""

    @property
    def is_by_work(self) -> bool:
        """Whether its counted work determines the network's difficulty."""
        return self.basis is ForecastBasis.COUNTED or self.here > 0


def half_width(off: Errors, boards: Errors, hard: float) -> float:
    """Return half the width of a printed log interval.

    ``boards``: spread between boards of one device. ``hard``: difficulty of the network; 1 if its work does not matter.
    """
    return math.hypot(off.half_width * hard, boards.half_width)


def difficulty(matrix: Matrix) -> Array:
    """Return the difficulty of each network, (columns,): 1 if typical, more if unusual, by leverage in the regression on work."""
    others = np.column_stack([np.ones(len(matrix.work)), matrix.work])
    timed = np.any(~np.isnan(matrix.log_ms[[run is not None for run in matrix.runs]]), axis=0)
    penalty = np.diag([1e-3, *[RIDGE_WORK * timed.sum()] * matrix.work.shape[1]])
    square = others[timed].T @ others[timed]
    levers = []
    for column, row in enumerate(others):
        rest = square - np.outer(row, row) if timed[column] else square
        levers.append(row @ np.linalg.solve(rest + penalty, row))
    return np.array([math.sqrt(1 + lever) for lever in levers])


def errors_on_public_runs(question: Question, way: Way) -> Errors | None:
    """Return the errors on the public runs of networks that were left out in turn; None if there are too few."""
    fewer = max((count for count in PLACING if count <= question.placed_by), default=PLACING[0])
    return _public_errors(question._replace(placed_by=fewer), BASE if is_base(way) else way)


@cache
def _public_errors(question: Question, way: Way) -> Errors | None:
    return errors_on_runs([run for run in table_runs() if run.way == way or (is_base(way) and is_base(run.way))], question)


def errors_on_runs(runs: Sequence[TableRun], question: Question) -> Errors | None:
    """Return the errors on these runs. If no run has enough networks, fewer are used to place a board."""
    for count in sorted((count for count in PLACING if count <= question.placed_by), reverse=True):
        left = list(_left_out_errors(runs, question._replace(placed_by=count))) if runs else []
        if left:
            return _errors(left, question.is_by_work)
    return None


@cache
def between_boards() -> Errors:
    """Return log ratios of each network that two boards of one device have timed with as many threads."""
    columns, left = base_matrix().columns, list[_LeftOut]()
    same = [run for run in table_runs() if run.run.note is None and is_base(run.way)]
    for first, second in combinations(same, 2):
        alike = (first.soc, first.device, first.run.threads, first.run.cores)
        alike_too = (second.soc, second.device, second.run.threads, second.run.cores)
        if alike == alike_too and first.run.board != second.run.board:
            apart = times_of(first, columns) - times_of(second, columns)
            left += [_LeftOut(float(apart[column]), int(column), first.soc) for column in np.flatnonzero(~np.isnan(apart))]
    return _errors(left, by_work=False)


class _LeftOut(NamedTuple):
    error: float
    column: int
    soc: str


def _errors(left: Sequence[_LeftOut], by_work: bool) -> Errors:
    logs, columns = np.abs([one.error for one in left]), np.array([one.column for one in left])
    hard = difficulty(base_matrix())[columns] if by_work else np.ones(len(columns))
    return Errors(logs, hard, columns, np.array([one.soc for one in left]))


def _left_out_errors(runs: Sequence[TableRun], question: Question) -> Iterator[_LeftOut]:
    matrix = base_matrix()
    log_ms = np.array([times_of(run, matrix.columns) for run in runs])
    columns = [int(column) for column in np.flatnonzero(matrix.classifies)]
    socs = np.array([run.soc for run in runs])
    if question.is_by_work:
        machines: list[Machine | None] = [(board, threads[: question.here]) for board, threads in HERE if question.here] or [None]
        for machine, column in product(machines, columns):
            yield from _errors_of(column, log_ms, socs, _held_out_network(column, machine), question.placed_by)
        return
    for group in range(DEVICE_GROUPS):
        names = sorted(set(socs.tolist()))[group::DEVICE_GROUPS]
        left = np.isin(socs, names)
        networks = _held_out_devices(frozenset(names))
        for column in columns:
            yield from _errors_of(column, log_ms[left], socs[left], networks, question.placed_by)


def _errors_of(column: int, log_ms: Array, socs: NDArray[np.str_], networks: Array, placed_by: int) -> Iterator[_LeftOut]:
    """Yield the errors of one network on every run.

    A run is placed by ``placed_by`` of its other timed networks, classifiers first.
    """
    others = ~np.isnan(log_ms)
    others[:, column] = False
    usable = (others.sum(axis=1) >= placed_by) & ~np.isnan(log_ms[:, column])
    log_ms, others, socs = log_ms[usable], others[usable], socs[usable]
    order = np.random.default_rng(column).random((DRAWS, *others.shape)) + ~base_matrix().classifies
    order[:, ~others] = np.inf
    for drawn in np.argsort(order, axis=2)[:, :, :placed_by] if len(socs) else ():
        known = np.zeros_like(others)
        np.put_along_axis(known, drawn, values=True, axis=1)
        placed = place_runs(np.where(known, log_ms, 0.0), known, networks)
        off = predicted_log_ms(placed, networks)[:, column] - log_ms[:, column]
        yield from (_LeftOut(float(error), column, str(soc)) for error, soc in zip(off, socs, strict=True))


@cache
def _held_out_network(column: int, machine: Machine | None) -> Array:
    """Return the structure learned without the times of one network, except those on one machine."""
    matrix = base_matrix()
    board, threads = machine or ("", ())
    kept = [
        run is not None and run.run.board == board and run.run.threads in threads and run.run.note is None for run in matrix.runs
    ]
    log_ms = matrix.log_ms.copy()
    log_ms[~np.array(kept), column] = np.nan
    return learn_structure(log_ms, matrix.work).networks


@cache
def _held_out_devices(socs: frozenset[str]) -> Array:
    matrix = base_matrix()
    kept = [run is not None and run.soc not in socs for run in matrix.runs]
    return learn_structure(matrix.log_ms[kept], matrix.work).networks


def is_base(way: Way) -> bool:
    """Whether the structure is learned from this run."""
    return way[0] is Runtime.NCNN and way[1] is not Precision.INT8
