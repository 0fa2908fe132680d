"""Batch-norm statistics of averaged weights: the average of many networks' statistics is not the statistics of their average.

They are taken anew from training images before an epoch is judged, as stochastic weight averaging does (Izmailov et al. 2018,
arXiv:1803.05407, section 3.2). Without it a training of few steps is judged, and shipped, with statistics of its beginning.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

BATCHES = 16
"""Enough images for a mean and a variance; more would cost time and change little."""


@torch.no_grad()
def take_statistics(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace the running statistics by the plain mean over ``batches``, float32 (N, 3, H, W); everything else stays as it is."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    for batch in batches:
        network(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
