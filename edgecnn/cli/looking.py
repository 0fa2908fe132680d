"""`edgecnn look`: what the network of a finished build looks for, as pictures and data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.exits import guarded
from edgecnn.errors.base import ExitCode

BuildArg = Annotated[Path, typer.Argument(metavar="BUILD", help="The folder of a finished build, such as builds/ARCH-DEVICE.")]
OutOpt = Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Where to; default BUILD/look.")]
ImagesOpt = Annotated[int, typer.Option("--images", min=1, max=25, help="Images a channel, the strongest first.")]
ChannelsOpt = Annotated[int, typer.Option("--channels", min=1, max=256, help="Channels a map, evenly spaced.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        "look", help="Draw the first layer's filters, and the image parts that excite each channel most. Changes nothing."
    )(_look)


def _look(  # noqa: PLR0913 - a command line's options are its parameters
    build: BuildArg,
    out: OutOpt = None,
    images: ImagesOpt = 9,
    channels: ChannelsOpt = 16,
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    def body() -> ExitCode:
        from edgecnn.render.progress import progress_for
        from edgecnn.render.screens.studies import show_look
        from edgecnn.render.terminal import show_json
        from edgecnn.store.store import Store
        from edgecnn.studies.look import LookRequest, look_into

        into = out or build / "look"
        tell = progress_for(quiet=quiet or as_json)
        try:
            found = look_into(build, into, LookRequest(images, channels), Store.open(), tell)
        finally:
            tell.close()
        if as_json:
            show_json(found.model_dump(mode="json", by_alias=True))
        else:
            show_look(found, into)
        return ExitCode.OK

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))
