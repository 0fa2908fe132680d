"""The screen of forecasts: a row for each network, device and precision, then the sources."""

from __future__ import annotations

from datetime import date

from edgecnn.errors.wording import first_of
from edgecnn.render.figures import NONE, forecast_basis, forecast_notes, source_marks
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.values.forecast import MARK, Forecast, ForecastReport

COLUMNS = (
    "network", "device", "runtime", "threads", f"p50 ms {MARK}", "90 % interval", f"images/s {MARK}", "edgecnn builds it", "from",
)  # fmt: skip
_NAMED = 6


def show_forecasts(report: ForecastReport, today: date | None = None) -> None:
    """Print the table, its sources with their age, its error, and networks without a forecast.

    ``today``: None for the date of the call.
    """
    marks = source_marks(report.forecasts)
    rows = [_row(row, marks[row.source.title, row.source.url]) for row in report.forecasts]
    show_rows(COLUMNS, rows, title=f"{MARK} predicted, not measured: does not count towards any gate")
    show_lines(forecast_notes(report.forecasts, today or date.today()))
    if report.timed_here:
        show_lines([f"timed with ncnn on this computer first: {', '.join(report.timed_here)}"])
    for reason in dict.fromkeys(report.not_timed_here.values()):
        names = [name for name, why in report.not_timed_here.items() if why == reason]
        show_lines([f"not timed on this computer: {first_of(names, _NAMED)}: {reason}"])
    show_lines(dict.fromkeys(f"no forecast: {row.sentence}" for row in report.without))
    show_lines(f"note: {note}" for note in report.notes)


def ms(value: float) -> str:
    """Three significant digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


_BUILT = {True: "yes", False: "no", None: NONE}


def _row(row: Forecast, source: str) -> tuple[str, ...]:
    p50, rate = row.p50_ms, row.images_per_s.estimate
    threads = NONE if row.threads is None else str(row.threads)
    return (
        row.network,
        row.device,
        f"{row.runtime.value}-{row.precision.value}, {row.processor.upper()}",
        threads,
        f"{ms(p50.estimate)} {MARK}",
        f"{ms(p50.low)}–{ms(p50.high)}",
        f"{ms(rate)} {MARK}",
        _BUILT[row.built],
        f"{forecast_basis(row)} {source}",
    )
