"""The screens of networks: their cost and published accuracy, those that fit a device, and forecasts of latency."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from edgecnn.errors.wording import counted, first_of, plural, shell_word
from edgecnn.judging.gates import bound_option
from edgecnn.judging.metrics import budgets_text
from edgecnn.render.figures import (
    FORECAST_FROM,
    NONE,
    expected_kit_text,
    forecast_basis,
    forecast_notes,
    multiply_adds,
    predicted,
    predicted_rate,
    source_marks,
    untested_lines,
)
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.studies.networks_for import CLASSES, RUNNER_MIB, NetworkOnDevice, NetworksFor, NetworksOnDevice, ShortListed
from edgecnn.values.arch import ListedArch
from edgecnn.values.command import Command
from edgecnn.values.forecast import MARK, Forecast, ForecastReport
from edgecnn.values.verdict import IMAGES_PER_S

CATALOGUE_COLUMNS = (
    "name", "year", "parameters", "MACs", "depth", "fp32 MiB", "px", "least px", "top-1 %", "top-5 %", "weights", "paper",
    "accuracy source",
)  # fmt: skip


def show_archs(rows: Sequence[ListedArch]) -> None:
    """Print the table and the meaning of its columns."""
    cells = [
        (
            row.name, str(row.year), f"{row.parameters:,}", multiply_adds(row.macs), str(row.depth), f"{row.weights_mib:.1f}",
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


def percent(share: float | None) -> str:
    """``76.1``."""
    return NONE if share is None else f"{share * 100:.1f}"


_NAMED = 6
WITHOUT_FORECAST = ("network", "top-1 %", "MACs", "fp32 MiB")
FOR_DEVICE = ("network", "top-1 %", "weights here", "MACs", "MiB", "p50 ms (90 %)", "images/s", "by", "kit", "fits")
FOR_DEVICE_BY_RATE = ("network", "top-1 %", "weights here", "MACs", "MiB", "images/s (90 %)", "by", "kit", "fits")


def show_networks_for(networks_for: NetworksFor, *, every: bool) -> None:
    """Print the recommended network for each device. ``every``: also all networks that fit, and the source of each figure."""
    for on_device in networks_for.devices:
        shown = on_device.of("yes", "unsure") if every else [row for row in (on_device.named(on_device.recommended),) if row]
        show_lines(recommendation_lines(on_device, networks_for))
        if every and on_device.catalogue:
            rows = [
                (row.name, percent(row.accuracy_top1), multiply_adds(row.macs), f"{row.weights_mib:.1f}")
                for row in on_device.catalogue
            ]
            show_rows(WITHOUT_FORECAST, rows, title=on_device.device)
        elif every:
            show_rows(device_columns(networks_for), [device_row(row, networks_for) for row in shown], title=on_device.device)
        show_lines([*device_lines(on_device, networks_for), *forecast_notes((row.forecast for row in shown), date.today())])
    if every:
        show_lines(_explanations(networks_for))
    elif not networks_for.stated or any(on_device.recommended for on_device in networks_for.devices):
        show_lines([PREDICTED, "`--all` lists every network that fits."])


PREDICTED = f"{MARK} predicted, not measured: it does not count towards any gate. `edgecnn bench` measures on the device."


def _explanations(networks_for: NetworksFor) -> tuple[str, ...]:
    hint = ", as ImageNet has; --classes N counts yours" if networks_for.classes == CLASSES else ""
    classes = f"{counted(networks_for.classes, 'class', 'classes')}{hint}"
    return (
        "top-1: as published for the float network on ImageNet-1k; INT8 may lose some of it.",
        f"MACs: multiply-adds for one image. MiB: the parameters in the precision of the kit, with {classes}.",
        f"A kit takes about {RUNNER_MIB:g} MiB more, for the runner and test images; INT8 up to a fifth more, for scales.",
        "kit: what a build ships before the device is measured, if its accuracy is within the budget.",
        PREDICTED,
    )


_WEIGHTS = {
    "here": "pretrained weights on this computer",
    "download": "pretrained weights to download",
    "random": "no pretrained weights: training starts from random ones",
}


def recommendation_lines(on_device: NetworksOnDevice, networks_for: NetworksFor) -> list[str]:
    """Return the recommended network with its kit, speed and accuracy, and the command that builds it."""
    budgets, best = budgets_text(networks_for.stated), on_device.named(on_device.recommended)
    head = f"{on_device.target}, {budgets}:" if budgets else f"{on_device.target}:"
    if best is None:
        if budgets and on_device.networks:
            return [head, f"  none of {counted(len(on_device.networks), 'network')} with a forecast is predicted to meet this"]
        ships = on_device.kit_without_forecast
        return [head, f"  a build ships {ships}, whose speed is unknown"] if ships else []
    native = f" at {best.published_px} px" if best.published_px != best.resolution_px else ""
    accuracy = f"{percent(best.accuracy_top1)} % on ImageNet (published{native}), {_WEIGHTS[best.trainable_from]}"
    doubt = "" if best.fits == "yes" else "; the bound is inside the interval, so it may not be met"
    other = on_device.named(on_device.more_accurate)
    more = [] if other is None else [f"  more accurate, with weights to download: {_short(other, networks_for)}"]
    races = ["  this machine is the device: a build measures the candidates and may choose another kit"] * on_device.attached
    return [
        f"{head} {best.name} as {best.kit}",
        f"  speed: {speed_text(best.forecast, networks_for)}, by {FORECAST_FROM[best.forecast.basis]}{doubt}",
        f"  top-1: {accuracy}",
        *(f"  {line}" for line in untested_lines(best, best.kit, on_device.device)),
        *more,
        *races,
        f"  build: {_build_command(best, on_device, networks_for)}",
    ]


def _short(row: NetworkOnDevice, networks_for: NetworksFor) -> str:
    return f"{row.name}, {percent(row.accuracy_top1)} %, {speed_text(row.forecast, networks_for)}"


def speed_text(forecast: Forecast, networks_for: NetworksFor) -> str:
    """``▲ 103 images/s [62, 171]``, in milliseconds if the budget was stated in milliseconds."""
    if "p50_ms" in networks_for.stated:
        figure = predicted(forecast)
        return f"{figure.estimate} ms {figure.interval}"
    figure = predicted_rate(forecast)
    return f"{figure.estimate} images/s {figure.interval}"


def _build_command(row: NetworkOnDevice, on_device: NetworksOnDevice, networks_for: NetworksFor) -> Command:
    size = networks_for.resolution_px
    gates = (bound_option("min" if name == IMAGES_PER_S else "max", name, bound) for name, bound in networks_for.stated.items())
    resized = () if size is None else (("--set", f"model.resolution_px={size}"),)
    parts = (("--arch", row.name), ("--target", on_device.target), *resized, *gates, ("--data", "FOLDER"))
    return Command(verb=("build",), parts=parts)


SHORT_LIST = ("network", "top-1 %", "weights here", "MACs", "MiB", "p50 ms")


def short_list_lines(networks: Sequence[ShortListed], target: str) -> list[str]:
    """Return the networks to choose from for one device, in aligned columns."""
    rows = [
        SHORT_LIST,
        *(
            (
                row.name, percent(row.accuracy_top1), "yes" if row.weights_here else "no", multiply_adds(row.macs),
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


def device_columns(networks_for: NetworksFor) -> tuple[str, ...]:
    """Return the headings of ``device_row``. A budget in images per second leaves out milliseconds."""
    return FOR_DEVICE_BY_RATE if IMAGES_PER_S in networks_for.stated else FOR_DEVICE


def device_row(row: NetworkOnDevice, networks_for: NetworksFor) -> tuple[str, ...]:
    """Return the cells of one network, in the order of ``device_columns``."""
    forecast, rate = row.forecast, predicted_rate(row.forecast)
    speeds = (rate,) if IMAGES_PER_S in networks_for.stated else (predicted(forecast), rate.estimate)
    return (
        row.name, percent(row.accuracy_top1), "yes" if row.weights_here else "no", multiply_adds(row.macs), f"{row.size_mib:.1f}",
        *speeds, forecast.basis.value, row.kit, row.fits,
    )  # fmt: skip


def device_lines(on_device: NetworksOnDevice, networks_for: NetworksFor) -> list[str]:
    """Return how many networks fit, and why others are not listed."""
    limits = budgets_text(networks_for.stated) or "no budget"
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
    for kit in report.kits:
        text = expected_kit_text(kit)
        show_lines([f"{kit.network} at {kit.resolution_px} px, built for {kit.device}: ships {text}"])
    show_lines(dict.fromkeys(line for kit in report.kits for line in untested_lines(kit, kit.candidate, kit.device)))
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
    """Return three significant digits."""
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
