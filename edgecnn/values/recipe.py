"""A user's choices. Unset means 'as resolved', and ``plan.json`` shows the resolved value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic_core import PydanticCustomError

from edgecnn.values.augmentation import Augmentations
from edgecnn.values.base import Value
from edgecnn.values.candidate import TargetRuntime
from edgecnn.values.dataset import DataSource, printable
from edgecnn.values.preprocessing import PreprocessingChoice, Resolution
from edgecnn.values.scale import CompoundScale
from edgecnn.values.synthesis import SynthesisChoice
from edgecnn.values.training import (
    Balance,
    Cycles,
    Form,
    HeadKind,
    LearningDevice,
    LearningPrecision,
    ScratchRecipe,
    TransferSetting,
    Unfreezing,
)


def _require_scale(text: str) -> str:
    try:
        return CompoundScale.from_text(text).text()
    except ValueError as error:
        raise PydanticCustomError("no_scale", "{because}", {"because": str(error)}) from error


Share = Annotated[float, Field(gt=0, lt=0.5)]
GroupBy = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(printable)]
Folds = Annotated[int, Field(ge=5, le=20)]
FolderReading = Literal["classes", "nested", "labelled"]


class ModelChoice(Value):
    """``[model]``: the network, its weights and its resolution."""

    arch: str = "efficientnet-b0"
    """A network of the catalogue, as `edgecnn list archs` shows it, or `timm:NAME`, any classifier of the installed timm."""
    onnx: str | None = None
    """Path of a trained network, used instead of ``arch``, ``weights`` and training: an ONNX, torch.export or TorchScript file.
    The option is ``--model``."""
    output: str | None = None
    """The output with the class scores, if such an ONNX file has several floating-point outputs."""
    weights: str = "auto"
    """auto, imagenet, none, or the path of a safetensors or weights-only file."""
    keep_head: bool = False
    """Keep the network with the head of its weights and train nothing. The images must show classes that the head knows."""
    resolution_px: Resolution | None = None
    """Side in pixels, or HEIGHTxWIDTH. Unset: the network's native size, or 64 for the demo, whose images are 28 pixels wide. A
    TorchScript file does not state its size."""
    scale: Annotated[str, AfterValidator(_require_scale)] | None = None
    """phi=1.5, or depth=1.2,width=0.75,resolution=192 with any of the three. Unset: the network as published."""


class DataChoice(DataSource):
    """``[data]``: the images. ``demo`` is the embedded Fashion-MNIST."""

    seed: NonNegativeInt = 0
    """Random seed for assigning images to splits."""
    calibration_images: PositiveInt = 300
    """Number of training images, stratified by class, that set the INT8 ranges. They also train the network."""
    validation_share: Share = 0.15
    """Share of the images outside your own splits on which candidates are chosen."""
    test_share: Share = 0.2
    """Share of these images on which accuracy is reported. No choice depends on them."""
    group_by: GroupBy | None = None
    """Property of images that must stay in one split, such as a person, a video or a scene. The value is a column of the list, or
    a regular expression that is searched in each path. The first group in parentheses, or else the whole match, is the image's
    group. Your own splits are kept, and a group in two of them is an error."""
    classes: str | None = None
    """The order of the classes. folders: natural order of the folders. sorted: by character, as ImageFolder and Keras sort.
    imagenet: each folder is one of the 1,000 classes, by WordNet ID or name. Otherwise a text file with one class a line, in the
    order of the model's outputs, a JSON file with a list of names or names by index, or an ONNX file with names in its metadata;
    each folder must be one of these. Unset: imagenet if the head of published weights is kept, a custom model's own order if its
    file names the folders, else folders."""
    folders: FolderReading | None = None
    """How to read ambiguous folders. classes: each is a class, whatever its name. nested: the folders inside them are the
    classes. labelled: folders such as no_label, and rows of a list with labels such as nan, are skipped. Unset: ambiguous
    folders and labels are an error (`split-folders`, `labels-look-missing`)."""
    labels: bool | None = None
    """Whether sub-folders are labels. False: only agreement with fp32 is known, for a custom model. Unset: true; false for a
    custom model and a folder of images without sub-folders."""
    links: Literal["follow", "refuse"] = "follow"
    """Whether to read files outside the data folder (or a list's folder) that links lead to. follow: read them, which data sets
    of DVC need. refuse: stop with an error."""
    train: bool = True
    """False is the default for a custom model and with a kept head: images that would be training images are test images. If you
    set true for a custom model, it was trained on the images of the role ``train``, and they are not test images. If you set
    false with ``[synthesis]``, only composed images are training images."""


class TrainChoice(Value):
    """``[train]``. Pretrained: a head on cached features, then ``epochs`` of the whole network. Scratch: ``epochs``."""

    transfer: TransferSetting | None = None
    """How much of a pretrained network is trained: auto (measures and gives the reason), head, last (groups), all, or scratch."""
    head: HeadKind = "linear"
    """The head on a pretrained network's features: linear, or svm, softmax (regression) or knn, fitted on frozen features."""
    unfreeze: Unfreezing = "all"
    """When layers are fine-tuned: all at once, or groups of blocks, starting with the last ones."""
    scratch: ScratchRecipe = "short"
    """How random weights are trained: short, resnet (SGD, ÷ 10 on plateaus) or modern (AdamW, mixed images, many epochs)."""
    epochs: Annotated[int, Field(ge=0, le=10_000)] | None = None
    """Passes over the training images, at most. Unset: by the number of images, 8 to 32 of a pretrained network, 8 to 90 from
    scratch."""
    minutes: Annotated[float, Field(gt=0, le=100_000)] | None = None
    """Minutes that training may take, in place of ``epochs``: edgecnn measures how fast this machine trains, and fills in as many
    epochs as fit. The number stays for later builds of the folder."""
    cycles: Cycles | None = None
    """How a pretrained network's epochs are divided. one: the learning rate rises and falls once, and training can stop early
    (``patience``). full: as one, but training never stops early. while-better: the rate rises and falls over a quarter of the
    epochs, and over the rest unless the head alone was clearly better on ``validation``. Unset: one if ``epochs`` is stated; else
    while-better, or full if a quarter of the epochs would process fewer than 4,800 images."""
    head_epochs: PositiveInt = 30
    """Epochs of a pretrained network's new head alone, before the other layers."""
    batch_size: Annotated[int, Field(gt=0, le=4096)] | None = None
    """Images per step. Unset: 64, or 256 for scratch = "resnet"; a fine-tuning that would have fewer than 80 steps uses 32, 16
    or 8."""
    learning_rate: Annotated[float, Field(gt=0, le=10)] | None = None
    """Peak learning rate. Unset: 0.004 from scratch (0.1 for scratch = "resnet"), 0.001 for a pretrained network's head."""
    body_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    """Learning rate of pretrained layers as a share of ``learning_rate``. Unset: 1, or 0.1 for timm's networks and those
    without batch norm."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    """Weight decay of weights with two or more dimensions."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share of each label that is spread over all classes. Unset: 0.1; none for scratch = "resnet" or several labels."""
    augment: Augmentations | None = None
    """Random changes of training images, in order: a list of tables with a `kind`. Unset: crops and mirror images."""
    teacher: str | None = None
    """A network of the catalogue, which is fine-tuned first, or the folder of a finished build that was trained on
    these images. The network learns the outputs of this teacher instead of labels. Unset: no teacher."""
    patience: PositiveInt = 5
    """Training stops after this many epochs without a better ``validation`` accuracy."""
    balance: Balance = "none"
    """For classes of unequal size. none: each image counts once. weights: images of rare classes count more in the loss.
    sampling: they are shown more often. With weights or sampling, the best epoch is the one with the best mean recall of the
    classes."""
    precision: LearningPrecision = "fp32"
    """Precision of convolutions and matrix products in training. Use bf16 on processors that have it, for networks without
    depthwise convolutions. Candidates are made from fp32 weights in any case."""
    device: LearningDevice | None = None
    """The device that trains. Unset: that of the folder's last build, else an NVIDIA GPU that torch can use, else the CPU.
    Weights from another device differ by rounding and are stored separately."""
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """CPU threads of training. Another number gives weights that differ by rounding and are stored separately. Unset: as in the
    folder's last build on that device; else 4 if a GPU trains; else OMP_NUM_THREADS, or the cores that this process may use."""
    processes: Annotated[int, Field(ge=1, le=256)] = 1
    """Processes that share each batch while the whole network is trained (torchrun, on this computer's CPUs). Weights differ from
    those of one process by rounding and are stored separately. With few images, the default ``batch_size`` is at least 4 images
    for each process."""
    folds: Folds | None = None
    """Folds of cross-validation. Each fold's network is tested on images that it was not trained on, and accuracy covers the test
    images of all folds. The first network ships. Unset: one network, tested on ``data.test_share``."""
    seed: NonNegativeInt = 0
    """Random seed for weights, and for the order and augmentation of images."""


class QuantizeChoice(Value):
    """``[quantize]``: the number of calibration images, and whether weights are trained for INT8."""

    images: PositiveInt | None = None
    """Number of calibration images to use. Unset: all."""
    aware: bool = False
    """Also build INT8 candidates from weights that were trained with simulated rounding. This takes another short training."""
    aware_epochs: PositiveInt = 1
    """Epochs of training with simulated rounding."""
    aware_learning_rate: Annotated[float, Field(gt=0, le=10)] = 3e-5
    """Peak learning rate of that training. With a higher rate, weights soon move further than rounding does."""


class SurgeryChoice(Form):
    """``[surgery]``: whether to build candidates of a changed network, and the changes. This takes another training."""

    instead: bool = False
    """true: all candidates are of the changed network, and are compared with its fp32. false: the changed network is built in
    addition."""
    epochs: PositiveInt | None = None
    """Epochs in which the changed network learns the unchanged network's outputs. Unset: 4; with pruned channels, 1.5 times the
    epochs of its training if that is more (fine-tuning in cycles does not count). On the demo, MobileNetV3-Large without
    squeeze-excite and a quarter of its channels recovered to 78.1 % in 4 epochs. In 12 epochs it reached 79.5 %, 0.1 points below
    the original."""
    learning_rate: Annotated[float, Field(gt=0, le=10)] | None = None
    """Peak learning rate of that training. Unset: 1e-4 for exchanged layers, because a few steps at 1e-3 moved EfficientNet-B0
    further away than hard-swish had; 3e-3 for pruned channels. With half of its channels, MobileNetV2 (80 %) recovered to
    45 % at 1e-4, and to 79 % at 5e-3."""


class TargetChoice(Value):
    """``[target]``: DEVICE, DEVICE:RUNTIME or DEVICE:all."""

    device: str = "cpu"
    """A shipped device's name, or the path of a device file; also DEVICE:RUNTIME."""
    runtime: TargetRuntime | None = None
    """The one runtime that may ship, or ``all`` in the device's file. Unset: those that the device builds by default."""


class RaceChoice(Value):
    """``[race]``: how latency is measured."""

    rounds: Annotated[int, Field(ge=8)] = 8
    """Interleaved fresh processes of each kit in the final race; intervals are computed over these."""
    samples: Annotated[int, Field(ge=50)] = 1000
    """Timed inferences of each process."""
    max_age_h: PositiveFloat = 24.0
    """Hours for which a stored race is reused."""
    knobs: bool = False
    """Also race the chosen kit's runtime settings, such as threads. This takes about as long as the first race."""


class DesktopChoice(Value):
    """``[desktop]``: how to run the network on a GPU of this computer, as a comparison with the device."""

    variants: Literal["reference", "usual", "all"] = "usual"
    """reference: eager fp32 only. usual: also mixed precision in a CUDA graph, because eager fp32 alone would make the device
    look better. all: every way that torch has here."""


Objective = Literal["latency", "size", "throughput", "energy"]
"""``latency``: p50 of one image. ``throughput``: images a second, each candidate at its best batch size. ``energy``: millijoules
of one image, as far as the meter covers. ``size``: the model's files."""


class SelectChoice(Value):
    """``[choice]``: which candidate within the accuracy budget ships."""

    objective: Objective = "latency"
    """latency, size, throughput (each candidate at its best batch size) or energy (of one image, by a meter)."""


class GateChoice(Value):
    """``[gates]``: bounds. An empty table means the default: a drop of at most 1 pp, advisory."""

    max: Mapping[str, float] = {}
    """Metric to its largest allowed value."""
    min: Mapping[str, float] = {}
    """Metric to its smallest allowed value; images_per_s is converted to p50_ms."""
    require_measured: bool = False
    """Exit with 3 if a gated figure was not measured."""

    def __bool__(self) -> bool:
        """Whether anything is required."""
        return bool(self.max or self.min or self.require_measured)


class FitChoice(Value):
    """``[fit]``: the search of `edgecnn fit`; builds ignore it."""

    family: str | None = None
    """A family, such as efficientnet, mobilenet-v2 or resnet, or a network from which its search starts."""
    within: Mapping[str, PositiveFloat] = {}
    """Budget to its limit: at most p50_ms, energy_mj, peak_memory_mib or size_mib; at least images_per_s."""
    accuracy_top1: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Search the fastest network that is shown to have this accuracy. Unset: search the most accurate within the budgets."""
    trainings: Annotated[int, Field(ge=3, le=50)] = 5
    """Number of complete trainings. One is for the family's first network and, with a teacher, one trains the shipped network on
    labels only."""
    minutes: Annotated[float, Field(ge=1)] | None = None
    """Start no training later than this after the latency table is measured, then race the built networks. The first network and
    one member are always built. Unset: no limit."""
    trials: Annotated[int, Field(ge=20, le=20_000)] = 200
    """Number of networks whose cost is predicted."""
    teacher: bool = True
    """Whether networks learn the outputs of the family's first network instead of labels."""


class Recipe(Value):
    """All choices of a user. Unknown keys are errors that name the nearest valid key."""

    schema_: Literal["edgecnn.recipe/2"] = Field(default="edgecnn.recipe/2", alias="schema")
    model: ModelChoice = ModelChoice()
    data: DataChoice = DataChoice()
    preprocessing: PreprocessingChoice = PreprocessingChoice()
    train: TrainChoice = TrainChoice()
    synthesis: SynthesisChoice = SynthesisChoice()
    quantize: QuantizeChoice = QuantizeChoice()
    surgery: SurgeryChoice = SurgeryChoice()
    target: TargetChoice = TargetChoice()
    race: RaceChoice = RaceChoice()
    desktop: DesktopChoice = DesktopChoice()
    choice: SelectChoice = SelectChoice()
    gates: GateChoice = GateChoice()
    fit: FitChoice = FitChoice()


Raced = Literal["latency", "throughput", "energy"]
"""Candidates that only a run on the device can judge. A lower precision must be measured there to be better than the best float
candidate."""


class RoleDraw(Value):
    """How the roles of a build's images were drawn, by ``[data]`` and ``[train]``. The same images get the same roles again."""

    seed: NonNegativeInt
    calibration_images: PositiveInt
    validation_share: Share
    test_share: Share
    group_by: GroupBy | None = Field(default=None, exclude_if=lambda group_by: group_by is None)
    folders: FolderReading | None = Field(default=None, exclude_if=lambda folders: folders is None)
    train: bool
    folds: Folds | None = Field(default=None, exclude_if=lambda folds: folds is None)
    """Whether roles are those of the first fold, whose network ships."""

    @classmethod
    def of(cls, recipe: Recipe) -> RoleDraw:
        """Return the draw of a recipe whose defaults are filled in."""
        return cls(folds=recipe.train.folds, **recipe.data.model_dump(include=set(cls.model_fields) - {"folds"}))

    def applied_to(self, images: DataChoice) -> DataChoice:
        """Return the settings of other images with this draw."""
        return images.model_copy(update=self.model_dump(exclude={"folds"}))
