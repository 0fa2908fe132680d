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
from edgecnn.values.arch import ArchSpec
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
"""Packages for training: arithmetic, network definitions and image decoding."""
ANSWER_FROZEN = ("onnx", "onnxscript", "onnxruntime")
"""Packages that compute the features of a frozen network with ONNX Runtime (``heads.py``)."""


class OtherTerms(Value):
    """Settings that replace those of a fine-tuning if the transfer choice turns it into another training."""

    epochs: NonNegativeInt
    learning_rate: PositiveFloat
    augment: Augmentations
    batch_size: PositiveInt
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]


def training_threads() -> int:
    """Return the default number of training threads: ``OMP_NUM_THREADS``, or else the cores that this process may use.

    CPU affinity (taskset) and control groups (containers) limit the cores.
    """
    return openmp_threads() or available_cores()


def openmp_threads() -> int | None:
    """Return the number in ``OMP_NUM_THREADS``, or None if the variable contains none.

    OpenMP allows a list with a number for each nesting level, such as ``4,2``. The first number counts.
    """
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) or None if first.isdecimal() else None


GPU_THREADS = 4
"""CPU threads of a training on a GPU. The number is the same on every machine, so that the core count does not change the key."""


class NetworkSettings(Value):
    """Settings that all training stages share.

    Every field enters the key of its stage, except that a field with ``exclude_if`` is omitted at its default. Keys from before
    such a field existed therefore stay valid.
    """

    arch: str
    classes: Annotated[int, Field(ge=2)]
    threads: PositiveInt
    """Compute threads, regardless of the number of cores. Sums are split among threads, so another number gives other bytes."""
    preprocessing: Preprocessing
    """Resolution and normalization, as in the shipped kit."""
    seed: NonNegativeInt = 0
    device: LearningDevice = Field(default="cpu", exclude_if=lambda device: device == "cpu")
    """Device that computes training steps and frozen features."""


