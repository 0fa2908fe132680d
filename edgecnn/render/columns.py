"""The columns of a table of candidates, for the terminal, Markdown, the page and trackers.

To add a column, add a row to ``COLUMNS``; ``metric_cell`` makes the cell of a metric.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal, NamedTuple

from edgecnn.errors.wording import counted, listed, plural
from edgecnn.judging.metrics import SHOWN, Metric
from edgecnn.render import figures
from edgecnn.render.figures import MARKS, NONE, race_marks
from edgecnn.values.figures import Accuracy, MultiLabelAccuracy
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Fidelity, Interval, Verdict

Images = Literal["any", "classes", "labels", "unlabelled"]
"""Images with one class, with several labels, or without labels."""
Place = Literal["text", "page", "tracker"]


@dataclass(frozen=True)
class Cell:
    """One fact of one candidate."""

    text: str | None
    """A figure with its interval, or a word; None if it is missing."""
    fidelity: Fidelity
    why: str = ""
    """A note on the figure, or the reason why it is missing."""
    value: Interval | None = None
    """The number behind the text."""
    marks: str = ""
    """Signs after the text."""
    in_text: str | None = None
    """Text that replaces the figure in a table of text."""

    @property
    def plain(self) -> str:
        """The figure with its marks, or a dash, for a table of text."""
        if self.in_text is not None:
            return self.in_text
        return NONE if self.text is None else self.text + self.marks


@dataclass(frozen=True)
class Column:
    """One column. Every member is required."""

    name: str
    heading: str
    """Heading in a table of text."""
    title: str
    """Heading on the page."""
    unit: str
    """Unit or note below the title."""
    rank: int
    """Priority on a narrow terminal; 0 is the most important column."""
    images: Images
    """Kind of images whose tables have this column."""
    places: frozenset[Place]
    cell: Callable[[CandidateFacts], Cell]


def columns_of(candidates: Iterable[CandidateFacts], place: Place = "text") -> tuple[Column, ...]:
    """Return the columns of a table of these candidates."""
    rows = tuple(candidates)
    labels: Images = "labels" if any(facts.multi_label is not None for facts in rows) else "classes"
    images: Images = "unlabelled" if any(facts.agreement is not None for facts in rows) else labels
    return tuple(column for column in COLUMNS if place in column.places and column.images in ("any", images))


def text_rows(candidates: Iterable[CandidateFacts]) -> list[tuple[str, ...]]:
    """Return the cells of a table of text."""
    rows = tuple(candidates)
    columns = columns_of(rows)
    return [tuple(column.cell(facts).plain for column in columns) for facts in rows]


def headings_by_rank(columns: Iterable[Column]) -> tuple[str, ...]:
    """Return the headings, the most important first."""
    return tuple(column.heading for column in sorted(columns, key=lambda column: column.rank))


class Number(NamedTuple):
    """A figure for programs."""

    value: Interval
    fidelity: Fidelity


def tracked_numbers(facts: CandidateFacts) -> dict[str, Number]:
    """Return the known numbers that decide between candidates, by column."""
    return _numbers((column.name, column.cell(facts)) for column in COLUMNS if "tracker" in column.places)


def all_numbers(facts: CandidateFacts) -> dict[str, Number]:
    """Return every known number of a candidate, by metric."""
    return _numbers((name, agreement_cell(facts) if name == "agreement" else metric_cell(name, facts)) for name in SHOWN)


def _numbers(cells: Iterable[tuple[str, Cell]]) -> dict[str, Number]:
    return {name: Number(cell.value, cell.fidelity) for name, cell in cells if cell.value is not None}


def legend(candidates: Iterable[CandidateFacts]) -> list[str]:
    """Return the meaning of the marks in these rows, the changes to a network, and the sources of forecasts."""
    candidates = tuple(candidates)
    timed = any(facts.latency is not None and facts.latency.p50_ms is not None for facts in candidates)
    forecasts = figures.forecast_notes(facts.forecast for facts in candidates if facts.forecast is not None)
    return [*([figures.REPORTED] * timed), *mark_legend(candidates, columns_of(candidates)), *forecasts]


def mark_legend(candidates: Sequence[CandidateFacts], columns: Sequence[Column]) -> list[str]:
    """Return the changes to each changed network, and the meaning of each mark in these columns."""
    surgeries = dict.fromkeys(facts.candidate.surgery for facts in candidates if facts.candidate.surgery is not None)
    changed = [f"…-{surgery.suffix}: of a changed network: {surgery.done}" for surgery in surgeries]
    texts = [column.cell(facts).plain for facts in candidates for column in columns]
    marks = {**{MARKS[fidelity]: text for fidelity, text in figures.LEGEND.items()}, **figures.RACE_LEGEND}
    meanings = (meaning for mark, meaning in marks.items() if any(mark in text for text in texts))
    return [*interval_notes(candidates, columns), *changed, *meanings, *_unchanged_note(candidates)]


_OF_IMAGES: Final = ("top1", "drop_pp", "map", "map_drop_pp", "agreement")
_OF_RUNS: Final = ("p50_ms", "p99_ms", "ratio_to_fp32")


def interval_notes(candidates: Sequence[CandidateFacts], columns: Iterable[Column]) -> list[str]:
    """Return one line with the confidence level of each column's intervals and the number of images or runs; none without any."""
    shown = {column.name for column in columns}
    images = {facts.answered.images for facts in candidates if facts.answered is not None}
    runs = {facts.latency.runs for facts in candidates if facts.latency is not None and facts.latency.p50_ms is not None}
    sides = ((_OF_IMAGES, images, "test image", "of"), (_OF_RUNS, runs, "process run", "over"))
    parts = []
    for names, counts, unit, preposition in sides:
        if counts and (levels := list(filter(None, (_level_text(name, candidates) for name in names if name in shown)))):
            least, most = min(counts), max(counts)
            number = counted(most, unit) if least == most else f"{least:,} to {counted(most, unit)}"
            parts.append(f"{listed(levels)} {preposition} {number}")
    return [f"intervals: {'; '.join(parts)}"] if parts else []


