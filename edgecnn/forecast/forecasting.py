"""Forecast networks on a device from table entries of both, their shared structure, and an interval from left-out errors.

Nothing is trained or run here. Times measured on this computer are passed as ``here``, evidence as ``records``. A forecast stays
a prediction everywhere: it never passes a gate, and always has ``MARK``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence, Set
from typing import NamedTuple

import numpy as np

from edgecnn.errors.wording import listed
from edgecnn.forecast.calibration import (
    BASE,
    LEAST_NETWORKS,
    Errors,
    Question,
    Way,
    between_boards,
    difficulty,
    errors_on_public_runs,
    errors_on_runs,
    half_width,
    is_base,
)
from edgecnn.forecast.networks import Subject
from edgecnn.forecast.structure import (
    Array,
    Matrix,
    TimesHere,
    base_matrix,
    column_of_subject,
    extended_matrix,
    learn_structure,
    place_runs,
    predicted_log_ms,
    times_of,
)
from edgecnn.forecast.tables import MeasuredTime, TableRun, runs_of_records, runs_on, table_runs
from edgecnn.runtimes.registry import offers
from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.device import Device
from edgecnn.values.forecast import CONFIDENCE, Forecast, ForecastBasis, ForecastSource, NoForecast, Why
from edgecnn.values.verdict import Interval

HARDEST = 3.0
"""Above this difficulty, about that of the hardest network of a table, a network that was never timed has no forecast."""
SIZES = 3.0
"""Allowed ratio of its multiply-adds to the smallest and the largest of any table."""


class ForecastOptions(NamedTuple):
    """Options of forecasts, and times in addition to those of the tables."""

    threads: int | None = None
    """None: as many as in the fastest published run of the device."""
    here: TimesHere = ()
    """ncnn's times on this computer, of the requested networks and of reference networks."""
    records: Sequence[MeasuredTime] = ()
    runtime: Runtime | None = None
    """None: every runtime of the tables."""


DEFAULT = ForecastOptions()


class _Device(NamedTuple):
    """The runs of one device with one runtime and precision, and what they contribute to networks."""

    way: Way
    threads: int | None
    runs: tuple[TableRun, ...]
    log_ms: Array
    """(runs, columns)"""
    by_structure: Array
    """(runs, columns)"""


Found = Forecast | NoForecast


def forecasts(subjects: Sequence[Subject], device: Device | str, options: ForecastOptions = DEFAULT) -> tuple[Found, ...]:
    """Forecast every network on one device, in the order of ``subjects``, for each runtime and precision of the tables.

    For each runtime of the device file that no table has, the reason is given instead.

    ``device``: a device, or the name of a board that only the tables know (``raspberry-pi-3``).

    Raises PUBLIC_TABLE_DAMAGED: a shipped table cannot be read.
    """
    name = device if isinstance(device, str) else device.name
    records = [record for record in options.records if options.threads is None or record.threads in (None, options.threads)]
    runs = (*runs_on(name), *runs_of_records(records, name))
    matrix = extended_matrix(subjects, options.here)
    runtimes = () if isinstance(device, str) else tuple(device.runtimes)
    if options.runtime is not None:
        runtimes = tuple(dict.fromkeys((*runtimes, options.runtime)))
    place = _Place(device, runtimes, runs, _ways(runs, matrix, options.threads), options.threads)
    hard = difficulty(matrix)
    rows: list[Found] = []
    for subject in subjects:
        column = matrix.columns.index(column_of_subject(subject))
        same = (subject.arch, subject.resolution_px, name)
        measured = [
            _forecast_from_record(subject, record)
            for record in records
            if (record.arch, record.resolution_px, record.device) == same
        ]
        rows += [_state_build(row, device) for row in measured]
        outside = _outside_tables(subject, matrix, column, hard)
        for way in place.ways:
            if any((row.runtime, row.precision) == way.way for row in measured):
                continue
            if outside is None or _timed(way, column):
                row = _forecast(subject, device, way, _Cell(matrix, column, float(hard[column])))
                rows.append(_state_build(row, device))
            else:
                rows.append(_no_forecast(subject, name, way.way, Why.NETWORK_OUTSIDE_SUPPORT, outside))
        rows += _missing_forecasts(subject, place, {row.runtime for row in measured})
    return tuple(row for row in rows if options.runtime in (None, row.runtime) or row.runtime is None)


def forecast(
    subject: Subject,
    device: Device,
    runtime: Runtime,
    precision: Precision,
    options: ForecastOptions = DEFAULT,
) -> Found:
    """Return the forecast of one candidate, or why there is none. Raises PUBLIC_TABLE_DAMAGED: see ``forecasts``."""
    rows = forecasts((subject,), device, options)
    exact = next((row for row in rows if (row.runtime, row.precision) == (runtime, precision)), None)
    if exact is not None:
        return exact
    same = next((row for row in rows if row.runtime is runtime and isinstance(row, NoForecast)), None)
    if same is not None:
        return same
    sentence = f"no public table has {runtime.value} in {precision.value} on {device.name}"
    return _no_forecast(subject, device.name, (runtime, precision), Why.PRECISION_WITHOUT_TABLE, sentence)


