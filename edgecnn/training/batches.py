"""The batches of an epoch: augmented, normalized, and mixed by torchvision's mixup and cutmix."""

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
from edgecnn.training.process import seeded_generator
from edgecnn.training.settings import training_threads
from edgecnn.values.augmentation import Cutmix, Mixup


def prepare_batch(
    material: Material, what: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]], draw: EpochDraw, frame: Frame
) -> Batch:
    """Return the batch of some positions of the epoch, augmented and normalized.

    ``what``: positions (n,) of the batch, and the image shown at each position of the epoch (N,).
    """
    positions, images = what[0], what[1][what[0]]
    pixels = augmented(material.decoded.read(images), positions, draw, frame)
    labels = torch.from_numpy(material.decoded.labels[images])
    labels = labels.float() if material.multi_label else labels
    return Batch(normalized(pixels, material.validation.normalization), labels)


def prepare_part(
    material: Material, what: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]], part: Part, draw: EpochDraw, frame: Frame
) -> ShownPart:
    """Return one process's part of a batch, mixed as in the whole batch.

    Images before the part are mixed into it, so they are prepared with it and then removed. If the teacher has another size,
    images are augmented once, at the larger size.
    """
    positions, images = what
    before = mixing_depth(draw, positions[0]) if part.images < part.whole else 0
    places = positions.take(range(part.start - before, part.stop), mode="wrap")
    larger = frame
    if material.teacher_px is not None:
        larger = frame._replace(size_px=max(frame.size_px, material.teacher_px, key=lambda size: size.area_px))
    batch = mix(prepare_batch(material, (places, images), draw, larger), draw, positions[0], material.classes)
    drawn, labels = batch.images[before:], batch.labels[before:]
    return ShownPart(Batch(resized_to(drawn, frame.size_px), labels), drawn)


_Item = TypeVar("_Item")
_Made = TypeVar("_Made")
AHEAD = 8
"""Maximum number of batches that threads prepare while a GPU trains on the batch before them."""


def prepare_parts(
    material: Material, batches: Sequence[npt.NDArray[np.int64]], images: npt.NDArray[np.int64], draw: EpochDraw, frame: Frame
) -> Iterator[tuple[Part, ShownPart]]:
    """Yield this process's part of each batch, in order, on the training device.

    ``images``: the image shown at each position of the epoch (N,).
    """

    def prepared(positions: npt.NDArray[np.int64]) -> tuple[Part, ShownPart]:
        part = material.team.part(len(positions))
        return part, prepare_part(material, (positions, images), part, draw, frame)

    if material.device.type == "cpu":
        yield from map(prepared, batches)
        return
    for part, shown_part in map_ahead(prepared, batches, max(1, min(AHEAD, training_threads() - 1))):
        yield part, shown_part.to(material.device)


def map_ahead(prepared: Callable[[_Item], _Made], items: Sequence[_Item], threads: int) -> Iterator[_Made]:
    """Yield the results of a function for all items, in order. Threads compute the next results while one is in use."""
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting = deque(pool.submit(prepared, item) for item in items[:threads])
        for index in range(len(items)):
            yield waiting.popleft().result()
            waiting.extend(pool.submit(prepared, item) for item in items[index + threads : index + threads + 1])


class Batch(NamedTuple):
    """Images and labels of a training step."""

    images: Tensor
    """float32 (n, 3, H, W)."""
    labels: Tensor
    """Classes int64 (n,); or shares of classes float32 (n, classes) if images are mixed or multi-label."""


class ShownPart(NamedTuple):
    """One process's part of a batch."""

    batch: Batch
    drawn: Tensor
    """The images at the size of their augmentation, which is the teacher's if that is larger."""

    def to(self, device: torch.device) -> ShownPart:
        """Return a copy on the device."""
        images, labels = (tensor.to(device) for tensor in self.batch)
        return ShownPart(Batch(images, labels), images if self.drawn is self.batch.images else self.drawn.to(device))


def mixing_depth(draw: EpochDraw, position: int) -> int:
    """Return how many of the images before an image may be mixed into it: one for each augmentation that mixes this batch."""
    rows = zip(draw.augment, draw.drawn, strict=True)
    return sum(isinstance(augmentation, (Mixup, Cutmix)) and bool(drawn["applied"][position]) for augmentation, drawn in rows)


def mix(batch: Batch, draw: EpochDraw, position: int, classes: int) -> Batch:
    """Return the batch mixed by mixup and cutmix, if they are in the list. Each image is mixed with the image before it.

    ``position``: position of the batch's first image, whose random values apply to the whole batch.
    """
    images, labels = batch.images, batch.labels
    for augmentation, drawn in zip(draw.augment, draw.drawn, strict=True):
        if not isinstance(augmentation, (Mixup, Cutmix)) or len(images) < 2 or not drawn["applied"][position]:
            continue
        operation = (v2.MixUp if isinstance(augmentation, Mixup) else v2.CutMix)(alpha=augmentation.alpha, num_classes=classes)
        with seeded_generator(int(drawn["seed"][position])):
            if labels.ndim == 1:
                images, labels = operation(images, labels)
            else:
                operation = type(operation)(alpha=augmentation.alpha)
                images, labels = operation(images, labels)
    return Batch(images.contiguous(memory_format=torch.channels_last), labels)
