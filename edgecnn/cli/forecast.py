"""`edgecnn forecast`: predict latency on devices that are not connected, from public tables and times measured here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from edgecnn.cli.verbs import Call, verb
from edgecnn.errors.usage import MISSING_ARGUMENT

if TYPE_CHECKING:
    from edgecnn.forecast.networks import Subject
    from edgecnn.runner.pixel_recipe import ImageSize
    from edgecnn.values.candidate import Runtime
    from edgecnn.values.device import Device

NamesArg = Annotated[list[str] | None, typer.Argument(hidden=True, metavar="")]
"""Positional names are refused; the error shows them as ``--arch`` options."""
ArchsOpt = Annotated[
    list[str] | None, typer.Option("--arch", metavar="ARCH", help="A network listed by `edgecnn list archs`; may be repeated.")
]
ModelOpt = Annotated[
    Path | None, typer.Option("--model", metavar="FILE.onnx|BUILD", help="Your own ONNX file, or the folder of a finished build.")
]
TargetsOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--target", metavar="DEVICE[:RUNTIME]", help="Device or board; may be repeated (default: all devices in public tables)."
    ),
]
ThreadsOpt = Annotated[
    int | None, typer.Option("--threads", min=1, help="CPU threads (default: the fastest number in the public table).")
]
TimingOpt = Annotated[
    bool,
    typer.Option("--timing/--no-timing", help="First time the networks with ncnn on this computer, which narrows the intervals."),
]
ResolutionOpt = Annotated[
    str | None,
    typer.Option("--resolution", metavar="SIDE|HxW", help="Size of your images, such as 160 (default: the network's own)."),
]
INSTALL_NCNN = "--timing has no effect without ncnn: pip install 'edgecnn[ncnn]'"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    verb(app, "forecast", short="Predict latency on devices that you do not have.")(forecast)


def forecast(  # noqa: PLR0913 - a command line's options are its parameters
    call: Call,
    names: NamesArg = None,
    arch: ArchsOpt = None,
    model: ModelOpt = None,
    target: TargetsOpt = None,
    resolution: ResolutionOpt = None,
    threads: ThreadsOpt = None,
    timing: TimingOpt = False,
) -> None:
    """Predict the latency of networks on devices that you do not have, with a 90 % interval, without training.

    Every figure is a prediction (▲) from tables that others published, and cannot pass a gate.
    """
    from edgecnn.building.dated_records import measured_times
    from edgecnn.building.forecasts import away_build, expected_kits
    from edgecnn.cli.asking import stated_size
    from edgecnn.errors.fit import NOTHING_FORECAST
    from edgecnn.forecast.forecasting import ForecastOptions, forecasts
    from edgecnn.forecast.timing import NOT_TIMED, can_time, times_here
    from edgecnn.render.screens.networks import show_forecasts
    from edgecnn.values.forecast import ExpectedKit, Forecast, ForecastReport, NoForecast

    size = None if resolution is None else stated_size(resolution, "edgecnn forecast")
    subjects = _subjects(call, Networks(names or (), arch or (), model, size))
    places = _places(target or ())
    here = times_here(subjects, lambda done, of: call.tell.step("time with ncnn", done, of, "networks")) if timing else NOT_TIMED
    rows: list[Forecast | NoForecast] = []
    kits: list[ExpectedKit | None] = []
    for device, runtime in places:
        records = () if isinstance(device, str) else measured_times(device)
        rows += forecasts(subjects, device, ForecastOptions(threads=threads, runtime=runtime, here=here.runs, records=records))
        if not isinstance(device, str) and threads is None and not timing:  # a build takes neither
            kits += expected_kits(subjects, away_build(device, runtime))
    report = ForecastReport(
        forecasts=tuple(row for row in rows if isinstance(row, Forecast)),
        without=tuple(row for row in rows if isinstance(row, NoForecast)),
        kits=tuple(kit for kit in kits if kit is not None),
        timed_here=here.timed,
        not_timed_here=here.not_timed,
        notes=(INSTALL_NCNN,) if timing and not can_time() else (),
    )
    if not report.forecasts:
        raise NOTHING_FORECAST(reasons=tuple(dict.fromkeys(row.sentence for row in report.without)))
    call.show(report, lambda: show_forecasts(report))


class Networks(NamedTuple):
    """The networks to forecast, as they were named."""

    names: Sequence[str]
    archs: Sequence[str]
    model: Path | None
    size: ImageSize | None


def _subjects(call: Call, networks: Networks) -> list[Subject]:
    from edgecnn.errors.fit import NETWORK_WITHOUT_OPTION
    from edgecnn.errors.usage import RESOLUTION_OF_A_FILE
    from edgecnn.errors.wording import shell_word
    from edgecnn.forecast.networks import subject_of_arch, subject_of_file
    from edgecnn.results.finished import built_network
    from edgecnn.store.disk import user_path

    names, archs, model, size = networks
    if names:
        shown = " ".join(f"--arch {shell_word(name)}" for name in names)
        raise NETWORK_WITHOUT_OPTION(names=names, options=shown)
    if not archs and model is None:
        raise MISSING_ARGUMENT(command="edgecnn forecast", name="--arch", meaning="a network of `edgecnn list archs`")
    if model is not None and size is not None:
        raise RESOLUTION_OF_A_FILE(command="edgecnn forecast", network=str(model))
    subjects = [subject_of_arch(name, size) for name in dict.fromkeys(archs)]
    if model is not None:
        path = user_path(model)
        named = path.resolve().name  # of a build, its folder
        subjects.append(subject_of_file(built_network(path, call.store).model if path.is_dir() else path)._replace(name=named))
    return subjects


class Place(NamedTuple):
    """A device or a board of the public tables, with the runtime that the target names."""

    device: Device | str
    runtime: Runtime | None


def _places(targets: Iterable[str]) -> list[Place]:
    """Return devices by name, alias or file, and boards that only the public tables have.

    Raises UnknownDevice: no device or board has the name. UNKNOWN_RUNTIME: a target names a runtime that edgecnn does not have.
    """
    from edgecnn.devices.files import known_runtime, load_devices
    from edgecnn.forecast.tables import runs_on, table_runs
    from edgecnn.values.candidate import ALL_RUNTIMES
    from edgecnn.values.device import split_target

    targets = tuple(dict.fromkeys(targets))
    if not targets:
        tabled = {run.device for run in table_runs()}
        return [Place(device, None) for device in load_devices().values() if device.name in tabled]
    places = []
    for target in targets:
        name, named = split_target(target)
        device = _device(name)
        tabled_runtimes = {run.run.runtime.value: None for run in runs_on(device if isinstance(device, str) else device.name)}
        on_device = tuple(tabled_runtimes) if isinstance(device, str) else tuple(runtime.value for runtime in device.runtimes)
        runtime = None if named is None else known_runtime(named, name, on_device or tuple(tabled_runtimes))
        places.append(Place(device, None if runtime == ALL_RUNTIMES else runtime))
    return places


def _device(name: str) -> Device | str:
    from edgecnn.devices.files import device_named, own_device
    from edgecnn.errors.devices import UnknownDevice
    from edgecnn.forecast.tables import places_with_tables
    from edgecnn.values.device import is_path

    if is_path(name):
        return own_device(Path(name))
    try:
        return device_named(name)
    except UnknownDevice:
        if name not in places_with_tables():
            raise
        return name