class _Place(NamedTuple):
    """A device with its entries in the tables."""

    device: Device | str
    runtimes: tuple[Runtime, ...]
    """Runtimes that its file lists, or that were requested."""
    runs: tuple[TableRun, ...]
    ways: Sequence[_Device]
    threads: int | None
    """Requested threads."""

    @property
    def name(self) -> str:
        """Name of the device or board."""
        return self.device if isinstance(self.device, str) else self.device.name


class _Cell(NamedTuple):
    """One network in the matrix."""

    matrix: Matrix
    column: int
    hard: float


def _ways(runs: Sequence[TableRun], matrix: Matrix, threads: int | None) -> list[_Device]:
    """Return the runs of each runtime and precision with these threads, placed in the structure."""
    structure = learn_structure(matrix.log_ms, matrix.work) if runs else None
    ways = []
    for way in dict.fromkeys(run.way for run in runs):
        of_way = [run for run in runs if run.way == way]
        evidence = [run for run in of_way if run.is_evidence and len(run.run.ms) >= LEAST_NETWORKS]
        of_way = evidence or [run for run in of_way if not run.is_evidence] or of_way
        chosen = [run for run in of_way if run.run.threads in (None, threads or _fastest_threads(of_way))]
        log_ms = np.array([times_of(run, matrix.columns) for run in chosen])
        known = ~np.isnan(log_ms)
        if structure is None or not chosen:
            continue
        placed = place_runs(np.where(known, log_ms, 0.0), known, structure.networks)
        ways.append(_Device(way, chosen[0].run.threads, tuple(chosen), log_ms, predicted_log_ms(placed, structure.networks)))
    return ways


def _fastest_threads(runs: Iterable[TableRun]) -> int | None:
    """Return the threads of the fastest run, over the networks that all runs have."""
    runs = list(runs)
    shared = set.intersection(*(set(run.run.ms) for run in runs))
    names = shared or set(runs[0].run.ms)
    return min(runs, key=lambda run: sum(math.log(run.run.ms.get(name, 1e6)) for name in names)).run.threads


def _timed(device: _Device, column: int) -> bool:
    return not np.isnan(device.log_ms[:, column]).all()


def _forecast(subject: Subject, place: Device | str, device: _Device, cell: _Cell) -> Found:
    name = place if isinstance(place, str) else place.name
    refused = _unsupported(name, device, cell)
    if refused is not None:
        return _no_forecast(subject, name, device.way, *refused)
    question = _question(device, cell)
    published, boards = question.basis is ForecastBasis.PUBLISHED, between_boards()
    off = boards if published else errors_on_public_runs(question, device.way) or errors_on_runs(device.runs, question)
    if off is None:
        few = f"too few networks to estimate its error: records of {LEAST_NETWORKS + 1} networks are needed"
        return _no_forecast(subject, name, device.way, Why.PRECISION_WITHOUT_TABLE, few)
    logs = device.log_ms[:, cell.column] if published else device.by_structure[:, cell.column]
    hard = (cell.hard if question.is_by_work else 1.0) * (1.0 if is_base(device.way) else _widening(off, question))
    estimate = float(np.nanmedian(logs))
    several = np.count_nonzero(~np.isnan(logs)) > 1
    spread = 1.645 * float(np.nanstd(logs, ddof=1)) if several else 0.0  # between boards of one device, at 90 %
    half = math.hypot(boards.half_width if published else half_width(off, boards, hard), spread)
    runs = [run for run, time in zip(device.runs, device.log_ms[:, cell.column], strict=True) if not published or time == time]
    newest = max(runs, key=lambda run: run.run.date)
    return Forecast(
        network=subject.name,
        resolution_px=subject.resolution_px,
        device=name,
        runtime=device.way[0],
        precision=device.way[1],
        threads=device.threads,
        p50_ms=_interval(math.exp(estimate), half),
        basis=question.basis,
        off_percent=round(off.median_percent, 1),
        off_networks=off.networks,
        off_devices=off.devices,
        source=ForecastSource(
            title=newest.table.source.title,
            url=newest.table.source.url or None,
            date=newest.run.date,
            board=newest.table.boards[newest.run.board].title,
            networks=len(newest.run.ms),
            kind_only=not isinstance(place, str) and place.is_a_kind,
        ),
        processor="gpu" if newest.run.cores == "gpu" or device.way[0] is Runtime.TENSORRT else "cpu",
        note=None if len(runs) == 1 else f"{len(runs)} boards have a table; their median is shown",
    )


