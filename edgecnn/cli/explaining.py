"""`edgecnn explain`: why a finished build chose as it did, from its report alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.exits import guarded
from edgecnn.errors.base import ExitCode

BuildArg = Annotated[Path, typer.Argument(metavar="BUILD", help="The folder of a finished build, such as builds/ARCH-DEVICE.")]
CandidateOpt = Annotated[
    str | None, typer.Option("--candidate", metavar="ID", help="This one alone; openvino-fp16 of one that is not supported.")
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        "explain",
        help="Say why this candidate and not each other one, what was not measured, and what would settle what is open.",
    )(_explain)


def _explain(build: BuildArg, candidate: CandidateOpt = None, as_json: opt.JsonOpt = False, debug: opt.DebugOpt = False) -> None:
    raise typer.Exit(guarded(lambda: _explained(build, candidate, as_json), as_json=as_json, debug=debug))


def _explained(build: Path, candidate: str | None, as_json: bool) -> ExitCode:
    from edgecnn.render.screens.explanation import show_explanation
    from edgecnn.render.terminal import show_json
    from edgecnn.results.explain import explain, explain_candidate
    from edgecnn.results.folder import read_report

    found = explain(read_report(build))
    if candidate is not None:
        found = explain_candidate(found, candidate, build)
    if as_json:
        show_json(found.model_dump(mode="json", by_alias=True))
    else:
        show_explanation(found, alone=candidate is not None)
    return ExitCode.OK
