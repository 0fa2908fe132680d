"""`edgecnn doctor`: what works on this machine, what does not, and the command that mends it."""

from __future__ import annotations

from typing import Annotated

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.exits import guarded
from edgecnn.errors.base import ExitCode

NeedOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--need",
        metavar="NAME",
        help="Exit 3 where this does not work here: a runtime or extra, gpu, store, disk, or a device. May be repeated.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("doctor", help="Try what is installed here, and say what is missing, what it would bring and what installs it.")(
        _doctor
    )


def _doctor(need: NeedOpt = None, as_json: opt.JsonOpt = False, quiet: opt.QuietOpt = False, debug: opt.DebugOpt = False) -> None:
    raise typer.Exit(guarded(lambda: _examined(need or [], quiet, as_json), as_json=as_json, debug=debug))


def _examined(needs: list[str], quiet: bool, as_json: bool) -> ExitCode:
    """Show everything; what was needed and is not there ends it as an error, with the findings already on stdout."""
    from edgecnn.devices.doctor.examine import examine
    from edgecnn.errors.devices import NeedsUnmet
    from edgecnn.render.progress import progress_for
    from edgecnn.render.screens.machines import show_doctor
    from edgecnn.render.terminal import show_json

    tell = progress_for(quiet=quiet or as_json)
    try:
        report = examine(tell, needs)
    finally:
        tell.close()
    if as_json:
        show_json(report.model_dump(mode="json", by_alias=True))
    else:
        show_doctor(report)
    unmet = [fact for fact in report.needs if not fact.met]
    if unmet:
        raise NeedsUnmet(unmet={fact.name: fact.because for fact in unmet}, hints=[fact.hint for fact in unmet if fact.hint])
    return ExitCode.OK
