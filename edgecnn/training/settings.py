"""The settings of every stage that trains, their defaults, and the environment that torch needs before it is imported.

This module imports no torch, so planning can read it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from edgecnn.runner.machine.environment import available_cores
from edgecnn.values.augmentation import Augmentation, Augmentations, Crop, Cutmix, Cutout, Flip, Mixup, RandAugment
from edgecnn.values.base import Value
from edgecnn.values.candidate import Scheme
from edgecnn.values.preprocessing import Preprocessing
from edgecnn.values.training import (
    AS_IT_IS,
    Balance,
    Cycles,
    Form,
    HeadKind,
    LearningDevice,
    LearningPrecision,
    ScratchRecipe,
    Surgery,
    TeacherTerms,
    TransferSetting,
    Unfreezing,
)

LEARN = ("torch", "torchvision", "safetensors", "pillow", "numpy")
"""Packages of arithmetic, network definitions and decoding."""
ANSWER_FROZEN = ("onnx", "onnxscript", "onnxruntime")
"""Packages that export a frozen network and answer for it where there is much to ask (``heads.py``)."""


class OtherTerms(Value):
    """What a training of the whole network is asked where it is not the one that was planned for."""

    epochs: NonNegativeInt
    learning_rate: PositiveFloat
    augment: Augmentations
    batch_size: PositiveInt
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]


def training_threads() -> int:
    """Threads of a training that states none: ``OMP_NUM_THREADS``, else the cores that this process may use.

    Affinity (taskset) and the limits of control groups (containers) count.
    """
    return openmp_threads() or available_cores()


def openmp_threads() -> int | None:
    """The number in ``OMP_NUM_THREADS``; None if there is none.

    OpenMP allows a list with a number for each nesting level, such as ``4,2``: the first number counts.
    """
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) or None if first.isdecimal() else None


GPU_THREADS = 4
"""CPU threads of a training on a GPU, the same on every machine: another core count must not change its key."""


class NetworkSettings(Value):
    """What any training is asked. Every field enters the key of its stage."""

    arch: str
    classes: Annotated[int, Field(ge=2)]
    threads: PositiveInt
    """That compute, however many cores there are: sums are split among them, so that another number gives other bytes."""
    preprocessing: Preprocessing
    """Resolution, and how pixels become the network's input; that of the shipped kit."""
    seed: NonNegativeInt = 0
    device: LearningDevice = Field(default="cpu", exclude_if=lambda device: device == "cpu")
    """That steps and frozen features are computed on. Left out of the key where it is the processor."""


class TrainSettings(NetworkSettings):
    """Of the train stage."""

    mode: Literal["finetune", "inherit", "scratch"]
    """inherit: as from scratch, beginning with what a scaled network has of the unscaled one's weights."""
    transfer: TransferSetting = "all"
    """finetune only: what is learned anew. auto: as the file of role ``transfer`` says."""
    head: HeadKind = "linear"
    """finetune only: what is put on the features. All but linear are fitted on frozen ones, so that nothing else learns."""
    unfreeze: Unfreezing = Field(default="all", exclude_if=lambda unfreeze: unfreeze == "all")
    """finetune only: see ``training/schedule.py``. Left out of the key where all layers learn at once."""
    cycles: Cycles = Field(default="one", exclude_if=lambda cycles: cycles == "one")
    """finetune only: see ``Phase.cycles``. Left out of the key where the rate rises and falls once."""
    scratch: ScratchRecipe = "short"
    """scratch only: see ``training/beginning.py``."""
    otherwise: OtherTerms | None = None
    """Where ``auto`` may come to scratch: on which terms."""
    relearned: OtherTerms | None = Field(default=None, exclude_if=lambda relearned: relearned is None)
    """Where ``auto`` may come to all layers of a scaled network that lost some of what its weights learned: on which terms it is
    trained as ``inherit``. Left out of the key of any other, whose bytes are those of before."""
    epochs: NonNegativeInt
    """Of the whole network, at most: from scratch, or after the head was trained on frozen features."""
    head_epochs: PositiveInt = 30
    """finetune only: passes of the head over cached features, which cost almost nothing."""
    batch_size: PositiveInt = 64
    learning_rate: PositiveFloat
    """Peak rate: of the whole network from scratch; of the head when fine-tuning, whose body learns at a tenth of it."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    augment: Augmentations
    """What is done to training images at random, in this order. Frozen features know of mirror images alone."""
    patience: PositiveInt = 5
    """Epochs without a better ``validation`` accuracy after which a phase stops."""
    balance: Balance = Field(default="none", exclude_if=lambda balance: balance == "none")
    """Whether classes of unequal size count alike. Left out of the key where they need not: the bytes are those of before."""
    teacher: TeacherTerms | None = Field(default=None, exclude_if=lambda teacher: teacher is None)
    """Whose answers are learned in place of labels: the weights of role ``teacher``. Left out of the key where labels are."""
    precision: LearningPrecision = Field(default="fp32", exclude_if=lambda precision: precision == "fp32")
    """Of the whole network's steps; a head on frozen features learns in fp32. Left out of the key where all is fp32."""
    processes: PositiveInt = Field(default=1, exclude_if=lambda processes: processes == 1)
    """That share each batch of the whole network's training. Their sums are added in another order, so that the bytes are others:
    it is in the key, and left out of it where one process trains, whose bytes are those of before."""


