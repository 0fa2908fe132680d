"""How each figure is spelt, once, for every place that shows it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Self

from edgecnn.errors.wording import counted, images_in
from edgecnn.judging.metrics import SHOWN, Metric, Unit, reciprocal_of_p50
from edgecnn.values.figures import Accuracy, Agreement, MultiLabelAccuracy, group_count
from edgecnn.values.forecast import MARK, Forecast, ForecastBasis
from edgecnn.values.layers import LayerResidency
from edgecnn.values.report import BuildReport, CandidateFacts, Latency
from edgecnn.values.verdict import Fidelity, Interval, Verdict

NONE = "–"
MARKS = {
    Fidelity.EMULATED: "ᵉ",
    Fidelity.PREDICTED: MARK,
    Fidelity.DEFINED: "⁼",
    Fidelity.MEASURED: "",
    Fidelity.MISSING: "",
}
SELECTING, DISTURBED = "ˢ", "ᵈ"
_OF_RACES = {
    SELECTING: "ˢ estimated by the race for the choice, without an interval; what ships, fp32 and the best other precision raced "
    "once more, and times of two races cannot be compared",
    DISTURBED: "ᵈ other work or throttling slowed these runs: they can show that a kit is fast, not that it is slow, and show no "
    "speed-up on a machine of its own",
}
REPORTED = (
    "p50 ms comes from the race for the report unless a mark says otherwise. Every other time names its race. "
    "images/s is 1,000 / p50: one image at a time"
)
LEGEND = {
    Fidelity.EMULATED: "ᵉ emulated: computed here on a stand-in for what the device will run",
    Fidelity.PREDICTED: f"{MARK} predicted and not measured, with a 90 % interval; no gate takes it",
    Fidelity.DEFINED: "⁼ by definition: a kit compared with itself, so nothing was measured",
}


DIGITS: Mapping[Unit, int] = {"share": 1, "pp": 2, "ms": 2, "MiB": 1, "mJ": 2, "W": 2, "ratio": 2}
"""After the point, unless a metric's row says otherwise."""


def spelt(metric: Metric, interval: Interval | None) -> str:
    """A figure of this metric with its interval, or a dash; ms, MiB and mJ stand in the column's head or the sentence."""
    digits = digits_of(metric)
    if interval is None:
        return NONE
    if metric.unit == "share":
        return percent_interval(interval)
    if metric.unit == "ratio":
        return times(interval)
    if interval.confidence == 1.0 and interval.low == interval.high:
        return f"{interval.estimate:.{digits}f}"
    return points(interval, digits) if metric.unit == "pp" else number(interval, digits)


def digits_of(metric: Metric) -> int:
    """How many of a metric's figures stand after the point."""
    return DIGITS[metric.unit] if metric.digits is None else metric.digits


def count(value: int | None) -> str:
    """``1,234``, or a dash."""
    return NONE if value is None else f"{value:,}"


def cell(name: str, facts: CandidateFacts) -> str:
    """What stands in the column of a metric for one candidate, with the marks of where it comes from."""
    metric = SHOWN[name]
    text = spelt(metric, metric.value(facts))
    if text == NONE:
        return predicted(facts.forecast) if name == "p50_ms" else NONE
    if metric.source == "accuracy":
        return text + (MARKS[facts.answered.fidelity] if facts.answered else "")
    return text + (race_marks(facts.latency) if metric.source == "latency" else "")


class Spelt(str):
    """A figure as text, whose interval a page may show on a line of its own."""

    estimate: str
    interval: str
    """With the unit behind it; empty where there is none."""

    def __new__(cls, estimate: str, interval: str = "") -> Self:
        """Join the two."""
        made = super().__new__(cls, f"{estimate} {interval}" if interval else estimate)
        made.estimate, made.interval = estimate, interval
        return made


