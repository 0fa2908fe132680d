"""`edgecnn list`: what can be asked for by name."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.exits import guarded
from edgecnn.errors.base import ExitCode
from edgecnn.errors.usage import PlotOfWhat, UnknownList


class What(StrEnum):
    """The four lists."""

    ARCHS = "archs"
    DEVICES = "devices"
    PIPELINES = "pipelines"
    RUNTIMES = "runtimes"


PlotOpt = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE", help="archs: a page that draws published accuracy, work and parameters."),
]
BuildOpt = Annotated[
    list[Path] | None,
    typer.Option("--build", metavar="BUILD", help="archs --plot: a finished build to draw too; unset, those in ./builds."),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("list", help="List networks, devices, pipelines or runtimes.")(_list)


def _named(name: str) -> What:
    """The list of that name. typer would choose among the members of an enum too, but in its own words."""
    if name not in set(What):
        raise UnknownList(name=name, known=tuple(What))
    return What(name)


def _beginning(incomplete: str) -> list[str]:
    """What a shell may complete a word to."""
    return [name for name in What if name.startswith(incomplete)]


def _list(  # noqa: PLR0913 - a command line's options are its parameters
    what: Annotated[
        What, typer.Argument(parser=_named, metavar="LIST", autocompletion=_beginning, help=f"One of {', '.join(What)}.")
    ],
    plot: PlotOpt = None,
    build: BuildOpt = None,
    as_json: opt.JsonOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    def body() -> ExitCode:
        if plot is None and not build:
            return _show(what, as_json)
        if what is not What.ARCHS or plot is None:
            raise PlotOfWhat(what=what.value, plotted=plot is not None)
        return _plotted(plot, build, as_json)

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))


def _plotted(file: Path, builds: list[Path] | None, as_json: bool) -> ExitCode:
    from edgecnn.api import write_catalogue_page
    from edgecnn.render.terminal import show_json, show_lines
    from edgecnn.results.listing import own_builds

    own = own_builds(builds)
    written = write_catalogue_page(own, file)
    if as_json:
        show_json({"file": str(file), "bytes": written, "builds": [each.folder for each in own]})
    else:
        drawn = f"{len(own)} of your builds on it" if own else "none of your builds on it"
        show_lines([f"{file}: {written:,} bytes, {drawn}"])
    return ExitCode.OK


def _show(what: What, as_json: bool) -> ExitCode:
    from edgecnn.render.terminal import show_json, show_rows

    if what is What.ARCHS and not as_json:
        return _show_archs()
    rows = {What.ARCHS: _archs, What.DEVICES: _devices, What.PIPELINES: _pipelines, What.RUNTIMES: _runtimes}[what]()
    if as_json:
        show_json(rows)
    else:
        columns = tuple(rows[0]) if rows else ()
        show_rows(columns, [tuple(_cell(row[column]) for column in columns) for row in rows])
    return ExitCode.OK


def _cell(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return ", ".join(value) if isinstance(value, list) else "–" if value is None else str(value)


def _archs() -> list[dict[str, Any]]:
    from edgecnn.models.catalogue import all_archs
    from edgecnn.values.arch import listed

    return [listed(spec).model_dump(mode="json") for spec in all_archs()]


def _show_archs() -> ExitCode:
    from edgecnn.models.catalogue import all_archs
    from edgecnn.render.catalogue import COLUMNS, arch_cells, footnotes
    from edgecnn.render.terminal import show_lines, show_rows
    from edgecnn.values.arch import listed

    rows = [listed(spec) for spec in all_archs()]
    show_rows(COLUMNS, [arch_cells(row) for row in rows])
    show_lines(footnotes())
    return ExitCode.OK


def _devices() -> list[dict[str, Any]]:
    """A file of the user's own that is no device has a row too, which says why."""
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
    from edgecnn.recipes.recipe import load_pipelines

    return [{"name": name, "summary": pipeline.summary} for name, pipeline in load_pipelines().items()]


def _runtimes() -> list[dict[str, Any]]:
    from edgecnn.backends.installed import installed_version
    from edgecnn.backends.own_environment import own_environment
    from edgecnn.backends.registry import all_backends
    from edgecnn.runner.interpreters import own_python, variable_of

    return [
        {
            "name": backend.runtime.value,
            "needs": [f"{name}{versions}" for name, versions in backend.runtime_packages.items()],
            "installed": [f"{name} {installed_version(name) or 'absent'}" for name in backend.packages],
            "extra": None if own_environment(backend.extra) else backend.extra,
            "python": own_python(backend.runtime)
            or (f"{variable_of(backend.runtime)} names none" if own_environment(backend.extra) else None),
        }
        for backend in all_backends()
    ]
