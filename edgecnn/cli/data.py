"""`edgecnn data`: look through images before a build, and divide them as a build would."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.exits import guarded
from edgecnn.errors.base import ExitCode

FolderArg = Annotated[
    str,
    typer.Argument(metavar="FOLDER", help="Images, as --data takes them: sub-folders, IDX files, a list or a zip."),
]
DividedArg = Annotated[str, typer.Argument(metavar="FOLDER", help="Images: a sub-folder a class, or a zip of such a folder.")]
SheetOpt = Annotated[
    Path | None, typer.Option("--sheet", metavar="FILE.png", help="Draw a contact sheet: a few pictures of every class.")
]
OutOpt = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="A new folder: train/, validation/ and test/.")]
LinkOpt = Annotated[bool, typer.Option("--link", help="Hard links instead of copies: no space, but one file under two names.")]
InspectedArg = Annotated[
    str | None, typer.Argument(metavar="[FOLDER]", help="Images, as --data takes them; default the recipe's, or `demo`.")
]
RecipeOpt = Annotated[
    str | None, typer.Option("--recipe", metavar="RECIPE", help="Whose train.augment is shown: a file, or a shipped pipeline.")
]
PreviewSheetOpt = Annotated[Path, typer.Option("--sheet", metavar="FILE.png", help="The picture that is drawn.")]
ImagesOpt = Annotated[int, typer.Option("--images", min=1, max=60, help="Originals, a row each.")]
ColumnsOpt = Annotated[int, typer.Option("--columns", min=1, max=20, help="Augmented pictures of each.")]
DrawSeedOpt = Annotated[int, typer.Option("--seed", min=0, help="Of what is drawn.")]
data_app = typer.Typer(no_args_is_help=True, help="Look through images before a build, and divide them as a build would.")


def register(app: typer.Typer) -> None:
    """Add the verb family."""
    app.add_typer(data_app, name="data")


@data_app.command()
def inspect(
    folder: FolderArg,
    sheet: SheetOpt = None,
    seed: opt.SeedOpt = 0,
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    """Classes, sizes, copies and look-alikes (also across roles), files that cannot be used, and what else is odd."""

    def body() -> ExitCode:
        from edgecnn.data.inspection import inspect as look_through
        from edgecnn.data.layout import root_of
        from edgecnn.data.sheet import check_sheet, write_sheet
        from edgecnn.render.progress import progress_for
        from edgecnn.render.screens.data import class_table, inspection_lines
        from edgecnn.render.terminal import show_json, show_lines, show_rows
        from edgecnn.store.store import Store
        from edgecnn.values.recipe import DataChoice

        if sheet is not None:
            check_sheet(sheet, root_of(folder))
        tell = progress_for(quiet=quiet or as_json)
        try:
            found = look_through(DataChoice(path=folder, seed=seed), Store.open().root, tell)
        finally:
            tell.close()
        facts = found.facts
        if sheet is not None:
            write_sheet(found.listed, sheet)
            facts = facts.model_copy(update={"contact_sheet": str(sheet)})
        if as_json:
            show_json(facts.model_dump(mode="json", by_alias=True))
        else:
            columns, rows = class_table(facts)
            show_rows(columns, rows, title=f"{facts.root}: {facts.images:,} images of {len(facts.classes):,} classes")
            show_lines(inspection_lines(facts))
        return ExitCode.OK

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))


@data_app.command()
def split(  # noqa: PLR0913 - a command line's options are its parameters
    folder: DividedArg,
    out: OutOpt,
    seed: opt.SeedOpt = 0,
    link: LinkOpt = False,
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    """Copy images into train/, validation/ and test/: the same roles, image by image, as a build draws by itself."""

    def body() -> ExitCode:
        from edgecnn.data.dividing import divide
        from edgecnn.render.progress import progress_for
        from edgecnn.render.screens.data import division_lines
        from edgecnn.render.terminal import show_json, show_lines
        from edgecnn.store.store import Store
        from edgecnn.values.recipe import DataChoice

        tell = progress_for(quiet=quiet or as_json)
        try:
            made = divide(DataChoice(path=folder, seed=seed), out, Store.open().root, tell, link=link)
        finally:
            tell.close()
        if as_json:
            show_json(made.model_dump(mode="json", by_alias=True))
        else:
            show_lines(division_lines(made))
        return ExitCode.OK

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))


@data_app.command()
def preview(  # noqa: PLR0913 - a command line's options are its parameters
    folder: InspectedArg = None,
    recipe: RecipeOpt = None,
    set_: opt.SetOpt = None,
    sheet: PreviewSheetOpt = Path("preview.png"),
    images: ImagesOpt = 8,
    columns: ColumnsOpt = 8,
    seed: DrawSeedOpt = 0,
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    """Training images beside what training makes of them at random (`train.augment`), as one picture. Trains nothing."""

    def body() -> ExitCode:
        from edgecnn.cli.asking import BuildOptions, recipe_of
        from edgecnn.render.progress import progress_for
        from edgecnn.render.screens.data import preview_lines
        from edgecnn.render.terminal import show_json, show_lines
        from edgecnn.studies.preview import SheetSize, preview_of

        asked = recipe_of(BuildOptions(recipe=recipe, data=folder, overrides=tuple(set_ or ())))
        tell = progress_for(quiet=quiet or as_json)
        try:
            made = preview_of(asked, SheetSize(images=images, columns=columns, seed=seed), sheet, tell)
        finally:
            tell.close()
        if as_json:
            show_json(made.model_dump(mode="json", by_alias=True))
        else:
            show_lines(preview_lines(made))
        return ExitCode.OK

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))
