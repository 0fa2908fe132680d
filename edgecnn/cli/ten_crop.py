"""`edgecnn ten-crop`: what ten views of an image would gain over the one that ships."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.exits import guarded
from edgecnn.errors.base import ExitCode

BuildArg = Annotated[Path, typer.Argument(metavar="BUILD", help="The folder of a finished build, such as builds/ARCH-DEVICE.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("ten-crop", help="Evaluate a finished build's float network on ten crops of each test image. Never shipped.")(
        _ten_crop
    )


def _ten_crop(build: BuildArg, as_json: opt.JsonOpt = False, quiet: opt.QuietOpt = False, debug: opt.DebugOpt = False) -> None:
    def body() -> ExitCode:
        from edgecnn.render.progress import progress_for
        from edgecnn.render.screens.studies import show_ten_crop
        from edgecnn.render.terminal import show_json
        from edgecnn.store.store import Store
        from edgecnn.studies.ten_crop import ten_crop

        tell = progress_for(quiet=quiet or as_json)
        try:
            found = ten_crop(build, Store.open(), tell)
        finally:
            tell.close()
        if as_json:
            show_json(found.model_dump(mode="json", by_alias=True))
        else:
            show_ten_crop(found)
        return ExitCode.OK

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))
