"""All float times of ncnn on CPUs as one matrix of runs and networks, from which the shared structure is learned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecnn.forecast.networks import Subject
from edgecnn.forecast.structure import Array
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
