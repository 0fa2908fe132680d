"""Choices of a training that recipe, stage and report name alike."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from edgecnn.errors.wording import plural
from edgecnn.values.artifact import WeightsAnswer
from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Normalization, Resolution
from edgecnn.values.stage import Key

Balance = Literal["none", "weights", "sampling"]
"""none: each image counts once. weights: its loss counts by the inverse of its class's size. sampling: each is shown as often."""


LearningPrecision = Literal["fp32", "bf16"]
"""bf16: convolutions and matrix products of a training step. Weights, their updates, the loss and what is judged stay fp32."""


LearningDevice = Literal["cpu", "gpu"]
"""gpu: an NVIDIA GPU of the machine that trains."""


class TeacherTerms(Value):
    """What a training has to know of its teacher beside the weights; it enters the key."""

    arch: str
    normalization: Normalization
    """The teacher's own, which pixels are brought to."""
    resolution_px: Resolution
    """That it was trained at, and answers at: shown images of another size, a network is no longer right."""


class Teacher(Value):
    """What ``train.teacher`` came to: a network of the list that is fine-tuned first, or a finished build's network."""

    named: str
    """As it was asked."""
    terms: TeacherTerms
    weights: WeightsAnswer | None = None
    """Of a network of the list: where its fine-tuning begins; None of a finished build."""
    trained: Key | None = None
    """Of a finished build: the SHA-256 of its trained weights."""
    folder: str | None = None
    """Of a finished build: the store's folder that holds them."""


class TeacherFacts(Value):
    """Who taught, as a training writes it down."""

    arch: str
    validation_top1: float
    """0…1: the teacher's own, on the very pixels that judge what it teaches."""


Transfer = Literal["head", "last", "all", "scratch"]
"""head: the last layer alone. last: the last third of the block groups too. all: every layer. scratch: nothing is kept."""
TransferSetting = Literal["auto", "head", "last", "all", "scratch"]

HeadKind = Literal["linear", "svm", "softmax", "knn"]
"""linear: learned by descent, and then fine-tuned on. The others are fitted: linear SVM, softmax regression, neighbours."""

Unfreezing = Literal["all", "groups"]
"""all: whatever is fine-tuned learns from the first epoch on. groups: the last groups of blocks first, then those before."""

Cycles = Literal["one", "while-better"]
"""one: the learning rate rises and falls once over all epochs. while-better: it does so over a quarter of them, and over the rest
only if that quarter brought a better network."""

ScratchRecipe = Literal["short", "resnet", "modern"]
"""short: for few images and minutes. resnet: the ResNet paper's. modern: cosine, warm-up, label smoothing, an average, mixing."""


class TrainingSpeed(Value):
    """Images a second on this machine."""

    decoded_per_s: PositiveFloat
    learned_per_s: PositiveFloat
    """In steps of the whole network at its full size."""
    judged_per_s: PositiveFloat
    """Without learning from them: of validation, and of frozen features."""


class TrainingBudget(Value):
    """What ``train.minutes`` decided."""

    minutes: PositiveFloat
    speed: TrainingSpeed
    epochs: PositiveInt
    seconds: PositiveFloat
    """How long training takes at that speed, if it runs to the last of these epochs."""


class TransferChoice(Value):
    """``transfer.json``: what was measured on the training images, and the choice that follows from it."""

    schema_: Literal["edgecnn.transfer/1"] = Field(default="edgecnn.transfer/1", alias="schema")
    chosen: Transfer
    sentence: str
    """The choice with its figures."""
    classes: PositiveInt
    images: PositiveInt
    images_per_class: float
    """The median over classes."""
    smallest_class: PositiveInt
    probed_images: PositiveInt
    folds: PositiveInt
    probe_top1: float
    """Cross-validated accuracy of softmax regression on the frozen features, 0…1."""
    largest_class_share: float
    """Accuracy of always naming the largest class, 0…1."""
    similarity: float
    """How far the probe gets from there to perfect: 0 or less is no use, 1 is perfect."""
    seed: NonNegativeInt


Activation = Literal["keep", "hard-swish", "relu6"]
"""Replacement of SiLU."""
SqueezeExcite = Literal["keep", "remove"]
_NAMES = {"hard-swish": "hard-swish", "relu6": "ReLU6"}


Share = Annotated[float, Field(ge=0, le=0.75)]


class Form(Value):
    """What is changed of a network; as it stands here, nothing."""

    activation: Activation = "keep"
    """The activation that replaces SiLU."""
    squeeze_excite: SqueezeExcite = "keep"
    """Whether squeeze-excite blocks are kept."""
    pruned: Share = 0.0
    """Share of the channels to remove from every layer, those with the smallest weights first. The rest is rounded to a multiple
    of 8, as the widths of scaled networks are."""

    @classmethod
    def of(cls, value: Form) -> Form:
        """These fields alone, of a value that has more."""
        return Form(activation=value.activation, squeeze_excite=value.squeeze_excite, pruned=value.pruned)

    @property
    def suffix(self) -> str:
        """For names: ``hard-swish``, ``no-se``, ``hard-swish-no-se``, ``pruned-0.3``; empty where nothing is changed."""
        parts = [] if self.activation == "keep" else [str(self.activation)]
        parts += ["no-se"] if self.squeeze_excite == "remove" else []
        return "-".join([*parts, *([f"pruned-{self.pruned:g}"] if self.pruned else [])])

    @property
    def worded(self) -> str:
        """``SiLU replaced by hard-swish, squeeze-excite removed``; empty where nothing is changed."""
        parts = [] if self.activation == "keep" else [f"SiLU replaced by {_NAMES[self.activation]}"]
        parts += ["squeeze-excite removed"] if self.squeeze_excite == "remove" else []
        return ", ".join([*parts, *([f"{self.pruned:.0%} of the channels pruned"] if self.pruned else [])])


AS_IT_IS = Form()
"""Nothing is changed."""


class Surgery(Form):
    """A form that is not the network's own, and what it was given to learn."""

    pruned: Annotated[Share, Field(exclude_if=lambda pruned: pruned == 0)] = 0.0
    """Left out of the key where none is, whose bytes are those of before."""
    epochs: PositiveInt
    """Passes over the training images that the changed network was given, to learn the unchanged one's answers."""

    @property
    def done(self) -> str:
        """In words: ``SiLU replaced by hard-swish, squeeze-excite removed, re-trained 2 epochs``."""
        return f"{self.worded}, re-trained {self.epochs} {plural(self.epochs, 'epoch')}"
