"""The prices that a search goes by: the device's latency table, measured where there is none and the device is at hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecnn.errors.fit import NoTable
from edgecnn.fit.predictor import LEAST_TIMED, Predictor
from edgecnn.fit.request import FitRequest
from edgecnn.fit.table import TablePlan, measure_table
from edgecnn.fit.table_files import own_table, read_table_file, require_same_machine, table_file, write_table
from edgecnn.measure.lab import Lab
from edgecnn.values.candidate import Candidate
from edgecnn.values.fit import TableUsed
from edgecnn.values.latency_table import LatencyTable


@dataclass(frozen=True)
class TablePrices:
    """A table that can predict."""

    used: TableUsed
    predictors: Mapping[str, Predictor]
    """By candidate."""


@dataclass(frozen=True)
class Priced(TablePrices):
    """The table of the device that is searched for."""

    candidates: Mapping[str, Candidate]
    environment: Mapping[str, str]
    """Conditions of the machine, for the records of what is made to be timed."""


def prices_in(path: Path, table: LatencyTable, candidates: Iterable[str]) -> TablePrices:
    """Of those of the candidates that were timed often enough. Raises NoTable: none was."""
    enough = {name: table.timed[name] for name in candidates if len(table.timed.get(name, ())) >= LEAST_TIMED}
    if not enough:
        why = f"{path} holds too few networks of any candidate, of which {LEAST_TIMED} are needed"
        raise NoTable(device=table.device, why=why)
    used = TableUsed(
        file=str(path),
        machine=table.machine,
        observed_at=table.observed_at,
        networks=max(len(rows) for rows in enough.values()),
        fidelity=table.fidelity,
    )
    return TablePrices(used, {name: Predictor(rows) for name, rows in enough.items()})


def priced(asked: FitRequest, candidates: Sequence[Candidate], lab: Lab, *, attached: bool) -> Priced:
    """The table that was named, else the device's own, else one that is measured now.

    Raises NoTable: there is none, and the device is not at hand. TableOfAnother: it is of another machine than the one at hand.
    TableUnreadable: it is no table.
    """
    name = asked.device.name
    path = asked.table or table_file(name)
    if path is None and not attached:
        raise NoTable(device=name, why="it is not at hand, and no table of it was measured before")
    shippable = [each for each in candidates if asked.recipe.target.runtime in (None, each.runtime)]
    if path is None or (attached and asked.table is None and _too_few(path, shippable)):
        lab.tell.note(f"the latency table of {name} is measured now, once, in about a quarter of an hour")
        path = own_table(name)
        write_table(measure_table(TablePlan(candidates=tuple(candidates)), lab), path)
    table = read_table_file(path)
    if attached:
        require_same_machine(table, path, lab)
    found = prices_in(path, table, (each.id for each in shippable))
    by_name = {each.id: each for each in shippable if each.id in found.predictors}
    return Priced(found.used, found.predictors, by_name, lab.environment.conditions)


def _too_few(path: Path, candidates: Sequence[Candidate]) -> bool:
    """Whether a table lacks a candidate that is here now, or was not measured far enough: the measuring goes on then."""
    timed = read_table_file(path).timed
    return any(len(timed.get(each.id, ())) < LEAST_TIMED for each in candidates)
