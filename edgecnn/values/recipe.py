"""A user's choices. Unset means 'as resolved', and ``plan.json`` shows what that became."""

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


def _scale(text: str) -> str:
    try:
        return CompoundScale.from_text(text).text()
    except ValueError as error:
        raise PydanticCustomError("no_scale", "{because}", {"because": str(error)}) from error


Share = Annotated[float, Field(gt=0, lt=0.5)]
GroupBy = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(printable)]
Folds = Annotated[int, Field(ge=5, le=20)]
FolderReading = Literal["classes", "nested", "labelled"]


class ModelChoice(Value):
    """``[model]``: which network, from which weights, at which resolution."""

    arch: str = "efficientnet-b0"
    """A network of the catalogue, as `edgecnn list archs` shows it, or `timm:NAME`, any classifier of the installed timm."""
    onnx: str | None = None
    """The path of a trained network that takes the place of ``arch``, ``weights`` and training: an ONNX, torch.export or
    TorchScript file. ``--model`` gives it."""
    output: str | None = None
    """The output of such an ONNX file that holds the class scores, where it has several of floating point."""
    weights: str = "auto"
    """auto, imagenet, none, or the path of a safetensors or weights-only file."""
    keep_head: bool = False
    """The network as its weights have it, head and all: nothing is trained, and the images are of the classes that it knows."""
    resolution_px: Resolution | None = None
    """Unset: the network's native one, or 64 for the demo, whose images are 28 pixels wide.
    A TorchScript file does not say its own."""
    scale: Annotated[str, AfterValidator(_scale)] | None = None
    """phi=1.5, or depth=1.2,width=0.75,resolution=192 with any of the three. Unset: the network as it was published."""


class DataChoice(DataSource):
    """``[data]``: which images. ``demo`` is the embedded Fashion-MNIST."""

    seed: NonNegativeInt = 0
    """Of the roles that are drawn."""
    calibration_images: PositiveInt = 300
    """Of the training images, stratified: the ranges of INT8 are taken from them. They train too."""
    validation_share: Share = 0.15
    """Share of the images without a role of their own that candidates are chosen on."""
    test_share: Share = 0.2
    """Share of them that is reported; nothing is chosen on it."""
    group_by: GroupBy | None = None
    """What images have in common that must not be on two sides, such as a person, a video or a scene: the name of a column of
    the list, or a regular expression that is searched in each path; its first group in parentheses, or else all that it
    matches, is the image's group. Splits that are folders, or a column, stay as they are: a group in two is an error."""
    classes: str | None = None
    """folders: the n-th folder is the n-th class, as people sort them. sorted: the same by character, as ImageFolder and Keras
    sort. imagenet: each folder is one of the 1,000, by its WordNet id or its name.
    Else a text file with a class a line, in the order of the model's answers, or an ONNX file whose metadata names them: each
    folder is one of these. Unset: imagenet where the head of published weights is kept, a custom model's own order where its
    file names the folders, or else folders."""
    folders: FolderReading | None = None
    """Where folders can be read in two ways. classes: each is a class, whatever its name. nested: the folders inside them are the
    classes. labelled: folders such as no_label are skipped. Unset: edgecnn asks (`split-folders`)."""
    labels: bool | None = None
    """Whether sub-folders say what the images show. False: agreement with fp32 is all that is known, of a custom model.
    Unset: true, or of such a model and a folder of images without sub-folders, false."""
    train: bool = True
    """False, as filled in for a custom model, or whose head is kept: images that would have trained are test images.
    Stated true of a custom model: it learned from these images of the role ``train``, which are not test images.
    Stated false beside ``[synthesis]``: composed images alone train."""