class TransferSettings(NetworkSettings):
    """Of the transfer stage; ``seed`` is of the folds."""


PROBE_IMAGES = 8
"""Drawn ones: ranges of INT8 decide what a network answers, and not how long it takes."""


class ProbeSettings(Value):
    """Of the probe stage."""

    arch: str
    classes: PositiveInt
    preprocessing: Preprocessing
    form: Form = Field(default=AS_IT_IS, exclude_if=lambda form: not form.suffix)
    images: PositiveInt = PROBE_IMAGES
    opset: Literal[20] = 20


class SurgerySettings(NetworkSettings):
    """Of the surgery stage."""

    surgery: Surgery
    batch_size: PositiveInt = 64
    learning_rate: PositiveFloat
    """Peak rate of every layer."""
    opset: Literal[20] = 20


class AwareSettings(NetworkSettings):
    """Of the aware stage."""

    scheme: Scheme
    """How INT8 numbers stand for real ones while training, and in the file."""
    images: PositiveInt
    """Calibration images that the ranges of activations are taken from."""
    epochs: PositiveInt
    batch_size: PositiveInt = 64
    learning_rate: PositiveFloat
    """Peak rate of every layer."""
    opset: Literal[20] = 20


Mode = Literal["finetune", "inherit", "scratch"]

SCRATCH_IMAGES = 29_600
"""Images shown in total to a network with random weights. For the demo these are 8 passes, less than five minutes on two slow
cores."""
FINETUNE_IMAGES = 24_000
"""Images shown at most to a network that is fine-tuned: about 8 passes over 3,000 images."""


def default_epochs(mode: Mode, images: int) -> int:
    """Return epochs for ``images`` training images: a fixed number of images shown. Fine-tuning may stop earlier."""
    if mode == "finetune":
        return 4 * max(2, min(8, round(FINETUNE_IMAGES / max(images, 1) / 4)))
    return max(8, min(90, round(SCRATCH_IMAGES / max(images, 1))))


def default_learning_rate(mode: Mode, recipe: ScratchRecipe = "short", own_rate: float | None = None) -> float:
    """Return the peak learning rate: of the whole network from scratch, or of a fine-tuned head, whose body learns at a tenth of
    it.

    ``recipe``: the recipe if training starts from random weights. ``own_rate``: the row's rate for AdamW, if the usual one is too
    high. SGD starts at the rate of the ResNet paper, or for such a network at that of the AlexNet and VGG papers.
    """
    if mode == "finetune":
        return 1e-3
    if recipe == "resnet":
        return 0.1 if own_rate is None else 0.01
    return own_rate or 4e-3


def default_batch_size(mode: Mode, recipe: ScratchRecipe = "short") -> int:
    """Images a step."""
    return 256 if mode != "finetune" and recipe == "resnet" else 64


def default_label_smoothing(mode: Mode, recipe: ScratchRecipe = "short") -> float:
    """Return the share of a label that is spread over the other classes."""
    return 0.0 if mode != "finetune" and recipe == "resnet" else 0.1


def default_augmentation(mode: Mode, recipe: ScratchRecipe = "short") -> tuple[Augmentation, ...]:
    """Return random crops and flips; from scratch, in few epochs, a crop covers more of the image (``training/beginning.py``).

    A modern training of many epochs varies more and mixes images (torchvision's reference recipe: mixup 0.2, cutmix 1.0).
    """
    if mode != "finetune" and recipe == "modern":
        return (Crop(area=(0.35, 1.0), aspect=1.33), Flip(), RandAugment(), Cutout(p=0.1), Mixup(p=0.5), Cutmix(p=0.5))
    return (Crop(area=(0.8 if (mode, recipe) == ("scratch", "short") else 0.6, 1.0)), Flip())


_VARIABLE = "OMP_WAIT_POLICY"


@contextmanager
def sleeping_threads() -> Iterator[None]:
    """Import torch inside this. A policy that the user has set stays, and a torch that is already loaded is not changed."""
    if _VARIABLE in os.environ:
        yield
        return
    os.environ[_VARIABLE] = "PASSIVE"
    try:
        yield
    finally:
        os.environ.pop(_VARIABLE, None)
