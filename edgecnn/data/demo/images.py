"""The embedded images as arrays, checked when they are opened."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from edgecnn.data.demo import DEMO_FILE, DEMO_PARTS
from edgecnn.errors.data.formats import DemoDamaged

if TYPE_CHECKING:
    import numpy.typing as npt

_COUNT = sum(count for _, count in DEMO_PARTS)


@cache
def demo_images() -> npt.NDArray[np.uint8]:
    """Grey levels, uint8 (15000, 28, 28), in the order of ``DEMO_PARTS``.

    Raises DemoDamaged: the file is absent, cut short or another one.
    """
    return _array("images", (_COUNT, 28, 28))


def demo_digests() -> Iterator[tuple[int, str]]:
    """Label, and SHA-256 of the 784 grey levels, of every image. Raises DemoDamaged: as ``demo_images``."""
    for label, image in zip(_array("labels", (_COUNT,)).tolist(), demo_images(), strict=True):
        yield label, hashlib.sha256(image.data).hexdigest()


def _array(name: str, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    try:
        with np.load(DEMO_FILE, allow_pickle=False) as arrays:
            array: npt.NDArray[np.uint8] = arrays[name]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DemoDamaged(path=DEMO_FILE, because=str(error)) from error
    if array.shape != shape or array.dtype != np.uint8:
        raise DemoDamaged(path=DEMO_FILE, because=f"{name} is {array.dtype} {array.shape}")
    return array
