"""The screens of networks: their cost and published accuracy, those that fit a device, and forecasts of latency."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from edgecnn.errors.wording import bounds_text, counted, first_of, plural, shell_word
from edgecnn.render.figures import NONE, forecast_basis, forecast_notes, predicted, predicted_rate, source_marks
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.studies.networks_for import CLASSES, RUNNER_MIB, NetworkOnDevice, NetworksFor, NetworksOnDevice, ShortListed
from edgecnn.values.arch import ListedArch
from edgecnn.values.forecast import MARK, Forecast, ForecastReport

CATALOGUE_COLUMNS = (
    "name", "year", "parameters", "MACs", "depth", "fp32 MiB", "px", "least px", "top-1 %", "top-5 %", "weights", "paper",
    "accuracy source",
)  # fmt: skip


def show_archs(rows: Sequence[ListedArch]) -> None:
    """Print the table and the meaning of its columns."""
    cells = [
        (
            row.name, str(row.year), f"{row.parameters:,}", macs_text(row.macs), str(row.depth), f"{row.weights_mib:.1f}",
            str(row.resolution_px), str(row.least_px), percent(row.accuracy_top1), percent(row.accuracy_top5),
            row.weights or (f"none; needs {', '.join(row.needs)}" if row.needs else "none"), row.paper,
            row.accuracy_source or NONE,
        )
        for row in rows
    ]  # fmt: skip
    show_rows(CATALOGUE_COLUMNS, cells)
    show_lines(
        (
            "MACs: multiply-adds for one image at px. depth: convolutions and fully connected layers on the longest path.",
            "top-1, top-5: as published, on ImageNet-1k validation, not measured here. –: no published figure.",
        )
    )


def macs_text(macs: int) -> str:
    """``385.8 M``, ``4.09 G``."""
    return f"{macs / 1e9:.2f} G" if macs >= 1e9 else f"{macs / 1e6:.1f} M"  # noqa: PLR2004 - a thousand millions


def percent(share: float | None) -> str:
    """``76.1``."""
    return NONE if share is None else f"{share * 100:.1f}"


_NAMED = 6
WITHOUT_FORECAST = ("network", "top-1 %", "MACs", "fp32 MiB")
FOR_DEVICE = ("network", "top-1 %", "weights here", "MACs", "MiB", "p50 ms (90 %)", "images/s", "by", "runs in", "fits")


def show_networks_for(networks_for: NetworksFor) -> None:
    """Print the networks that fit each device, and the source of each figure."""
    hint = ", as ImageNet has; --classes N counts yours" if networks_for.classes == CLASSES else ""
    classes = f"{counted(networks_for.classes, 'class', 'classes')}{hint}"
    for on_device in networks_for.devices:
        if on_device.catalogue:
            rows = [
                (row.name, percent(row.accuracy_top1), macs_text(row.macs), f"{row.weights_mib:.1f}")
                for row in on_device.catalogue
            ]
            show_rows(WITHOUT_FORECAST, rows, title=on_device.device)
        else:
            show_rows(FOR_DEVICE, [device_row(row) for row in on_device.of("yes", "unsure")], title=on_device.device)
        show_lines(
            [
                *device_lines(on_device, networks_for),
                *forecast_notes((row.forecast for row in on_device.of("yes", "unsure")), date.today()),
            ]
        )
    show_lines(
        (
            "top-1: as published for the float network on ImageNet-1k; INT8 may lose some of it.",
            f"MACs: multiply-adds for one image. MiB: the parameters in that precision, with {classes}.",
            f"A kit takes about {RUNNER_MIB:g} MiB more, for the runner and test images; INT8 up to a fifth more, for scales.",
            f"{MARK} predicted, not measured: it does not count towards any gate.",
            "Measure on the device: `edgecnn build`, then `edgecnn bench`.",
        )
    )


SHORT_LIST = ("network", "top-1 %", "weights here", "MACs", "MiB", "p50 ms")


def short_list_lines(networks: Sequence[ShortListed], target: str) -> list[str]:
    """Return the networks to choose from for one device, in aligned columns."""
    rows = [
        SHORT_LIST,
        *(
            (
                row.name, percent(row.accuracy_top1), "yes" if row.weights_here else "no", macs_text(row.macs),
                f"{row.size_mib:.1f}", predicted(row.forecast) if row.forecast else NONE,
            )
            for row in networks
        ),
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    predictions = [f"{MARK} predicted with its 90 % interval, not measured"] if any(row.forecast for row in networks) else []
    return [
        f"networks for {target}; `edgecnn list archs --target {shell_word(target)}` lists all:",
        *("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows),
        "; ".join(["top-1: published for ImageNet-1k", *predictions]),
    ]


def device_row(row: NetworkOnDevice) -> tuple[str, ...]:
    """Return the cells of one network, in the order of ``FOR_DEVICE``."""
    forecast = row.forecast
    return (
        row.name, percent(row.accuracy_top1), "yes" if row.weights_here else "no", macs_text(row.macs), f"{row.size_mib:.1f}",
        predicted(forecast), predicted_rate(forecast), forecast.basis.value,
        f"{forecast.runtime.value} {forecast.precision.value}", row.fits,
    )  # fmt: skip


def device_lines(on_device: NetworksOnDevice, networks_for: NetworksFor) -> list[str]:
    """Return how many networks fit, and why others are not listed."""
    limits = bounds_text(networks_for.within) if networks_for.within else "no budget"
    fitting, unsure = len(on_device.of("yes")), len(on_device.of("unsure"))
    without = sum(map(len, on_device.without_forecast.values()))
    measures = f"no latency is known here: `{on_device.measured_by}` times networks for `edgecnn fit`"
    return [
        f"{limits}: {counted(fitting, 'network')} {plural(fitting, 'fits', 'fit')}, {unsure} unsure (the bound is inside the "
        f"interval, or between weights and kit), {len(on_device.of('no'))} do not fit, {without} without a forecast",
        *(f"no forecast: {first_of(names, _NAMED)}: {why}" for why, names in on_device.without_forecast.items()),
        *([measures] if on_device.measured_by else []),
    ]


FORECAST_COLUMNS = (
    "network", "device", "runtime", "threads", f"p50 ms {MARK}", "90 % interval", f"images/s {MARK}", "edgecnn builds it", "from",
)  # fmt: skip


def show_forecasts(report: ForecastReport, today: date | None = None) -> None:
    """Print the table, its sources with their age, its error, and networks without a forecast.

    ``today``: None for the date of the call.
    """
    marks = source_marks(report.forecasts)
    rows = [_forecast_row(row, marks[row.source.title, row.source.url]) for row in report.forecasts]
    show_rows(FORECAST_COLUMNS, rows, title=f"{MARK} predicted, not measured: does not count towards any gate")
    show_lines(forecast_notes(report.forecasts, today or date.today()))
    if report.timed_here:
        show_lines([f"timed with ncnn on this computer first: {', '.join(report.timed_here)}"])
    for reason in dict.fromkeys(report.not_timed_here.values()):
        names = [name for name, why in report.not_timed_here.items() if why == reason]
        show_lines([f"not timed on this computer: {first_of(names, _NAMED)}: {reason}"])
    show_lines(dict.fromkeys(f"no forecast: {row.sentence}" for row in report.without))
    show_lines(f"note: {note}" for note in report.notes)


def three_digits(value: float) -> str:
    """Three significant digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


_BUILT = {True: "yes", False: "no", None: NONE}


def _forecast_row(row: Forecast, source: str) -> tuple[str, ...]:
    p50, rate = row.p50_ms, row.images_per_s.estimate
    threads = NONE if row.threads is None else str(row.threads)
    return (
        row.network,
        row.device,
        f"{row.runtime.value}-{row.precision.value}, {row.processor.upper()}",
        threads,
        f"{three_digits(p50.estimate)} {MARK}",
        f"{three_digits(p50.low)}–{three_digits(p50.high)}",
        f"{three_digits(rate)} {MARK}",
        _BUILT[row.built],
        f"{forecast_basis(row)} {source}",
    )
