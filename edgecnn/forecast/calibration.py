"""How far forecasts are off, on networks and boards that were left out; intervals are quantiles of that (conformal prediction).

Each classifier of the tables is left out in turn and forecast, as a network that is asked about would be. A network whose work is
unlike that of the others is harder: its error counts divided by its difficulty, and its interval is multiplied by it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecnn.forecast.matrix import Matrix, base_matrix, times_of
from edgecnn.forecast.structure import RIDGE_WORK, Array, learn, place, predicted
from edgecnn.forecast.tables import TableRun, table_runs
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.forecast import ForecastBasis

LEVEL = 0.92
"""Of the quantile: 0.9, and a little for the few networks that it is taken over."""
LEAST_NETWORKS = 3
"""That a run must have timed to say how fast a device is."""
BOARD_GROUPS = 8
HERE = (("azure-d64s-v6", (1, 2)), ("azure-d64as-v7", (1, 2)), ("amd-epyc-7742", (1, 64)), ("amd-ryzen-embedded-v1605b", (1, 2)))
"""x86 machines of the tables and threads: each plays the computer on which alone a network was timed."""
Machine = tuple[str, tuple[int, ...]]
Way = tuple[Runtime, Precision]
BASE: Way = (Runtime.NCNN, Precision.FP32)


class Errors(NamedTuple):
    """Of one basis, for one way of running a network."""

    logs: Array
    """|log (predicted / published)| of each network that was left out on each run."""
    difficulty: Array
    """Of the network of each."""
    networks: int

    @property
    def median_percent(self) -> float:
        """Half of the errors are smaller."""
        return float(100 * np.expm1(np.median(self.logs)))

    @property
    def half_width(self) -> float:
        """Of the log of an interval for a network of difficulty 1."""
        return float(np.quantile(self.logs / self.difficulty, LEVEL))


def difficulty(matrix: Matrix) -> Array:
    """(columns,) 1 for a network like the others, more for one that is unlike them: its leverage in the regression on work."""
    others = np.column_stack([np.ones(len(matrix.work)), matrix.work])
    timed = np.any(~np.isnan(matrix.log_ms[[run is not None for run in matrix.runs]]), axis=0)
    penalty = np.diag([1e-3, *[RIDGE_WORK * timed.sum()] * matrix.work.shape[1]])
    square = others[timed].T @ others[timed]
    levers = []
    for column, row in enumerate(others):
        rest = square - np.outer(row, row) if timed[column] else square
        levers.append(row @ np.linalg.solve(rest + penalty, row))
    return np.array([math.sqrt(1 + lever) for lever in levers])


@cache
def errors(basis: ForecastBasis, way: Way, here: int = 0) -> Errors | None:
    """Of networks that were left out in turn on the public runs; None where too few are known.

    ``here``: of a network that was timed on one computer alone, in so many runs.
    """
    return errors_among([each for each in table_runs() if each.way == way or (is_base(way) and is_base(each.way))], basis, here)


def errors_among(runs: Sequence[TableRun], basis: ForecastBasis, here: int = 0) -> Errors | None:
    """The same on these runs."""
    matrix, hard = base_matrix(), difficulty(base_matrix())
    pairs = list(_between_boards() if basis is ForecastBasis.PUBLISHED else _left_out(runs, basis, here))
    if not pairs:
        return None
    logs, columns = np.abs([error for error, _ in pairs]), np.array([column for _, column in pairs])
    known_elsewhere = basis in (ForecastBasis.PUBLISHED, ForecastBasis.TRANSFERRED) and not here
    scale = np.ones(len(columns)) if known_elsewhere else hard[columns]
    return Errors(logs, scale, len({matrix.columns[column] for column in columns}))


def _left_out(runs: Sequence[TableRun], basis: ForecastBasis, here: int) -> Iterator[tuple[float, int]]:
    if not runs:
        return
    matrix = base_matrix()
    log_ms = np.array([times_of(each, matrix.columns) for each in runs])
    known = ~np.isnan(log_ms)
    if basis is ForecastBasis.COUNTED or here:
        for machine in [(board, threads[:here]) for board, threads in HERE] if here else [None]:
            for column in map(int, np.flatnonzero(matrix.classifies)):
                off = _errors_of(column, log_ms, known, _without_network(column, machine))
                yield from ((float(error), column) for error in off if not math.isnan(error))
        return
    boards = sorted({each.run.board for each in runs})
    for group in range(BOARD_GROUPS):
        left = np.isin([each.run.board for each in runs], boards[group::BOARD_GROUPS])
        networks = _without_boards(frozenset(boards[group::BOARD_GROUPS]))
        for column in map(int, np.flatnonzero(matrix.classifies)):
            off = _errors_of(column, log_ms[left], known[left], networks)
            yield from ((float(error), column) for error in off if not math.isnan(error))


def _errors_of(column: int, log_ms: Array, known: NDArray[np.bool_], networks: Array) -> Array:
    """(runs,) of one network, each run placed by the others that it has timed."""
    others = known.copy()
    others[:, column] = False
    enough = others.sum(axis=1) >= LEAST_NETWORKS
    placed = place(np.where(others, log_ms, 0.0), others, networks)
    error = predicted(placed, networks)[:, column] - log_ms[:, column]
    return np.where(enough, error, np.nan)


@cache
def _without_network(column: int, machine: Machine | None) -> Array:
    """The networks' numbers, learned without the times of one of them, but for those of one machine."""
    matrix = base_matrix()
    board, threads = machine or ("", ())
    kept = [
        each is not None and each.run.board == board and each.run.threads in threads and each.run.note is None
        for each in matrix.runs
    ]
    log_ms = matrix.log_ms.copy()
    log_ms[~np.array(kept), column] = np.nan
    return learn(log_ms, matrix.work).networks


@cache
def _without_boards(boards: frozenset[str]) -> Array:
    matrix = base_matrix()
    kept = [each is not None and each.run.board not in boards for each in matrix.runs]
    return learn(matrix.log_ms[kept], matrix.work).networks


def _between_boards() -> Iterator[tuple[float, int]]:
    """Of every network that two boards of one device have timed with as many threads: how far one is from the other."""
    columns = base_matrix().columns
    same = [each for each in table_runs() if each.device is not None and each.run.note is None and is_base(each.way)]
    for first, second in combinations(same, 2):
        alike = (first.device, first.run.threads, first.run.cores) == (second.device, second.run.threads, second.run.cores)
        if alike and first.run.board != second.run.board:
            apart = times_of(first, columns) - times_of(second, columns)
            yield from ((float(apart[column]), int(column)) for column in np.flatnonzero(~np.isnan(apart)))


def is_base(way: Way) -> bool:
    """Whether it is what the structure is learned from."""
    return way[0] is Runtime.NCNN and way[1] is not Precision.INT8
