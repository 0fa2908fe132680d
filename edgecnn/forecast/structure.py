"""All float times of ncnn on CPUs as one matrix of runs and networks, and the structure that they share.

A few numbers of a network times a few numbers of a run give a log time:
``log ms = level of the run + size of the network + shape of the run · shape of the network``, by alternating ridge regression. A
network's numbers are regularised towards those predicted from its counted work by a regression over all networks; a run's shape
is regularised towards the mean run. A network that was never timed therefore gets the prediction from its work, and a run with
three networks gets its level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecnn.forecast.networks import Subject
from edgecnn.forecast.tables import TableRun, public_tables, table_runs
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.forecast import PublicNetwork, Work


class Column(NamedTuple):
    """A network at a resolution, under the same name in every table."""

    name: str
    """The catalogue's name, else TABLE:NAME, else the subject's."""
    resolution_px: ImageSize


class Matrix(NamedTuple):
    """Times and counted work. Rows of the tables come first, then those of this computer."""

    runs: tuple[TableRun | None, ...]
    """None for a run on this computer."""
    columns: tuple[Column, ...]
    log_ms: Array
    """(runs, columns); NaN if a network was not timed."""
    work: Array
    """(columns, features), standardized over the networks that the tables time."""
    macs: Array
    """(columns,) logarithms."""
    grouped: NDArray[np.bool_]
    """(columns,) whether it has depthwise or grouped convolutions."""
    classifies: NDArray[np.bool_]
    """(columns,) whether it is a timed classifier; these are left out in turn."""


TimesHere = Sequence[Mapping[Column, float]]
"""Runs on this computer, by setting: network to ms."""


def column_of(table: str, name: str, network: PublicNetwork) -> Column:
    """Return the column of a table's network."""
    return Column(network.arch or f"{table}:{name}", network.resolution_px)


def column_of_subject(subject: Subject) -> Column:
    """Return the column of a requested network."""
    return Column(subject.arch or f"file:{subject.file}", subject.resolution_px)


def times_of(table_run: TableRun, columns: Sequence[Column]) -> Array:
    """Return log ms (columns,) of one run; NaN if it has no time."""
    networks = table_run.table.networks
    ms = {column_of(table_run.table.name, name, networks[name]): time for name, time in table_run.run.ms.items()}
    return np.log([ms.get(column, np.nan) for column in columns])


@cache
def base_matrix() -> Matrix:
    """Return the matrix of the tables alone."""
    return extended_matrix((), ())


def extended_matrix(subjects: Iterable[Subject], here: TimesHere) -> Matrix:
    """Return the matrix with columns for these networks, and rows for the times of this computer."""
    known: dict[Column, tuple[Work, bool]] = {}
    for table in public_tables():
        for name, network in table.networks.items():
            known.setdefault(column_of(table.name, name, network), (network.work, network.classifies))
    for subject in subjects:
        known.setdefault(column_of_subject(subject), (subject.work, False))
    columns = tuple(known)
    runs = tuple(run for run in table_runs() if run.run.runtime is Runtime.NCNN and run.run.precision is not Precision.INT8)
    rows = [times_of(run, columns) for run in runs]
    rows += [np.log([times.get(column, np.nan) for column in columns]) for times in here]
    log_ms = np.array(rows)
    features = np.array([features_of(work) for work, _ in known.values()])
    timed = ~np.isnan(log_ms[: len(runs)]).all(axis=0)
    return Matrix(
        runs=(*runs, *[None] * len(here)),
        columns=columns,
        log_ms=log_ms,
        work=(features - features[timed].mean(axis=0)) / features[timed].std(axis=0),
        macs=np.log([work.macs for work, _ in known.values()]),
        grouped=np.array([work.depthwise_macs + work.grouped_macs > 0 for work, _ in known.values()]),
        classifies=timed & np.array([classifies for _, classifies in known.values()]),
    )