def _level_text(name: str, candidates: Sequence[CandidateFacts]) -> str:
    """Return ``top-1 95 %``, or an empty text if no candidate has an interval in the column."""
    values = (COLUMN[name].cell(facts).value for facts in candidates)
    levels = sorted({value.confidence for value in values if value is not None and value.confidence and value.low != value.high})
    return f"{SHOWN[name].words} {' or '.join(map(figures.level, levels))}" if levels else ""


def _unchanged_note(candidates: Sequence[CandidateFacts]) -> list[str]:
    """Return why a candidate without a changed prediction is UNSURE, if a more accurate one passes the gate on the drop."""
    judged = [(facts, result) for facts in candidates for result in facts.gates if result.gate.metric == "drop_pp"]
    better = [(facts, result) for facts, result in judged if facts.test and (facts.test.gained or 0) > (facts.test.lost or 0)]
    passed = [facts.candidate.id for facts, result in better if result.verdict is Verdict.PASS]
    unchanged = [
        (facts.candidate.id, facts.test, result.gate.bound)
        for facts, result in judged
        if facts.test is not None and (facts.test.lost, facts.test.gained) == (0, 0)
        if result.verdict is Verdict.UNSURE and result.figure is not None and result.figure.high > result.gate.bound
    ]
    if not passed or not unchanged:
        return []
    _, test, bound = unchanged[0]
    names, drop = listed([name for name, *_ in unchanged]), test.drop_pp
    possible = "" if drop is None else f" a drop of up to {drop.high:.2f} pp possible, and the gate allows {bound:g} pp"
    return [
        f"{names} changed no prediction and {plural(len(unchanged), 'is', 'are')} still UNSURE: {test.images:,} images without a "
        f"change leave{possible}. {listed(passed)} {plural(len(passed), 'passes', 'pass')} because more images became right than "
        "wrong, not because of a smaller change"
    ]


def metric_cell(name: str, facts: CandidateFacts) -> Cell:
    """Return the cell of a metric."""
    metric = SHOWN[name]
    value, fidelity = metric.value(facts), _fidelity(metric, facts)
    if value is None:
        reason = "not packaged" if metric.source == "size" else getattr(metric.measurement(facts), "reason", None)
        return _missing_cell(reason or "not measured")
    latency = facts.latency if metric.source == "latency" else None
    accuracy = MARKS[fidelity] if metric.source == "accuracy" and facts.answered else ""
    return Cell(figures.metric_text(metric, value), fidelity, "", value, race_marks(latency) if latency else accuracy)


_RESIDENCY_FIDELITY: Final = {"executed": Fidelity.MEASURED, "elsewhere": Fidelity.EMULATED, "planned": Fidelity.PREDICTED}


def _fidelity(metric: Metric, facts: CandidateFacts) -> Fidelity:
    if (measurement := metric.measurement(facts)) is not None:
        return measurement.fidelity
    if metric.source == "residency" and facts.residency is not None:
        return _RESIDENCY_FIDELITY[facts.residency.basis]
    return Fidelity.MEASURED if metric.source == "size" else Fidelity.MISSING


