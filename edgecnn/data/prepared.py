"""Write what a build prepares from images: the pixels of whole roles, and the golden images of a kit's self-test.

Threads are enough to decode on every core, because Pillow releases the interpreter lock while it decodes and resizes. Each
writes its own rows, so memory does not grow with the number of images.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from edgecnn.data.files import process_on_every_core
from edgecnn.data.images import ImageSource
from edgecnn.errors.data import CorruptImages, corrupt_images
from edgecnn.runner.pixels import PixelRecipe, decode, pixels_sha256, to_pixels
from edgecnn.values.dataset import SplitRole
from edgecnn.values.stage import Progress

if TYPE_CHECKING:
    import numpy.typing as npt


PREPARED_ROLES: Final[tuple[SplitRole, ...]] = ("validation", "test", "calibration")
LONG_SIDE_PX: Final = 512
"""Real images are reduced to this size, which is enough for networks and keeps a kit small."""
JPEG_MAX_LEVELS: Final = 2
"""Levels by which builds of libjpeg-turbo may differ. IJG's libjpeg 9 (in Pillow 7.2's wheels) differs by 15, which is reported.
"""
_PHOTO_MIN_PX: Final = 64


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
    pixels = {
        role: reserve_pixels(out / f"{role}.pixels.npy", (len(images), *recipe.crop_px, 3)) for role, images in entries.items()
    }
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


def reserve_pixels(path: Path, shape: tuple[int, ...]) -> np.memmap[tuple[int, ...], np.dtype[np.uint8]]:
    """Return a mapped uint8 array with allocated blocks, because filling a hole on a full disk kills the process by a signal.

    Raises OSError: the disk is full.
    """
    pixels = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return pixels


def write_golden(images: Iterable[Image.Image], recipe: PixelRecipe, out: Path) -> None:
    """Write the images of a kit's self-test: a drawn card and real images as PNG, and a JPEG with its pixels as decoded here.

    ``out/golden`` gets ``card.png``, ``0.png``…, ``photo.jpg`` with ``photo.pixels.png``, ``golden.json`` and ``pixels.npy``.

    ``pixels.npy`` is uint8 (1 + images, *crop_px, 3): the pixels of the PNGs in the order of ``golden.json``.
    """
    folder = out / "golden"
    folder.mkdir()
    real = [shrink(image) for image in images]
    files = {"golden/card.png": draw_card(recipe)} | {f"golden/{number}.png": image for number, image in enumerate(real)}
    pixels = []
    for name, image in files.items():
        image.save(out / name, "PNG", optimize=True)
        pixels.append(to_pixels(decode(out / name), recipe))
    np.save(folder / "pixels.npy", np.stack(pixels))
    facts: dict[str, Any] = {
        "png": [{"file": name, "pixels_sha256": pixels_sha256(array)} for name, array in zip(files, pixels, strict=True)],
        "jpeg": _write_photo(real, recipe, out),
    }
    (folder / "golden.json").write_text(json.dumps(facts, indent=1, sort_keys=True), encoding="utf-8")


def draw_card(recipe: PixelRecipe) -> Image.Image:
    """Draw the card in RGB, 1.25 times as high and 1.5 times as wide as the resize.

    Integer arithmetic gives the same card on every machine.

    The card detects every common mistake. Its channels differ, which detects a swap. No symmetry maps it to itself, which
    detects a flip or a transposition. It is larger than the resize, with rings too fine for it, which detects another filter.
    """
    high, wide = recipe.resize_px
    height, width = high + high // 4 + 4, wide + wide // 2 + 6
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    rings = ((x - width // 3) ** 2 + (y - height // 4) ** 2) * 256 // (3 * recipe.resize_px.short_px)
    red = np.where(rings % 256 < 128, 235, 40) * x // width + 10
    green = 220 * y // height + (x * 5 + y * 3) // 4 % 2 * 25
    blue = np.where((x * 16 // width + y * 9 // height) % 2 == 0, 200, 30) * (width - x) // width + rings % 32
    canvas = np.stack([red, green, blue], axis=2)
    _draw_patch(canvas, (0, 0), (255, 0, 0))
    _draw_patch(canvas, (1, 2), (0, 255, 0))
    _draw_patch(canvas, (2, 1), (0, 0, 255))
    _draw_patch(canvas, (2, 3), (250, 240, 20))
    return Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))


def _draw_patch(canvas: npt.NDArray[np.int64], place: tuple[int, int], colour: tuple[int, int, int]) -> None:
    height, width = canvas.shape[0] // 8, canvas.shape[1] // 8
    top, left = (place[0] * 2 + 1) * height, (place[1] * 2 + 1) * width
    canvas[top : top + height, left : left + width] = colour


def shrink(image: Image.Image) -> Image.Image:
    """Return the image with its long side at most ``LONG_SIDE_PX``."""
    if max(image.size) <= LONG_SIDE_PX:
        return image
    width, height = (max(1, side * LONG_SIDE_PX // max(image.size)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _write_photo(real: list[Image.Image], recipe: PixelRecipe, out: Path) -> dict[str, Any]:
    """Write a real image that is large enough to exercise a JPEG decoder, or else the card."""
    photo = next((image for image in real if min(image.size) >= _PHOTO_MIN_PX), draw_card(recipe))
    photo.save(out / "golden" / "photo.jpg", "JPEG", quality=90)
    pixels = to_pixels(decode(out / "golden" / "photo.jpg"), recipe)
    Image.fromarray(pixels).save(out / "golden" / "photo.pixels.png", "PNG", optimize=True)
    return {"file": "golden/photo.jpg", "pixels": "golden/photo.pixels.png", "max_levels": JPEG_MAX_LEVELS}
