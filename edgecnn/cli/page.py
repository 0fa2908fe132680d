"""`edgecnn report`: the page of a finished build, made again from its report and what the store still has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.exits import guarded
from edgecnn.errors.base import ExitCode

BuildArg = Annotated[Path, typer.Argument(metavar="BUILD", help="The folder of a finished build, such as builds/ARCH-DEVICE.")]
FileOpt = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="The page; default BUILD/report.html.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("report", help="Write one HTML page of a finished build: verdict, figures, charts, mistakes, environment.")(
        _report
    )


def _report(build: BuildArg, out: FileOpt = None, as_json: opt.JsonOpt = False, debug: opt.DebugOpt = False) -> None:
    raise typer.Exit(guarded(lambda: _written(build, out, as_json), as_json=as_json, debug=debug))


def _written(build: Path, out: Path | None, as_json: bool) -> ExitCode:
    from edgecnn.api import write_page
    from edgecnn.render.terminal import show_json, show_lines, show_plot
    from edgecnn.results.folder import PAGE, read_report
    from edgecnn.store.store import Store

    report = read_report(build)
    written = write_page(report, Store.open(), out or build / PAGE)
    if as_json:
        show_json(written.model_dump(mode="json"))
    else:
        missing = [f"  missing: {part}: {why}" for part, why in written.missing.items()]
        show_lines([f"{written.file}: {written.bytes:,} bytes", *missing])
        show_plot(report)
    return ExitCode.OK