def _state_build(row: Found, device: Device | str) -> Found:
    """State whether edgecnn builds a forecast's runtime and precision, and otherwise which it builds instead."""
    if isinstance(row, NoForecast) or isinstance(device, str):
        return row
    ways = built_ways(device)
    if (row.runtime, row.precision) in ways:
        return row.model_copy(update={"built": True})
    precisions = tuple(precision.value for runtime, precision in ways if runtime is row.runtime)
    runtimes = tuple(dict.fromkeys(runtime.value for runtime, _ in ways if device.runtimes[runtime].by_default))
    instead = f"{row.runtime.value} in {listed(precisions)}" if precisions else listed(runtimes) or "nothing"
    unbuilt = f"not built by edgecnn, which builds {instead} for {device.name}"
    return row.model_copy(update={"built": False, "note": f"{row.note}; {unbuilt}" if row.note else unbuilt})


def built_ways(device: Device) -> tuple[Way, ...]:
    """Return the runtimes and precisions of a device's candidates."""
    if device.facts_only is not None:
        return ()
    entries = (entry for runtime in device.runtimes for entry in offers(runtime, device))
    return tuple(dict.fromkeys((entry.runtime, entry.precision) for entry in entries if isinstance(entry, Candidate)))


def _question(device: _Device, cell: _Cell) -> Question:
    """Return what the forecast is based on."""
    if _timed(device, cell.column):
        return Question(ForecastBasis.PUBLISHED)
    placed_by = int((~np.isnan(device.log_ms)).sum(axis=1).min())
    timed = ~np.isnan(cell.matrix.log_ms[:, cell.column])
    in_tables = [run is not None for run in cell.matrix.runs]
    if not timed.any():
        return Question(ForecastBasis.COUNTED, placed_by)
    return Question(ForecastBasis.TRANSFERRED, placed_by, 0 if timed[in_tables].any() else min(int(timed.sum()), 2))


def _unsupported(name: str, device: _Device, cell: _Cell) -> tuple[Why, str] | None:
    """Return why the device's runs cannot predict a network that they have not timed: too few runs, or none of such networks."""
    if _timed(device, cell.column):
        return None
    known = ~np.isnan(device.log_ms).all(axis=0)
    way = f"{device.way[0].value}-{device.way[1].value} on {name}"
    if known.sum() < LEAST_NETWORKS:
        return Why.PRECISION_WITHOUT_TABLE, f"the public table of {way} has fewer than {LEAST_NETWORKS} networks"
    kinds = set(cell.matrix.grouped[known])
    if cell.matrix.grouped[cell.column] in kinds:
        return None
    kind = "with" if cell.matrix.grouped[cell.column] else "without"
    return Why.NETWORK_OUTSIDE_SUPPORT, f"the public table of {way} has no network {kind} depthwise or grouped convolutions"


def _widening(off: Errors, question: Question) -> float:
    """Return the factor by which an interval widens if few networks link a runtime or precision to ncnn's float times.

    The interval is at least as wide as that of ncnn's float times. The factor also has the ratio of the 95 % quantiles of
    Student's and the normal distribution.
    """
    base = errors_on_public_runs(question, BASE)
    freedom = max(off.networks - 1, 1)
    student = 3.84 if freedom == 1 else 1 + 0.926 / freedom + 0.863 / freedom**2 + 0.77 / freedom**3
    return student * max(1.0, base.half_width / off.half_width if base else 1.0)


def _forecast_from_record(subject: Subject, record: MeasuredTime) -> Forecast:
    """Return a forecast from a record. Its interval includes the spread between boards of one device in the tables."""
    p50, boards = record.p50_ms, between_boards()
    half = math.hypot(max(math.log(p50.high / p50.estimate), math.log(p50.estimate / p50.low)), boards.half_width)
    return Forecast(
        network=subject.name,
        resolution_px=subject.resolution_px,
        device=record.device,
        runtime=record.runtime,
        precision=record.precision,
        threads=record.threads,
        p50_ms=_interval(p50.estimate, half),
        basis=ForecastBasis.MEASURED,
        off_percent=round(boards.median_percent, 1),
        off_networks=boards.networks,
        off_devices=boards.devices,
        source=ForecastSource(title="evidence record", url=None, date=record.date, board=record.title, networks=1),
        processor="gpu" if record.runtime is Runtime.TENSORRT else "cpu",
    )


def _interval(ms: float, half: float) -> Interval:
    return Interval(estimate=ms, low=ms * math.exp(-half), high=ms * math.exp(half), confidence=CONFIDENCE)


