"""The start of a training: its images, its network, and the phase in which the whole network is trained.

The modes are fine-tuning from pretrained weights, and training from random weights with few images and little time. If several
processes train one network, each builds its start from the same settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torchvision.models import GoogLeNet, Inception3
from torchvision.ops import StochasticDepth

from edgecnn.data.cutouts import training_images
from edgecnn.errors.training import CLASSES_DIFFER, NOTHING_TO_TRAIN_ON
from edgecnn.models.catalogue import arch_named
from edgecnn.models.compound import base_name
from edgecnn.models.families.build import inherit
from edgecnn.models.networks import build_network, head_of, read_weights
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.heads import NAME as HEAD
from edgecnn.training.losses import WEIGHTS, load_larger_teacher
from edgecnn.training.material import DecodedImages, Material, ValidationPixels
from edgecnn.training.process import torch_device
from edgecnn.training.schedule import Phase, freeze_all_but_last, trainable_groups
from edgecnn.training.settings import NetworkSettings, TrainSettings, growing_cycles
from edgecnn.values.arch import ArchSpec
from edgecnn.values.scale import Inheritance
from edgecnn.values.stage import Progress, Role
from edgecnn.values.training import Cycles


def finetune_phase(settings: TrainSettings) -> Phase:
    """Return the phase in which all layers are fine-tuned, after the head alone was trained.

    With ``train.unfreeze = "groups"``, layer groups are unfrozen one after another. Batch norm keeps its pretrained statistics,
    since a few small batches would only make them less accurate. The result is used unless the head alone is clearly
    better on ``validation``.
    """
    full = settings.preprocessing.pixels.crop_px
    cycles: Mapping[Cycles, tuple[int, ...]] = {
        "one": (), "full": (settings.epochs,), "while-better": growing_cycles(settings.epochs)
    }  # fmt: skip
    return Phase.of(
        settings,
        name="finetune",
        beats=HEAD,
        sizes_px=(full,) * settings.epochs,
        shipped_px=full,
        body_share=settings.body_rate,
        warmup_share=0.1,
        average_decay=0.98,
        frozen_statistics=True,
        keeps_last=True,
        cycles=cycles[settings.cycles],
    )


def prepare_finetune(network: nn.Module) -> None:
    """Disable stochastic depth, since blocks must adapt in few epochs, and auxiliary heads, which only help random weights."""
    if isinstance(network, GoogLeNet | Inception3):
        network.aux_logits = False
    disable_random_drops(network, StochasticDepth)


def disable_random_drops(network: nn.Module, *kinds: type[nn.Module]) -> None:
    """Set the drop probability of layers of these kinds to 0."""
    for module in network.modules():
        if isinstance(module, kinds):
            module.p = 0.0  # type: ignore[assignment]


SMALL_UNTIL = 2 / 3
"""Share of the epochs that use images of half the shipped size."""
STATISTICS_MOMENTUM = 0.1
"""Momentum of batch norm. The 0.01 of some builders needs more steps than a short training has."""


def scratch_phase(settings: TrainSettings) -> Phase:
    """Return the only phase of a training from random weights, by its recipe.

    ``short``: image sizes grow as in progressive learning (EfficientNetV2, arXiv:2104.00298, section 4). Epochs at half size take
    about a quarter of the time. The last epochs use the shipped size, so that batch-norm statistics fit it.

    ``resnet``: the recipe of the ResNet paper (arXiv:1512.03385, section 3.4), with SGD and momentum, a rate divided by 10 on
    plateaus, no average and no dropout.

    ``modern``: as ``short``, but for many epochs, with all epochs at full size and a slower average. Its augmentation mixes
    images.
    """
    full, spec = settings.preprocessing.pixels.crop_px, arch_named(settings.arch)
    short = Phase.of(
        settings,
        name="scratch",
        sizes_px=tuple(_epoch_size(epoch, settings.epochs, full, spec.least_px) for epoch in range(settings.epochs)),
        shipped_px=full,
        warmup_share=0.15,
        average_decay=0.99,
        frozen_statistics=False,
        auxiliary_weight=spec.auxiliary.weight if spec.auxiliary else 0.0,
    )
    if settings.scratch == "short":
        return short
    whole = {"sizes_px": (full,) * settings.epochs}
    if settings.scratch == "resnet":
        return short.model_copy(update={**whole, "optimizer": "sgd", "rate_rule": "plateau", "average_decay": 0.0})
    return short.model_copy(update={**whole, "warmup_share": 0.1, "average_decay": 0.999})


def _epoch_size(epoch: int, epochs: int, full: ImageSize, least_px: int) -> ImageSize:
    """Return the image size of an epoch: the shipped size in the last third and in the last epoch, and before that half of it."""
    if epoch + 1 > SMALL_UNTIL * epochs:
        return full
    return full.scaled_to_short(min(full.short_px, max(least_px, round(full.short_px / 64) * 32)))


def prepare_scratch(network: nn.Module, settings: TrainSettings) -> None:
    """Change the initial network as its recipe requires.

    ``short``: no stochastic depth, which regularizes trainings of hundreds of epochs. Without it, and with crops of at least 0.8
    instead of 0.6 of the area, EfficientNet-B0 reached 82.7 % instead of 80.3 % (3,500 Fashion-MNIST images at 64 px, 12 epochs,
    one seed, 3,000 test images).

    ``resnet``: He initialization of every convolution (He et al. 2015, arXiv:1502.01852, equation 14), and no dropout.
    """
    if settings.scratch == "short":
        disable_random_drops(network, StochasticDepth)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = STATISTICS_MOMENTUM
    elif settings.scratch == "resnet":
        disable_random_drops(network, nn.Dropout, StochasticDepth)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            for module in network.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class TrainingInputs(NamedTuple):
    """Files and artifacts that a training reads."""

    images: Path | None
    """Data manifest; None if only composed images train."""
    pixels: Path
    """Artifact of prepare."""
    weights: Path | None
    """Artifact of fetch; None from scratch."""
    transfer: Path | None = None
    """Artifact of transfer, if the recipe says ``auto``."""
    teacher: Path | None = None
    """Artifact of train, which holds the teacher."""
    made: Path | None = None
    """Artifact of synthesize: composed images, which follow the photographs."""

    @classmethod
    def of(cls, artifacts: Mapping[Role, Path]) -> TrainingInputs:
        """Return the inputs of a stage by the roles of the same names."""
        return cls(*map(artifacts.get, cls._fields))  # type: ignore[arg-type]


def material_for(settings: NetworkSettings, inputs: TrainingInputs, resume: Path, tell: Progress) -> Material:
    """Return the training images, decoded into ``resume`` unless they are there, and the validation images.

    Raises NOTHING_TO_TRAIN_ON, CLASSES_DIFFER: the images differ from those of the plan.
    """
    source = training_images(inputs.images, inputs.made)
    if len(source.classes) != settings.classes:
        raise CLASSES_DIFFER(planned=settings.classes, found=len(source.classes))
    validation = ValidationPixels(inputs.pixels, settings.preprocessing.normalization)
    pixels = settings.preprocessing.pixels
    entries = source.training_entries()
    for role, count in (("train", len(entries)), ("validation", len(validation))):
        if count == 0:
            raise NOTHING_TO_TRAIN_ON(role=role)
    decoded = DecodedImages(source, entries, pixels)
    decoded.hold(resume / "decoded.npy", tell)
    return Material(decoded, validation, resume, tell, settings.classes, device=torch_device(settings.device))


def with_teacher(settings: TrainSettings, inputs: TrainingInputs, material: Material) -> Material:
    """Return the material with the teacher of the settings, if any."""
    if settings.teacher is None:
        return material
    theirs = settings.preprocessing.normalization
    teacher = load_larger_teacher(settings.teacher, settings.classes, inputs.teacher, theirs)
    return material._replace(teacher=teacher, teacher_px=settings.teacher.resolution_px)


class PreparedPhase(NamedTuple):
    """A network before the phase in which it is trained."""

    network: nn.Module
    head: nn.Module
    """Last layer, or a list of last layers whose logits are combined."""
    phase: Phase
    groups: tuple[nn.Module, ...] = ()
    """Layer groups that are unfrozen one after another; empty if all are trained from the start."""


def prepare_phase(settings: TrainSettings, network: nn.Module) -> PreparedPhase:
    """Return the network with the phase in which it is trained. Layers are frozen as the settings require.

    ``network``: from ``pretrained_network`` or ``random_network``.
    """
    spec = arch_named(settings.arch)
    head = head_of(network, spec)
    last = nn.ModuleList([head, *map(network.get_submodule, spec.beside)]) if spec.beside else head
    if settings.mode != "finetune":
        return PreparedPhase(network, last, scratch_phase(settings))
    auxiliary = [network.get_submodule(name) for name in spec.auxiliary.heads] if spec.auxiliary else []
    if settings.transfer == "last":
        freeze_all_but_last(network, head, auxiliary)
    groups = trainable_groups(network, head, auxiliary) if settings.unfreeze == "groups" else ()
    return PreparedPhase(network, last, finetune_phase(settings), groups)


def random_network(spec: ArchSpec, settings: TrainSettings, inputs: TrainingInputs) -> nn.Module:
    """Return the network with random weights. In mode ``inherit``, a scaled network takes weights from the unscaled one.

    Raises TypeError: mode ``inherit`` without weights.
    """
    network = build_network(spec, settings.classes, seed=settings.seed)
    prepare_scratch(network, settings)  # first, because it may initialize layers
    if settings.mode == "inherit":
        if inputs.weights is None:
            raise TypeError("inheriting needs weights")
        load_inherited(network, spec, inputs.weights)
    return network


def pretrained_network(spec: ArchSpec, classes: int, seed: int, inputs: TrainingInputs) -> nn.Module:
    """Return the network with pretrained weights and a new last layer.

    Raises TypeError: there are no weights. WEIGHTS_UNREADABLE, WeightsDoNotFit: see ``read_weights``.
    """
    if inputs.weights is None:
        raise TypeError("fine-tuning needs weights")
    network = build_network(spec, classes, seed=seed)
    load_inherited(network, spec, inputs.weights)
    prepare_finetune(network)
    return network.to(memory_format=torch.channels_last)


def load_inherited(network: nn.Module, spec: ArchSpec, weights: Path) -> Inheritance:
    """Load the starting weights into the network, except last layers. A scaled network loads the part that it shares."""
    base = arch_named(base_name(spec.name))
    return inherit(network, spec, base, read_weights(base, weights / WEIGHTS))
