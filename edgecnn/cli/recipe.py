"""`edgecnn init` and `edgecnn recipe`: write a first recipe, print the schema, show or compare complete recipes."""

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
"""A network that fits every device of the catalogue, this machine, and the default gate."""
PhotosArg = Annotated[
    str,
    typer.Argument(metavar="FOLDER", help="Images, as for --data: folders, IDX files, a list or an archive."),
]
FileOpt = Annotated[Path, typer.Option("--out", metavar="FILE.toml", help="Recipe to write.")]
DropOpt = Annotated[
    float | None, typer.Option("--drop-pp", min=0.0, max=100.0, help="Largest acceptable accuracy drop, in percentage points.")
]
YesOpt = Annotated[bool, typer.Option("--yes", "-y", help="Use the defaults without asking.")]
FoldersOpt = Annotated[
    Literal["classes", "nested", "labelled"] | None,
    typer.Option("--folders", help="How to read ambiguous folders, like `--set data.folders=` in a build."),
]
SideArg = Annotated[str, typer.Argument(help="A recipe file, a pipeline's name, or the folder of a finished build.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    takes = ("arch", "onnx", "target", *OF_LISTS)
    verb(app, "init", short="Write a commented recipe for a folder of images.", takes=takes)(init)
    group = family(app, "recipe", short="Show or compare recipes, or print their schema.")
    verb(group, "schema", short="Print the JSON Schema of a recipe file.")(schema)
    verb(group, "show", short="Print the complete recipe of a build.", takes=(WHAT,))(show)
    verb(group, "diff", short="Compare two recipes or finished builds.")(diff)


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
    from edgecnn.errors.data import SplitFolders, split_folders
    from edgecnn.errors.recipes import RECIPE_THERE, RECIPE_UNWRITABLE
    from edgecnn.render.screens.planning import recipe_text
    from edgecnn.store.disk import write_text_atomically

    if call.options.arch is not None and call.options.onnx is not None:
        raise CUSTOM_MODEL_AND_ARCH(option="--arch")
    if out.exists():
        raise RECIPE_THERE(path=out)
    read_as = {name: value for name in OF_LISTS if (value := getattr(call.options, name)) is not None}
    if folders is not None:
        read_as["folders"] = folders
    choice = recipe_of(replace(call.options, arch=None, onnx=None, target=None, data=folder)).data
    choice = choice.model_copy(update={"train": call.options.onnx is None, "folders": folders})
    try:
        data = summarize(choice, call.store.root, call.tell)
    except SplitFolders as error:
        raise split_folders(error.fields["folder"], error.fields["doubt"], option="--folders ") from error
    call.close()
    choices = _first_choices(call, len(data.classes), drop_pp, ask=not yes and sys.stdin.isatty() and sys.stderr.isatty())
    choices = replace(choices, read_as=read_as)
    images = open_source(Path(data.manifest_path)).manifest.images
    text = recipe_text(choices, data, images, parse_target(choices.device).device, out)
    try:
        write_text_atomically(out, text)
    except OSError as error:
        raise RECIPE_UNWRITABLE(path=out, because=system_reason(error)) from error
    call.show({"recipe": str(out)}, [f"wrote {out}; `edgecnn build {shell_word(out)}` builds it"])


def _first_choices(call: Call, classes: int, drop_pp: float | None, *, ask: bool) -> FirstChoices:
    """Return the given choices; ask for the others, or use their defaults. Without a network, print a short list."""
    from edgecnn.devices.files import parse_target
    from edgecnn.models.catalogue import arch_named
    from edgecnn.render.screens.networks import short_list_lines
    from edgecnn.render.screens.planning import FirstChoices
    from edgecnn.studies.networks_for import Limits, default_network, networks_for, short_list

    def answer(question: str, usual: str, check: Callable[[str], object]) -> str:
        while ask:
            typed = str(typer.prompt(question, default=usual, err=True))
            try:
                check(typed)
            except (EdgecnnError, ValueError) as error:
                typer.echo(error.line() if isinstance(error, EdgecnnError) else f"{typed!r} is not a number", err=True)
            else:
                return typed
        return usual

    options = call.options
    device = options.target or answer("Which device will run it?", DEVICE, parse_target)
    arch = options.arch
    parse_target(device)
    if arch is None and options.onnx is None:
        (networks,) = networks_for("*", [device], Limits(classes=classes), call.store).devices
        listed_networks = short_list(networks)
        call.warn(short_list_lines(listed_networks, device))
        arch = answer("Which network?", default_network(networks, listed_networks, ARCH), arch_named)
    if arch is not None:
        arch_named(arch)
    stated = drop_pp
    if drop_pp is None:
        drop_pp = float(answer("Percentage points of accuracy that may be lost?", f"{DROP_PP:g}", float))
    is_stated = stated is not None or drop_pp != DROP_PP
    return FirstChoices(arch=arch, onnx=options.onnx, device=device, drop_pp=drop_pp, drop_stated=is_stated)


def schema(_: Call) -> None:
    """Print the JSON Schema of a recipe file, for editors."""
    from edgecnn.planning.recipe_settings import recipe_schema
    from edgecnn.render.terminal import show_json

    show_json(recipe_schema())


def show(call: Call) -> None:
    """Print the complete recipe of a build, with every default and the origin of each value."""
    from edgecnn.render.screens.planning import settings_lines

    settings = _settings_of_side(call.options, call.tell)
    call.show(settings, settings_lines(settings))


def diff(call: Call, before: SideArg, after: SideArg) -> None:
    """Compare the complete values of two recipes or finished builds."""
    from edgecnn.planning.recipe_settings import difference, settings_of_build
    from edgecnn.render.screens.planning import show_difference

    first, second = (
        settings_of_build(Path(side)) if Path(side).is_dir() else _settings_of_side(BuildOptions(recipe=side), call.tell)
        for side in (before, after)
    )
    differences = difference(first, second)
    call.show(differences, lambda: show_difference(differences))


def _settings_of_side(options: BuildOptions, tell: Progress) -> RecipeSettings:
    from edgecnn.cli.asking import device_as_written, request_from, stated_by_options
    from edgecnn.planning.recipe_settings import origins, settings_of

    request = request_from(options, "judge")
    target = request.recipe.target.model_copy(update={"device": device_as_written(options, request)})
    request = request.model_copy(update={"recipe": request.recipe.model_copy(update={"target": target})})
    return settings_of(request, origins(options.recipe, options.overrides, stated_by_options(options)), options.recipe, tell)
