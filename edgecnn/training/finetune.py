"""From pretrained weights: first a head on frozen features, then the whole network a little, at a tenth of the head's rate.

All layers learn from its first epoch on, or by ``train.unfreeze = "groups"`` one group of blocks after another.

The second phase keeps the batch-norm statistics that the weights came with: a few small batches would only blur them. Its
result counts only where it beats the head alone on ``validation``.
"""

from __future__ import annotations

from torch import nn
from torchvision.models import GoogLeNet, Inception3
from torchvision.ops import StochasticDepth

from edgecnn.training.head import NAME as HEAD
from edgecnn.training.phase import Phase
from edgecnn.training.settings import TrainSettings

BODY_SHARE = 0.1
"""Rate of the pretrained layers as a share of the head's."""


def finetune_phase(settings: TrainSettings) -> Phase:
    """The phase in which every layer learns."""
    full = settings.preprocessing.pixels.crop_px
    return Phase(
        name="finetune",
        beats=HEAD,
        sizes_px=(full,) * settings.epochs,
        shipped_px=full,
        batch_size=settings.batch_size,
        peak_rate=settings.learning_rate,
        body_share=BODY_SHARE,
        warmup_share=0.1,
        weight_decay=settings.weight_decay,
        label_smoothing=settings.label_smoothing,
        augment=settings.augment,
        average_decay=0.98,
        frozen_statistics=True,
        patience=settings.patience,
        seed=settings.seed,
        balance=settings.balance,
        precision=settings.precision,
    )


def prepare_network(network: nn.Module) -> None:
    """Leave no block out: in a few epochs each must adapt. Auxiliary heads help random weights to learn, and these are not."""
    if isinstance(network, GoogLeNet | Inception3):
        network.aux_logits = False
    for module in network.modules():
        if isinstance(module, StochasticDepth):
            module.p = 0.0
