"""Whole roles as memory-mapped pixels, decoded on every core.

Threads, since Pillow lets go of the interpreter while it decodes and resizes; each writes its own rows, so memory does not
grow with the number of images.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgecnn.data.cores import cores
from edgecnn.data.images import ImageSource
from edgecnn.errors.data import CorruptImages
from edgecnn.runner.pixels import PixelRecipe, UnreadableImage, pixels_sha256, to_pixels
from edgecnn.values.dataset import ImageEntry, SplitRole
from edgecnn.values.stage import Progress

if TYPE_CHECKING:
    import numpy.typing as npt

PREPARED_ROLES: Final[tuple[SplitRole, ...]] = ("choose", "report", "calibrate")
_BATCH: Final = 16


def write_pixels(
    source: ImageSource, recipe: PixelRecipe, out: Path, tell: Progress, roles: Sequence[SplitRole] = PREPARED_ROLES
) -> None:
    """Write ``<role>.pixels.npy`` uint8 (N, crop, crop, 3), ``<role>.labels.npy`` int64 (N,), ``labels.json``, ``pixels.json``.

    Raises:
        CorruptImages: files that cannot be decoded: all of all roles are counted before it is raised.
        ImageGone: a file is not there any more.
        ImageChanged: a file has other bytes than were planned with.
        OSError: the disk is full (known before the first image is decoded) or cannot be written.
    """
    entries = {role: source.entries(role) for role in roles}
    total = sum(len(images) for images in entries.values())
    broken: list[tuple[str, str]] = []
    digests: dict[str, str] = {}
    done = 0
    for role, images in entries.items():
        pixels = reserved(out / f"{role}.pixels.npy", (len(images), recipe.crop_px, recipe.crop_px, 3))
        broken += _fill(pixels, source, images, recipe, _Count(tell, done, total))
        done += len(images)
        pixels.flush()
        digests[role] = pixels_sha256(pixels)
        np.save(out / f"{role}.labels.npy", np.array([image.label for image in images], np.int64))
    if broken:
        raise CorruptImages(root=source.manifest.root, broken=sorted(broken), checked=total)
    (out / "pixels.json").write_text(json.dumps(digests, indent=1, sort_keys=True), encoding="utf-8")
    (out / "labels.json").write_text(json.dumps(source.classes, ensure_ascii=False, indent=1), encoding="utf-8")


class _Count:
    """Progress over several roles, as one count."""

    def __init__(self, tell: Progress, done: int, total: int) -> None:
        self._tell, self._done, self._total = tell, done, total

    def more(self, images: int) -> None:
        self._done += images
        self._tell.step("decoding images", self._done, self._total, "images")


def reserved(path: Path, shape: tuple[int, ...]) -> np.memmap[tuple[int, ...], np.dtype[np.uint8]]:
    """A mapped array of uint8 whose blocks are on the disk: filling a mapped hole on a full disk ends the process by a signal.

    Raises OSError: the disk is full.
    """
    pixels = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return pixels


def _fill(
    pixels: npt.NDArray[np.uint8], source: ImageSource, images: Sequence[ImageEntry], recipe: PixelRecipe, count: _Count
) -> list[tuple[str, str]]:
    def some(start: int) -> list[tuple[str, str]]:
        broken: list[tuple[str, str]] = []
        for row, image in enumerate(images[start : start + _BATCH], start):
            try:
                pixels[row] = to_pixels(source.read(image), recipe)
            except CorruptImages as error:
                broken += error.broken
            except UnreadableImage as error:
                broken.append((image.path, error.why))
        return broken

    found: list[tuple[str, str]] = []
    with ThreadPoolExecutor(max_workers=cores()) as pool:
        try:
            for start, broken in zip(range(0, len(images), _BATCH), pool.map(some, range(0, len(images), _BATCH)), strict=True):
                found += broken
                count.more(min(_BATCH, len(images) - start))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return found
