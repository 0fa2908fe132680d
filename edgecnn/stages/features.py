"""features: what a finished network sees in each image, computed once, for questions about the images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgecnn.installed import require_packages
from edgecnn.values.dataset import SplitRole
from edgecnn.values.preprocessing import Preprocessing
from edgecnn.values.stage import Progress, Role, Stage

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