class TrainSettings(NetworkSettings):
    """Settings of the train stage."""

    mode: Literal["finetune", "inherit", "scratch"]
    """inherit: as scratch, but a scaled network starts with the weights that it shares with the unscaled network."""
    transfer: TransferSetting = "all"
    """finetune only: which layers are trained. auto: as the input ``transfer`` says."""
    head: HeadKind = "linear"
    """finetune only: the kind of last layer. All kinds except linear are fitted on frozen features, without other layers."""
    unfreeze: Unfreezing = Field(default="all", exclude_if=lambda unfreeze: unfreeze == "all")
    """finetune only: whether layer groups are unfrozen one after another (``schedule.unfreeze_last``)."""
    cycles: Cycles = Field(default="one", exclude_if=lambda cycles: cycles == "one")
    """finetune only: whether the learning rate rises and falls once or several times (``Phase.cycles``)."""
    body_rate: Annotated[float, Field(gt=0, le=1)] = Field(default=0.1, exclude_if=lambda body_rate: body_rate == 0.1)
    """finetune only: learning rate of the pretrained layers as a share of the head's."""
    scratch: ScratchRecipe = "short"
    """scratch only: the recipe (``beginning.scratch_phase``)."""
    otherwise: OtherTerms | None = None
    """Settings of the training from scratch that ``auto`` may choose."""
    relearned: OtherTerms | None = Field(default=None, exclude_if=lambda relearned: relearned is None)
    """Settings of mode ``inherit``, used if all layers are trained and the network was scaled so that it lost some of its
    pretrained weights."""
    epochs: NonNegativeInt
    """Maximum number of epochs of the whole network: from scratch, or after the head was trained on frozen features."""
    head_epochs: PositiveInt = 30
    """finetune only: epochs of the head on cached features, which take almost no time."""
    batch_size: PositiveInt = 64
    learning_rate: PositiveFloat
    """Peak learning rate: of the whole network from scratch, or of the head when fine-tuning (see ``body_rate``)."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    augment: Augmentations
    """Random changes of training images, in this order. Only flips affect training on frozen features."""
    patience: PositiveInt = 5
    """Number of epochs without a better ``validation`` accuracy after which a phase stops."""
    balance: Balance = Field(default="none", exclude_if=lambda balance: balance == "none")
    """How classes of unequal size are balanced."""
    teacher: TeacherTerms | None = Field(default=None, exclude_if=lambda teacher: teacher is None)
    """Network that teaches in place of labels; the input ``teacher`` holds its weights."""
    precision: LearningPrecision = Field(default="fp32", exclude_if=lambda precision: precision == "fp32")
    """Precision of training steps of the whole network. A head on frozen features is trained in fp32."""
    processes: PositiveInt = Field(default=1, exclude_if=lambda processes: processes == 1)
    """Number of processes that share each batch while the whole network is trained. Several processes add sums in another order,
    so the bytes differ."""


class TransferSettings(NetworkSettings):
    """Settings of the transfer stage; ``seed`` deals images to folds."""


PROBE_IMAGES = 8
"""Number of synthetic images. Few suffice, because INT8 ranges affect the logits and not the latency."""


class ProbeSettings(Value):
    """Settings of the probe stage."""

    arch: str
    classes: PositiveInt
    preprocessing: Preprocessing
    form: Form = Field(default=AS_IT_IS, exclude_if=lambda form: not form.suffix)
    images: PositiveInt = PROBE_IMAGES
    opset: Literal[20] = 20


class SurgerySettings(NetworkSettings):
    """Settings of the surgery stage."""

    surgery: Surgery
    batch_size: PositiveInt = 64
    learning_rate: PositiveFloat
    """Peak learning rate of all layers."""
    opset: Literal[20] = 20


class AwareSettings(NetworkSettings):
    """Settings of the aware stage (quantization-aware training)."""

    scheme: Scheme
    """Mapping of real numbers to INT8, in training and in the exported file."""
    images: PositiveInt
    """Number of calibration images that set the ranges of activations."""
    epochs: PositiveInt
    batch_size: PositiveInt = 64
    learning_rate: PositiveFloat
    """Peak learning rate of all layers."""
    opset: Literal[20] = 20


Mode = Literal["finetune", "inherit", "scratch"]

SCRATCH_IMAGES = 29_600
"""Images in total that a network with random weights is trained on. The demo takes 8 epochs, less than five minutes on two slow
cores."""
FINETUNE_IMAGES = 24_000
"""Maximum number of images in total that a network is fine-tuned on: about 8 epochs of 3,000 images."""


def default_epochs(mode: Mode, images: int) -> int:
    """Return the number of epochs for ``images`` training images, so that the images in total are about constant."""
    if mode == "finetune":
        return 4 * max(2, min(8, round(FINETUNE_IMAGES / max(images, 1) / 4)))
    return max(8, min(90, round(SCRATCH_IMAGES / max(images, 1))))


SHORT_CYCLE_IMAGES = 4_800
"""A first cycle must process this many images (training images times epochs). In one of two runs, a first cycle of 2,044 images
was worse than the head alone, while one cycle of 8,176 images was 5.9 points better than it (``benchmarks/accuracy``)."""


def default_cycles(epochs: int, images: int) -> Cycles:
    """Return how the epochs of a fine-tuning are divided if the user states neither epochs nor cycles.

    ``images``: training images.
    """
    return "while-better" if growing_cycles(epochs)[0] * images >= SHORT_CYCLE_IMAGES else "full"


def growing_cycles(epochs: int) -> tuple[int, ...]:
    """Return the lengths of a short cycle, which shows whether the network improves at all, and of a cycle for the rest.

    A second cycle as short as the first would show little: on 2,608 images it differed by one validation image of 460.
    """
    quarter = max(1, epochs // 4)
    return tuple(length for length in (min(quarter, epochs), epochs - quarter) if length > 0)


def default_learning_rate(mode: Mode, recipe: ScratchRecipe = "short", own_rate: float | None = None) -> float:
    """Return the peak learning rate: of the whole network from scratch, or of the head when fine-tuning.

    ``recipe``: the recipe from scratch. ``own_rate``: the network's own rate for AdamW, if the usual one is too high for it. SGD
    starts at 0.1 as in the ResNet paper, or for a network with its own rate at 0.01 as in the AlexNet and VGG papers.
    """
    if mode == "finetune":
        return 1e-3
    if recipe == "resnet":
        return 0.1 if own_rate is None else 0.01
    return own_rate or 4e-3


BATCH_SIZE = 64
FINETUNE_BATCH_SIZES = (BATCH_SIZE, 32, 16, 8)
FINETUNE_STEPS = 80
"""Fine-tuning needs about this many steps. Six epochs of 170 images were 5.8 points [2.3, 9.2] more accurate in batches of 8 (126
steps) than of 64 (18 steps), in the same time. From 96 steps on, smaller batches helped some runs and harmed others
(``benchmarks/accuracy``). Batch norm keeps its statistics, so small batches do not disturb it."""


def finetune_batch_size(images: int, epochs: int, processes: int = 1) -> int:
    """Return the largest batch size that gives enough steps, or else the smallest one.

    ``processes``: number of processes that share each batch. They get at least four images each, or the usual size together.
    """
    sizes = [size for size in FINETUNE_BATCH_SIZES if size == BATCH_SIZE or size >= 4 * processes]
    return next((size for size in sizes if epochs * batch_count(images, size) >= FINETUNE_STEPS), sizes[-1])


def batch_count(images: int, batch_size: int) -> int:
    """Return the number of batches in an epoch.

    Batches have equal sizes, to within one image, because batch norm cannot compute a variance of a last batch with one image.
    """
    return max(1, round(images / batch_size))


def default_batch_size(recipe: ScratchRecipe = "short") -> int:
    """Return the number of images in a batch of a training from scratch."""
    return 256 if recipe == "resnet" else BATCH_SIZE


def default_label_smoothing(mode: Mode, recipe: ScratchRecipe = "short") -> float:
    """Return the share of a label that is spread over the other classes."""
    return 0.0 if mode != "finetune" and recipe == "resnet" else 0.1


def default_body_rate(arch: ArchSpec) -> float:
    """Return the learning rate of the pretrained layers as a share of the head's.

    Batch norm makes a layer's output independent of the size of its weights, so such a network can be fine-tuned at the head's
    rate, which was 4 points more accurate than a tenth of it in 6 epochs (``benchmarks/accuracy``). Networks without batch norm,
    such as VGG and ConvNeXt, get a tenth. So do networks of timm, because the catalogue does not know their layers.
    """
    return 0.1 if arch.scratch_rate is not None or arch.family in ("convnext", "lenet", "timm") else 1.0


def default_augmentation(mode: Mode, recipe: ScratchRecipe = "short") -> tuple[Augmentation, ...]:
    """Return random crops and flips. In a short training from scratch, crops are larger (``beginning.prepare_scratch``).

    The recipe ``modern``, for many epochs, varies images more and mixes them (torchvision's reference recipe: mixup 0.2,
    cutmix 1.0).
    """
    if mode != "finetune" and recipe == "modern":
        return (Crop(area=(0.35, 1.0), aspect=1.33), Flip(), RandAugment(), Cutout(p=0.1), Mixup(p=0.5), Cutmix(p=0.5))
    return (Crop(area=(0.8 if (mode, recipe) == ("scratch", "short") else 0.6, 1.0)), Flip())


@contextmanager
def sleeping_threads() -> Iterator[None]:
    """Import torch inside this context, so that its idle threads sleep instead of spinning.

    Spinning threads take time from a second process: with 2 busy cores, EfficientNet-B0 at 64 px trained at 7 images/s with
    spinning and at 187 images/s with sleeping. OpenMP reads its environment once, when torch is loaded. The variable is removed
    afterwards, because programs that are started and timed later must not inherit it. A value that the user set stays. A torch
    that is already loaded is not affected.
    """
    variable = "OMP_WAIT_POLICY"
    if variable in os.environ:
        yield
        return
    os.environ[variable] = "PASSIVE"
    try:
        yield
    finally:
        os.environ.pop(variable, None)
