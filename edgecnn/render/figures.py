"""Figures as text: intervals, units, marks of their origin, and notes on forecasts."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Final, Self

from edgecnn.errors.wording import counted, images_in
from edgecnn.judging.metrics import Metric, Unit, reciprocal_of_p50
from edgecnn.values.figures import Accuracy, Agreement, MultiLabelAccuracy, group_count
from edgecnn.values.forecast import MARK, ExpectedKit, Forecast, ForecastBasis
from edgecnn.values.layers import LayerResidency
from edgecnn.values.profile import DatedReference
from edgecnn.values.report import PERCENTILES, BuildReport, CandidateFacts, Latency, percentile_name
from edgecnn.values.verdict import Fidelity, Interval, Verdict

if TYPE_CHECKING:
    from edgecnn.studies.networks_for import NetworkOnDevice

NONE = "–"
MARKS = {
    Fidelity.EMULATED: "ᵉ",
    Fidelity.PREDICTED: MARK,
    Fidelity.DEFINED: "⁼",
    Fidelity.MEASURED: "",
    Fidelity.MISSING: "",
}
SELECTING, DISTURBED = "ˢ", "ᵈ"
RACE_LEGEND = {
    SELECTING: "ˢ estimated in the first race, without an interval; compare it only with other times marked ˢ",
    DISTURBED: "ᵈ other programs or throttling slowed this race: the kit may be faster than shown",
}
REPORTED = (
    "p50 ms is from the final race unless marked. Times from other races name their race. "
    "images/s is 1,000 / p50 for one image at a time."
)
LEGEND = {
    Fidelity.EMULATED: "ᵉ emulated: computed on this computer with a stand-in for the kit on the device",
    Fidelity.PREDICTED: f"{MARK} predicted, not measured, with a 90 % interval; it does not count towards any gate",
    Fidelity.DEFINED: "⁼ by definition: a kit compared with itself, so nothing was measured",
}


DIGITS: Mapping[Unit, int] = {"share": 1, "pp": 2, "ms": 2, "MiB": 1, "mJ": 2, "W": 2, "ratio": 2}
"""Digits after the decimal point of metrics whose row does not have a number."""


def metric_text(metric: Metric, interval: Interval | None) -> FigureText:
    """Return a figure with its interval, or a dash; ms, MiB and mJ are in the heading or the sentence."""
    return interval_text(interval, metric.unit, digits_of(metric))


def digits_of(metric: Metric) -> int:
    """Return the number of digits after the decimal point of a metric."""
    return DIGITS[metric.unit] if metric.digits is None else metric.digits


def count(value: int | None) -> str:
    """``1,234``, or a dash."""
    return NONE if value is None else f"{value:,}"


class FigureText(str):
    """A figure as text. A page can show the interval on a separate line."""

    estimate: str
    interval: str
    """Interval with its unit; empty without one."""

    def __new__(cls, estimate: str, interval: str = "") -> Self:
        """Join both parts with a blank."""
        made = super().__new__(cls, f"{estimate} {interval}" if interval else estimate)
        made.estimate, made.interval = estimate, interval
        return made


_SIGNS: Mapping[str, tuple[float, str, str, str]] = {
    "share": (100, "", " %", ""),
    "pp": (1, "+", "", " pp"),
    "ratio": (1, "", "×", ""),
}
"""By unit: factor, sign, and the text after the estimate and after the interval."""


_MORE_DIGITS: Final = 2
"""Additional digits at most for an interval whose ends would otherwise look equal."""


def interval_text(interval: Interval | None, unit: str, digits: int) -> FigureText:
    """Return a figure with its interval, such as '+0.31 [-0.12, +0.75] pp', or a dash.

    Exact numbers, and estimates without a confidence, have no interval. A narrow interval gets more digits, so that 99.96 % and
    100 % are not both shown as 100.0 %.
    """
    if interval is None:
        return FigureText(NONE)
    factor, sign, behind, behind_interval = _SIGNS.get(unit, (1, "", "", ""))
    ends = (factor * interval.low, factor * interval.high)
    enough = (more for more in range(digits, digits + _MORE_DIGITS + 1) if round(ends[0], more) != round(ends[1], more))
    digits = next(enough, digits)
    estimate, low, high = (f"{factor * end:{sign}.{digits}f}" for end in (interval.estimate, interval.low, interval.high))
    if not interval.confidence or (interval.confidence == 1.0 and interval.low == interval.high):
        return FigureText(f"{estimate}{behind}{behind_interval}")
    return FigureText(f"{estimate}{behind}", f"[{low}, {high}]{behind_interval}")


def number(interval: Interval | None, digits: int) -> FigureText:
    """Return a figure with its interval, without its unit."""
    return interval_text(interval, "", digits)


def percent(interval: Interval) -> Interval:
    """Convert a share 0…1 to percent."""
    return interval.model_copy(update={end: 100 * getattr(interval, end) for end in ("estimate", "low", "high")})


def percent_interval(interval: Interval) -> FigureText:
    """Return '86.2 % [85.5, 86.9]' for 0.8623 [0.855, 0.869]."""
    return interval_text(interval, "share", DIGITS["share"])


def accuracy(value: Accuracy | MultiLabelAccuracy | None) -> str:
    """Return top-1 or mAP with its interval and the mark of its origin."""
    return NONE if value is None else percent_interval(value.share) + MARKS[value.fidelity]


def drop(value: Accuracy | MultiLabelAccuracy | None) -> str:
    """Return the paired drop in percentage points, where positive is worse."""
    if value is None or value.drop_pp is None:
        return NONE
    return points(value.drop_pp) + MARKS[value.fidelity]


def agreement(value: Agreement) -> str:
    """Return the share of images with the prediction of fp32, its interval and the mark of its origin."""
    return percent_interval(value.same) + MARKS[value.fidelity]


def other_predictions(value: Agreement) -> str:
    """Return the number of images with another prediction than fp32."""
    return f"{round((1 - value.same.estimate) * value.images):,} of {value.images:,}"


def agreement_sentence(value: Agreement) -> str:
    """Return the agreement with fp32 in a sentence, for images without labels."""
    where = f", {value.fidelity.value} on {value.machine}" if value.fidelity is Fidelity.EMULATED else ""
    images = f"{images_of(value)} without labels"
    return f"same prediction as fp32 for {percent_interval(value.same)} of {images}{where}; accuracy is not known"


def images_of(value: Accuracy | MultiLabelAccuracy | Agreement) -> str:
    """``600 images of 40 groups``."""
    return images_in(value.images, group_count(value))


def tested_images(report: BuildReport) -> str:
    """``120 images``: the test split, or the tested images of all folds."""
    folded = next((row.test for row in report.candidates if row.test is not None and row.test.folds is not None), None)
    if folded is None or folded.folds is None:
        return f"{report.build.splits.get('test', 0):,} images"
    return f"{folded.images:,} images of {len(folded.folds.each)} folds"


def points(interval: Interval, digits: int = DIGITS["pp"]) -> FigureText:
    """Return a difference in percentage points with its interval."""
    return interval_text(interval, "pp", digits)


def milliseconds(interval: Interval | None) -> FigureText:
    """Return a latency with its interval, or a dash."""
    return interval_text(interval, "ms", DIGITS["ms"])


def percentiles(value: Latency | DatedReference, percents: Sequence[int] = PERCENTILES) -> list[str]:
    """``p50 2.35 [2.31, 2.38]``, in ms, for each known percentile."""
    known = {percent: getattr(value, percentile_name(percent), None) for percent in percents}
    return [f"p{percent} {milliseconds(figure)}" for percent, figure in known.items() if figure]


def p50(value: Latency | None) -> str:
    """Return the median latency in ms, with the marks of its race."""
    return NONE if value is None or value.p50_ms is None else milliseconds(value.p50_ms) + race_marks(value)


def predicted(value: Forecast | None) -> FigureText:
    """``▲ 24 [18, 31]``, always with its mark; a dash for None."""
    if value is None:
        return FigureText(NONE)
    figure = two_digit_interval(value.p50_ms)
    return FigureText(f"{MARK} {figure.estimate}", figure.interval)


FORECAST_FROM = {
    ForecastBasis.MEASURED: "measurements on this device",
    ForecastBasis.PUBLISHED: "a public table for this device",
    ForecastBasis.TRANSFERRED: "measured times of this network on other devices",
    ForecastBasis.COUNTED: "its multiply-adds and bytes",
}


def forecast_basis(value: Forecast) -> str:
    """Return the origin of a forecast, with the board if a table has one machine of a kind."""
    if value.basis is ForecastBasis.PUBLISHED and value.source.kind_only:
        return f"one machine of this kind: {value.source.board}"
    return FORECAST_FROM[value.basis]


def forecast_error(value: Forecast) -> str:
    """Return the error of forecasts of this kind, from which the interval is computed."""
    left_out, start = counted(value.off_networks, "network"), f"from {FORECAST_FROM[value.basis]}"
    if value.basis in (ForecastBasis.MEASURED, ForecastBasis.PUBLISHED):
        boards = f"{left_out} on {counted(value.off_devices, 'device')}"
        differ = f"two boards of the same device usually differ by less than {value.off_percent:g} % (median of {boards})"
        return f"{start}: {differ}; the interval covers 90 % of cases"
    way = f"{value.runtime.value}-{value.precision.value}"
    return (
        f"{start} ({way}): the median error is {value.off_percent:g} % in a leave-one-out test of {left_out}; "
        "the interval covers 90 % of cases"
    )


def forecast_notes(forecasts: Iterable[Forecast], today: date | None = None) -> list[str]:
    """Return notes for a table of forecasts: the error of each kind, the sources, and the networks that each source timed.

    ``today``: to show the age of sources; None in a report, which people read later.
    """
    forecasts = tuple(forecasts)
    off = dict.fromkeys(forecast_error(row) for row in forecasts if row.off_networks)
    marks = source_marks(forecasts)
    sources = [f"{mark} {title}{f', {url}' if url else ''}" for (title, url), mark in marks.items()]
    timed = defaultdict[tuple[str, str | None, str], list[str]](list)
    for row in forecasts:
        on = f"one machine of this kind, {row.source.board}" if row.source.kind_only else row.source.board
        when = row.source.date
        if today is not None:
            months = max(0, round((today - date.fromisoformat(when)).days / 30.44))
            age = counted(months, "month") if months < 24 else counted(months // 12, "year")  # noqa: PLR2004
            when += f" ({age} old)"
        networks = f"{row.runtime.value}-{row.precision.value}: {counted(row.source.networks, 'network')}"
        place = f"{marks[row.source.title, row.source.url]} {row.device}: {on}, {when}"
        timed[place, row.note, row.processor].append(networks)
    boards = [
        f"{place}, on the {processor.upper()}: {', '.join(dict.fromkeys(networks))}{f'; {note}' if note else ''}"
        for (place, note, processor), networks in timed.items()
    ]
    return [f"{MARK} {line}" for line in (*off, *sources, *boards)]


def source_marks(forecasts: Iterable[Forecast]) -> dict[tuple[str, str | None], str]:
    """``[1]``, ``[2]`` by the title and address of a source, in the order of the rows."""
    sources = dict.fromkeys((row.source.title, row.source.url) for row in forecasts)
    return {source: f"[{number}]" for number, source in enumerate(sources, start=1)}


def two_digit_interval(p50_ms: Interval) -> FigureText:
    """``24 [18, 31]``, ``0.83 [0.61, 1.1]``: two digits, because forecasts are not more precise."""
    estimate, low, high = (_two_digits(value) for value in (p50_ms.estimate, p50_ms.low, p50_ms.high))
    return FigureText(estimate, f"[{low}, {high}]")


def _two_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.95 else f"{value:.2g}"  # noqa: PLR2004


def images_per_s(p50_ms: float) -> str:
    """``19.9``, ``1,299``: images per second at this latency, one after the other."""
    rate = reciprocal_of_p50(p50_ms)
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"  # noqa: PLR2004 - three digits are enough


def predicted_rate(value: Forecast) -> FigureText:
    """``▲ 41 [32, 55]``: images per second at a predicted latency."""
    figure = two_digit_interval(value.images_per_s)
    return FigureText(f"{MARK} {figure.estimate}", figure.interval)


def rate_interval(p50_ms: Interval) -> FigureText:
    """Return images per second at a median latency, with the interval: ``425 [420, 433]``."""
    low, estimate, high = (images_per_s(value) for value in (p50_ms.high, p50_ms.estimate, p50_ms.low))
    return FigureText(estimate, f"[{low}, {high}]" if p50_ms.low < p50_ms.high else "")


def expected_kit_text(kit: ExpectedKit) -> str:
    """``ncnn-fp16, ▲ 103 images/s [61, 172] (▲ 9.7 ms), the fastest by a forecast``, or that there is no forecast."""
    if kit.forecast is None:
        return f"{kit.candidate}, speed unknown ({kit.without}), {_CHOSEN_BY[kit.by]}"
    rate, p50 = predicted_rate(kit.forecast), predicted(kit.forecast)
    return f"{kit.candidate}, {rate.estimate} images/s {rate.interval} ({p50.estimate} ms), {_CHOSEN_BY[kit.by]}"


def untested_lines(kit: ExpectedKit | NetworkOnDevice, name: str, device: str) -> list[str]:
    """Return a warning if this computer cannot compute the accuracy of a kit as the device does. ``name``: of the candidate."""
    if not kit.untested:
        return []
    other = f"; --target {device}:{kit.tested.value} ships a kit whose accuracy it computes" if kit.tested else ""
    return [f"accuracy: this computer does not compute {name} as the device does, so measure it with `edgecnn bench`{other}"]


_CHOSEN_BY = {
    "record": "the fastest in a measurement of such a device",
    "forecast": "the fastest by a forecast",
    "default": "by the default order, which is not a speed estimate",
}


def speed(value: Latency | None) -> str:
    """Return the speed-up over fp32 in the same race."""
    if value is None or value.ratio_to_fp32 is None:
        return NONE
    return times(value.ratio_to_fp32) + race_marks(value)


def disturbance(value: Latency) -> str:
    """``, disturbed: other programs took 40 % of the processors' time``; empty for an undisturbed race."""
    return f", disturbed: {value.disturbed}" if value.disturbed else ""


