"""An epoch as batches, and a batch as it is learned from: cropped, changed at random, normalized and mixed.

Mixing is torchvision's own mixup and cutmix.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.transforms import v2

from edgecnn.training.augment import EpochDraw, Frame, augmented, normalized, resized_to
from edgecnn.training.material import Material
from edgecnn.training.parallel.team import Part
from edgecnn.training.process import own_stream
from edgecnn.training.settings import training_threads
from edgecnn.values.augmentation import Cutmix, Mixup


def batch_count(images: int, batch_size: int) -> int:
    """Of an epoch. They are as equal as can be, since a last batch of one image would give batch norm no variance."""
    return max(1, round(images / batch_size))


def shown(material: Material, what: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]], draw: EpochDraw, frame: Frame) -> Batch:
    """Positions of the epoch, and the image that each of all its positions shows."""
    positions, images = what[0], what[1][what[0]]
    pixels = augmented(material.decoded.read(images), positions, draw, frame)
    labels = torch.from_numpy(material.decoded.labels[images])
    labels = labels.float() if material.multi_label else labels
    return Batch(normalized(pixels, material.validation.normalization), labels)


def part_shown(
    material: Material, what: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]], part: Part, draw: EpochDraw, frame: Frame
) -> ShownPart:
    """This part of a batch, mixed as in the whole one: with the images before it, which are shown with it and then left off.

    It is drawn once, at the larger of two sizes where a teacher is shown another one.
    """
    positions, images = what
    before = neighbours(draw, positions[0]) if part.images < part.whole else 0
    places = positions.take(range(part.start - before, part.stop), mode="wrap")
    larger = frame
    if material.teacher_px is not None:
        larger = frame._replace(size_px=max(frame.size_px, material.teacher_px, key=lambda size: size.area_px))
    batch = mixed(shown(material, (places, images), draw, larger), draw, positions[0], material.classes)
    drawn, labels = batch.images[before:], batch.labels[before:]
    return ShownPart(Batch(resized_to(drawn, frame.size_px), labels), drawn)


_Item = TypeVar("_Item")
_Made = TypeVar("_Made")
AHEAD = 8
"""Batches at most that threads prepare while a GPU learns from the one before them."""


def parts_shown(
    material: Material, batches: Sequence[npt.NDArray[np.int64]], images: npt.NDArray[np.int64], draw: EpochDraw, frame: Frame
) -> Iterator[tuple[Part, ShownPart]]:
    """This process's part of each batch, in order, on the device that learns; ``images``: that an epoch's places show."""

    def prepared(positions: npt.NDArray[np.int64]) -> tuple[Part, ShownPart]:
        part = material.team.part(len(positions))
        return part, part_shown(material, (positions, images), part, draw, frame)

    if material.device.type == "cpu":
        yield from map(prepared, batches)
        return
    for part, shown_part in prepared_ahead(prepared, batches, max(1, min(AHEAD, training_threads() - 1))):
        yield part, shown_part.on(material.device)


def prepared_ahead(prepared: Callable[[_Item], _Made], items: Sequence[_Item], threads: int) -> Iterator[_Made]:
    """What is made of each, in order; as many as there are threads are under way while one is used."""
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting = deque(pool.submit(prepared, item) for item in items[:threads])
        for index in range(len(items)):
            yield waiting.popleft().result()
            waiting.extend(pool.submit(prepared, item) for item in items[index + threads : index + threads + 1])


class Batch(NamedTuple):
    """What a step learns from."""

    images: Tensor
    """float32 (n, 3, H, W)."""
    labels: Tensor
    """int64 (n,), or where pictures are mixed float32 (n, classes), the shares of each class; of multi-label images float32
    (n, classes) in any case, 0…1."""


class ShownPart(NamedTuple):
    """A process's part of a batch."""

    batch: Batch
    drawn: Tensor
    """The same images at the size at which they were drawn, which is a teacher's where it is larger."""

    def on(self, device: torch.device) -> ShownPart:
        """Copied there."""
        images, labels = (tensor.to(device) for tensor in self.batch)
        return ShownPart(Batch(images, labels), images if self.drawn is self.batch.images else self.drawn.to(device))


def neighbours(draw: EpochDraw, position: int) -> int:
    """How many images before one it may be mixed with, one after another: as many as rows of the list mix this batch."""
    rows = zip(draw.augment, draw.drawn, strict=True)
    return sum(isinstance(augmentation, (Mixup, Cutmix)) and bool(drawn["applied"][position]) for augmentation, drawn in rows)


def mixed(batch: Batch, draw: EpochDraw, position: int, classes: int) -> Batch:
    """The batch as the draw mixes it; itself where the list asks for no mixing.

    Each picture is mixed with the one before it: the order of an epoch is drawn already. A batch of one has no other.

    ``batch``: labels int64 (n,), or of multi-label images float32 (n, classes). ``position``: whose draws decide for the whole
    batch: its first image's.
    """
    images, labels = batch.images, batch.labels
    for augmentation, drawn in zip(draw.augment, draw.drawn, strict=True):
        if not isinstance(augmentation, (Mixup, Cutmix)) or len(images) < 2 or not drawn["applied"][position]:
            continue
        operation = (v2.MixUp if isinstance(augmentation, Mixup) else v2.CutMix)(alpha=augmentation.alpha, num_classes=classes)
        with own_stream(int(drawn["seed"][position])):
            if labels.ndim == 1:
                images, labels = operation(images, labels)
            else:
                operation = type(operation)(alpha=augmentation.alpha)
                images, labels = operation(images, labels)
    return Batch(images.contiguous(memory_format=torch.channels_last), labels)
