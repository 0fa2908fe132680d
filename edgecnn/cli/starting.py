"""`edgecnn init`: a first recipe for a folder of photographs, after three questions at most."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.exits import guarded
from edgecnn.errors.base import EdgecnnError, ExitCode, system_reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgecnn.render.first_recipe import FirstChoices

ARCH, DEVICE, DROP_PP = "mobilenet-v3-large", "cpu", 1.0
"""A network that fits every device here, this machine, and the default gate."""
PhotosArg = Annotated[
    str,
    typer.Argument(metavar="FOLDER", help="Photographs, as --data takes them: sub-folders, IDX files, a list or a zip."),
]
FileOpt = Annotated[Path, typer.Option("--out", metavar="FILE.toml", help="The recipe to write.")]
DropOpt = Annotated[float | None, typer.Option("--drop-pp", min=0.0, max=100.0, help="Accuracy that may be lost, in points.")]
YesOpt = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take what was not given as usual.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("init", help="Look at a folder of photographs and write a commented recipe for it.")(_init)


@dataclass(frozen=True)
class _Given:
    arch: str | None
    onnx: str | None
    target: str | None
    drop_pp: float | None
    ask: bool


def _init(  # noqa: PLR0913 - a command line's options are its parameters
    folder: PhotosArg,
    out: FileOpt = Path("recipe.toml"),
    arch: opt.ArchOpt = None,
    onnx: opt.OnnxOpt = None,
    target: opt.TargetOpt = None,
    drop_pp: DropOpt = None,
    yes: YesOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    given = _Given(arch, onnx, target, drop_pp, ask=not yes and sys.stdin.isatty() and sys.stderr.isatty())
    raise typer.Exit(guarded(lambda: _write(folder, out, given, quiet), as_json=False, debug=debug))


def _write(folder: str, out: Path, given: _Given, quiet: bool) -> ExitCode:
    from edgecnn.data.images import open_source
    from edgecnn.data.manifest import summarize
    from edgecnn.devices.files import parse_target
    from edgecnn.errors.custom_model import CustomAndNamed
    from edgecnn.errors.recipes import RecipeThere, RecipeUnwritable
    from edgecnn.render.first_recipe import recipe_text
    from edgecnn.render.progress import progress_for
    from edgecnn.render.terminal import show_lines
    from edgecnn.store.disk import write_text_atomically
    from edgecnn.store.store import Store
    from edgecnn.values.recipe import DataChoice

    if given.arch is not None and given.onnx is not None:
        raise CustomAndNamed(option="--arch")
    if out.exists():
        raise RecipeThere(path=out)
    tell = progress_for(quiet=quiet)
    try:
        data = summarize(DataChoice(path=folder, train=given.onnx is None), Store.open().root, tell)
    finally:
        tell.close()
    choices = _choices(given)
    images = open_source(Path(data.manifest_path)).manifest.images
    text = recipe_text(choices, data, images, parse_target(choices.device).device, out)
    try:
        write_text_atomically(out, text)
    except OSError as error:
        raise RecipeUnwritable(path=out, because=system_reason(error)) from error
    show_lines([f"{out} is written; edgecnn build {out} builds it"])
    return ExitCode.OK


def _choices(given: _Given) -> FirstChoices:
    """What was given stands; the rest is asked, or taken as usual."""
    from edgecnn.devices.files import parse_target
    from edgecnn.models.catalogue import arch_named
    from edgecnn.render.first_recipe import FirstChoices

    def answer(question: str, usual: str, check: Callable[[str], object]) -> str:
        while given.ask:
            said = str(typer.prompt(question, default=usual, err=True))
            try:
                check(said)
            except (EdgecnnError, ValueError) as error:
                typer.echo(error.line() if isinstance(error, EdgecnnError) else f"{said!r} is no number", err=True)
            else:
                return said
        return usual

    arch = None if given.onnx is not None else given.arch or answer("Which network?", ARCH, arch_named)
    device = given.target or answer("Which device will run it?", DEVICE, parse_target)
    drop_pp = (
        given.drop_pp
        if given.drop_pp is not None
        else float(answer("Points of accuracy to lose at most?", f"{DROP_PP:g}", float))
    )
    if arch is not None:
        arch_named(arch)
    parse_target(device)
    return FirstChoices(arch=arch, onnx=given.onnx, device=device, drop_pp=drop_pp)
