"""`edgecnn list`: networks, devices, pipelines and runtimes, by name."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from edgecnn.cli.verbs import Call, verb
from edgecnn.errors.usage import (
    BUILD_WITH_TARGET,
    BUILD_WITHOUT_PLOT,
    LIST_WITHOUT_TARGET,
    PLOT_OF_WHAT,
    TARGET_OF_A_LIST,
    unknown_list,
)
from edgecnn.errors.wording import names_like


class What(StrEnum):
    """The four lists."""

    ARCHS = "archs"
    DEVICES = "devices"
    PIPELINES = "pipelines"
    RUNTIMES = "runtimes"


PlotOpt = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE", help="archs: write a page that plots published accuracy, MACs and parameters."),
]
BuildOpt = Annotated[
    list[Path] | None,
    typer.Option("--build", metavar="BUILD", help="archs --plot: a finished build to include (default: the builds in ./builds)."),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    verb(app, "list", short="List networks, devices, pipelines or runtimes.")(list_)


def _list_name(name: str) -> What:
    """Parse the name of a list. typer can parse an enum, but not with an error of edgecnn."""
    if name not in set(What):
        raise unknown_list(name=name, known=tuple(What))
    return What(name)


def _completions(incomplete: str) -> list[str]:
    return [name for name in What if name.startswith(incomplete)]


WhatArg = Annotated[
    What, typer.Argument(parser=_list_name, metavar="LIST", autocompletion=_completions, help=f"One of {', '.join(What)}.")
]
PatternArg = Annotated[
    str | None,
    typer.Argument(metavar="PATTERN", help="Show only matching names, such as 'resnet*'; 'timm:*' lists the networks of timm."),
]
TargetsOpt = Annotated[
    list[str] | None,
    typer.Option("--target", metavar="DEVICE[:RUNTIME|:all]", help="archs: predicted latency on this device; may be repeated."),
]
WithinOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--within", metavar="METRIC=NUMBER", help="archs --target: maximum p50_ms or size_mib, or minimum images_per_s."
    ),
]
ClassesOpt = Annotated[
    int | None,
    typer.Option(
        "--classes", min=2, metavar="N", help="archs --target: number of your classes, which affects the size (default: 1000)."
    ),
]

ResolutionOpt = Annotated[
    str | None,
    typer.Option(
        "--resolution",
        metavar="SIDE|HxW",
        help="archs --target: size of your images, such as 160 or 48x192 (default: the network's own).",
    ),
]
EveryOpt = Annotated[
    bool, typer.Option("--all", help="archs --within: list every network that fits, not only the recommended one.")
]


def list_(  # noqa: PLR0913 - a command line's options are its parameters
    call: Call,
    what: WhatArg,
    pattern: PatternArg = None,
    plot: PlotOpt = None,
    build: BuildOpt = None,
    target: TargetsOpt = None,
    within: WithinOpt = None,
    classes: ClassesOpt = None,
    resolution: ResolutionOpt = None,
    every: EveryOpt = False,
) -> None:
    """List networks, devices, pipelines or runtimes."""
    if target or within or classes is not None or resolution is not None or every:
        if build:
            raise BUILD_WITH_TARGET(build=build[0])
        wanted = DeviceList(target or [], within or [], classes, resolution, every, plot)
        _show_archs_for_devices(call, what, pattern or "*", wanted)
    elif plot is None and not build:
        _show(call, what, pattern or "*")
    elif what is not What.ARCHS or plot is None:
        raise BUILD_WITHOUT_PLOT() if plot is None else PLOT_OF_WHAT(list=what.value)
    else:
        _plot_archs(call, plot, build, pattern or "*")


class DeviceList(NamedTuple):
    """Networks for devices, inside budgets."""

    targets: Sequence[str]
    within: Sequence[str]
    classes: int | None
    resolution: str | None
    every: bool
    plot: Path | None

    @property
    def first_option(self) -> str:
        """The first option that needs a device."""
        options = {"--target": self.targets, "--within": self.within, "--classes": self.classes, "--resolution": self.resolution}
        return next((name for name, value in options.items() if value), "--all")


def _show_archs_for_devices(call: Call, what: What, pattern: str, wanted: DeviceList) -> None:
    from edgecnn.api import require_plot, write_networks_page
    from edgecnn.cli.asking import stated_size
    from edgecnn.render.screens.networks import show_networks_for
    from edgecnn.studies.networks_for import CLASSES, limits_of_a_list, networks_for

    if what is not What.ARCHS:
        raise TARGET_OF_A_LIST(option=wanted.first_option, list=what.value)
    size = None if wanted.resolution is None else stated_size(wanted.resolution, "edgecnn list archs")
    limits = limits_of_a_list(wanted.within, wanted.classes or CLASSES, size)
    if not wanted.targets:
        raise LIST_WITHOUT_TARGET(option=wanted.first_option)
    if wanted.plot is not None:
        require_plot(wanted.plot, forms=(".html",))
    networks = networks_for(pattern, wanted.targets, limits, call.store)
    call.show(networks, lambda: show_networks_for(networks, every=wanted.every or not limits.within))
    if wanted.plot is not None:
        call.add([f"{wanted.plot}: {write_networks_page(networks, wanted.plot):,} bytes"])


def _plot_archs(call: Call, file: Path, builds: list[Path] | None, pattern: str) -> None:
    from edgecnn.api import write_catalogue_page
    from edgecnn.results.finished import own_builds

    own = own_builds(builds)
    written = write_catalogue_page(own, file, pattern)
    counted = f"{len(own)} of your builds on it" if own else "none of your builds on it"
    facts = {"file": str(file), "bytes": written, "builds": [build.folder for build in own]}
    call.show(facts, [f"{file}: {written:,} bytes, {counted}"])


def _show(call: Call, what: What, pattern: str) -> None:
    from edgecnn.models.catalogue import TIMM, archs_like
    from edgecnn.render.screens.networks import show_archs
    from edgecnn.render.terminal import show_rows
    from edgecnn.values.arch import listed

    if what is What.ARCHS and not pattern.lower().startswith(TIMM):
        archs = [listed(spec) for spec in archs_like(pattern)]
        call.show([arch.model_dump(mode="json") for arch in archs], lambda: show_archs(archs))
        return
    if what is What.ARCHS:
        rows = _timm_rows(pattern)
    else:
        known = {What.DEVICES: _devices, What.PIPELINES: _pipelines, What.RUNTIMES: _runtimes}[what]()
        names = {name: row["name"] for row in known for name in (row["name"], *row.get("aliases", ()))}
        shown = {names[name] for name in names_like(pattern, names)}
        rows = [row for row in known if row["name"] in shown]
    columns = tuple(rows[0]) if rows else ()
    call.show(rows, lambda: show_rows(columns, [tuple(_cell(row[column]) for column in columns) for row in rows]))


def _cell(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return ", ".join(value) if isinstance(value, list) else "–" if value is None else str(value)


def _timm_rows(pattern: str) -> list[dict[str, Any]]:
    """Return a row for each network of the installed timm, without building any."""
    from edgecnn.errors.weights import unknown_arch
    from edgecnn.installed import require_packages

    require_packages(("timm",), extra="zoo", needed_for=pattern)
    from edgecnn.models.timm_zoo import recorded_arch, timm_names

    specs = [recorded_arch(name) for name in timm_names(pattern)]
    if not specs:
        raise unknown_arch(name=pattern, nearest=(), shown_by="edgecnn list archs 'timm:*'")
    return [
        {
            "name": spec.name, "resolution_px": spec.resolution_px.stated, "least_px": spec.least_px, "classes": spec.classes,
            "weights": None if spec.weights is None else spec.weights.source,
            "licence": None if spec.weights is None else spec.weights.licence.partition(";")[0],
        }
        for spec in specs
    ]  # fmt: skip


def _devices() -> list[dict[str, Any]]:
    """Return a row for each device. The row of a user's invalid device file has the reason."""
    from edgecnn.devices.files import build_targets, known_devices

    known = known_devices()
    unusable: list[dict[str, Any]] = [
        {
            "name": name, "aliases": [], "title": f"cannot be used: {error.line()}", "role": None, "runtimes": [],
            "build_with": [], "facts_only": None,
        }
        for name, error in known.damaged.items()
    ]  # fmt: skip
    return unusable + [
        {
            "name": device.name, "aliases": list(device.aliases), "title": device.title, "role": device.role,
            "runtimes": [f"{name.value} {facts.versions}" for name, facts in device.runtimes.items()],
            "build_with": list(build_targets(device)),
            "facts_only": None if device.facts_only is None else device.facts_only.why,
        }
        for device in known.devices
    ]  # fmt: skip


def _pipelines() -> list[dict[str, Any]]:
    from edgecnn.planning.recipe import load_pipelines

    return [{"name": name, "summary": pipeline.summary} for name, pipeline in load_pipelines().items()]


def _runtimes() -> list[dict[str, Any]]:
    from edgecnn.installed import installed_version
    from edgecnn.runtimes.registry import all_backends

    return [
        {
            "name": backend.runtime.value,
            "needs": [f"{name}{versions}" for name, versions in backend.runtime_packages.items()],
            "installed": [f"{name} {installed_version(name) or 'absent'}" for name in backend.packages],
            "extra": backend.extra,
        }
        for backend in all_backends()
    ]
