"""The forecast of networks on a device: what the tables have of both, the structure that they share, and an interval from what
was left out.

Nothing is trained or run here. Times that were taken on this computer come in as ``here``, evidence as ``records``. A figure is
predicted wherever it goes: it never passes a gate, and never appears without ``MARK``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import NamedTuple

import numpy as np

from edgecnn.errors.wording import listed
from edgecnn.forecast.calibration import LEAST_NETWORKS, Errors, Way, difficulty, errors
from edgecnn.forecast.matrix import Matrix, TimesHere, base_matrix, column_of_subject, times_of, with_subjects
from edgecnn.forecast.networks import Subject
from edgecnn.forecast.structure import Array, learn, place, predicted
from edgecnn.forecast.tables import TableRun, places, runs_on
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.device import Device
from edgecnn.values.forecast import CONFIDENCE, Forecast, ForecastBasis, ForecastSource, NoForecast, Why
from edgecnn.values.verdict import Interval

HARDEST = 3.0
"""Beyond this difficulty, about that of the hardest network of a table, a network that was timed nowhere has no forecast."""
SIZES = 3.0
"""How many times fewer or more multiply-adds than those of any table it may have."""


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


class Asked(NamedTuple):
    """What forecasts are made from besides the tables."""

    threads: int | None = None
    """None: as many as the fastest published run of the device has."""
    here: TimesHere = ()
    """Times that ncnn took on this computer: of the networks that are asked about, and of reference networks."""
    records: Sequence[MeasuredTime] = ()


class _Device(NamedTuple):
    """Runs of one device with one runtime and precision, and what was learned for the networks."""

    way: Way
    threads: int | None
    runs: tuple[TableRun, ...]
    log_ms: Array
    """(runs, columns)"""
    by_structure: Array
    """(runs, columns)"""


Found = Forecast | NoForecast


def forecasts(subjects: Sequence[Subject], device: Device | str, asked: Asked = Asked()) -> tuple[Found, ...]:  # noqa: B008
    """Forecast every network on one device: for each runtime and precision that a table has, and for each runtime of the device
    file that no table has, why there is no figure. Networks in the order of ``subjects``.

    ``device``: a device, or the name of a board that only the tables know (``raspberry-pi-3``).

    Raises PublicTableDamaged: a shipped table cannot be read.
    """
    name = device if isinstance(device, str) else device.name
    runs = runs_on(name)
    matrix = with_subjects(subjects, asked.here)
    ways = _ways(runs, matrix, asked.threads)
    runtimes = () if isinstance(device, str) else tuple(device.runtimes)
    hard = difficulty(matrix)
    found: list[Found] = []
    for subject in subjects:
        column = matrix.columns.index(column_of_subject(subject))
        measured = [_measured(subject, record) for record in asked.records if _is_of(record, subject, name)]
        found += measured
        known = {(each.runtime, each.precision) for each in measured}
        outside = _outside(subject, matrix, column, hard)
        found += [
            _forecast(subject, name, way, _Cell(matrix, column, float(hard[column]))) if outside is None or _timed(way, column)
            else _none(subject, name, way.way, Why.NETWORK_OUTSIDE_SUPPORT, outside)
            for way in ways if way.way not in known
        ]  # fmt: skip
        found += _without(subject, name, runtimes, runs, ways, asked.threads, {runtime for runtime, _ in known})
    return tuple(found)


def forecast(
    subject: Subject,
    device: Device,
    runtime: Runtime,
    precision: Precision,
    asked: Asked = Asked(),  # noqa: B008
) -> Found:
    """The forecast of one candidate, or why there is none. Raises PublicTableDamaged: see ``forecasts``."""
    found = forecasts((subject,), device, asked)
    exact = next((each for each in found if (each.runtime, each.precision) == (runtime, precision)), None)
    if exact is not None:
        return exact
    same = next((each for each in found if each.runtime is runtime and isinstance(each, NoForecast)), None)
    if same is not None:
        return same
    sentence = f"no public table has {runtime.value} in {precision.value} on {device.name}"
    return _none(subject, device.name, (runtime, precision), Why.PRECISION_WITHOUT_TABLE, sentence)


class _Cell(NamedTuple):
    """One network in the matrix."""

    matrix: Matrix
    column: int
    hard: float


def _ways(runs: Sequence[TableRun], matrix: Matrix, threads: int | None) -> list[_Device]:
    """The runs of each runtime and precision that have the threads, placed in the structure."""
    structure = learn(matrix.log_ms, matrix.work) if runs else None
    found = []
    for way in dict.fromkeys(each.way for each in runs):
        of_way = [each for each in runs if each.way == way]
        chosen = [each for each in of_way if each.run.threads == (threads or _fastest(of_way))]
        log_ms = np.array([times_of(each, matrix.columns) for each in chosen])
        known = ~np.isnan(log_ms)
        if structure is None or not chosen or known.sum(axis=1).max() < LEAST_NETWORKS:
            continue
        placed = place(np.where(known, log_ms, 0.0), known, structure.networks)
        found.append(_Device(way, chosen[0].run.threads, tuple(chosen), log_ms, predicted(placed, structure.networks)))
    return found


def _fastest(runs: Iterable[TableRun]) -> int | None:
    """Threads of the run that takes least time, over the networks that all have."""
    runs = list(runs)
    shared = set.intersection(*(set(each.run.ms) for each in runs))
    names = shared or set(runs[0].run.ms)
    return min(runs, key=lambda each: sum(math.log(each.run.ms.get(name, 1e6)) for name in names)).run.threads


def _timed(device: _Device, column: int) -> bool:
    return not np.isnan(device.log_ms[:, column]).all()


def _forecast(subject: Subject, name: str, device: _Device, cell: _Cell) -> Found:
    here = [row for row, run in enumerate(cell.matrix.runs) if run is None]
    is_here = bool(len(here)) and not np.isnan(cell.matrix.log_ms[here, cell.column]).all()
    tabled = [row for row, run in enumerate(cell.matrix.runs) if run is not None]
    if _timed(device, cell.column):
        basis, logs = ForecastBasis.PUBLISHED, device.log_ms[:, cell.column]
    else:
        elsewhere = is_here or not np.isnan(cell.matrix.log_ms[tabled, cell.column]).all()
        basis = ForecastBasis.TRANSFERRED if elsewhere else ForecastBasis.COUNTED
        logs = device.by_structure[:, cell.column]
    only_here = is_here and bool(np.isnan(cell.matrix.log_ms[tabled, cell.column]).all())
    off = errors(basis, device.way, only_here)
    if off is None:
        return _none(subject, name, device.way, Why.PRECISION_WITHOUT_TABLE, "too few networks tell how far it is off")
    by_work = only_here or basis is ForecastBasis.COUNTED
    estimate, half = float(np.nanmedian(logs)), _half_width(off, cell.hard if by_work else 1.0, logs)
    newest = max(device.runs, key=lambda each: each.run.date)
    return Forecast(
        network=subject.name,
        resolution_px=subject.resolution_px,
        device=name,
        runtime=device.way[0],
        precision=device.way[1],
        threads=device.threads,
        p50_ms=Interval(
            estimate=math.exp(estimate), low=math.exp(estimate - half), high=math.exp(estimate + half), confidence=CONFIDENCE
        ),
        basis=basis,
        off_percent=round(off.median_percent, 1),
        off_networks=off.networks,
        source=ForecastSource(
            title=newest.table.source.title,
            url=newest.table.source.url,
            date=newest.run.date,
            board=newest.table.boards[newest.run.board].title,
            networks=len(newest.run.ms),
        ),
        note=None if len(device.runs) == 1 else f"{len(device.runs)} boards have a table; their median is shown",
    )


def _half_width(off: Errors, hard: float, logs: Array) -> float:
    """Of the log: what was off on networks that were left out, and how far boards of one device are apart."""
    apart = 1.645 * float(np.nanstd(logs, ddof=1)) if np.count_nonzero(~np.isnan(logs)) > 1 else 0.0
    return math.hypot(off.half_width * hard, apart)


def _measured(subject: Subject, record: MeasuredTime) -> Forecast:
    return Forecast(
        network=subject.name,
        resolution_px=subject.resolution_px,
        device=record.device,
        runtime=record.runtime,
        precision=record.precision,
        threads=record.threads,
        p50_ms=record.p50_ms,
        basis=ForecastBasis.MEASURED,
        off_percent=0.0,
        off_networks=0,
        source=ForecastSource(title="evidence record", url=None, date=record.date, board=record.title, networks=1),
    )


def _is_of(record: MeasuredTime, subject: Subject, device: str) -> bool:
    return (record.arch, record.resolution_px, record.device) == (subject.arch, subject.resolution_px, device)


def _outside(subject: Subject, matrix: Matrix, column: int, hard: Array) -> str | None:
    """Why the tables say nothing of a network; None where they do, or where it was timed."""
    if not np.isnan(matrix.log_ms[:, column]).all():
        return None
    timed = ~np.isnan(base_matrix().log_ms).all(axis=0)
    least, most = (float(np.exp(edge)) for edge in (base_matrix().macs[timed].min(), base_matrix().macs[timed].max()))
    if not least / SIZES <= subject.work.macs <= most * SIZES:
        size = f"{subject.work.macs / 1e6:,.3g} million multiply-adds"
        return f"{size} are outside what public tables have timed ({least / 1e6:,.3g} to {most / 1e6:,.3g} million)"
    if hard[column] > HARDEST:
        return "its layers are unlike those of every network in the public tables"
    return None


def _none(subject: Subject, device: str, way: tuple[Runtime | None, Precision | None], why: Why, sentence: str) -> NoForecast:
    return NoForecast(network=subject.name, device=device, runtime=way[0], precision=way[1], why=why, sentence=sentence)


def _without(  # noqa: PLR0913
    subject: Subject,
    device: str,
    runtimes: Sequence[Runtime],
    runs: Sequence[TableRun],
    ways: Sequence[_Device],
    threads: int | None,
    measured: set[Runtime],
) -> list[NoForecast]:
    """The runtimes of a device that have no figure, or the device that has no table at all."""
    if not runs:
        if measured:
            return []
        nearest = nearest_places(device)
        sentence = f"no public table has {device}" + (f"; the nearest are {listed(nearest)}" if nearest else "")
        return [
            NoForecast(network=subject.name, device=device, runtime=None, precision=None, threads=threads,
                       why=Why.DEVICE_WITHOUT_TABLE, sentence=sentence, nearest=nearest)
        ]  # fmt: skip
    none = []
    for way in dict.fromkeys(each.way for each in runs):
        if threads is None or any(each.way == way for each in ways):
            continue
        most = max((each.run.threads or 0 for each in runs if each.way == way), default=0)
        has = sorted({each.run.threads for each in runs if each.way == way and each.run.threads is not None})
        if has:
            beyond = f"at most {most} threads" if threads > most else f"{listed([str(count) for count in has])} threads"
            sentence = f"the public table of {device} has {beyond}, not {threads}"
            none.append(_none(subject, device, way, Why.THREADS_BEYOND_TABLE, sentence))
    timed = {each.run.runtime for each in runs} | measured
    return none + [
        _none(subject, device, (runtime, None), Why.RUNTIME_WITHOUT_TABLE, f"no public table has {runtime.value} on {device}")
        for runtime in runtimes
        if runtime not in timed
    ]


def nearest_places(device: str) -> tuple[str, ...]:
    """Up to three devices and boards with a table, by their names."""
    words = device.split("-")
    near = get_close_matches(device, places(), n=3, cutoff=0.5)
    return tuple(near or [place for place in places() if words[0] in place.split("-")][:3])
