"""From random weights with few images and little time: small pictures first, one cycle of the rate, an averaged result.

The sizes grow as in progressive learning (EfficientNetV2, arXiv:2104.00298, section 4): early epochs at half size cost a
quarter, and the last ones, at the shipped size, let the batch-norm statistics settle on it.
"""

from __future__ import annotations

from torch import nn
from torchvision.ops import StochasticDepth

from edgecnn.training.phase import Phase
from edgecnn.training.settings import TrainSettings

SIZES = ((0.6, 0.5), (0.8, 0.75), (1.0, 1.0))
"""(until this share of the epochs, at this share of the shipped size)."""
SMALLEST_PX = 32
"""Networks here shrink their input 32 times."""
STOCHASTIC_DEPTH = 0.25
"""Share that is kept of a builder's own probabilities, which were chosen for hundreds of epochs."""
STATISTICS_MOMENTUM = 0.1
"""Of batch norm: some builders' 0.01 needs more steps than a short training has."""


def scratch_phase(settings: TrainSettings) -> Phase:
    """The one phase of a training from random weights."""
    full = settings.preprocessing.pixels.crop_px
    return Phase(
        name="scratch",
        sizes_px=tuple(_size((epoch + 1) / settings.epochs, full) for epoch in range(settings.epochs)),
        shipped_px=full,
        batch_size=settings.batch_size,
        peak_rate=settings.learning_rate,
        warmup_share=0.15,
        weight_decay=settings.weight_decay,
        label_smoothing=settings.label_smoothing,
        smallest_area=0.6,
        average_decay=0.99,
        frozen_statistics=False,
        patience=settings.patience,
        seed=settings.seed,
    )


def _size(progress: float, full: int) -> int:
    share = next(share for until, share in SIZES if progress <= until)
    return full if share == 1 else min(full, max(SMALLEST_PX, round(full * share / 32) * 32))


def prepare_network(network: nn.Module) -> None:
    """Set what a short training wants otherwise than the builder did."""
    for module in network.modules():
        if isinstance(module, StochasticDepth):
            module.p *= STOCHASTIC_DEPTH
        elif isinstance(module, nn.BatchNorm2d):
            module.momentum = STATISTICS_MOMENTUM
