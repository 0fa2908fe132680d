"""Evidence records as runs: a measured board shows how fast its other networks would be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from edgecnn.forecast.networks import counted_catalogue
from edgecnn.forecast.tables import EVIDENCE, TableRun
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.forecast import PublicBoard, PublicNetwork, PublicRun, PublicSource, PublicTable
from edgecnn.values.verdict import Interval


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
    """Of the machine."""
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