def features_of(work: Work) -> tuple[float, ...]:
    """Return sizes as logarithms, and the share of each kind of layer in the multiply-adds."""
    macs = work.macs
    kinds = (work.pointwise_macs, work.spatial_macs, work.depthwise_macs, work.grouped_macs, work.dense_macs)
    sizes = np.log([macs, work.moved, work.weights, work.layers])
    return (*(float(size) for size in sizes), *(kind / macs for kind in kinds))


Array = NDArray[np.float64]
COMPONENTS = 2
"""Shapes in addition to the size; a third one overfits single runs (benchmarks/forecast)."""
RIDGE_RUN = 0.1
"""Regularisation of a run's shape, in units of its spread over runs."""
RIDGE_NETWORK = 0.5
RIDGE_WORK = 0.003
"""Regularisation of a network towards the regression on counted work."""
ROUNDS = 15
_NEARLY_FREE = 1e-3


class Structure(NamedTuple):
    """Parameters learned from many runs."""

    networks: Array
    """(networks, 1 + components): size and shape of each."""
    by_work: Array
    """(networks, 1 + components): the same from counted work alone."""


def learn_structure(log_ms: Array, work: Array) -> Structure:
    """Learn the shared structure.

    log_ms: (runs, networks), NaN where a network was not timed. work: (networks, features), standardized.
    """
    known = ~np.isnan(log_ms)
    times, timed = np.where(known, log_ms, 0.0), known.any(axis=0)
    level, size = _levels(times, known)
    centred = np.where(known, times - level[:, None] - size, 0.0)
    _, strengths, right = np.linalg.svd(centred, full_matrices=False)
    shapes = right[:COMPONENTS].T * strengths[:COMPONENTS] / np.sqrt(len(times))
    networks = np.column_stack([size, shapes])
    design = np.column_stack([np.ones(len(work)), work])
    penalty = np.diag([_NEARLY_FREE, *[RIDGE_WORK * int(timed.sum())] * work.shape[1]])
    by_work = networks
    for _ in range(ROUNDS):
        runs = place_runs(times, known, networks)
        mean, spread = runs[:, 1:].mean(axis=0), runs[:, 1:].std(axis=0) + 1e-9
        networks[:, 0] += networks[:, 1:] @ mean
        networks[:, 1:] *= spread
        runs[:, 1:] = (runs[:, 1:] - mean) / spread
        rows = design[timed]
        by_work = design @ np.linalg.solve(rows.T @ rows + penalty, rows.T @ networks[timed])
        factors = np.column_stack([np.ones(len(runs)), runs[:, 1:]])
        rest = np.where(known, times - runs[:, :1] - factors @ by_work.T, 0.0)
        networks = by_work + _ridge(factors, rest.T, known.T, np.full(1 + COMPONENTS, RIDGE_NETWORK))
    return Structure(networks, by_work)


def place_runs(times: Array, known: NDArray[np.bool_], networks: Array) -> Array:
    """Return level and shape of runs (runs, 1 + components), from the networks that each has timed."""
    factors = np.column_stack([np.ones(len(networks)), networks[:, 1:]])
    rest = np.where(known, times - networks[:, 0], 0.0)
    return _ridge(factors, rest, known, np.array([_NEARLY_FREE, *[RIDGE_RUN] * COMPONENTS]))


def predicted_log_ms(runs: Array, networks: Array) -> Array:
    """Return log ms (runs, networks)."""
    return runs[:, :1] + networks[:, 0] + runs[:, 1:] @ networks[:, 1:].T


def _ridge(factors: Array, rest: Array, known: NDArray[np.bool_], penalty: Array) -> Array:
    """Return one regression for each row of ``rest`` on its known factors."""
    weights = known.astype(np.float64)
    square = np.einsum("rn,ni,nj->rij", weights, factors, factors) + np.diag(penalty)
    return np.linalg.solve(square, ((rest * weights) @ factors)[..., None])[..., 0]


def _levels(times: Array, known: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Return additive levels of runs and of networks."""
    size = np.zeros(times.shape[1])
    for _ in range(5):
        level = np.where(known, times - size, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        size = np.where(known, times - level[:, None], 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return level, size
