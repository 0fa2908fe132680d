"""`edgecnn init` and `edgecnn recipe`: a first recipe, what one may hold, what it comes to here, and how two differ."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgecnn.cli.asking import recipe_of
from edgecnn.cli.options import OF_LISTS, WHAT, BuildOptions
from edgecnn.cli.verbs import Call, family, verb
from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.wording import shell_word

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgecnn.planning.recipe_settings import RecipeSettings
    from edgecnn.render.screens.planning import FirstChoices
    from edgecnn.values.stage import Progress

ARCH, DEVICE, DROP_PP = "mobilenet-v3-large", "cpu", 1.0
"""A network that fits every device here, this machine, and the default gate."""
PhotosArg = Annotated[
    str,
    typer.Argument(metavar="FOLDER", help="Images, as for --data: folders, IDX files, a list or an archive."),
]
FileOpt = Annotated[Path, typer.Option("--out", metavar="FILE.toml", help="Recipe to write.")]
DropOpt = Annotated[
    float | None, typer.Option("--drop-pp", min=0.0, max=100.0, help="Largest acceptable accuracy drop, in percentage points.")
]
YesOpt = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing, and use defaults.")]
FoldersOpt = Annotated[
    Literal["classes", "nested", "labelled"] | None,
    typer.Option("--folders", help="How to read ambiguous folders, as `--set data.folders=` in a build."),
]
SideArg = Annotated[str, typer.Argument(help="A recipe file, a pipeline's name, or the folder of a finished build.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    takes = ("arch", "onnx", "target", *OF_LISTS)
    verb(app, "init", short="Write a commented recipe for a folder of images.", takes=takes)(init)
    of_recipes = family(app, "recipe", short="Show or compare recipes, or print their schema.")
    verb(of_recipes, "schema", short="Print the JSON Schema of a recipe file.")(schema)
    verb(of_recipes, "show", short="Print the complete recipe of a build.", takes=(WHAT,))(show)
    verb(of_recipes, "diff", short="Compare two recipes or finished builds.")(diff)


def init(  # noqa: PLR0913 - a command line's options are its parameters
    call: Call,
    folder: PhotosArg,
    out: FileOpt = Path("recipe.toml"),
    drop_pp: DropOpt = None,
    yes: YesOpt = False,
    folders: FoldersOpt = None,
) -> None:
    """Inspect a folder of images and write a commented recipe for it."""
    from edgecnn.data.images import open_source
    from edgecnn.data.manifest import summarize
    from edgecnn.devices.files import parse_target
    from edgecnn.errors.custom_model import CUSTOM_MODEL_AND_ARCH
    from edgecnn.errors.data.folder import SplitFolders, split_folders
    from edgecnn.errors.recipes import RECIPE_THERE, RECIPE_UNWRITABLE
    from edgecnn.render.screens.planning import recipe_text
    from edgecnn.store.disk import write_text_atomically

    if call.asked.arch is not None and call.asked.onnx is not None:
        raise CUSTOM_MODEL_AND_ARCH(option="--arch")
    if out.exists():
        raise RECIPE_THERE(path=out)
    read_as = {name: value for name in OF_LISTS if (value := getattr(call.asked, name)) is not None}
    if folders is not None:
        read_as["folders"] = folders
    choice = recipe_of(replace(call.asked, arch=None, onnx=None, target=None, data=folder)).data
    choice = choice.model_copy(update={"train": call.asked.onnx is None, "folders": folders})
    try:
        data = summarize(choice, call.store.root, call.tell)
    except SplitFolders as error:
        raise split_folders(error.fields["folder"], **error.fields["doubt"], option="--folders ") from error
    call.close()
    choices = _choices(call.asked, drop_pp, ask=not yes and sys.stdin.isatty() and sys.stderr.isatty())
    choices = replace(choices, read_as=read_as)
    images = open_source(Path(data.manifest_path)).manifest.images
    text = recipe_text(choices, data, images, parse_target(choices.device).device, out)
    try:
        write_text_atomically(out, text)
    except OSError as error:
        raise RECIPE_UNWRITABLE(path=out, because=system_reason(error)) from error
    call.show({"recipe": str(out)}, [f"{out} is written; edgecnn build {shell_word(out)} builds it"])


def _choices(asked: BuildOptions, drop_pp: float | None, *, ask: bool) -> FirstChoices:
    """What was given stands; the rest is asked, or taken as usual."""
    from edgecnn.devices.files import parse_target
    from edgecnn.models.catalogue import arch_named
    from edgecnn.render.screens.planning import FirstChoices

    def answer(question: str, usual: str, check: Callable[[str], object]) -> str:
        while ask:
            said = str(typer.prompt(question, default=usual, err=True))
            try:
                check(said)
            except (EdgecnnError, ValueError) as error:
                typer.echo(error.line() if isinstance(error, EdgecnnError) else f"{said!r} is no number", err=True)
            else:
                return said
        return usual

    arch = None if asked.onnx is not None else asked.arch or answer("Which network?", ARCH, arch_named)
    device = asked.target or answer("Which device will run it?", DEVICE, parse_target)
    if drop_pp is None:
        drop_pp = float(answer("Percentage points of accuracy that may be lost?", f"{DROP_PP:g}", float))
    if arch is not None:
        arch_named(arch)
    parse_target(device)
    return FirstChoices(arch=arch, onnx=asked.onnx, device=device, drop_pp=drop_pp)


def schema(_: Call) -> None:
    """Print the JSON Schema of a recipe file, for editors."""
    from edgecnn.planning.recipe_settings import recipe_schema
    from edgecnn.render.terminal import show_json

    show_json(recipe_schema())


def show(call: Call) -> None:
    """Print the complete recipe of a build, with every default and the origin of each value."""
    from edgecnn.render.screens.planning import settings_lines

    settings = _settings(call.asked, call.tell)
    call.show(settings, settings_lines(settings))


def diff(call: Call, before: SideArg, after: SideArg) -> None:
    """Compare the complete values of two recipes or finished builds."""
    from edgecnn.planning.recipe_settings import difference, settings_of_build
    from edgecnn.render.screens.planning import show_difference

    one, other = (
        settings_of_build(Path(side)) if Path(side).is_dir() else _settings(BuildOptions(recipe=side), call.tell)
        for side in (before, after)
    )
    found = difference(one, other)
    call.show(found, lambda: show_difference(found))


def _settings(asked: BuildOptions, tell: Progress) -> RecipeSettings:
    from edgecnn.cli.asking import device_as_written, request_from, stated_by_options
    from edgecnn.planning.recipe_settings import origins, settings_of

    request = request_from(asked, "judge")
    target = request.recipe.target.model_copy(update={"device": device_as_written(asked, request)})
    request = request.model_copy(update={"recipe": request.recipe.model_copy(update={"target": target})})
    return settings_of(request, origins(asked.recipe, asked.overrides, stated_by_options(asked)), asked.recipe, tell)
