"""Runs of the shipped public tables, read once, and of evidence records in the same form."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from pydantic import ValidationError

from edgecnn.errors.fit import PUBLIC_TABLE_DAMAGED
from edgecnn.errors.wording import first_problem
from edgecnn.forecast.networks import COUNTED_FILE, counted_catalogue
from edgecnn.installed import resource_folder
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.forecast import PublicBoard, PublicNetwork, PublicRun, PublicSource, PublicTable
from edgecnn.values.verdict import Interval

EVIDENCE = "evidence"
_SOC = re.compile(r"RK\d{4}|BCM\d{4}|KunPeng 920|Orin", re.IGNORECASE)
"""CPUs that several boards of the tables have."""


class TableRun(NamedTuple):
    """One run, with the table that contains it."""

    table: PublicTable
    run: PublicRun

    @property
    def device(self) -> str | None:
        """The device file that describes its board."""
        return self.table.boards[self.run.board].device

    @property
    def soc(self) -> str:
        """Its processor, if the board's title names it; else the board."""
        named = _SOC.search(self.table.boards[self.run.board].title)
        return named[0].lower() if named else self.run.board

    @property
    def is_evidence(self) -> bool:
        """Whether it comes from evidence records, which take precedence over a table."""
        return self.table.name == EVIDENCE

    @property
    def way(self) -> tuple[Runtime, Precision]:
        """The runtime and precision of the run."""
        return self.run.runtime, self.run.precision


@cache
def public_tables() -> tuple[PublicTable, ...]:
    """Return every shipped table, by name. Raises PUBLIC_TABLE_DAMAGED: a file is not one."""
    paths = sorted((resource_folder("baselines") / "public").glob("*.json"))
    tables = []
    for path in paths:
        if path.name == COUNTED_FILE:
            continue
        try:
            tables.append(PublicTable.model_validate_json(path.read_bytes()))
        except (ValidationError, OSError) as error:
            because = first_problem(error) if isinstance(error, ValidationError) else str(error)
            raise PUBLIC_TABLE_DAMAGED(path=path, because=because) from error
    return tuple(tables)


def table_runs() -> Iterator[TableRun]:
    """Return all runs of all tables."""
    return (TableRun(table, run) for table in public_tables() for run in table.runs)


def runs_on(place: str) -> tuple[TableRun, ...]:
    """Return runs on the boards that a device file describes, or on the board of that name; on all or on the fast cores."""
    return tuple(
        run for run in table_runs() if place in (run.device, run.run.board) and run.run.cores != "small" and run.run.note is None
    )


def places_with_tables() -> tuple[str, ...]:
    """Return device files and boards that have a table."""
    return tuple(sorted({name for run in table_runs() for name in (run.device, run.run.board) if name is not None}))


class MeasuredTime(NamedTuple):
    """One figure of an evidence record: a network that was measured on the device itself."""

    arch: str
    resolution_px: ImageSize
    device: str
    runtime: Runtime
    precision: Precision
    threads: int | None
    p50_ms: Interval
    title: str
    """Name of the machine."""
    date: str


def runs_of_records(records: Iterable[MeasuredTime], device: str) -> tuple[TableRun, ...]:
    """Return one run for each machine, runtime, precision and number of threads, with the networks that the catalogue counts."""
    counted = counted_catalogue().networks
    alike = defaultdict[tuple[str, str, Runtime, Precision, int | None], dict[str, float]](dict)
    for record in records:
        known = counted.get(record.arch)
        if record.device == device and known is not None and known.resolution_px == record.resolution_px:
            key = record.title, record.date, record.runtime, record.precision, record.threads
            alike[key].setdefault(record.arch, record.p50_ms.estimate)
    return tuple(
        _run(device, title, PublicRun(
            board=title, runtime=runtime, runtime_version=None, precision=precision, threads=threads, cores="all",
            power_mode=None, date=date, line=1, ms=ms,
        ))
        for (title, date, runtime, precision, threads), ms in alike.items()
    )  # fmt: skip


def _run(device: str, title: str, run: PublicRun) -> TableRun:
    counted = counted_catalogue().networks
    table = PublicTable(
        name=EVIDENCE,
        source=PublicSource(title="evidence record", url="", commit="", date=run.date, sha256="", licence=""),
        statistic="median",
        networks={
            arch: PublicNetwork(
                arch=arch, resolution_px=counted[arch].resolution_px, classifies=True, work=counted[arch].work
            )
            for arch in run.ms
        },
        boards={title: PublicBoard(title=title, device=device)},
        runs=(run,),
    )  # fmt: skip
    return TableRun(table, run)
