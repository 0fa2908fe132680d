"""The table of candidates: each figure with its interval, where it comes from, and why it is missing where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgecnn.render import figures
from edgecnn.render.page.charts.figure import MEASURED, MISSING, OF_FIDELITY, Mark, of_residency
from edgecnn.values.report import BuildReport, CandidateFacts, Latency
from edgecnn.values.verdict import Interval

COLUMNS = (
    ("top-1", "95 % interval"),
    ("drop", "paired, 90 % interval"),
    ("median", "ms"),
    ("99th percentile", "ms"),
    ("speed-up", "against fp32, same race"),
    ("size", "MiB"),
    ("in its precision", "of multiply-adds, of time, of bytes"),
)
"""Name and unit."""


_UNLABELLED = (("as fp32 answers", "95 % interval"), ("other answers", "images"))
"""In the place of the first two where the images have no labels."""


_SEVERAL = (("mAP", "95 % interval"), ("drop of mAP", "paired, 90 % interval"))
"""Where an image has any number of labels."""


@dataclass(frozen=True)
class Cell:
    """A figure, its mark, and what a reader must know of it."""

    text: str
    mark: Mark
    detail: str = ""
    span: int = 1
    """Columns that it stands in: what is missing together is said once."""

    @property
    def estimate(self) -> str:
        """The figure without its interval, for places where both need a line."""
        return self.text.estimate if isinstance(self.text, figures.Spelt) else self.text

    @property
    def interval(self) -> str:
        """The interval alone, with its unit; empty where there is none."""
        return self.text.interval if isinstance(self.text, figures.Spelt) else ""


@dataclass(frozen=True)
class Row:
    """One candidate. ``number`` stands for it where a chart has no room for names."""

    number: int
    facts: CandidateFacts
    cells: tuple[Cell, ...]
    verdict: str

    @property
    def tags(self) -> tuple[str, ...]:
        """What it is, and its part in the comparison."""
        candidate = self.facts.candidate
        parts = [word for word, holds in (("chosen", self.facts.chosen), ("baseline", self.facts.is_baseline)) if holds]
        method = "float" if candidate.precision.is_float else candidate.method.value
        return (
            *parts,
            *([method] if method != "float" else []),
            *([candidate.surgery.done] if candidate.surgery is not None else []),
            *(["engine built on the device"] if candidate.needs_engine else []),
        )


def candidate_rows(report: BuildReport) -> tuple[Row, ...]:
    """Every candidate in the plan's order."""
    return tuple(
        Row(number=number, facts=facts, cells=figure_cells(facts), verdict=figures.verdict(facts))
        for number, facts in enumerate(report.candidates, start=1)
    )


def columns_of(report: BuildReport) -> tuple[tuple[str, str], ...]:
    """Name and unit of the report's columns."""
    if any(facts.multi_label for facts in report.candidates):
        return (*_SEVERAL, *COLUMNS[2:])
    return (*_UNLABELLED, *COLUMNS[2:]) if any(facts.agreement for facts in report.candidates) else COLUMNS


def key_figures(report: BuildReport) -> tuple[tuple[str, Cell], ...]:
    """What ships, in a handful of numbers; nothing where nothing was chosen."""
    chosen = report.shipped
    if chosen is None:
        return ()
    drop, speed = ((), ()) if chosen.is_baseline else ((("drop", _drop(chosen)),), (("speed-up", _speed(chosen)),))
    name = "top-1" if chosen.multi_label is None else "mAP"
    first = ((name, _accuracy(chosen)), *drop) if chosen.agreement is None else (("as fp32 answers", _agreement(chosen)),)
    rest = (("size, MiB", _size(chosen)), ("in its precision", _residency(chosen)))
    return (*first, ("median latency, ms", _median(chosen)), *speed, *rest)


def figure_cells(facts: CandidateFacts) -> tuple[Cell, ...]:
    """One candidate's figures, in the order of ``COLUMNS``."""
    first = (_accuracy(facts), _drop(facts)) if facts.agreement is None else (_agreement(facts), _others(facts))
    latency = facts.latency
    times: tuple[Cell, ...] = (replace(_time(latency, None), span=3),)
    if latency is not None and (latency.p50_ms is not None or latency.p99_ms is not None):
        times = (_median(facts), _time(latency, latency.p99_ms), _speed(facts))
    elif facts.forecast is not None:
        times = (_median(facts), replace(_time(latency, None), span=2))
    return (*first, *times, _size(facts), _residency(facts))