def number(interval: Interval | None, digits: int) -> Spelt:
    """A figure with its interval, if it has one, without its unit; or a dash."""
    if interval is None:
        return Spelt(NONE)
    estimate = f"{interval.estimate:.{digits}f}"
    return Spelt(estimate, f"[{interval.low:.{digits}f}, {interval.high:.{digits}f}]" if interval.confidence else "")


def percent(interval: Interval) -> Interval:
    """A share 0…1 in percent, as an axis has it."""
    return interval.model_copy(update={end: 100 * getattr(interval, end) for end in ("estimate", "low", "high")})


def percent_interval(interval: Interval) -> Spelt:
    """0.8623 [0.855, 0.869] → '86.2 % [85.5, 86.9]', of an estimate alone '86.2 %'."""
    if not interval.confidence:
        return Spelt(f"{interval.estimate * 100:.1f} %")
    return Spelt(f"{interval.estimate * 100:.1f} %", f"[{interval.low * 100:.1f}, {interval.high * 100:.1f}]")


def accuracy(value: Accuracy | MultiLabelAccuracy | None) -> str:
    """Top-1, or mAP, with its interval and the mark of where it comes from."""
    return NONE if value is None else percent_interval(value.share) + MARKS[value.fidelity]


def drop(value: Accuracy | MultiLabelAccuracy | None) -> str:
    """The paired drop in percentage points, positive for worse."""
    if value is None or value.drop_pp is None:
        return NONE
    return points(value.drop_pp) + MARKS[value.fidelity]


def agreement(value: Agreement) -> str:
    """The share with fp32's answer, its interval and the mark of where it comes from."""
    return percent_interval(value.same) + MARKS[value.fidelity]


def others(value: Agreement) -> str:
    """Images with another answer than fp32's, counted."""
    return f"{round((1 - value.same.estimate) * value.images):,} of {value.images:,}"


def agreement_sentence(value: Agreement) -> str:
    """What is known of a candidate whose images have no labels."""
    where = f", {value.fidelity.value} on {value.machine}" if value.fidelity is Fidelity.EMULATED else ""
    images = f"{images_of(value)} without labels"
    return f"fp32's answer to {percent_interval(value.same)} of {images}{where}; no accuracy is known"


def images_of(value: Accuracy | MultiLabelAccuracy | Agreement) -> str:
    """``600 images of 40 groups``."""
    return images_in(value.images, group_count(value))


def tested_on(report: BuildReport) -> str:
    """``120 images``: those that accuracy is of, which are more than the test split where other folds were tested too."""
    folded = next((row.test for row in report.candidates if row.test is not None and row.test.folds is not None), None)
    if folded is None or folded.folds is None:
        return f"{report.build.splits.get('test', 0):,} images"
    return f"{folded.images:,} images of {len(folded.folds.each)} folds"


def points(interval: Interval, digits: int = 2) -> Spelt:
    """A difference in percentage points with its interval; one that holds by definition has none, nor has an estimate alone."""
    if not interval.confidence or (interval.confidence == 1.0 and interval.low == interval.high):
        return Spelt(f"{interval.estimate:+.{digits}f} pp")
    return Spelt(f"{interval.estimate:+.{digits}f}", f"[{interval.low:+.{digits}f}, {interval.high:+.{digits}f}] pp")


def milliseconds(interval: Interval | None) -> Spelt:
    """A latency with its interval, or a dash."""
    return number(interval, 2)


def p50(value: Latency | None) -> str:
    """The median latency in ms, with the marks of the race that it is from."""
    return NONE if value is None or value.p50_ms is None else milliseconds(value.p50_ms) + race_marks(value)


def predicted(value: Forecast | None) -> str:
    """``▲ 24 [18, 31]``: never without its mark; a dash where there is none."""
    return NONE if value is None else f"{MARK} {roughly(value.p50_ms)}"


_BASIS = {
    ForecastBasis.MEASURED: "an evidence record of this network",
    ForecastBasis.PUBLISHED: "a published time of this network",
    ForecastBasis.TRANSFERRED: "times of this network on other machines",
    ForecastBasis.COUNTED: "counted work, since this network was timed nowhere",
}


