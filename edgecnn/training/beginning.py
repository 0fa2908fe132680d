"""What a training begins with: its images, its network, its mode, and the phase in which the whole network learns.

The modes are fine-tuning from pretrained weights, and training from random ones with few images and little time. Of several
processes that train one network each builds this for itself, from the same settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torchvision.models import GoogLeNet, Inception3
from torchvision.ops import StochasticDepth

from edgecnn.data.composed import training_images
from edgecnn.errors.training import CLASSES_DIFFER, NOTHING_TO_TRAIN_ON
from edgecnn.models.catalogue import arch_named
from edgecnn.models.compound import base_name
from edgecnn.models.families.build import inherit
from edgecnn.models.networks import build_network, head_of, read_weights
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.heads import NAME as HEAD
from edgecnn.training.losses import WEIGHTS, taught_by
from edgecnn.training.material import DecodedImages, Material, ValidationPixels
from edgecnn.training.process import torch_device
from edgecnn.training.schedule import Phase, freeze_all_but_last, growing_cycles, learning_groups
from edgecnn.training.settings import NetworkSettings, TrainSettings
from edgecnn.values.arch import ArchSpec
from edgecnn.values.scale import Inheritance
from edgecnn.values.stage import Progress, Role

BODY_SHARE = 0.1
"""Rate of the pretrained layers as a share of the head's."""


def finetune_phase(settings: TrainSettings) -> Phase:
    """The phase in which every layer learns.

    All layers learn from its first epoch on, or by ``train.unfreeze = "groups"`` one group of blocks after another.

    The second phase keeps the batch-norm statistics that the weights came with: a few small batches would only blur them. Its
    result counts only where it beats the head alone on ``validation``.
    """
    full = settings.preprocessing.pixels.crop_px
    return Phase.of(
        settings,
        name="finetune",
        beats=HEAD,
        sizes_px=(full,) * settings.epochs,
        shipped_px=full,
        body_share=BODY_SHARE,
        warmup_share=0.1,
        average_decay=0.98,
        frozen_statistics=True,
        cycles=growing_cycles(settings.epochs) if settings.cycles == "while-better" else (),
    )


def prepare_finetune(network: nn.Module) -> None:
    """Leave no block out: in a few epochs each must adapt. Auxiliary heads help random weights to learn, and these are not."""
    if isinstance(network, GoogLeNet | Inception3):
        network.aux_logits = False
    disable_random_drops(network, StochasticDepth)


def disable_random_drops(network: nn.Module, *kinds: type[nn.Module]) -> None:
    """Let layers of these kinds leave nothing out."""
    for module in network.modules():
        if isinstance(module, kinds):
            module.p = 0.0  # type: ignore[assignment]


SMALL_UNTIL = 2 / 3
"""Share of the epochs that see images of half the shipped size."""
STATISTICS_MOMENTUM = 0.1
"""Of batch norm: some builders' 0.01 needs more steps than a short training has."""


def scratch_phase(settings: TrainSettings) -> Phase:
    """The one phase of a training from random weights, by the recipe that was asked for.

    The sizes grow as in progressive learning (EfficientNetV2, arXiv:2104.00298, section 4): early epochs at half size cost about
    a quarter, and the last ones, at the shipped size, let the batch-norm statistics settle on it.

    That is the recipe ``short``. ``resnet`` is that of the ResNet paper (arXiv:1512.03385, section 3.4): SGD with momentum, its
    rate divided by 10 on plateaus, no average, no dropout. ``modern`` is ``short`` at full size throughout with a slower average,
    made for many epochs; its augmentation mixes images.
    """
    full, spec = settings.preprocessing.pixels.crop_px, arch_named(settings.arch)
    short = Phase.of(
        settings,
        name="scratch",
        sizes_px=tuple(_size(epoch, settings.epochs, full, spec.least_px) for epoch in range(settings.epochs)),
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


def _size(epoch: int, epochs: int, full: ImageSize, least_px: int) -> ImageSize:
    """The last third, and the last epoch always, sees the shipped size: ``validation`` is judged there alone."""
    if epoch + 1 > SMALL_UNTIL * epochs:
        return full
    return full.scaled_to_short(min(full.short_px, max(least_px, round(full.short_px / 64) * 32)))


def prepare_scratch(network: nn.Module, settings: TrainSettings) -> None:
    """Set what the recipe wants otherwise than the builder did."""
    if settings.scratch == "resnet":
        _begin_as_he(network, settings.seed)
    elif settings.scratch == "short":
        _prepare_short(network)


def _prepare_short(network: nn.Module) -> None:
    """Leaving blocks out at random is a regularization for hundreds of epochs. Without it, and with crops of at least 0.8 in
    place of 0.6 of the area, EfficientNet-B0 reached 82.7 % in place of 80.3 % (3,500 Fashion-MNIST images at 64 px, 12 epochs,
    one seed, 3,000 test images).
    """
    disable_random_drops(network, StochasticDepth)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = STATISTICS_MOMENTUM


def _begin_as_he(network: nn.Module, seed: int) -> None:
    """He initialization of every convolution (He et al. 2015, arXiv:1502.01852, equation 14), and no dropout."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    disable_random_drops(network, nn.Dropout, StochasticDepth)


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
    def of(cls, artifacts: Mapping[Role, Path]) -> TrainingInputs:
        """What a stage was given, each under the role of its name."""
        return cls(*map(artifacts.get, cls._fields))  # type: ignore[arg-type]


def material_for(settings: NetworkSettings, inputs: TrainingInputs, resume: Path, tell: Progress) -> Material:
    """The training images, decoded into ``resume`` unless they are there, and the images that judge.

    Raises NOTHING_TO_TRAIN_ON, CLASSES_DIFFER: the images are not those that were planned for.
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
        return Beginner(network, last, scratch_phase(settings))
    beside = [network.get_submodule(name) for name in spec.auxiliary.heads] if spec.auxiliary else []
    if settings.transfer == "last":
        freeze_all_but_last(network, head, beside)
    groups = learning_groups(network, head, beside) if settings.unfreeze == "groups" else ()
    return Beginner(network, last, finetune_phase(settings), groups)


def unlearned(spec: ArchSpec, settings: TrainSettings, inputs: TrainingInputs) -> nn.Module:
    """The network with random weights, or in mode ``inherit`` with what a scaled one has of the unscaled one's.

    Raises TypeError: there is nothing to inherit.
    """
    network = build_network(spec, settings.classes, seed=settings.seed)
    prepare_scratch(network, settings)  # first, since it may begin layers anew
    if settings.mode == "inherit":
        if inputs.weights is None:
            raise TypeError("inheriting needs weights")
        inherited(network, spec, inputs.weights)
    return network


def pretrained(spec: ArchSpec, classes: int, seed: int, inputs: TrainingInputs) -> nn.Module:
    """The network with the weights that were fetched, and a new last layer.

    Raises TypeError: there are no weights. WEIGHTS_UNREADABLE, WeightsDoNotFit: see ``read_weights``.
    """
    if inputs.weights is None:
        raise TypeError("fine-tuning needs weights")
    network = build_network(spec, classes, seed=seed)
    inherited(network, spec, inputs.weights)
    prepare_finetune(network)
    return network.to(memory_format=torch.channels_last)


def inherited(network: nn.Module, spec: ArchSpec, weights: Path) -> Inheritance:
    """Put into the network what the starting weights have of it, all where it was not scaled. Last layers stay new."""
    base = arch_named(base_name(spec.name))
    return inherit(network, spec, base, read_weights(base, weights / WEIGHTS))
