"""Whole roles as memory-mapped pixels, decoded on every core.

Threads, since Pillow lets go of the interpreter while it decodes and resizes; each writes its own rows, so memory does not
grow with the number of images.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from edgecnn.data.files import process_on_every_core
from edgecnn.data.images import ImageSource
from edgecnn.errors.data.folder import CorruptImages, corrupt_images
from edgecnn.runner.pixels import PixelRecipe, pixels_sha256
from edgecnn.values.dataset import SplitRole
from edgecnn.values.stage import Progress

PREPARED_ROLES: Final[tuple[SplitRole, ...]] = ("validation", "test", "calibration")


def write_pixels(
    source: ImageSource, recipe: PixelRecipe, out: Path, tell: Progress, roles: Sequence[SplitRole] = PREPARED_ROLES
) -> None:
    """Write ``<role>.pixels.npy`` uint8 (N, *crop_px, 3), ``<role>.labels.npy`` and ``<role>.groups.npy`` as ``ImageSource`` has
    them, the latter where there are groups, ``labels.json``, ``pixels.json``.

    Raises:
        CorruptImages: files that cannot be decoded: all of all roles are counted before it is raised.
        IMAGE_GONE: a file is not there any more.
        IMAGE_CHANGED: a file has other bytes than were planned with.
        OSError: the disk is full (known before the first image is decoded) or cannot be written.
    """
    entries = {role: source.entries(role) for role in roles}
    pixels = {role: reserved(out / f"{role}.pixels.npy", (len(images), *recipe.crop_px, 3)) for role, images in entries.items()}
    broken: list[tuple[str, str]] = []

    def decoded(place: tuple[SplitRole, int]) -> list[tuple[str, str]]:
        role, row = place
        try:
            pixels[role][row] = source.pixels(entries[role][row], recipe)
        except CorruptImages as error:
            return list(error.fields["broken"])
        return []

    places = [(role, row) for role, images in entries.items() for row in range(len(images))]
    process_on_every_core(places, decoded, lambda _, broken_here: broken.extend(broken_here), "decoding images", tell)
    for role, array in pixels.items():
        array.flush()
        np.save(out / f"{role}.labels.npy", source.labels(entries[role]))
        (out / f"{role}.groups.npy").unlink(missing_ok=True)  # of images that were here before
        if (groups := source.groups(entries[role])) is not None:
            np.save(out / f"{role}.groups.npy", groups)
    if broken:
        raise corrupt_images(root=source.manifest.root, broken=sorted(broken), checked=len(places))
    digests = {role: pixels_sha256(array) for role, array in pixels.items()}
    (out / "pixels.json").write_text(json.dumps(digests, indent=1, sort_keys=True), encoding="utf-8")
    (out / "labels.json").write_text(json.dumps(source.classes, ensure_ascii=False, indent=1), encoding="utf-8")


def reserved(path: Path, shape: tuple[int, ...]) -> np.memmap[tuple[int, ...], np.dtype[np.uint8]]:
    """A mapped array of uint8 whose blocks are on the disk: filling a mapped hole on a full disk ends the process by a signal.

    Raises OSError: the disk is full.
    """
    pixels = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return pixels