def _missing_cell(why: str, in_text: str | None = None) -> Cell:
    return Cell(None, Fidelity.MISSING, why, in_text=in_text)


_UNEVALUATED: Final = "not evaluated on the test split"


def _accuracy_cell(answered: Accuracy | MultiLabelAccuracy | None) -> Cell:
    if answered is None:
        return _missing_cell(_UNEVALUATED)
    share, fidelity = answered.share, answered.fidelity
    return Cell(figures.percent_interval(share), fidelity, figures.images_of(answered), share, MARKS[fidelity])


def _drop_cell(facts: CandidateFacts, answered: Accuracy | MultiLabelAccuracy | None) -> Cell:
    if answered is None:
        return _missing_cell(_UNEVALUATED, "baseline" if facts.is_baseline else None)
    if facts.is_baseline:
        return Cell("baseline", answered.fidelity, "the reference", answered.drop_pp)
    if answered.drop_pp is None:
        return _missing_cell("no baseline")
    discordant = counted(answered.discordant or 0, "discordant image") if isinstance(answered, Accuracy) else ""
    return Cell(figures.points(answered.drop_pp), answered.fidelity, discordant, answered.drop_pp, MARKS[answered.fidelity])


def agreement_cell(facts: CandidateFacts) -> Cell:
    """Return the share of images with the prediction of fp32."""
    agreement = facts.agreement
    if agreement is None:
        of_labels = metric_cell("agreement", facts)
        return _missing_cell(_UNEVALUATED) if of_labels.value is None else of_labels
    if facts.is_baseline:
        return Cell("baseline", agreement.fidelity, "the reference", agreement.same, in_text=NONE)
    why = f"{figures.images_of(agreement)} without labels"
    return Cell(figures.percent_interval(agreement.same), agreement.fidelity, why, agreement.same, MARKS[agreement.fidelity])


def _other_predictions_cell(facts: CandidateFacts) -> Cell:
    agreement = facts.agreement
    if agreement is None:
        return _missing_cell(_UNEVALUATED, "baseline" if facts.is_baseline else None)
    if facts.is_baseline:
        return Cell("baseline", agreement.fidelity, "the reference")
    return Cell(figures.other_predictions(agreement), agreement.fidelity, "accuracy lost at most this share")


def _time_cell(name: str, facts: CandidateFacts) -> Cell:
    latency, figure = facts.latency, SHOWN[name].value(facts)
    if latency is None or figure is None:
        return _missing_cell((latency.reason if latency else None) or "not raced")
    runs = f"{latency.runs} runs of {figures.race_name(latency)}{figures.disturbance(latency)}"
    return Cell(figures.metric_text(SHOWN[name], figure), latency.fidelity, runs, figure, race_marks(latency))


def _median_cell(facts: CandidateFacts) -> Cell:
    """Return the p50, or the forecast of a device that is not attached. A forecast has no number, so no tracker receives it."""
    cell, forecast = _time_cell("p50_ms", facts), facts.forecast
    if cell.value is not None:
        return replace(cell, why=f"{figures.images_per_s(cell.value.estimate)} images/s; {cell.why}")
    if forecast is None:
        return cell
    rate = f"{figures.predicted_rate(forecast).estimate} images/s, predicted, so it does not count towards any gate"
    why = f"{rate}; {figures.forecast_error(forecast)}; {forecast.source.title}"
    return Cell(figures.predicted(forecast), forecast.fidelity, why)


def _rate_cell(facts: CandidateFacts) -> Cell:
    p50 = _time_cell("p50_ms", facts)
    if p50.value is not None:
        return Cell(figures.images_per_s(p50.value.estimate), p50.fidelity, marks=p50.marks)
    return p50 if facts.forecast is None else Cell(figures.predicted_rate(facts.forecast).estimate, facts.forecast.fidelity)


def _speed_cell(facts: CandidateFacts) -> Cell:
    latency = facts.latency
    if facts.is_baseline:
        ratio = metric_cell("ratio_to_fp32", facts)
        return Cell("baseline", latency.fidelity if latency else Fidelity.MISSING, "", ratio.value, in_text=ratio.plain)
    if latency is None or latency.ratio_to_fp32 is None:
        return _missing_cell("no race with fp32")
    why = f"paired by round{figures.disturbance(latency)}"
    return Cell(figures.times(latency.ratio_to_fp32), latency.fidelity, why, latency.ratio_to_fp32, race_marks(latency))


