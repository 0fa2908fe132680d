"""The result of resolve as one value, which is planning's only input."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import Unavailable, WeightsAnswer
from edgecnn.values.base import Value
from edgecnn.values.candidate import Candidate, Unsupported
from edgecnn.values.custom_model import CustomModel
from edgecnn.values.dataset import DataSummary, roles_text
from edgecnn.values.device import Device, EngineBuilder
from edgecnn.values.preprocessing import Preprocessing
from edgecnn.values.recipe import Recipe
from edgecnn.values.stage import Key
from edgecnn.values.synthesis import Synthesis, images_trained_on
from edgecnn.values.training import Teacher, TrainingBudget

TrunkMode = Literal["finetune", "inherit", "scratch", "custom", "kept"]


PLAN_SCHEMA: Final = "edgecnn.plan/2"


class Attachment(Value):
    """Whether this machine is the device, and how that was determined."""

    attached: bool
    why: str


class DesktopGpu(Value):
    """A GPU of this machine for the desktop-GPU baseline, and the ways to run the network there."""

    model: str
    """Name from its driver."""
    device: str
    """The device file that it matches, or a name made from its model, under which profiles are stored."""
    candidate: Candidate
    """The reference that the device's figures are compared with."""
    variants: tuple[Candidate, ...] = ()
    """Other ways of running the same network, shown next to the reference."""
    unavailable: Mapping[str, str] = {}
    """Variant to the reason why this machine cannot run it, if known without trying."""
    unusable: str | None = None
    """Why it cannot be used, if known without trying."""


class Resolved(Value):
    """A request with nothing left open. ``recipe`` has every default filled in."""

    asked: Recipe
    recipe: Recipe
    device: Device
    device_file: str | None = None
    """Absolute path of a user's own device file; None for a shipped device."""
    attachment: Attachment
    arch: ArchSpec
    data: DataSummary
    folds: tuple[DataSummary, ...] = Field(default=(), exclude_if=lambda folds: not folds)
    """For cross-validation: the images with the roles of the second and later folds; ``data`` is the first."""
    weights: WeightsAnswer
    mode: TrunkMode
    """custom and kept: nothing is trained, for a file or for a catalogue network with its weights' own head."""
    budget: TrainingBudget | None = Field(default=None, exclude_if=lambda budget: budget is None)
    """The result of ``train.minutes``; None if it is unset."""
    teacher: Teacher | None = None
    """The network whose outputs replace labels."""
    synthesis: Synthesis | None = Field(default=None, exclude_if=lambda synthesis: synthesis is None)
    """Sources of composed training images, in addition to the photographs or instead of them."""
    custom_model: CustomModel | None = None
    """The user's own model, which is adopted instead of training and export."""
    preprocessing: Preprocessing
    candidates: tuple[Candidate, ...]
    """All candidates that can be built here for the device, the baseline network's fp32 first."""
    unsupported: tuple[Unsupported, ...]
    unavailable: Mapping[str, Unavailable]
    """Candidate to the reason why it is not available on this machine."""
    desktop_gpu: DesktopGpu | None = None
    """None without an NVIDIA GPU, or without a torch that can use it; also for custom networks and after surgery."""
    builder: str | None
    """Distribution that builds engines ahead of time, if installed."""
    device_builder: EngineBuilder | None = Field(default=None, exclude_if=lambda builder: builder is None)
    """The engine builder of the attached device. None: the device was not asked, or no candidate needs an engine."""
    versions: Mapping[str, str]
    runner_sha256: str
    """Digest of the runner's source, which is in every kit."""
    sources: Mapping[Key, Path]
    """Inputs that no stage makes: the data manifest, and a user's own weights or model."""

    @property
    def multi_label(self) -> bool:
        """Whether images get any number of labels, by the list, or for images without labels by a file that ends in a sigmoid."""
        custom = self.custom_model
        return self.data.multi_label or (custom is not None and not self.data.labelled and custom.entry.ends_in_sigmoid)

    @property
    def is_catalogue_network(self) -> bool:
        """Whether it is the network of ``arch``, and not a custom one or one changed by surgery."""
        return self.mode != "custom" and not self.recipe.surgery.instead

    @property
    def roles_text(self) -> str:
        """The role of each image, and whether calibration images also train."""
        return roles_text(self.data.splits_from, trains=self.mode in ("finetune", "inherit", "scratch"))

    @property
    def test_images(self) -> int:
        """Number of test images; with cross-validation, of all folds."""
        return sum(fold.counts["test"] for fold in (self.data, *self.folds))

    @property
    def training_images(self) -> int:
        """Number of photographs and composed images."""
        return images_trained_on(self.data, self.synthesis, photographs=self.recipe.data.train)
