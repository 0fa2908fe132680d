"""Batch-norm statistics of averaged weights: the average of many networks' statistics is not the statistics of their average.

They are taken anew from training images before an epoch is judged, as stochastic weight averaging does (Izmailov et al. 2018,
arXiv:1803.05407, section 3.2). Without it a training of few steps is judged, and shipped, with statistics of its beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from edgecnn.training.parallel.team import ALONE, Team

BATCHES = 16
"""Enough images for a mean and a variance; more would cost time and change little."""


@torch.no_grad()
def take_statistics(network: nn.Module, batches: Iterable[Tensor], team: Team = ALONE) -> None:
    """Replace the running statistics by the plain mean over ``batches``, float32 (N, 3, H, W); everything else stays as it is.

    Of a team each comes with its own batches, and the mean is over all of them.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    taken = 0
    for taken, batch in enumerate(batches, start=1):  # noqa: B007 - it is read after the loop
        network(batch)
    if team.size > 1:
        _of_all(norms, taken, team)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def _of_all(norms: Sequence[nn.BatchNorm2d], taken: int, team: Team) -> None:
    """Put the mean over the batches of all processes in place of each one's own, of which there were ``taken``."""
    counted = float(team.summed(torch.tensor(float(taken))))
    for norm in norms:
        for own in (norm.running_mean, norm.running_var):
            if own is not None:
                own.copy_(team.summed(own.double() * taken) / counted)
        if norm.num_batches_tracked is not None:
            team.summed(norm.num_batches_tracked)
