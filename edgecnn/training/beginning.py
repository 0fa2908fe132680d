"""What a training begins with: its images, its network, and the phase in which the whole network learns.

Of several processes that train one network each builds this for itself, from the same settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from edgecnn.data.synthesis.made import training_images
from edgecnn.errors.training import ClassesDiffer, NothingToTrainOn
from edgecnn.models.catalogue import arch_named
from edgecnn.models.compound import base_name
from edgecnn.models.families.scaled import inherit
from edgecnn.models.networks import build_network, head_of, read_weights
from edgecnn.training import modes
from edgecnn.training.gpu import torch_device
from edgecnn.training.groups import freeze_all_but_last, learning_groups
from edgecnn.training.images.loader import DecodedImages
from edgecnn.training.images.validation import Material, ValidationPixels
from edgecnn.training.schedule import Phase
from edgecnn.training.settings import NetworkSettings, TrainSettings
from edgecnn.training.teacher import WEIGHTS, taught_by
from edgecnn.values.arch import ArchSpec
from edgecnn.values.scale import Inheritance
from edgecnn.values.stage import Progress, Role


class TrainingInputs(NamedTuple):
    """Where a training reads from."""

    images: Path | None
    """A data manifest; None where composed images alone train."""
    pixels: Path
    """A prepare artifact."""
    weights: Path | None
    """A fetch artifact; None from scratch."""
    transfer: Path | None = None
    """A transfer artifact, where the choice was left to it."""
    teacher: Path | None = None
    """A train artifact, of the network whose answers are learned in place of labels."""
    made: Path | None = None
    """A synthesize artifact: composed images, behind the photographs."""

    @classmethod
    def of(cls, given: Mapping[Role, Path]) -> TrainingInputs:
        """What a stage was given, each under the role of its name."""
        return cls(*map(given.get, cls._fields))  # type: ignore[arg-type]


def material_for(settings: NetworkSettings, inputs: TrainingInputs, resume: Path, tell: Progress) -> Material:
    """The training images, decoded into ``resume`` unless they are there, and the images that judge.

    Raises NothingToTrainOn, ClassesDiffer: the images are not those that were planned for.
    """
    source = training_images(inputs.images, inputs.made)
    if len(source.classes) != settings.classes:
        raise ClassesDiffer(planned=settings.classes, found=len(source.classes))
    validation = ValidationPixels(inputs.pixels, settings.preprocessing.normalization)
    pixels = settings.preprocessing.pixels
    entries = source.entries("train")
    for role, count in (("train", len(entries)), ("validation", len(validation))):
        if count == 0:
            raise NothingToTrainOn(role=role)
    decoded = DecodedImages(source, entries, pixels)
    decoded.hold(resume / "decoded.npy", tell)
    return Material(decoded, validation, resume, tell, settings.classes, device=torch_device(settings.device))


def taught(settings: TrainSettings, inputs: TrainingInputs, material: Material) -> Material:
    """With the teacher where there is one."""
    if settings.teacher is None:
        return material
    theirs = settings.preprocessing.normalization
    teacher = taught_by(settings.teacher, settings.classes, inputs.teacher, theirs)
    return material._replace(teacher=teacher, teacher_px=settings.teacher.resolution_px)


class Beginner(NamedTuple):
    """A network before its phase."""

    network: nn.Module
    head: nn.Module
    """Its last layer, or a list of them where several answer together."""
    phase: Phase
    groups: tuple[nn.Module, ...] = ()
    """Of blocks that begin to learn one after another; none: all learn at once."""


def beginner(settings: TrainSettings, network: nn.Module) -> Beginner:
    """The network as it goes into the phase in which all of it learns, or those layers that are asked for.

    ``network``: of ``pretrained`` or of ``unlearned``; layers of it are frozen where that is asked.
    """
    spec = arch_named(settings.arch)
    head = head_of(network, spec)
    last = nn.ModuleList([head, *map(network.get_submodule, spec.beside)]) if spec.beside else head
    if settings.mode != "finetune":
        return Beginner(network, last, modes.scratch_phase(settings))
    beside = [network.get_submodule(name) for name in spec.auxiliary.heads] if spec.auxiliary else []
    if settings.transfer == "last":
        freeze_all_but_last(network, head, beside)
    groups = learning_groups(network, head, beside) if settings.unfreeze == "groups" else ()
    return Beginner(network, last, modes.finetune_phase(settings), groups)


def unlearned(spec: ArchSpec, settings: TrainSettings, inputs: TrainingInputs) -> nn.Module:
    """The network with random weights, or in mode ``inherit`` with what a scaled one has of the unscaled one's.

    Raises TypeError: there is nothing to inherit.
    """
    network = build_network(spec, settings.classes, seed=settings.seed)
    modes.prepare_scratch(network, settings)  # first, since it may begin layers anew
    if settings.mode == "inherit":
        if inputs.weights is None:
            raise TypeError("inheriting needs weights")
        inherited(network, spec, inputs.weights)
    return network


def pretrained(spec: ArchSpec, classes: int, seed: int, inputs: TrainingInputs) -> nn.Module:
    """The network with the weights that were fetched, and a new last layer.

    Raises TypeError: there are no weights. WeightsUnreadable, WeightsDoNotFit: see ``read_weights``.
    """
    if inputs.weights is None:
        raise TypeError("fine-tuning needs weights")
    network = build_network(spec, classes, seed=seed)
    inherited(network, spec, inputs.weights)
    modes.prepare_finetune(network)
    return network.to(memory_format=torch.channels_last)


def inherited(network: nn.Module, spec: ArchSpec, weights: Path) -> Inheritance:
    """Put into the network what the starting weights have of it, all where it was not scaled. Last layers stay new."""
    base = arch_named(base_name(spec.name))
    return inherit(network, spec, base, read_weights(base, weights / WEIGHTS))