def _outside_tables(subject: Subject, matrix: Matrix, column: int, hard: Array) -> str | None:
    """Return why the tables cannot predict a network; None if they can, or if it was timed."""
    if not np.isnan(matrix.log_ms[:, column]).all():
        return None
    timed = ~np.isnan(base_matrix().log_ms).all(axis=0)
    least, most = (float(np.exp(edge)) for edge in (base_matrix().macs[timed].min(), base_matrix().macs[timed].max()))
    if not least / SIZES <= subject.work.macs <= most * SIZES:
        size = f"{_millions(subject.work.macs)} million multiply-adds"
        return f"{size} are outside what public tables have timed ({_millions(least)} to {_millions(most)} million)"
    if hard[column] > HARDEST:
        return "its layers are unlike those of every network in the public tables"
    return None


def _millions(count: float) -> str:
    """Format three significant digits: ``0.42``, ``15,500``."""
    millions = float(f"{count / 1e6:.3g}")
    return f"{millions:,.0f}" if millions >= 100 else f"{millions:g}"  # noqa: PLR2004 - whole numbers from three digits on


def _no_forecast(
    subject: Subject, device: str, way: tuple[Runtime | None, Precision | None], why: Why, sentence: str
) -> NoForecast:
    return NoForecast(network=subject.name, device=device, runtime=way[0], precision=way[1], why=why, sentence=sentence)


def _missing_forecasts(subject: Subject, place: _Place, measured: Set[Runtime]) -> list[NoForecast]:
    """Return why runtimes of a device have no forecast, or why the device has none."""
    if not place.runs:
        return [] if measured else [_no_forecast_for_device(subject, place)]
    placed = {fit.way for fit in place.ways}
    none = [
        _no_forecast_for_threads(subject, place, way) for way in dict.fromkeys(run.way for run in place.runs) if way not in placed
    ]
    timed = {run.run.runtime for run in place.runs} | measured
    for runtime in place.runtimes:
        if runtime not in timed:
            sentence = f"no public table has {runtime.value} on {place.name}"
            none.append(_no_forecast(subject, place.name, (runtime, None), Why.RUNTIME_WITHOUT_TABLE, sentence))
    return none


def _no_forecast_for_device(subject: Subject, place: _Place) -> NoForecast:
    nearest = nearest_places(place.device)
    sentence = f"no public table has {place.name}" + (
        f"; the nearest by processor or board are {listed(nearest)}" if nearest else ""
    )
    if isinstance(place.device, Device) and place.device.facts_only is not None:
        sentence += f"; {place.device.facts_only.instead}"
    answer = _no_forecast(subject, place.name, (None, None), Why.DEVICE_WITHOUT_TABLE, sentence)
    return answer.model_copy(update={"nearest": nearest})


def _no_forecast_for_threads(subject: Subject, place: _Place, way: Way) -> NoForecast:
    has = sorted({run.run.threads for run in place.runs if run.way == way and run.run.threads is not None})
    beyond = place.threads is not None and place.threads > has[-1]
    counts = f"at most {has[-1]}" if beyond else listed([str(count) for count in has])
    sentence = f"the public table of {place.name} has {counts} threads, not {place.threads}"
    answer = _no_forecast(subject, place.name, way, Why.THREADS_BEYOND_TABLE, sentence)
    return answer.model_copy(update={"threads": place.threads})


_PROCESSORS = re.compile(r"cortex-[amx]\d+\w*|neoverse-\w+|carmel|denver2|oryon|rk\d{4}|bcm\d{4}|gracemont")
"""Names of CPU cores and chips in device files and in the titles of boards."""
_LINES = re.compile(r"^(jetson|raspberry-pi|rk35|orange-?pi)")
"""Series of boards from one maker."""


def nearest_places(device: Device | str) -> tuple[str, ...]:
    """Return up to three devices and boards in the tables with the same CPU cores, or of the same series; else none."""
    name = device if isinstance(device, str) else device.name
    texts = [name, *((device.processor.model, device.title) if isinstance(device, Device) else ())]
    cores, line = _names(_PROCESSORS, *texts), _names(_LINES, name)
    boards = {(run.run.board, run.table.boards[run.run.board].title, run.device or run.run.board) for run in table_runs()}
    shared = dict[str, tuple[int, int]]()
    for board, title, tabled in boards:
        same = len(cores & _names(_PROCESSORS, title)), len(line & _names(_LINES, board))
        shared[tabled] = max(same, shared.get(tabled, (0, 0)))
    ranked = sorted(shared, key=lambda known: (-shared[known][0], -shared[known][1], known))
    near = [known for known in ranked if any(shared[known])]
    return tuple(near[:3])


def _names(pattern: re.Pattern[str], *texts: str) -> set[str]:
    return {name for text in texts for name in pattern.findall(re.sub(r"[\s_\u2011]+", "-", text.lower()))}
