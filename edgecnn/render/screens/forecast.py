"""Forecasts in the terminal: a row for each network, device and precision, then where the figures come from."""

from __future__ import annotations

from edgecnn.errors.wording import counted
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.values.forecast import MARK, Forecast, ForecastBasis, ForecastReport

COLUMNS = ("network", "device", "runtime", "threads", f"p50 ms {MARK}", "90 % interval", f"images/s {MARK}", "from")
FROM = {
    ForecastBasis.MEASURED: "evidence of this device",
    ForecastBasis.PUBLISHED: "a public table of this device",
    ForecastBasis.TRANSFERRED: "times of this network elsewhere",
    ForecastBasis.COUNTED: "its counted work",
}


def show_forecasts(report: ForecastReport) -> None:
    """Print the table, its sources, how far it is off, and what has no figure."""
    show_rows(COLUMNS, [_row(row) for row in report.forecasts], title=f"{MARK} predicted, not measured: passes no gate")
    show_lines(dict.fromkeys(_off(row) for row in report.forecasts if row.off_networks))
    show_lines(dict.fromkeys(_source(row) for row in report.forecasts))
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
        FROM[row.basis],
    )


def _off(row: Forecast) -> str:
    left_out, start = counted(row.off_networks, "network"), f"from {FROM[row.basis]}"
    if row.basis is ForecastBasis.PUBLISHED:
        return f"{start}: two boards of one device differ by {row.off_percent:g} % (median of {left_out})"
    way = f"{row.runtime.value}-{row.precision.value}"
    return f"{start} ({way}): off by {row.off_percent:g} % (median) on {left_out} left out in turn"


def _source(row: Forecast) -> str:
    source, note = row.source, f"; {row.note}" if row.note else ""
    where = f", {source.url}" if source.url else ""
    timed = f"{source.date}, {counted(source.networks, 'network')} on {source.board}"
    return f"{row.device}, {row.runtime.value}-{row.precision.value}: {source.title}, {timed}{note}{where}"