def forecast_basis(value: Forecast) -> str:
    """What a forecast rests on, and how far its method was off, in one line."""
    source, missed = value.source, counted(value.off_networks, "network")
    table = f"{source.title} of {source.date} ({source.board}, {counted(source.networks, 'network')})"
    threads = f" on {counted(value.threads, 'thread')}" if value.threads else ""
    off = f"half of the forecasts for {missed} left out were off by at most {value.off_percent:.0f} %"
    return (
        f"{value.device}, {value.runtime.value} {value.precision.value}{threads}: from {_BASIS[value.basis]} and {table}; {off}"
    )


def roughly(p50_ms: Interval) -> Spelt:
    """``24 [18, 31]``, ``0.83 [0.61, 1.1]``: two digits, since a forecast knows no more."""
    estimate, low, high = (_two_digits(value) for value in (p50_ms.estimate, p50_ms.low, p50_ms.high))
    return Spelt(estimate, f"[{low}, {high}]")


def _two_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.95 else f"{value:.2g}"  # noqa: PLR2004


def images_per_s(p50_ms: float) -> str:
    """``19.9``, ``1,299``: images a second at this latency, one after the other."""
    rate = reciprocal_of_p50(p50_ms)
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"  # noqa: PLR2004 - three digits are enough


def _rate(facts: CandidateFacts) -> str:
    value = facts.latency
    if value is not None and value.p50_ms is not None:
        return images_per_s(value.p50_ms.estimate) + race_marks(value)
    return NONE if facts.forecast is None else predicted_rate(facts.forecast)


def predicted_rate(value: Forecast) -> str:
    """``▲ 41``: images a second at a predicted latency."""
    return f"{MARK} {_two_digits(value.images_per_s.estimate)}"


def speed(value: Latency | None) -> str:
    """How many times faster than fp32 in the same race."""
    if value is None or value.ratio_to_fp32 is None:
        return NONE
    return times(value.ratio_to_fp32) + race_marks(value)


def disturbance(value: Latency) -> str:
    """``, disturbed: other programs took 40 % of the processors' time``, for the end of a sentence; nothing of a quiet race."""
    return f", disturbed: {value.disturbed}" if value.disturbed else ""


def race_marks(value: Latency | None) -> str:
    """Of the race that a latency is from."""
    if value is None:
        return ""
    return MARKS[value.fidelity] + (SELECTING if value.selecting else "") + (DISTURBED if value.disturbed else "")


def race_of(value: Latency) -> str:
    """By which race a latency was measured."""
    return "the race for the choice" if value.selecting else "the race for the report"


def times(ratio: Interval) -> Spelt:
    """A ratio with its interval, if it has one."""
    return Spelt(f"{ratio.estimate:.2f}×", f"[{ratio.low:.2f}, {ratio.high:.2f}]" if ratio.confidence else "")


def size(value: float | None) -> str:
    """MiB of the model's files."""
    return NONE if value is None else f"{value:.1f}"


LEAST_SHOWN = 0.001
"""Of a share, that is worth a word."""


def residency(facts: CandidateFacts) -> str:
    """The share of multiply-adds that ran in the candidate's precision, 'planned' where nothing ran, and what is not known."""
    if facts.residency is None or not facts.residency.mac_share:
        return NONE
    share = facts.residency.mac_share.get(facts.candidate.precision.value, 0.0)
    basis = {"executed": "", "elsewhere": "ᵉ", "planned": " planned"}[facts.residency.basis]
    unknown = facts.residency.mac_share.get("unknown", 0.0)
    beside = f", {whole_share(unknown)} unknown" if unknown >= LEAST_SHOWN else ""
    return f"{whole_share(share)} {facts.candidate.precision.value}{basis}{beside}"