class TrainChoice(Value):
    """``[train]``. Pretrained: a head on cached features, then ``epochs`` of the whole network. Scratch: ``epochs``."""

    transfer: TransferSetting | None = None
    """What is learned anew of a pretrained network: auto (it measures, and says why), head, last (groups), all, or scratch."""
    head: HeadKind = "linear"
    """What is put on a pretrained network's features: linear, or fitted on frozen ones svm, softmax (regression) or knn."""
    unfreeze: Unfreezing = "all"
    """Which layers are fine-tuned when: all at once, or by groups of blocks, the last ones first, until all learn."""
    scratch: ScratchRecipe = "short"
    """How random weights are trained: short, resnet (SGD, ÷ 10 on plateaus) or modern (AdamW, mixed images, many epochs)."""
    epochs: Annotated[int, Field(ge=0, le=10_000)] | None = None
    """Passes over the training images, at most. Unset: by the number of images, 8 to 32 of a pretrained network, 8 to 90 from
    scratch."""
    minutes: Annotated[float, Field(gt=0, le=100_000)] | None = None
    """Minutes that training may take, in place of ``epochs``: edgecnn measures how fast this machine trains, and fills in as many
    epochs as fit. The number stays for later builds of the folder."""
    cycles: Cycles | None = None
    """How a pretrained network's epochs are divided. one: the learning rate rises and falls once. while-better: in cycles of a
    quarter, a quarter and half of the epochs; the next one runs only if the last one brought a better validation accuracy.
    Unset: while-better, or one if ``epochs`` is stated."""
    head_epochs: PositiveInt = 30
    """Passes of a pretrained network's new head alone, before those."""
    batch_size: Annotated[int, Field(gt=0, le=4096)] | None = None
    """Images a step. Unset: 64, or 256 of scratch = "resnet"."""
    learning_rate: Annotated[float, Field(gt=0, le=10)] | None = None
    """Peak rate. Unset: 0.004 from scratch (0.1 of scratch = "resnet"), 0.001 of a pretrained network's head."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    """Of every weight that is no vector."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share of each label that is spread over all classes. Unset: 0.1, or none of scratch = "resnet" or of several labels."""
    augment: Augmentations | None = None
    """What is done to training images at random, in order: a list of tables with a `kind`. Unset: crops and mirror images."""
    teacher: str | None = None
    """A network of the list, which is fine-tuned first, or the folder of a finished build of these images: its answers are
    learned in place of labels. Unset: labels are."""
    patience: PositiveInt = 5
    """Epochs without a better ``validation`` accuracy after which training stops."""
    balance: Balance = "none"
    """Classes of unequal size. none: each image counts once. weights: images of rare ones count more in the loss. sampling: they
    are shown more often. With either, the best epoch is that of the best mean recall of the classes."""
    precision: LearningPrecision = "fp32"
    """Of a training step's convolutions and matrix products. bf16 is for processors that have it and networks whose convolutions
    are not depthwise; candidates are made of fp32 weights either way."""
    device: LearningDevice | None = None
    """What trains. Unset: what did for the last build of the folder, else an NVIDIA GPU where there is one that torch can use.
    The weights are the same but for rounding, so that they are stored apart."""
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Threads of the processor that compute. Another number gives weights that differ by rounding, which are stored apart.
    Unset: as many as for the last build of the folder on that device. Else 4 if a GPU trains. Else OMP_NUM_THREADS, or the cores
    that this process may use."""
    processes: Annotated[int, Field(ge=1, le=256)] = 1
    """That share each batch while the whole network learns (torchrun, on this machine's processors). The weights are those of one
    process but for rounding, so that they are stored apart."""
    folds: Folds | None = None
    """Cross-validation: so many networks are trained, each tested on images that the others learn from, and accuracy is of all
    these images together. The first network ships. Unset: one network, tested on ``data.test_share``."""
    seed: NonNegativeInt = 0
    """Of weights that begin random, of the order of images and of what is done to them."""


class QuantizeChoice(Value):
    """``[quantize]``: how many of the calibration images are used (unset: all of them), and whether weights learn INT8."""

    images: PositiveInt | None = None
    """Calibration images that are used. Unset: all of them."""
    aware: bool = False
    """Build INT8 candidates of weights that were trained with the rounding in place, too. It takes another short training."""
    aware_epochs: PositiveInt = 1
    """Passes over the training images with the rounding in place."""
    aware_learning_rate: Annotated[float, Field(gt=0, le=10)] = 3e-5
    """Peak rate of that training: a larger one soon moves weights further than the rounding does."""


class SurgeryChoice(Form):
    """``[surgery]``: whether candidates of a changed network are built too, and what is changed. It takes another training."""

    instead: bool = False
    """Whether all candidates are of the changed network, and its fp32 is what they are compared with; else it is built beside."""
    epochs: PositiveInt | None = None
    """Passes over the training images, in which the changed network learns to give the unchanged one's answers. Unset: 4, and
    where channels are pruned half as many again as its training had, if those are more: MobileNetV3-Large without squeeze-excite
    and with a quarter of its channels pruned came back to 78.1 % in 4, and in 12 to 79.5, 0.1 below itself, on the demo."""
    learning_rate: Annotated[float, Field(gt=0, le=10)] | None = None
    """Peak rate of that training. Unset: 1e-4 where layers are exchanged, since at 1e-3 a few steps moved EfficientNet-B0 further
    away than hard-swish had; 3e-3 where channels are pruned: half of MobileNetV2's came back from 80 to 45 % at 1e-4, and to
    79 % at 5e-3."""


class TargetChoice(Value):
    """``[target]``: DEVICE, DEVICE:RUNTIME or DEVICE:all."""

    device: str = "cpu"
    """A shipped device's name, or the path of a device file; DEVICE:RUNTIME too."""
    runtime: TargetRuntime | None = None
    """The one runtime that may ship, or ``all`` that the device's file lists. Unset: those that it builds by default."""


class RaceChoice(Value):
    """``[race]``: how latency is measured."""

    rounds: Annotated[int, Field(ge=8)] = 8
    """Interleaved fresh processes of each kit in the race for the figures; the interval is taken over these."""
    samples: Annotated[int, Field(ge=50)] = 1000
    """Timed inferences of each process."""
    max_age_h: PositiveFloat = 24.0
    """Hours for which a stored race serves."""
    knobs: bool = False
    """Whether the chosen kit's runtime knobs (threads and such) are raced too: about as long again as the race that chooses."""


class DesktopChoice(Value):
    """``[desktop]``: which ways of running the network on a GPU of this machine stand beside the edge's figures."""

    variants: Literal["reference", "usual", "all"] = "usual"
    """reference: eager fp32 alone. usual: also mixed precision in a CUDA graph, since eager fp32 alone would flatter the edge.
    all: each way that torch has here."""


Objective = Literal["latency", "size", "throughput", "energy"]
"""``latency``: p50 of one image. ``throughput``: images a second, each candidate at its best number of images in a call.
``energy``: millijoules of one image, all that the meter covers. ``size``: the model's own files."""


class SelectChoice(Value):
    """``[choice]``: what ships, among the candidates inside the accuracy budget."""

    objective: Objective = "latency"
    """latency, size, throughput (each candidate at its best number of images in a call) or energy (an image's, by a meter)."""


class GateChoice(Value):
    """``[gates]``: bounds. An empty table means the default: a drop of at most 1 pp, advisory."""

    max: Mapping[str, float] = {}
    """Metric to the largest allowed value."""
    min: Mapping[str, float] = {}
    """Metric to the smallest allowed value; images_per_s means p50_ms."""
    require_measured: bool = False
    """A gate whose figure was not measured ends with 3."""


class FitChoice(Value):
    """``[fit]``: what `edgecnn fit` searches; no build reads it."""

    family: str | None = None
    """Such as efficientnet, mobilenet-v2 or resnet, or one of their networks, with which the search then begins."""
    within: Mapping[str, PositiveFloat] = {}
    """Budget to the most that is allowed: p50_ms, energy_mj, peak_memory_mib or size_mib; images_per_s to the least."""
    accuracy_top1: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The other way round: the fastest network that is shown to be so accurate. Unset: the most accurate inside the budgets."""
    trainings: Annotated[int, Field(ge=3, le=50)] = 5
    """Whole trainings; one of them is of the family's first network, and with a teacher one of what ships from labels alone."""
    minutes: Annotated[float, Field(ge=1)] | None = None
    """So long after the latency table no other training is begun, and what was built is raced: the first network and one member
    are in any case. Unset: no end."""
    trials: Annotated[int, Field(ge=20, le=20_000)] = 200
    """Networks of which cost is predicted."""
    teacher: bool = True
    """Whether networks learn the answers of the family's first, in place of labels."""


class Recipe(Value):
    """Everything a user may ask. Unknown keys are errors that name the nearest right one."""

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
"""Those that only runs on the device can tell; there a lower precision must be measured better than the best float candidate."""


class RoleDraw(Value):
    """How the roles of a build's images were drawn, by ``[data]`` and ``[train]``: the same images get the same ones again."""

    seed: NonNegativeInt
    calibration_images: PositiveInt
    validation_share: Share
    test_share: Share
    group_by: GroupBy | None = Field(default=None, exclude_if=lambda group_by: group_by is None)
    folders: FolderReading | None = Field(default=None, exclude_if=lambda folders: folders is None)
    train: bool
    folds: Folds | None = Field(default=None, exclude_if=lambda folds: folds is None)
    """Roles are those of the first fold, whose network ships."""

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> RoleDraw:
        """As the recipe has it, everything filled in."""
        return cls(folds=recipe.train.folds, **recipe.data.model_dump(include=set(cls.model_fields) - {"folds"}))

    def of_images(self, images: DataChoice) -> DataChoice:
        """The same draw of other images."""
        return images.model_copy(update=self.model_dump(exclude={"folds"}))
