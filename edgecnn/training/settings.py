"""What a training is asked: the settings of its stages that decide how, light at import."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from edgecnn.runner.machine.environment import available_cores
from edgecnn.values.augmentation import Augmentations
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
