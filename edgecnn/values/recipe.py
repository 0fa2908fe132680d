"""A user's choices. Unset means 'as resolved', and ``plan.json`` shows what that became."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from edgecnn.values.base import Value
from edgecnn.values.candidate import Runtime


class ModelChoice(Value):
    """``[model]``: which network, from which weights, at which resolution."""

    arch: str = "efficientnet-b0"
    onnx: str | None = None
    """The path of a trained network that takes the place of ``arch``, ``weights`` and training."""
    weights: str = "auto"
    """auto, imagenet, none, or the path of a safetensors or weights-only file."""
    resolution_px: Annotated[int, Field(ge=32, le=2048)] | None = None
    """Unset: the network's native one, or 64 for the demo, whose images are 28 pixels wide."""


class DataChoice(Value):
    """``[data]``: which images. ``demo`` is the embedded Fashion-MNIST."""

    path: str = "demo"
    seed: NonNegativeInt = 0
    calibrate_images: PositiveInt = 300
    """Taken out of the training images, stratified, and never trained on."""
    choose_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.15
    """Share of the images without a role of their own that chooses among candidates."""
    report_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    train: bool = True
    """False, as filled in for a model that was brought: images that would have trained are reported on."""


class PreprocessingChoice(Value):
    """``[preprocessing]`` of a model that was brought (``model.onnx``). What is unset is tried, and proved by accuracy."""

    like: str | None = None
    """imagenet, half, unit, bytes, caffe or bytes-bgr: see ``models/preprocessings.py``."""
    mean: tuple[float, float, float] | None = None
    """Of red, green and blue, on the scale 0 to 1; with ``std``, in place of ``like``."""
    std: tuple[float, float, float] | None = None
    channels: Literal["rgb", "bgr"] | None = None
    resize_px: PositiveInt | None = None
    """Short side before the centre crop."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"


class TrainChoice(Value):
    """``[train]``. Pretrained: a head on cached features, then ``epochs`` of the whole network. Scratch: ``epochs``."""

    epochs: Annotated[int, Field(ge=0, le=10_000)] | None = None
    head_epochs: PositiveInt = 30
    batch_size: Annotated[int, Field(gt=0, le=4096)] = 64
    learning_rate: Annotated[float, Field(gt=0, le=10)] | None = None
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    patience: PositiveInt = 5
    """Epochs without a better ``choose`` accuracy after which training stops."""
    seed: NonNegativeInt = 0


class QuantizeChoice(Value):
    """``[quantize]``: how many of the calibration images are used (unset: all of them), and whether weights learn INT8."""

    images: PositiveInt | None = None
    aware: bool = False
    """Build INT8 candidates of weights that were trained with the rounding in place, too. It takes another short training."""
    aware_epochs: PositiveInt = 1
    """Passes over the training images with the rounding in place."""
    aware_learning_rate: Annotated[float, Field(gt=0, le=10)] = 3e-5
    """Peak rate of that training: a larger one soon moves weights further than the rounding does."""


class TargetChoice(Value):
    """``[target]``: DEVICE or DEVICE:RUNTIME."""

    device: str = "cpu"
    runtime: Runtime | None = None


class RaceChoice(Value):
    """``[race]``: how latency is measured."""

    rounds: Annotated[int, Field(ge=8)] = 8
    """Interleaved fresh processes of each kit; the interval is taken over these."""
    samples: Annotated[int, Field(ge=50)] = 1000
    """Timed inferences of each process."""
    max_age_h: PositiveFloat = 24.0
    knobs: bool = False
    """Whether the chosen kit's runtime knobs (threads and such) are raced too: about as long again as the race that chooses."""


class DesktopChoice(Value):
    """``[desktop]``: which ways of running the network on a GPU of this machine stand beside the edge's figures."""

    variants: Literal["reference", "usual", "all"] = "usual"
    """reference: eager fp32 alone. usual: also mixed precision in a CUDA graph, since eager fp32 alone would flatter the edge.
    all: each way that torch has here."""


class GateChoice(Value):
    """``[gates]``: bounds. An empty table means the default: a drop of at most 1 pp, advisory."""

    max: Mapping[str, float] = {}
    min: Mapping[str, float] = {}
    require_measured: bool = False


class Recipe(Value):
    """Everything a user may ask. Unknown keys are errors that name the nearest right one."""

    schema_: Literal["edgecnn.recipe/1"] = Field(default="edgecnn.recipe/1", alias="schema")
    model: ModelChoice = ModelChoice()
    data: DataChoice = DataChoice()
    preprocessing: PreprocessingChoice = PreprocessingChoice()
    train: TrainChoice = TrainChoice()
    quantize: QuantizeChoice = QuantizeChoice()
    target: TargetChoice = TargetChoice()
    race: RaceChoice = RaceChoice()
    desktop: DesktopChoice = DesktopChoice()
    gates: GateChoice = GateChoice()