def _residency_cell(facts: CandidateFacts) -> Cell:
    residency, precision = facts.residency, facts.candidate.precision.value
    if residency is None:
        return _missing_cell("not traced")

    def part(shares: Mapping[str, float] | None, what: str) -> str:
        return f"{what} unknown" if shares is None else f"{figures.whole_share(shares.get(precision, 0.0))} of the {what}"

    unknown = residency.mac_share.get("unknown", 0.0)
    beside = f", {figures.whole_share(unknown)} unknown" if unknown >= figures.LEAST_SHOWN else ""
    return Cell(
        f"{figures.whole_share(residency.mac_share.get(precision, 0.0))} {precision}",
        _RESIDENCY_FIDELITY[residency.basis],
        f"{part(residency.time_share, 'time')}, {part(residency.byte_share, 'bytes')}",
        marks={"executed": "", "elsewhere": "ᵉ", "planned": " planned"}[residency.basis] + beside,
        in_text=None if residency.mac_share else NONE,
    )


def _word_cell(text: str) -> Cell:
    return Cell(text, Fidelity.MEASURED)


RESIDENCY: Final = "residency"
_EVERYWHERE: Final[frozenset[Place]] = frozenset(("text", "page", "tracker"))
_SHOWN: Final[frozenset[Place]] = frozenset(("text", "page"))
_TEXT: Final[frozenset[Place]] = frozenset(("text",))
_TRACKED: Final[frozenset[Place]] = frozenset(("tracker",))


def _heading(name: str) -> str:
    return SHOWN[name].heading


COLUMNS: Final = (
    Column("candidate", "candidate", "candidate", "", 0, "any", _TEXT, lambda facts: _word_cell(facts.candidate.id)),
    Column("top1", _heading("top1"), "top-1", "95 % interval", 3, "classes", _EVERYWHERE,
           lambda facts: _accuracy_cell(facts.test)),
    Column("drop_pp", _heading("drop_pp"), "drop", "paired, 90 % interval", 4, "classes", _EVERYWHERE,
           lambda facts: _drop_cell(facts, facts.test)),
    Column("map", _heading("map"), "mAP", "95 % interval", 3, "labels", _EVERYWHERE,
           lambda facts: _accuracy_cell(facts.multi_label)),
    Column("map_drop_pp", _heading("map_drop_pp"), "drop of mAP", "paired, 90 % interval", 4, "labels", _EVERYWHERE,
           lambda facts: _drop_cell(facts, facts.multi_label)),
    Column("agreement", "same as fp32 (95 %)", "same as fp32", "95 % interval", 3, "unlabelled", _EVERYWHERE, agreement_cell),
    Column("others", "other predictions", "other predictions", "images", 4, "unlabelled", _SHOWN, _other_predictions_cell),
    Column("p50_ms", _heading("p50_ms"), "median", "ms", 5, "any", _EVERYWHERE, _median_cell),
    Column("images_per_s", "images/s", "images/s", "1,000 / median", 12, "any", _TEXT, _rate_cell),
    Column("p99_ms", _heading("p99_ms"), "99th percentile", "ms", 7, "any", _EVERYWHERE, partial(_time_cell, "p99_ms")),
    Column("ratio_to_fp32", _heading("ratio_to_fp32"), "speed-up", "against fp32, same race", 6, "any", _EVERYWHERE, _speed_cell),
    Column("size_mib", _heading("size_mib"), "size", "MiB", 8, "any", _EVERYWHERE, partial(metric_cell, "size_mib")),
    Column("peak_memory_mib", _heading("peak_memory_mib"), "peak memory", "MiB", 10, "any", _TRACKED,
           partial(metric_cell, "peak_memory_mib")),
    Column("energy_mj", _heading("energy_mj"), "energy", "mJ", 11, "any", _TRACKED, partial(metric_cell, "energy_mj")),
    Column(RESIDENCY, "MACs in precision", "in its precision", "of multiply-adds, of time, of bytes", 9, "any", _SHOWN,
           _residency_cell),
    Column("verdict", "verdict", "verdict", "", 2, "any", _TEXT, lambda facts: _word_cell(figures.verdict(facts))),
    Column("chosen", "chosen", "chosen", "", 1, "any", _TEXT, lambda facts: _word_cell("◀" if facts.chosen else "")),
)  # fmt: skip
"""All columns, in the order of the tables."""
COLUMN: Final[Mapping[str, Column]] = {column.name: column for column in COLUMNS}
