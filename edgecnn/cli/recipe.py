"""`edgecnn recipe`: what a recipe may hold, what one comes to here, and how two differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.asking import BuildOptions
from edgecnn.cli.exits import guarded
from edgecnn.errors.base import ExitCode

if TYPE_CHECKING:
    from edgecnn.planning.settings import RecipeSettings
    from edgecnn.values.stage import Progress

recipe_app = typer.Typer(no_args_is_help=True, help="What a recipe may hold, what one comes to here, and how two differ.")
SideArg = Annotated[str, typer.Argument(help="A recipe file, a shipped pipeline's name, or the folder of a finished build.")]


def register(app: typer.Typer) -> None:
    """Add the verb family."""
    app.add_typer(recipe_app, name="recipe")


@recipe_app.command()
def schema(as_json: opt.JsonOpt = False, debug: opt.DebugOpt = False) -> None:
    """Print the JSON Schema of a recipe file, for editors."""

    def body() -> ExitCode:
        from edgecnn.planning.settings import recipe_schema
        from edgecnn.render.terminal import show_json

        show_json(recipe_schema())
        return ExitCode.OK

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))


@recipe_app.command()
def show(  # noqa: PLR0913 - a command line's options are its parameters
    recipe: opt.RecipeArg = None,
    arch: opt.ArchOpt = None,
    onnx: opt.OnnxOpt = None,
    target: opt.TargetOpt = None,
    data: opt.DataOpt = None,
    no_labels: opt.NoLabelsOpt = False,
    weights: opt.WeightsOpt = None,
    keep_head: opt.KeepHeadOpt = False,
    scale: opt.ScaleOpt = None,
    set_: opt.SetOpt = None,
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    """Print the recipe as a build would take it, every default filled in, and where each value comes from."""
    asked = BuildOptions(
        recipe=recipe,
        arch=arch,
        onnx=onnx,
        target=target,
        data=data,
        weights=weights,
        scale=scale,
        overrides=tuple(set_ or ()),
        no_labels=no_labels,
        keep_head=keep_head,
    )
    raise typer.Exit(guarded(lambda: _show(asked, quiet, as_json), as_json=as_json, debug=debug))


@recipe_app.command()
def diff(
    before: SideArg, after: SideArg, as_json: opt.JsonOpt = False, quiet: opt.QuietOpt = False, debug: opt.DebugOpt = False
) -> None:
    """Compare two recipes or finished builds by the values that they come to, wherever those are stated."""
    raise typer.Exit(guarded(lambda: _diff((before, after), quiet, as_json), as_json=as_json, debug=debug))


def _show(asked: BuildOptions, quiet: bool, as_json: bool) -> ExitCode:
    from edgecnn.render.progress import progress_for
    from edgecnn.render.screens.recipe import show_settings
    from edgecnn.render.terminal import show_json

    tell = progress_for(quiet=quiet or as_json)
    try:
        settings = _settings(asked, tell)
    finally:
        tell.close()
    if as_json:
        show_json(settings.model_dump(mode="json", by_alias=True))
    else:
        show_settings(settings)
    return ExitCode.OK


def _diff(sides: tuple[str, str], quiet: bool, as_json: bool) -> ExitCode:
    from edgecnn.planning.settings import difference, settings_of_build
    from edgecnn.render.progress import progress_for
    from edgecnn.render.screens.recipe import show_difference
    from edgecnn.render.terminal import show_json

    tell = progress_for(quiet=quiet or as_json)
    try:
        before, after = (
            settings_of_build(Path(side)) if Path(side).is_dir() else _settings(BuildOptions(recipe=side), tell) for side in sides
        )
    finally:
        tell.close()
    found = difference(before, after)
    if as_json:
        show_json(found.model_dump(mode="json", by_alias=True))
    else:
        show_difference(found)
    return ExitCode.OK


def _settings(asked: BuildOptions, tell: Progress) -> RecipeSettings:
    from edgecnn.cli.asking import device_as_written, request_from
    from edgecnn.planning.settings import origins, settings_of

    request = request_from(asked, "judge")
    target = request.recipe.target.model_copy(update={"device": device_as_written(asked, request)})
    request = request.model_copy(update={"recipe": request.recipe.model_copy(update={"target": target})})
    flags = {"arch": asked.arch, "onnx": asked.onnx, "weights": asked.weights, "scale": asked.scale, "data": asked.data}
    flags["target"] = asked.target
    flags |= {"no-labels": "set" if asked.no_labels else None, "keep-head": "set" if asked.keep_head else None}
    return settings_of(request, origins(asked.recipe, asked.overrides, flags), asked.recipe, tell)
