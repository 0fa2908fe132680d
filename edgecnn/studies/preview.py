"""Draw a sheet of a recipe's augmentation, with the defaults that a build would use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgecnn.data.formats.registry import is_on_disk
from edgecnn.data.layout import root_of
from edgecnn.data.manifest import summarize
from edgecnn.data.sheet import check_sheet
from edgecnn.installed import require_packages
from edgecnn.models.catalogue import arch_named, pixel_recipe
from edgecnn.models.compound import scaled_or_same
from edgecnn.planning.complete import demo_resolution, mode_from
from edgecnn.planning.data_rules import fill_size, require_synthesis, synthesis_of
from edgecnn.store.store import Store
from edgecnn.training.settings import default_augmentation, sleeping_threads
from edgecnn.values.augmentation import AugmentationPreview
from edgecnn.values.dataset import DataSummary
from edgecnn.values.preprocessing import PixelRecipe
from edgecnn.values.recipe import Recipe
from edgecnn.values.stage import Progress
from edgecnn.values.synthesis import SynthesisSettings

if TYPE_CHECKING:
    from edgecnn.data.composing import Composer


class SheetSize(NamedTuple):
    """Size of the sheet."""

    images: int
    columns: int
    seed: int


def preview_of(recipe: Recipe, shown: SheetSize, sheet: Path, tell: Progress) -> AugmentationPreview:
    """Write the sheet. Nothing is downloaded: an unset list is that of fine-tuning if the network has published weights.

    Raises MissingPackage: torch is not installed. EdgecnnError: an unknown network, unusable data, or an unwritable file.
    """
    arch = arch_named(recipe.model.arch)
    require_synthesis(recipe)
    check_sheet(sheet, root_of(recipe.data.path) if is_on_disk(recipe.data.path) else None)
    require_packages(("torch", "torchvision"), extra="train", needed_for="a preview")
    data = summarize(recipe.data, Store.open().root, tell)
    usual_px = demo_resolution(arch) if data.origin == "demo" else arch.resolution_px
    spec, resolution_px = scaled_or_same(arch, recipe.model.scale, recipe.model.resolution_px, usual_px)
    augment = recipe.train.augment
    if augment is None:
        published = recipe.model.weights != "none" and arch.weights is not None
        augment = default_augmentation(mode_from(recipe.train, spec, pretrained=published), recipe.train.scratch)
    pixels = pixel_recipe(spec, resolution_px, recipe.preprocessing)
    composer = _composer(recipe, data, pixels, tell)
    with sleeping_threads():
        from edgecnn.training.preview import PreviewRequest, make_preview

    request = PreviewRequest(augment, pixels, shown.images, shown.columns, shown.seed, composer, recipe.data.train)
    return make_preview(data, request, sheet)


def _composer(recipe: Recipe, data: DataSummary, pixels: PixelRecipe, tell: Progress) -> Composer | None:
    """Return the composer of a build's images; only the images that are shown are composed."""
    choice = fill_size(recipe.synthesis, pixels)
    synthesis = synthesis_of(recipe, data, Store.open().root, tell)
    if synthesis is None:
        return None
    from edgecnn.data.composing import Composer

    settings = SynthesisSettings.of(choice)
    composer = Composer(Path(synthesis.cutouts.manifest_path), Path(synthesis.backgrounds.manifest_path), settings)
    composer.check(tell)
    return composer
