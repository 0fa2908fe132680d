"""What resolve found out, as one value: planning reads this and nothing else."""

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
from edgecnn.values.dataset import DataSummary
from edgecnn.values.device import Device, EngineBuilder
from edgecnn.values.preprocessing import Preprocessing
from edgecnn.values.recipe import Recipe
from edgecnn.values.stage import Key
from edgecnn.values.synthesis import Synthesis, images_trained_on
from edgecnn.values.training import Teacher, TrainingBudget

TrunkMode = Literal["finetune", "inherit", "scratch", "custom", "kept"]


PLAN_SCHEMA: Final = "edgecnn.plan/2"


class Attachment(Value):
    """Whether this machine is the device, and how it was told."""

    attached: bool
    why: str


class DesktopGpu(Value):
    """A GPU of this machine that plays the desktop-GPU baseline, and what plays on it."""

    model: str
    """As its driver names it."""
    device: str
    """The device file that it matches, or its model made a name: profiles are filed under what it really is."""
    candidate: Candidate
    """The reference: what the edge's figures are held against."""
    variants: tuple[Candidate, ...] = ()
    """Other ways of running the same network, which stand beside the reference."""
    unavailable: Mapping[str, str] = {}
    """Variant to why this machine cannot have it, where that is known without trying."""
    unusable: str | None = None
    """Why nothing here can use it, where that is known without trying."""


class Resolved(Value):
    """A request with nothing left open. ``recipe`` has every default filled in, visibly."""

    asked: Recipe
    recipe: Recipe
    device: Device
    device_file: str | None = None
    """Where a user's own device file lay, as an absolute path; None of a shipped device."""
    attachment: Attachment
    arch: ArchSpec
    data: DataSummary
    folds: tuple[DataSummary, ...] = Field(default=(), exclude_if=lambda folds: not folds)
    """Of cross-validation: the images with the roles of the second fold and those after it; ``data`` is the first."""
    weights: WeightsAnswer
    mode: TrunkMode
    """custom and kept: nothing is trained, of a file or of a network of the catalogue with its weights' own head."""
    budget: TrainingBudget | None = Field(default=None, exclude_if=lambda budget: budget is None)
    """What ``train.minutes`` decided; None where it is unset."""
    teacher: Teacher | None = None
    """Whose answers are learned in place of labels."""
    synthesis: Synthesis | None = Field(default=None, exclude_if=lambda synthesis: synthesis is None)
    """What training images are composed of beside the photographs, or in place of them."""
    custom_model: CustomModel | None = None
    """The user's own model, which is adopted where others are trained and exported."""
    preprocessing: Preprocessing
    candidates: tuple[Candidate, ...]
    """All that can be built here for the device, the baseline network's fp32 first."""
    unsupported: tuple[Unsupported, ...]
    unavailable: Mapping[str, Unavailable]
    """Candidate to why it cannot be had on this machine."""
    desktop_gpu: DesktopGpu | None = None
    """None where this machine has no NVIDIA GPU, or no torch to use it, and of a network that surgery changes or a custom one."""
    builder: str | None
    """Distribution that builds engines ahead of time here, where one is installed."""
    device_builder: EngineBuilder | None = Field(default=None, exclude_if=lambda builder: builder is None)
    """What builds engines on the device, which is attached and was asked. None: nobody was, or no candidate needs an engine."""
    versions: Mapping[str, str]
    runner_sha256: str
    """Of the runner's source, which every kit carries."""
    sources: Mapping[Key, Path]
    """Inputs that no stage makes: the data manifest, and a user's own weights or model."""

    @property
    def multi_label(self) -> bool:
        """Whether an image gets any number of labels: as the list says, or of images without labels a file that ends in a
        sigmoid."""
        custom = self.custom_model
        return self.data.multi_label or (custom is not None and not self.data.labelled and custom.entry.ends_in_sigmoid)

    @property
    def is_catalogue_network(self) -> bool:
        """Whether it is what ``arch`` names; a custom network and one that surgery changed are others, whatever the name."""
        return self.mode != "custom" and not self.recipe.surgery.instead

    @property
    def training_images(self) -> int:
        """Photographs and composed ones."""
        return images_trained_on(self.data, self.synthesis, photographs=self.recipe.data.train)
