"""Choices of a training that recipe, stage and report share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from edgecnn.errors.wording import plural
from edgecnn.values.artifact import WeightsAnswer
from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Normalization, Resolution
from edgecnn.values.stage import Key

Balance = Literal["none", "weights", "sampling"]
"""none: each image counts once. weights: its loss is weighted by the inverse of its class's size. sampling: each class is shown
equally often."""


LearningPrecision = Literal["fp32", "bf16"]
"""bf16: convolutions and matrix products of a training step. Weights, updates, loss and evaluation stay in fp32."""


LearningDevice = Literal["cpu", "gpu"]
"""gpu: an NVIDIA GPU of the training machine."""


class TeacherTerms(Value):
    """What a training needs to know about its teacher in addition to the weights; part of the key."""

    arch: str
    normalization: Normalization
    """Normalization of the teacher's input."""
    resolution_px: Resolution
    """The size at which it was trained and runs, since its accuracy drops at other sizes."""


class Teacher(Value):
    """The resolved ``train.teacher``: a network of the catalogue that is fine-tuned first, or a finished build's network."""

    named: str
    """The requested text."""
    terms: TeacherTerms
    weights: WeightsAnswer | None = None
    """For a network of the catalogue: the start of its fine-tuning; None for a finished build."""
    trained: Key | None = None
    """For a finished build: the SHA-256 of its trained weights."""
    folder: str | None = None
    """For a finished build: the store's folder with them."""


class TeacherFacts(Value):
    """The teacher, as recorded by a training."""

    arch: str
    validation_top1: float
    """0…1: the teacher's own accuracy, on the same pixels as its student's."""


Transfer = Literal["head", "last", "all", "scratch"]
"""head: the last layer alone. last: also the last third of the block groups. all: every layer. scratch: no pretrained weights."""
TransferSetting = Literal["auto", "head", "last", "all", "scratch"]

HeadKind = Literal["linear", "svm", "softmax", "knn"]
"""linear: trained by gradient descent and then fine-tuned. The others are fitted: linear SVM, softmax regression, neighbours."""

Unfreezing = Literal["all", "groups"]
"""all: all fine-tuned layers learn from the first epoch. groups: the last groups of blocks first, then earlier ones."""

Cycles = Literal["one", "full", "while-better"]
"""one: the learning rate rises and falls once over all epochs, and training can stop early. full: as one, without stopping early.
while-better: it does so over a quarter of the epochs, and over the rest unless the head alone was clearly better."""

ScratchRecipe = Literal["short", "resnet", "modern"]
"""short: for few images and minutes. resnet: the ResNet paper's. modern: cosine, warm-up, label smoothing, an average, mixing."""


class TrainingSpeed(Value):
    """Speed of training on this machine, in images per second."""

    decoded_per_s: PositiveFloat
    learned_per_s: PositiveFloat
    """Training steps of the whole network at its full size."""
    judged_per_s: PositiveFloat
    """Inference, for validation and frozen features."""


class TrainingBudget(Value):
    """Result of ``train.minutes``."""

    minutes: PositiveFloat
    speed: TrainingSpeed
    epochs: PositiveInt
    seconds: PositiveFloat
    """Predicted duration of training, if it runs all epochs."""


class TransferChoice(Value):
    """``transfer.json``: measurements on the training images, and the resulting choice."""

    schema_: Literal["edgecnn.transfer/1"] = Field(default="edgecnn.transfer/1", alias="schema")
    chosen: Transfer
    sentence: str
    """Sentence about the choice with its figures."""
    classes: PositiveInt
    images: PositiveInt
    images_per_class: float
    """Median over classes."""
    smallest_class: PositiveInt
    probed_images: PositiveInt
    folds: PositiveInt
    probe_top1: float
    """Cross-validated accuracy of softmax regression on the frozen features, 0…1."""
    largest_class_share: float
    """Accuracy of always predicting the largest class, 0…1."""
    similarity: float
    """Probe accuracy, scaled so that 0 is the largest class's share and 1 is perfect."""
    seed: NonNegativeInt


Activation = Literal["keep", "hard-swish", "relu6"]
"""Replacement of SiLU."""
SqueezeExcite = Literal["keep", "remove"]
_NAMES = {"hard-swish": "hard-swish", "relu6": "ReLU6"}


Share = Annotated[float, Field(ge=0, le=0.75)]


class Form(Value):
    """Changes of a network; by default none."""

    activation: Activation = "keep"
    """The activation that replaces SiLU."""
    squeeze_excite: SqueezeExcite = "keep"
    """Whether squeeze-excite blocks are kept."""
    pruned: Share = 0.0
    """Share of the channels to remove from every layer, those with the smallest weights first. The rest is rounded to a multiple
    of 8, as the widths of scaled networks are."""

    @classmethod
    def of(cls, value: Form) -> Form:
        """Return only these fields of a value that has more."""
        return Form(activation=value.activation, squeeze_excite=value.squeeze_excite, pruned=value.pruned)

    @property
    def suffix(self) -> str:
        """Suffix for names: ``hard-swish``, ``no-se``, ``hard-swish-no-se``, ``pruned-0.3``; empty without changes."""
        parts = [] if self.activation == "keep" else [str(self.activation)]
        parts += ["no-se"] if self.squeeze_excite == "remove" else []
        return "-".join([*parts, *([f"pruned-{self.pruned:g}"] if self.pruned else [])])

    @property
    def worded(self) -> str:
        """Description: ``SiLU replaced by hard-swish, squeeze-excite removed``; empty without changes."""
        parts = [] if self.activation == "keep" else [f"SiLU replaced by {_NAMES[self.activation]}"]
        parts += ["squeeze-excite removed"] if self.squeeze_excite == "remove" else []
        return ", ".join([*parts, *([f"{self.pruned:.0%} of the channels pruned"] if self.pruned else [])])


AS_IT_IS = Form()
"""No changes."""


class Surgery(Form):
    """A form that differs from the network's own, and its retraining."""

    pruned: Annotated[Share, Field(exclude_if=lambda pruned: pruned == 0)] = 0.0
    """Omitted from the key if unset, so that earlier keys stay valid."""
    epochs: PositiveInt
    """Epochs in which the changed network learned the unchanged one's outputs."""

    @property
    def done(self) -> str:
        """Description: ``SiLU replaced by hard-swish, squeeze-excite removed, re-trained 2 epochs``."""
        return f"{self.worded}, re-trained {self.epochs} {plural(self.epochs, 'epoch')}"