def race_marks(value: Latency | None) -> str:
    """Return the marks of the race of a latency."""
    if value is None:
        return ""
    return MARKS[value.fidelity] + (SELECTING if value.selecting else "") + (DISTURBED if value.disturbed else "")


def race_name(value: Latency) -> str:
    """Return the race of a latency."""
    return "the first race" if value.selecting else "the final race"


def times(ratio: Interval) -> FigureText:
    """Return a ratio with its interval."""
    return interval_text(ratio, "ratio", DIGITS["ratio"])


def size(value: float | None) -> str:
    """Return the size of the model's files in MiB, or a dash."""
    return NONE if value is None else f"{value:.1f}"


LEAST_SHOWN = 0.001
"""Smaller shares are not shown."""


def moved_bytes(layer: LayerResidency) -> str:
    """Return the bytes that a layer reads and writes in one inference, the most first: '49,152 fp32, 3,072 int8'."""
    if layer.moved_bytes is None:
        return NONE
    moved = sorted(layer.moved_bytes.items(), key=lambda item: -item[1])
    return ", ".join(f"{count:,} {name}" for name, count in moved) or "0"


def multiply_adds(count: int) -> str:
    """Return a number of multiply-adds: ``385.8 M``, ``4.09 G``."""
    return f"{count / 1e9:.2f} G" if count >= 1e9 else f"{count / 1e6:.1f} M"  # noqa: PLR2004 - a thousand millions


def level(confidence: float) -> str:
    """Return a confidence level in percent. A median over few runs has an exact level such as ``98.4 %``."""
    return f"{100 * confidence:.3g} %"


def whole_share(share: float) -> str:
    """Return a share 0…1 in percent, rounded down, so that 99.96 % does not become 100 %."""
    shown = f"{share * 100:.0f}" if share == round(share, 2) else f"{math.floor(share * 1000) / 10:.1f}"
    return f"{shown} %"


NO_ACCURACY = "The images have no labels, so accuracy is unknown. At most the share of predictions that differ was lost."


def verdict(facts: CandidateFacts) -> str:
    """Return the candidate's verdict, or its outcome if it could not be built."""
    if facts.verdict is Verdict.FAIL:
        return facts.verdict.value  # predictions that are not numbers fail the measuring step, but their verdict is FAIL
    return facts.verdict.value if facts.broken is None else facts.broken.outcome
