"""The ways to train a network: fine-tuning from pretrained weights, or from random ones with few images and little time."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models import GoogLeNet, Inception3
from torchvision.ops import StochasticDepth

from edgecnn.models.catalogue import arch_named
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.head import NAME as HEAD
from edgecnn.training.schedule import Phase
from edgecnn.training.settings import TrainSettings

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
    )


def prepare_finetune(network: nn.Module) -> None:
    """Leave no block out: in a few epochs each must adapt. Auxiliary heads help random weights to learn, and these are not."""
    if isinstance(network, GoogLeNet | Inception3):
        network.aux_logits = False
    without_chance(network, StochasticDepth)


def without_chance(network: nn.Module, *kinds: type[nn.Module]) -> None:
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
    return full.with_short(min(full.short_px, max(least_px, round(full.short_px / 64) * 32)))


def prepare_scratch(network: nn.Module, settings: TrainSettings) -> None:
    """Set what the recipe wants otherwise than the builder did."""
    if settings.scratch == "resnet":
        _begin_as_he(network, settings.seed)
    elif settings.scratch == "short":
        _for_few_steps(network)


def _for_few_steps(network: nn.Module) -> None:
    """Leaving blocks out at random is a regularization for hundreds of epochs. Without it, and with crops of at least 0.8 in
    place of 0.6 of the area, EfficientNet-B0 reached 82.7 % in place of 80.3 % (3,500 Fashion-MNIST images at 64 px, 12 epochs,
    one seed, 3,000 test images).
    """
    without_chance(network, StochasticDepth)
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
    without_chance(network, nn.Dropout, StochasticDepth)
