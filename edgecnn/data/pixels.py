"""Write whole roles as memory-mapped pixels, decoded on every core.

Threads are enough, because Pillow releases the interpreter lock while it decodes and resizes. Each writes its own rows, so memory
does not grow with the number of images.
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
from edgecnn.errors.data import CorruptImages, corrupt_images
from edgecnn.runner.pixels import PixelRecipe, pixels_sha256
from edgecnn.values.dataset import SplitRole
from edgecnn.values.stage import Progress

PREPARED_ROLES: Final[tuple[SplitRole, ...]] = ("validation", "test", "calibration")


def write_pixels(
    source: ImageSource, recipe: PixelRecipe, out: Path, tell: Progress, roles: Sequence[SplitRole] = PREPARED_ROLES
) -> None:
    """Write the pixels, labels and groups of each role.

    The files are ``<role>.pixels.npy`` uint8 (N, *crop_px, 3), ``<role>.labels.npy``, ``<role>.groups.npy`` if there are groups,
    ``labels.json`` and ``pixels.json``. Labels and groups are those of ``ImageSource``.

    Raises:
        CorruptImages: files cannot be decoded; raised once for all roles.
        IMAGE_GONE: a file no longer exists.
        IMAGE_CHANGED: a file's bytes differ from the plan's.
        OSError: the disk is full (checked before the first image is decoded) or cannot be written.
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
        (out / f"{role}.groups.npy").unlink(missing_ok=True)  # images that existed at planning
        if (groups := source.groups(entries[role])) is not None:
            np.save(out / f"{role}.groups.npy", groups)
    if broken:
        raise corrupt_images(root=source.manifest.root, broken=sorted(broken), checked=len(places))
    digests = {role: pixels_sha256(array) for role, array in pixels.items()}
    (out / "pixels.json").write_text(json.dumps(digests, indent=1, sort_keys=True), encoding="utf-8")
    (out / "labels.json").write_text(json.dumps(source.classes, ensure_ascii=False, indent=1), encoding="utf-8")


def reserved(path: Path, shape: tuple[int, ...]) -> np.memmap[tuple[int, ...], np.dtype[np.uint8]]:
    """Return a mapped uint8 array with allocated blocks, because filling a hole on a full disk kills the process by a signal.

    Raises OSError: the disk is full.
    """
    pixels = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return pixels
