"""`edgecnn predict`: what a bundle says of photographs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.bundle import BundleArg, IdentityOpt, MadeHereOpt, RememberOpt, RequireSignatureOpt, SignersOpt
from edgecnn.cli.exits import guarded
from edgecnn.errors.base import ExitCode

if TYPE_CHECKING:
    from edgecnn.bundle.predictions import Predictions

PhotosArg = Annotated[list[Path], typer.Argument(metavar="PHOTOS…", help="Files, or folders of them.")]
CandidateOpt = Annotated[
    str | None, typer.Option("--candidate", metavar="NAME", help="Whose kit answers; default the one that the bundle uses.")
]
TopOpt = Annotated[int, typer.Option("--top", min=1, metavar="K", help="Labels a photograph.")]
CsvOpt = Annotated[bool, typer.Option("--csv", help="Lines of file,rank,label,probability on stdout.", rich_help_panel="Results")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("predict", help="Verify a bundle and say what its kit sees in photographs; exit 2 where one cannot be read.")(
        _predict
    )


def _predict(  # noqa: PLR0913 - a command line's options are its parameters
    bundle: BundleArg,
    photos: PhotosArg,
    candidate: CandidateOpt = None,
    top: TopOpt = 5,
    signers: SignersOpt = None,
    identity: IdentityOpt = None,
    require_signature: RequireSignatureOpt = False,
    remember: RememberOpt = None,
    made_here: MadeHereOpt = False,
    as_csv: CsvOpt = False,
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    def body() -> ExitCode:
        from edgecnn.bundle.predicting import predict_photos
        from edgecnn.bundle.verify import Trust, verify
        from edgecnn.errors.bundle import TwoFormsAsked
        from edgecnn.render.predictions import unreadable_lines
        from edgecnn.render.progress import progress_for
        from edgecnn.render.terminal import show_talk
        from edgecnn.render.verification import warning_lines

        if as_csv and as_json:
            raise TwoFormsAsked
        trust = Trust(made_here, signers, identity, require_signature, remember)
        tell = progress_for(quiet=quiet or as_json)
        try:
            verified = verify(bundle, trust, tell)
            found = predict_photos(verified, photos, candidate, top, tell)
        finally:
            tell.close()
        _show(found, as_csv=as_csv, as_json=as_json)
        show_talk([*warning_lines(verified.facts), *unreadable_lines(found)])
        return ExitCode.BAD_INPUT if found.unreadable else ExitCode.OK

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))


def _show(found: Predictions, *, as_csv: bool, as_json: bool) -> None:
    from edgecnn.render.predictions import COLUMNS, prediction_csv, prediction_rows
    from edgecnn.render.terminal import show_json, show_lines, show_rows

    if as_json:
        show_json(found.model_dump(mode="json", by_alias=True))
    elif as_csv:
        show_lines(prediction_csv(found))
    else:
        show_rows(COLUMNS, prediction_rows(found), title=f"{found.name} version {found.version}: {found.candidate}")
