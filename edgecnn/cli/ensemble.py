"""`edgecnn ensemble`: several finished builds as one ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.exits import guarded
from edgecnn.errors.base import ExitCode

BuildsArg = Annotated[list[Path], typer.Argument(metavar="BUILD BUILD…", help="Folders of finished builds.")]
OutOpt = Annotated[Path, typer.Option("--out", metavar="FILE.onnx", help="The file that is written.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("ensemble", help="Average finished builds in one ONNX file, for build --model, and say what it costs and gains.")(
        _ensemble
    )


def _ensemble(
    builds: BuildsArg,
    out: OutOpt = Path("ensemble.onnx"),
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    def body() -> ExitCode:
        from edgecnn.render.progress import progress_for
        from edgecnn.render.screens.studies import show_ensemble
        from edgecnn.render.terminal import show_json
        from edgecnn.store.store import Store
        from edgecnn.studies.ensemble import make_ensemble

        tell = progress_for(quiet=quiet or as_json)
        try:
            found = make_ensemble(builds, out, Store.open(), tell)
        finally:
            tell.close()
        if as_json:
            show_json(found.model_dump(mode="json", by_alias=True))
        else:
            show_ensemble(found)
        return ExitCode.OK

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))
