"""`edgecnn data`: inspect images before a build, and split them as a build would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli.asking import recipe_of
from edgecnn.cli.options import OF_LISTS
from edgecnn.cli.verbs import Call, family, verb
from edgecnn.errors.base import ExitCode

if TYPE_CHECKING:
    from edgecnn.values.recipe import DataChoice

FolderArg = Annotated[
    str,
    typer.Argument(metavar="FOLDER", help="Images, as for --data: folders, IDX files, a list or an archive."),
]
DividedArg = Annotated[str, typer.Argument(metavar="FOLDER", help="Images: a folder per class, or a zip of such a folder.")]
SheetOpt = Annotated[
    Path | None, typer.Option("--sheet", metavar="FILE.png", help="Write a contact sheet with a few images of every class.")
]
SeedOpt = Annotated[int | None, typer.Option("--seed", min=0, help="Random seed for the split (default: data.seed, which is 0).")]
OutOpt = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder to create, with train/, validation/ and test/.")]
LinkOpt = Annotated[bool, typer.Option("--link", help="Create hard links, which take no space, instead of copies.")]
InspectedArg = Annotated[
    str | None, typer.Argument(metavar="[FOLDER]", help="Images, as for --data (default: the recipe's, or `demo`).")
]
RecipeOpt = Annotated[
    str | None, typer.Option("--recipe", metavar="RECIPE", help="Recipe file or pipeline whose train.augment is shown.")
]
PreviewSheetOpt = Annotated[Path, typer.Option("--sheet", metavar="FILE.png", help="Image file to write.")]
ImagesOpt = Annotated[int, typer.Option("--images", min=1, max=60, help="Number of original images; each fills one row.")]
StrictOpt = Annotated[bool, typer.Option("--strict", help="Exit with 2 even if there are only warnings.")]
ColumnsOpt = Annotated[int, typer.Option("--columns", min=1, max=20, help="Augmented versions per image.")]
BuildArg = Annotated[Path, typer.Argument(metavar="BUILD", help="The folder of a finished build, such as builds/ARCH-DEVICE.")]
DoubtOut = Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Folder to write (default: BUILD/doubt).")]
TestOpt = Annotated[bool, typer.Option("--with-test", help="Also check the labels of test images.")]
DrawSeedOpt = Annotated[int, typer.Option("--seed", min=0, help="Random seed for augmentation.")]


def register(app: typer.Typer) -> None:
    """Add the verb family."""
    group = family(app, "data", short="Inspect, split or preview images, or find wrong labels.")
    takes = ("group_by", "overrides", *OF_LISTS)
    verb(group, "inspect", short="Show classes, sizes, duplicates and problems of images.", takes=takes)(inspect)
    verb(group, "split", short="Copy images into train/, validation/ and test/.", takes=takes)(split)
    verb(group, "preview", short="Show images as training augments them.", takes=("overrides", *OF_LISTS))(preview)
    verb(group, "doubt", short="Find images whose label is probably wrong.")(doubt)


def inspect(call: Call, folder: FolderArg, sheet: SheetOpt = None, seed: SeedOpt = None, strict: StrictOpt = False) -> ExitCode:
    """Show classes, sizes, duplicates (also across splits), unusable files and other problems of a folder of images.

    Exits with 2 if no build is possible.
    """
    from edgecnn.data.inspection import inspect as inspect_images
    from edgecnn.data.inspection import window_of
    from edgecnn.data.layout import root_of
    from edgecnn.data.sheet import check_sheet, write_sheet
    from edgecnn.render.screens.planning import show_inspection
    from edgecnn.runner.pixel_recipe import ALL_LEVELS

    if sheet is not None:
        check_sheet(sheet, root_of(folder))
    inspection = inspect_images(_data_choice(call, folder, seed), call.store.root, call.tell)
    facts = inspection.facts
    if sheet is not None:
        write_sheet(inspection.listed, sheet, window_of(facts.grey_levels or ALL_LEVELS))
        facts = facts.model_copy(update={"contact_sheet": str(sheet)})
    call.show(facts, lambda: show_inspection(facts))
    warned = strict and any(finding.serious for finding in facts.findings)
    return ExitCode.BAD_INPUT if facts.roles is None or warned else ExitCode.OK


def split(call: Call, folder: DividedArg, out: OutOpt, seed: SeedOpt = None, link: LinkOpt = False) -> None:
    """Copy images into train/, validation/ and test/, using the same split as a build."""
    from edgecnn.data.role_folders import write_role_folders
    from edgecnn.render.screens.planning import division_lines

    division = write_role_folders(_data_choice(call, folder, seed), out, call.store.root, call.tell, link=link)
    call.show(division, division_lines(division))


def _data_choice(call: Call, folder: str, seed: int | None) -> DataChoice:
    data = recipe_of(call.options).data
    return data.model_copy(update={"path": folder, "seed": data.seed if seed is None else seed})


def preview(  # noqa: PLR0913 - a command line's options are its parameters
    call: Call,
    folder: InspectedArg = None,
    recipe: RecipeOpt = None,
    sheet: PreviewSheetOpt = Path("preview.png"),
    images: ImagesOpt = 8,
    columns: ColumnsOpt = 8,
    seed: DrawSeedOpt = 0,
) -> None:
    """Show training images next to augmented versions (`train.augment`), in one image file. Nothing is trained."""
    from edgecnn.render.screens.planning import preview_lines
    from edgecnn.studies.preview import SheetSize, preview_of

    settings = recipe_of(replace(call.options, recipe=recipe, data=folder))
    sheet_facts = preview_of(settings, SheetSize(images=images, columns=columns, seed=seed), sheet, call.tell)
    call.show(sheet_facts, preview_lines(sheet_facts))


def doubt(call: Call, build: BuildArg, out: DoubtOut = None, with_test: TestOpt = False) -> None:
    """Find probably wrong labels, hard classes, and classes that need more images. Your files do not change."""
    from edgecnn.api import PAGE_PACKAGES, write_doubt_page
    from edgecnn.installed import require_packages
    from edgecnn.render.screens.studies import show_doubt
    from edgecnn.studies.doubt import PAGE, DoubtRequest, label_doubt

    require_packages(PAGE_PACKAGES, extra="report", needed_for="the page")
    folder = out or build / "doubt"
    doubts = label_doubt(build, DoubtRequest(folder, with_test), call.store, call.tell)
    write_doubt_page(doubts, folder / PAGE)
    call.show(doubts.facts, lambda: show_doubt(doubts.facts, folder))