def _missing(why: str) -> Cell:
    return Cell("missing", MISSING, why)


def _size(facts: CandidateFacts) -> Cell:
    return _missing("not packaged") if facts.size_mib is None else Cell(figures.size(facts.size_mib), MEASURED)


def _accuracy(facts: CandidateFacts) -> Cell:
    seen = facts.answered
    if seen is None:
        return _missing("not evaluated on the test split")
    return Cell(figures.percent_interval(seen.share), OF_FIDELITY[seen.fidelity], figures.images_of(seen))


def _agreement(facts: CandidateFacts) -> Cell:
    seen = facts.agreement
    if seen is None:
        return _missing("not evaluated on the test split")
    if facts.is_baseline:
        return Cell("baseline", OF_FIDELITY[seen.fidelity], "the reference")
    return Cell(figures.percent_interval(seen.same), OF_FIDELITY[seen.fidelity], f"{figures.images_of(seen)} without labels")


def _others(facts: CandidateFacts) -> Cell:
    seen = facts.agreement
    if seen is None or facts.is_baseline:
        return _agreement(facts)
    return Cell(figures.others(seen), OF_FIDELITY[seen.fidelity], "accuracy can have fallen by no more")


def _drop(facts: CandidateFacts) -> Cell:
    seen = facts.answered
    if seen is None:
        return _missing("not evaluated on the test split")
    mark = OF_FIDELITY[seen.fidelity]
    if facts.is_baseline:
        return Cell("baseline", mark, "the reference")
    if seen.drop_pp is None:
        return _missing("no baseline to count from")
    discordant = "" if facts.test is None else f"{facts.test.discordant or 0:,} discordant images"
    return Cell(figures.points(seen.drop_pp), mark, discordant)


def _median(facts: CandidateFacts) -> Cell:
    latency, forecast = facts.latency, facts.forecast
    if latency is None or latency.p50_ms is None:
        if forecast is None:
            return _time(latency, None)
        detail = f"{figures.predicted_rate(forecast)} images/s; {figures.forecast_basis(forecast)}"
        return Cell(figures.roughly(forecast.p50_ms), OF_FIDELITY[forecast.fidelity], detail)
    cell = _time(latency, latency.p50_ms)
    return replace(cell, detail=f"{figures.images_per_s(latency.p50_ms.estimate)} images/s; {cell.detail}")


def _time(latency: Latency | None, figure: Interval | None) -> Cell:
    if latency is None or figure is None:
        return _missing((latency.reason if latency else None) or "not raced")
    runs = f"{latency.runs} runs of {figures.race_of(latency)}{figures.disturbance(latency)}"
    return Cell(figures.milliseconds(figure), OF_FIDELITY[latency.fidelity], runs)


def _speed(facts: CandidateFacts) -> Cell:
    latency = facts.latency
    if facts.is_baseline:
        return Cell("baseline", MISSING if latency is None else OF_FIDELITY[latency.fidelity])
    if latency is None or latency.ratio_to_fp32 is None:
        return _missing("no race with fp32")
    return Cell(
        figures.times(latency.ratio_to_fp32), OF_FIDELITY[latency.fidelity], f"paired by round{figures.disturbance(latency)}"
    )


def _residency(facts: CandidateFacts) -> Cell:
    found, precision = facts.residency, facts.candidate.precision.value
    if found is None:
        return _missing("nothing was traced")
    return Cell(
        f"{figures.whole_share(found.mac_share.get(precision, 0.0))} {precision}",
        of_residency(found),
        f"{_beside(found.time_share, precision, 'time')}, {_beside(found.byte_share, precision, 'bytes')}",
    )


def _beside(shares: Mapping[str, float] | None, precision: str, what: str) -> str:
    return f"{what} unknown" if shares is None else f"{figures.whole_share(shares.get(precision, 0.0))} of the {what}"
