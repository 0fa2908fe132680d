"""The training images, decoded once, as large as they are resized: every epoch crops them anew.

Decoding a photograph costs more than shrinking a stored one. DecodedImages that together exceed ``HELD_BYTES`` are not kept: then
each epoch decodes again, and disk stays free.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.data.images import ImageSource
from edgecnn.data.pixels import reserved
from edgecnn.training.settings import training_threads
from edgecnn.values.data.dataset import ImageEntry
from edgecnn.values.data.preprocessing import PixelRecipe
from edgecnn.values.stage import Progress

HELD_BYTES = 2 << 30
_BLOCK = 64


class DecodedImages:
    """Pixels of images by position, from a kept array or decoded on demand.

    ``pixels``: as what is trained is fed in use; what that crops of them is left to ``centred``.
    """

    def __init__(self, source: ImageSource, entries: Sequence[ImageEntry], pixels: PixelRecipe) -> None:
        self.source = source
        self.entries = entries
        self.size = pixels.decoded_px
        self.labels: npt.NDArray[Any] = source.labels(entries)
        """int64 (N,), or of multi-label images uint8 (N, classes)."""
        self._recipe = pixels.of_runner()._replace(resize_px=self.size, crop_px=self.size)
        self._held: npt.NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.entries)

    def hold(self, file: Path, tell: Progress) -> None:
        """Decode everything into ``file`` (uint8 (N, H, W, 3)) unless it is there, or too large to keep."""
        shape = (len(self), *self.size, 3)
        if int(np.prod(shape)) > HELD_BYTES:
            tell.note(f"{len(self):,} training images are too many to keep decoded; each epoch decodes them again")
            return
        if not file.exists():
            partial = file.with_suffix(".part")
            held = reserved(partial, shape)
            for start in range(0, len(self), _BLOCK):
                stop = min(start + _BLOCK, len(self))
                held[start:stop] = self._decode(range(start, stop))
                tell.step("decode training images", stop, len(self), "images")
            held.flush()
            partial.rename(file)
        self._held = np.load(file, mmap_mode="r")

    def read(self, positions: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """uint8 (n, H, W, 3), in the order of ``positions``."""
        return self._decode([int(p) for p in positions]) if self._held is None else np.asarray(self._held[np.asarray(positions)])

    def _decode(self, positions: Sequence[int]) -> npt.NDArray[np.uint8]:
        with ThreadPoolExecutor(training_threads()) as pool:  # Pillow releases the interpreter while it decodes and resizes
            return np.stack(list(pool.map(self._one, positions)))

    def _one(self, position: int) -> npt.NDArray[np.uint8]:
        return self.source.pixels(self.entries[position], self._recipe)
