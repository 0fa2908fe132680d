"""The stages of images: prepare decodes them once, synthesize composes more, features computes what a network sees in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import NonNegativeInt

from edgecnn.installed import require_packages
from edgecnn.values.dataset import SplitRole
from edgecnn.values.preprocessing import PixelRecipe, Preprocessing
from edgecnn.values.stage import Progress, Role, Stage
from edgecnn.values.synthesis import SynthesisSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PrepareStage(Stage):
    """``images`` (a manifest) → memory-mapped pixels and labels of validation, test and calibration, and the golden set.

    Files: ``<role>.pixels.npy`` uint8 (N, *crop_px, 3) in RGB, ``<role>.labels.npy`` int64 (N,), or of multi-label images
    uint8 (N, classes), ``<role>.groups.npy`` int64 (N,) where ``data.group_by`` is set, ``labels.json`` the class names,
    ``pixels.json`` the ``pixels_sha256`` of each role, ``golden/`` as ``data.golden.write_golden`` says.
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
        from edgecnn.data.golden import write_golden
        from edgecnn.data.images import open_source
        from edgecnn.data.pixels import write_pixels

        recipe = self.pixels.runner_recipe()
        source = open_source(input_paths["images"])
        write_pixels(source, recipe, out, tell)
        shown = source.entries("validation")[: self.golden_images]
        write_golden((source.read(entry, recipe.grey_window) for entry in shown), recipe, out)


class SynthesizeStage(Stage, SynthesisSettings):
    """Writes ``images/LABEL/NUMBER.png`` and ``synthesis.json`` (see ``values/synthesis.py``).

    Roles: ``cutouts`` and ``backgrounds``, manifests whose content is their key. No image of it has another role than ``train``.
    """

    kind: ClassVar[str] = "synthesize"
    revision: ClassVar[int] = 2

    @property
    def tools(self) -> tuple[str, ...]:
        """Pillow decodes, resizes, turns, blurs and writes."""
        return ("pillow",)

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Compose every picture.

        Raises:
            CUTOUTS_UNUSABLE: files among the cut-outs cannot be decoded, or hide nothing of what is behind them.
            CorruptImages: a background cannot be decoded to its end.
            IMAGE_GONE, IMAGE_CHANGED: a folder changed since it was listed.
        """
        from edgecnn.data.composing import make_images

        make_images(self, input_paths["cutouts"], input_paths["backgrounds"], out, tell)


_BATCH = 16


class FeaturesStage(Stage):
    """``model`` (a trunk) and ``images`` (a manifest) → ``features.npy`` float32 (N, F), ``small.npy`` uint8 (N, 18, 18, 3).

    The images are those of ``roles``, role by role, in the order of the manifest. ``small.npy`` holds the copies that
    ``data.near_duplicates`` compares.
    """

    kind: ClassVar[str] = "features"
    revision: ClassVar[int] = 1

    roles: tuple[SplitRole, ...]
    preprocessing: Preprocessing

    @property
    def tools(self) -> tuple[str, ...]:
        """The image decoder and the runtime."""
        return ("onnx", "onnxruntime", "pillow")

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Read each image and compute its features.

        Raises:
            MissingPackage: ONNX or ONNX Runtime is not installed.
            NO_FEATURES: the network has fewer than two layers.
            IMAGE_GONE, IMAGE_CHANGED, CorruptImages: of the images.
        """
        require_packages(self.tools, extra="onnxruntime", needed_for="features of images")
        import numpy as np
        from PIL import Image

        from edgecnn.data.images import open_source
        from edgecnn.data.near_duplicates import SMALL_PX
        from edgecnn.graph.embedding import features
        from edgecnn.runner.pixels import to_pixels

        source, recipe = open_source(input_paths["images"]), self.preprocessing.pixels.runner_recipe()
        entries = [entry for role in self.roles for entry in source.entries(role)]
        small = np.zeros((len(entries), SMALL_PX, SMALL_PX, 3), np.uint8)

        def feeds() -> Iterator[NDArray[Any]]:
            for start in range(0, len(entries), _BATCH):
                batch = []
                for place, entry in enumerate(entries[start : start + _BATCH], start):
                    image = source.read(entry, recipe.grey_window)
                    small[place] = np.asarray(image.resize((SMALL_PX, SMALL_PX), Image.Resampling.BOX))
                    batch.append(to_pixels(image, recipe))
                yield self.preprocessing.normalization.feed(np.stack(batch))
                tell.step("compute features", min(start + _BATCH, len(entries)), len(entries), "images")

        np.save(out / "features.npy", features(input_paths["model"] / "model.onnx", feeds()))
        np.save(out / "small.npy", small)
