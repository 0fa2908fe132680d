"""Whole roles as memory-mapped pixels, decoded on every core, and the few images that a kit carries to prove itself.

Threads, since Pillow lets go of the interpreter while it decodes and resizes; each writes its own rows, so memory does not
grow with the number of images.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from edgecnn.data.cores import cores
from edgecnn.data.images import ImageSource
from edgecnn.errors.data import CorruptImages
from edgecnn.runner.pixels import PixelRecipe, UnreadableImage, decode, pixels_sha256, to_pixels
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


LONG_SIDE_PX: Final = 512
"""Real images are shrunk to this before they are kept: enough for what networks see, and a kit stays small."""
JPEG_MAX_LEVELS: Final = 2
"""What builds of libjpeg-turbo may differ by. IJG's own libjpeg 9 (in Pillow 7.2's wheels) was seen 15 levels off: to be told."""
_PHOTO_MIN_PX: Final = 64


def write_golden(source: ImageSource, recipe: PixelRecipe, images: int, out: Path) -> None:
    """Write ``out/golden``: ``card.png``, ``0.png``…, ``photo.jpg`` with ``photo.pixels.png``, ``golden.json``, ``pixels.npy``.

    ``pixels.npy`` is uint8 (1 + images, crop, crop, 3): the pixels of the PNGs in the order of ``golden.json``. Fewer images are
    taken where choose has no more.
    """
    folder = out / "golden"
    folder.mkdir()
    real = [shrunk(source.read(entry)) for entry in source.entries("choose")[:images]]
    files = {"golden/card.png": card(recipe)} | {f"golden/{number}.png": image for number, image in enumerate(real)}
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


def card(recipe: PixelRecipe) -> Image.Image:
    """The drawn card: RGB, a quarter higher and half wider than the resize. In whole numbers: the same everywhere.

    The card is made so that no common mistake passes: every channel differs from the others (a swap shows), no symmetry maps it
    to itself (a flip or a transposition shows), it is larger than the resize, and its rings are finer than the resize can hold
    (another filter shows).
    """
    height, width = recipe.resize_px + recipe.resize_px // 4 + 4, recipe.resize_px + recipe.resize_px // 2 + 6
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    rings = ((x - width // 3) ** 2 + (y - height // 4) ** 2) * 256 // (3 * recipe.resize_px)
    red = np.where(rings % 256 < 128, 235, 40) * x // width + 10
    green = 220 * y // height + (x * 5 + y * 3) // 4 % 2 * 25
    blue = np.where((x * 16 // width + y * 9 // height) % 2 == 0, 200, 30) * (width - x) // width + rings % 32
    canvas = np.stack([red, green, blue], axis=2)
    _patch(canvas, (0, 0), (255, 0, 0))
    _patch(canvas, (1, 2), (0, 255, 0))
    _patch(canvas, (2, 1), (0, 0, 255))
    _patch(canvas, (2, 3), (250, 240, 20))
    return Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))


def _patch(canvas: npt.NDArray[np.int64], place: tuple[int, int], colour: tuple[int, int, int]) -> None:
    height, width = canvas.shape[0] // 8, canvas.shape[1] // 8
    top, left = (place[0] * 2 + 1) * height, (place[1] * 2 + 1) * width
    canvas[top : top + height, left : left + width] = colour


def shrunk(image: Image.Image) -> Image.Image:
    """The image with its long side at most ``LONG_SIDE_PX``."""
    if max(image.size) <= LONG_SIDE_PX:
        return image
    width, height = (max(1, side * LONG_SIDE_PX // max(image.size)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _write_photo(real: list[Image.Image], recipe: PixelRecipe, out: Path) -> dict[str, Any]:
    """A real image where one is large enough for a JPEG decoder to have work to do; else the card."""
    photo = next((image for image in real if min(image.size) >= _PHOTO_MIN_PX), card(recipe))
    photo.save(out / "golden" / "photo.jpg", "JPEG", quality=90)
    pixels = to_pixels(decode(out / "golden" / "photo.jpg"), recipe)
    Image.fromarray(pixels).save(out / "golden" / "photo.pixels.png", "PNG", optimize=True)
    return {"file": "golden/photo.jpg", "pixels": "golden/photo.pixels.png", "max_levels": JPEG_MAX_LEVELS}
