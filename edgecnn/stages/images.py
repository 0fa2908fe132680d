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
    """Decode the images of validation, test and calibration once, and write the golden set.

    Input: ``images`` (a manifest). Files: ``<role>.pixels.npy`` uint8 (N, *crop_px, 3) in RGB; ``<role>.labels.npy`` int64 (N,),
    or for multi-label images uint8 (N, classes); ``<role>.groups.npy`` int64 (N,) if ``data.group_by`` is set; ``labels.json``
    with the class names; ``pixels.json`` with the ``pixels_sha256`` of each role; ``golden/`` (``data.golden.write_golden``).
    """

    kind: ClassVar[str] = "prepare"
    revision: ClassVar[int] = 2

    pixels: PixelRecipe
    golden_images: NonNegativeInt = 4
    """Maximum number of validation images in the golden set, in addition to a synthetic card."""

    @property
    def tools(self) -> tuple[str, ...]:
        """Pillow, whose versions decode and resize with small differences."""
        return ("pillow",)

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Decode, resize and crop.

        Raises:
            CorruptImages: files cannot be decoded; all of them are listed. Skipping them here would change the test split after
                planning. Files whose headers are damaged were skipped while planning.
            IMAGE_GONE, IMAGE_CHANGED: the folder changed since it was listed.
        """
        from edgecnn.data.images import open_source
        from edgecnn.data.prepared import write_golden, write_pixels

        recipe = self.pixels.runner_recipe()
        source = open_source(input_paths["images"])
        write_pixels(source, recipe, out, tell)
        shown = source.entries("validation")[: self.golden_images]
        write_golden((source.read(entry, recipe.grey_window) for entry in shown), recipe, out)


class SynthesizeStage(Stage, SynthesisSettings):
    """Compose training images from cut-outs and backgrounds.

    Inputs: ``cutouts`` and ``backgrounds`` (manifests). Files: ``images/LABEL/NUMBER.png`` and ``synthesis.json``
    (``values/synthesis.py``). All composed images have the role ``train``.
    """

    kind: ClassVar[str] = "synthesize"
    revision: ClassVar[int] = 2

    @property
    def tools(self) -> tuple[str, ...]:
        """Pillow, which decodes, resizes, rotates, blurs and writes."""
        return ("pillow",)

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Compose all images.

        Raises:
            CUTOUTS_UNUSABLE: cut-outs cannot be decoded, or are fully transparent.
            CorruptImages: a background cannot be decoded.
            IMAGE_GONE, IMAGE_CHANGED: a folder changed since it was listed.
        """
        from edgecnn.data.composing import make_images

        make_images(self, input_paths["cutouts"], input_paths["backgrounds"], out, tell)


_BATCH = 16


class FeaturesStage(Stage):
    """Compute the features that a finished network has of each image.

    Inputs: ``model`` (a trunk) and ``images`` (a manifest). Files: ``features.npy`` float32 (N, F), and ``small.npy`` uint8
    (N, 18, 18, 3) with the copies that ``data.near_duplicates`` compares. Images are ordered by ``roles``, and by the manifest
    within a role.
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
            IMAGE_GONE, IMAGE_CHANGED, CorruptImages: an image cannot be read.
        """
        require_packages(self.tools, extra="onnxruntime", needed_for="features of images")
        import numpy as np
        from PIL import Image

        from edgecnn.data.fingerprints import SMALL_PX
        from edgecnn.data.images import open_source
        from edgecnn.graph.feature_maps import features
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
