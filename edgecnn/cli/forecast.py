"""`edgecnn forecast`: how fast networks would be on devices that are away, from public tables and times taken here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli.verbs import Call, verb
from edgecnn.errors.usage import MISSING_ARGUMENT

if TYPE_CHECKING:
    from edgecnn.forecast.matrix import TimesHere
    from edgecnn.forecast.networks import Subject
    from edgecnn.values.device import Device

ArchsOpt = Annotated[
    list[str] | None, typer.Option("--arch", metavar="ARCH", help="Network of `edgecnn list archs`; may be repeated.")
]
ModelOpt = Annotated[
    Path | None, typer.Option("--model", metavar="FILE.onnx|BUILD", help="Your own ONNX file, or the folder of a finished build.")
]
TargetsOpt = Annotated[
    list[str] | None,
    typer.Option("--target", metavar="DEVICE", help="Device or board; may be repeated (default: all that public tables have)."),
]
ThreadsOpt = Annotated[
    int | None, typer.Option("--threads", min=1, help="CPU threads (default: as many as are fastest in the public table).")
]
NoTimingOpt = Annotated[
    bool, typer.Option("--no-timing", help="Do not time the networks with ncnn on this computer first; intervals get wider.")
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    verb(app, "forecast", short="Predict latency on devices that are away.")(forecast)


def forecast(  # noqa: PLR0913 - a command line's options are its parameters
    call: Call,
    arch: ArchsOpt = None,
    model: ModelOpt = None,
    target: TargetsOpt = None,
    threads: ThreadsOpt = None,
    no_timing: NoTimingOpt = False,
) -> None:
    """Predict the latency of networks on devices that are away, with a 90 % interval, without training.

    Every figure is predicted (▲) from tables that others published, and passes no gate.
    """
    from edgecnn.building.dated_records import measured_times
    from edgecnn.errors.forecast import NOTHING_FORECAST
    from edgecnn.forecast.forecasting import ForecastOptions, forecasts
    from edgecnn.forecast.timing import can_time, times_here
    from edgecnn.render.screens.forecast import show_forecasts
    from edgecnn.values.forecast import Forecast, ForecastReport, NoForecast

    subjects = _subjects(call, arch or (), model)
    places = _places(target or ())
    here: TimesHere = ()
    timed: tuple[str, ...] = ()
    notes: list[str] = []
    if not no_timing and not can_time():
        notes.append("ncnn is not installed, so nothing was timed here: pip install 'edgecnn[ncnn]' narrows the intervals")
    elif not no_timing:
        here, timed = times_here(subjects, lambda done, of: call.tell.step("time with ncnn", done, of, "networks"))
    found: list[Forecast | NoForecast] = []
    for place in places:
        records = () if isinstance(place, str) else measured_times(place)
        found += forecasts(subjects, place, ForecastOptions(threads=threads, here=here, records=records))
    report = ForecastReport(
        forecasts=tuple(row for row in found if isinstance(row, Forecast)),
        without=tuple(row for row in found if isinstance(row, NoForecast)),
        timed_here=timed,
        notes=tuple(notes),
    )
    if not report.forecasts:
        raise NOTHING_FORECAST(reasons=tuple(dict.fromkeys(row.sentence for row in report.without)))
    call.show(report, lambda: show_forecasts(report))


def _subjects(call: Call, archs: Sequence[str], model: Path | None) -> list[Subject]:
    from edgecnn.forecast.networks import subject_of_arch, subject_of_file

    if not archs and model is None:
        raise MISSING_ARGUMENT(command="edgecnn forecast", name="--arch", meaning="a network of `edgecnn list archs`")
    subjects = [subject_of_arch(name) for name in dict.fromkeys(archs)]
    if model is not None:
        subjects.append(subject_of_file(_file_of(call, model)))
    return subjects


def _file_of(call: Call, model: Path) -> Path:
    """The ONNX file, or the trunk of a finished build."""
    from edgecnn.results.network import built_network
    from edgecnn.store.disk import user_path

    path = user_path(model)
    return built_network(path, call.store).model if path.is_dir() else path


def _places(targets: Iterable[str]) -> list[Device | str]:
    """Devices by name, alias or file, and boards that only the tables know. Raises UnknownDevice: neither has the name."""
    from edgecnn.devices.files import device_named, load_devices, own_device
    from edgecnn.errors.devices import UnknownDevice
    from edgecnn.forecast.tables import places, table_runs
    from edgecnn.recipes.target import is_path, split_target

    if not list(targets):
        tabled = {run.device for run in table_runs()}
        return [device for device in load_devices().values() if device.name in tabled]
    found: list[Device | str] = []
    for target in dict.fromkeys(targets):
        name, _ = split_target(target)
        if is_path(name):
            found.append(own_device(Path(name)))
            continue
        try:
            found.append(device_named(name))
        except UnknownDevice:
            if name not in places():
                raise
            found.append(name)
    return found
