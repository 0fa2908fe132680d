"""prepare: decode every evaluation and calibration image once, into the pixels that everything after reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import NonNegativeInt

from edgecnn.values.preprocessing import PixelRecipe
from edgecnn.values.stage import Progress, Role, Stage


class PrepareStage(Stage):
    """``images`` (a manifest) → memory-mapped pixels and labels of validation, test and calibration, and the golden set.

    Files: ``<role>.pixels.npy`` uint8 (N, *crop_px, 3) in RGB, ``<role>.labels.npy`` int64 (N,), or of multi-label images
    uint8 (N, classes), ``<role>.groups.npy`` int64 (N,) where ``data.group_by`` is set, ``labels.json`` the class names,
    ``pixels.json`` the ``pixels_sha256`` of each role, ``golden/`` as ``data.prepared.write_golden`` says.
    """

    kind: ClassVar[str] = "prepare"
    revision: ClassVar[int] = 2

    pixels: PixelRecipe
    golden_images: NonNegativeInt = 4
    """Real images, out of validation, in the golden set, fewer where it has no more; a drawn card is always in it."""

    @property
    def tools(self) -> tuple[str, ...]:
        """Pillow decodes and resizes; its versions have differed by a level."""
        return ("pillow",)

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Decode, resize and crop.

        Raises:
            CorruptImages: files that cannot be decoded, all of them counted. Leaving them out here would change the test
                split after it was planned and shown; a file that shows its damage to a first look was skipped there.
            IMAGE_GONE, IMAGE_CHANGED: the folder changed since it was listed.
        """
        from edgecnn.data.images import open_source
        from edgecnn.data.prepared import write_golden, write_pixels

        recipe = self.pixels.runner_recipe()
        source = open_source(input_paths["images"])
        write_pixels(source, recipe, out, tell)
        shown = source.entries("validation")[: self.golden_images]
        write_golden((source.read(entry, recipe.grey_window) for entry in shown), recipe, out)
