"""Forecasts in the terminal: a row for each network, device and precision, then where the figures come from."""

from __future__ import annotations

from edgecnn.render.figures import FORECAST_FROM, forecast_off, forecast_source
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.values.forecast import MARK, Forecast, ForecastReport

COLUMNS = ("network", "device", "runtime", "threads", f"p50 ms {MARK}", "90 % interval", f"images/s {MARK}", "from")


def show_forecasts(report: ForecastReport) -> None:
    """Print the table, its sources, how far it is off, and what has no figure."""
    show_rows(COLUMNS, [_row(row) for row in report.forecasts], title=f"{MARK} predicted, not measured: passes no gate")
    show_lines(dict.fromkeys(forecast_off(row) for row in report.forecasts if row.off_networks))
    show_lines(dict.fromkeys(forecast_source(row) for row in report.forecasts))
    if report.timed_here:
        show_lines([f"timed with ncnn on this computer first: {', '.join(report.timed_here)}"])
    show_lines(dict.fromkeys(f"no forecast: {row.sentence}" for row in report.without))
    show_lines(f"note: {note}" for note in report.notes)


def ms(value: float) -> str:
    """Three significant digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _row(row: Forecast) -> tuple[str, ...]:
    p50, rate = row.p50_ms, row.images_per_s.estimate
    threads = "–" if row.threads is None else str(row.threads)
    way = f"{row.runtime.value}-{row.precision.value}"
    return (
        row.network,
        row.device,
        way,
        threads,
        f"{ms(p50.estimate)} {MARK}",
        f"{ms(p50.low)}–{ms(p50.high)}",
        f"{ms(rate)} {MARK}",
        FORECAST_FROM[row.basis],
    )