def moved_bytes(layer: LayerResidency) -> str:
    """What a layer reads and writes in one inference, most first: '49,152 fp32, 3,072 int8'."""
    if layer.moved_bytes is None:
        return NONE
    moved = sorted(layer.moved_bytes.items(), key=lambda item: -item[1])
    return ", ".join(f"{count:,} {name}" for name, count in moved) or "0"


def whole_share(share: float) -> str:
    """A share 0…1 in percent, rounded down where it is rounded: 99.96 % is not 100 %."""
    shown = f"{share * 100:.0f}" if share == round(share, 2) else f"{math.floor(share * 1000) / 10:.1f}"
    return f"{shown} %"


NO_ACCURACY = (
    "The images have no labels: no accuracy is known, and it can have fallen by no more than the share of other answers."
)
_TIMED = ("p50_ms", "p99_ms", "ratio_to_fp32", "size_mib")
_TOP1, _DROP = SHOWN["top1"].heading, SHOWN["drop_pp"].heading
RESIDENT = "MACs in precision"
_HEADS = [SHOWN[name].heading for name in _TIMED]
COLUMNS = ("candidate", _TOP1, _DROP, *_HEADS[:1], "images/s", *_HEADS[1:], RESIDENT, "verdict", "chosen")
_SEVERAL = {_TOP1: SHOWN["map"].heading, _DROP: SHOWN["map_drop_pp"].heading}
_UNLABELLED = {_TOP1: "as fp32 (95 %)", _DROP: "other answers"}
IMPORTANT = tuple(COLUMNS[place] for place in (0, 10, 9, 1, 2, 3, 6, 5, 7, 8, 4))
"""The columns in the order in which a narrow terminal gives them room."""


def headings(candidates: Iterable[CandidateFacts]) -> dict[str, str]:
    """Name of each column to what stands above it: without labels the two of accuracy hold agreement, of several labels an image
    mAP, and are called so."""
    rows = tuple(candidates)
    unlabelled = any(facts.agreement is not None for facts in rows)
    called = _UNLABELLED if unlabelled else _SEVERAL if any(facts.multi_label is not None for facts in rows) else {}
    return {name: called.get(name, name) for name in COLUMNS}


def legend(candidates: Iterable[CandidateFacts]) -> list[str]:
    """What the marks in these rows mean, and what was done to a network; nothing where there is none of either."""
    candidates = tuple(candidates)
    rows = [cell for facts in candidates for cell in row(facts)]
    marks = {**{MARKS[fidelity]: text for fidelity, text in LEGEND.items()}, **_OF_RACES}
    done = dict.fromkeys(facts.candidate.surgery for facts in candidates if facts.candidate.surgery is not None)
    changed = [f"…-{each.suffix}: of a changed network: {each.done}" for each in done]
    timed = any(facts.latency is not None and facts.latency.p50_ms is not None for facts in candidates)
    bases = dict.fromkeys(f"{MARK} {forecast_basis(facts.forecast)}" for facts in candidates if facts.forecast is not None)
    explained = [text for mark, text in marks.items() if any(mark in cell for cell in rows)]
    return [*changed, *([REPORTED] * timed), *explained, *bases]


def verdict(facts: CandidateFacts) -> str:
    """The candidate's verdict, or what became of it where it could not be made."""
    if facts.verdict is Verdict.FAIL:
        return facts.verdict.value  # also of answers that are no numbers, for which measuring it counts as failed
    return facts.verdict.value if facts.broken is None else facts.broken.outcome


def row(facts: CandidateFacts) -> tuple[str, ...]:
    """One candidate's cells, in the order of ``COLUMNS``."""
    seen = facts.agreement
    p50, *others_timed = (cell(name, facts) for name in _TIMED)
    return (
        facts.candidate.id,
        accuracy(facts.answered) if seen is None else NONE if facts.is_baseline else agreement(seen),
        "baseline" if facts.is_baseline else drop(facts.answered) if seen is None else others(seen),
        p50,
        _rate(facts),
        *others_timed,
        residency(facts),
        verdict(facts),
        "◀" if facts.chosen else "",
    )
