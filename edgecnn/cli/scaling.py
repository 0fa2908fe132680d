"""`edgecnn scale`: the largest network of a family inside budgets, counted before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.exits import guarded
from edgecnn.errors.base import ExitCode

ArchOpt = Annotated[str, typer.Option("--arch", metavar="ARCH|FAMILY", help="Network, or a family such as efficientnet.")]
WithinOpt = Annotated[
    str, typer.Option("--within", metavar="macs=N,params=N,memory=N", help="Budgets, such as macs=200M,params=4M,memory=64MiB.")
]

TargetOpt = Annotated[
    str | None,
    typer.Option("--target", metavar="DEVICE", help="Device, whose main memory is a budget where --within states none for it."),
]
PlotOpt = Annotated[
    Path | None, typer.Option("--plot", metavar="FILE", help="Draw the frontier with the budgets: FILE.html, .png or .svg.")
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("scale", help="Search depth, width and resolution inside budgets of arithmetic, parameters and memory.")(_scale)


def _scale(  # noqa: PLR0913 - a command line's options are its parameters
    arch: ArchOpt,
    within: WithinOpt,
    target: TargetOpt = None,
    plot: PlotOpt = None,
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    def body() -> ExitCode:
        from edgecnn.api import require_plot, write_frontier
        from edgecnn.render.progress import progress_for
        from edgecnn.render.scale_search import show_search
        from edgecnn.render.terminal import show_json, show_lines
        from edgecnn.studies.cost import network_or_family
        from edgecnn.studies.scale_search import asked_budgets, search_scale

        if plot is not None:
            require_plot(plot)
        spec, asked = network_or_family(arch), asked_budgets(within, target)
        tell = progress_for(quiet=quiet or as_json)
        try:
            found = search_scale(spec, asked, lambda done: tell.step("count", done, None, "networks"))
        finally:
            tell.close()
        if as_json:
            show_json(found.model_dump(mode="json", by_alias=True))
        else:
            show_search(found)
        if plot is not None:  # last, since it may fail and the search has taken a minute
            written = write_frontier(found, plot)
            show_lines([] if as_json else [f"{plot}: {written:,} bytes"])
        return ExitCode.OK

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))
