"""A preview of augmentation: original and augmented training images in one PNG, with the random values of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from edgecnn.data.composing import Composer
from edgecnn.data.cutouts import ComposedImages, JoinedImages
from edgecnn.data.images import ImageSource, open_source
from edgecnn.data.sheet import CELL_PX, GAP_PX, save_sheet
from edgecnn.errors.training import NOTHING_TO_TRAIN_ON
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.augment import EpochDraw, Frame, augmented, centred, draw_epoch, is_applied, stream_seed, values_of
from edgecnn.training.batches import Batch, mix
from edgecnn.training.material import DecodedImages
from edgecnn.values.augmentation import AugmentationPreview, Augmentations, DrawnRow, PreviewedPicture
from edgecnn.values.dataset import DataSummary, ImageEntry
from edgecnn.values.preprocessing import PixelRecipe

_PHASE = "preview"
_BACKGROUND = 255


class PreviewRequest(NamedTuple):
    """Content of a preview."""

    augment: Augmentations
    pixels: PixelRecipe
    images: int
    """Maximum number of originals. The first images are used, since each prefix has all classes in proportion."""
    columns: int
    """Number of augmented images for each original."""
    seed: int
    composer: Composer | None = None
    """Composer of images, if the recipe composes any. The second half of the originals is then composed."""
    photographs: bool = True
    """Whether photographs are training images."""


def make_preview(data: DataSummary, request: PreviewRequest, sheet: Path) -> AugmentationPreview:
    """Write the sheet, and return the random values of each image.

    Raises NOTHING_TO_TRAIN_ON: no image has the role ``train``. IMAGE_GONE, IMAGE_CHANGED, CorruptImages, CUTOUTS_UNUSABLE,
    OUTPUT_UNWRITABLE: a file cannot be read or written.
    """
    source, entries, files = _originals(data, request)
    count = len(entries)
    if not count:
        raise NOTHING_TO_TRAIN_ON(role="train")
    pixels = request.pixels
    decoded = DecodedImages(source, entries, pixels).read(range(count))
    columns = [centred(decoded, pixels.crop_px)]
    pictures = []
    for column in range(request.columns):
        epoch = draw_epoch(count, seed=stream_seed(request.seed, _PHASE, column), augment=request.augment)
        columns.append(_column(decoded, epoch, pixels.crop_px, len(source.classes)))
        for row, entry in enumerate(entries):
            pictures.append(
                PreviewedPicture(
                    image=entry.path,
                    composed_of=files.get(row),
                    class_name=source.label_text(entry),
                    row=row + 1,
                    column=column + 1,
                    drawn=_drawn_rows(epoch, row),
                )
            )
    save_sheet(_draw_sheet(columns), sheet)
    return AugmentationPreview(
        data=data.root,
        resolution_px=pixels.crop_px,
        seed=request.seed,
        augment=request.augment,
        sheet=str(sheet),
        pictures=tuple(sorted(pictures, key=lambda picture: (picture.row, picture.column))),
        composed_rows=tuple(row + 1 for row in files),
    )


class _Originals(NamedTuple):
    """Images of the first column."""

    source: ImageSource
    entries: Sequence[ImageEntry]
    files: Mapping[int, tuple[str, str]]
    """Paths of cut-out and background by row, from 0."""


def _originals(data: DataSummary, request: PreviewRequest) -> _Originals:
    """Return photographs, and with a composer also composed images, about half of each."""
    photographs = open_source(Path(data.manifest_path))
    shown = photographs.entries("train") if request.photographs else ()
    if request.composer is None:
        return _Originals(photographs, shown[: request.images], {})
    kept = shown[: request.images // 2]
    picked = request.composer.planned[: request.images - len(kept)]
    composed = ComposedImages(request.composer, picked)
    files = {len(kept) + number: (image.cutout.path, image.background.path) for number, image in enumerate(picked)}
    return _Originals(JoinedImages(photographs, composed), (*kept, *composed.entries("train")), files)


def _column(decoded: np.ndarray, epoch: EpochDraw, size_px: ImageSize, classes: int) -> np.ndarray:
    """Return one column, uint8 (n, *size, 3). It is one batch, so an image may be mixed with the image above it."""
    positions = np.arange(len(decoded))
    pixels = augmented(decoded, positions, epoch, Frame(size_px, size_px))
    batch = Batch(pixels.float(), torch.zeros(len(decoded), dtype=torch.int64))
    shown: Tensor = mix(batch, epoch, 0, classes).images
    return shown.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _drawn_rows(epoch: EpochDraw, position: int) -> tuple[DrawnRow, ...]:
    rows = []
    for augmentation, drawn in zip(epoch.augment, epoch.drawn, strict=True):
        decides = 0 if augmentation.kind in ("mixup", "cutmix") else position
        applied = is_applied(drawn, decides)
        values = {name: float(value) for name, value in values_of(drawn, decides).items()} if applied else {}
        rows.append(DrawnRow(kind=augmentation.kind, applied=applied, values=values))
    return tuple(rows)


def _draw_sheet(columns: list[np.ndarray]) -> Image.Image:
    """Draw the columns, with a wider gap after the originals in the first column."""
    step = CELL_PX + GAP_PX
    size = (len(columns) * step + 3 * GAP_PX, len(columns[0]) * step + GAP_PX)
    sheet = Image.new("RGB", size, (_BACKGROUND,) * 3)
    for column, pictures in enumerate(columns):
        left = GAP_PX + column * step + (2 * GAP_PX if column else 0)
        for row, picture in enumerate(pictures):
            shown = ImageOps.contain(Image.fromarray(picture), (CELL_PX, CELL_PX))
            middle = (CELL_PX - shown.width) // 2, (CELL_PX - shown.height) // 2
            sheet.paste(shown, (left + middle[0], GAP_PX + row * step + middle[1]))
    return sheet
