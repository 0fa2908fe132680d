"""Who trains: one process, or several that share every batch of one training and hold the same weights after each step.

The batches are those of one process, image for image. A process is shown its part of each, and what a layer or a loss makes of a
whole batch is made of all parts together, so that several processes differ from one by the order of their sums alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from edgecnn.training.distillation import answers_of
from edgecnn.training.whole_batch import Part, WholeBatch

_Item = TypeVar("_Item")

LEAST_IMAGES = 2
"""That each process is shown of a batch: batch norm refuses one image whose maps are single points."""


class Team(NamedTuple):
    """This process's place among those that train together."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes and reports."""
        return self.rank == 0

    def part(self, images: int) -> Part:
        """What falls to this process of a batch: neighbours, and as many as to any other, to within one."""
        return Part(images * self.rank // self.size, images * (self.rank + 1) // self.size, images)

    def own(self, items: Sequence[_Item]) -> Sequence[_Item]:
        """Every ``size``-th, of what is dealt out whole."""
        return items[self.rank :: self.size]

    def learner(self, network: nn.Module) -> nn.Module:
        """The network, whose gradients become the mean over all processes in the backward pass.

        It holds for the parameters that learn now; where others begin to, ask again.
        """
        if self.size == 1:
            return network
        from torch.nn.parallel import DistributedDataParallel

        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # 2.15 renames what 2.13 does not know otherwise
            return DistributedDataParallel(network, broadcast_buffers=False, find_unused_parameters=True)

    def backward(self, learner: Callable[[Tensor], Any], images: Tensor, part: Part, loss_of: Callable[..., Tensor]) -> float:
        """Leave the gradients of the whole batch's mean loss, and say that loss.

        Batch norm and chance treat the images as what they are, where they depend on the whole batch. A loss that is no number
        for one process is none for all, so that all stop at the same batch.

        Args:
            learner: of ``learner``, in whatever precision it computes.
            images: this process's part of the batch.
            part: which part that is.
            loss_of: makes the mean loss over the part of the network's answers: its own, and those of auxiliary heads.
        """
        with self._as_whole(part):
            answers = answers_of(learner(images))
        loss = loss_of(*answers)
        # Gradients become the mean over processes; so weighted, that is the mean over images.
        weighted = loss if self.size == 1 else loss * (part.images * self.size / part.whole)
        weighted.backward()  # type: ignore[no-untyped-call]
        if self.size == 1:
            return float(loss.detach())
        return float(self.summed(loss.detach().double() * (part.images / part.whole)))

    def summed(self, tensor: Tensor) -> Tensor:
        """The sum over processes, in place."""
        if self.size > 1:
            torch.distributed.all_reduce(tensor)
        return tensor

    def gathered(self, own: Sequence[Tensor]) -> list[Tensor]:
        """What ``own`` dealt out, from all, in the order that it had before."""
        if self.size == 1:
            return list(own)
        dealt: list[list[Tensor]] = [[] for _ in range(self.size)]
        torch.distributed.all_gather_object(dealt, list(own))
        longest = max(map(len, dealt))
        return [theirs[turn] for turn in range(longest) for theirs in dealt if turn < len(theirs)]

    def _as_whole(self, part: Part) -> AbstractContextManager[Any]:
        if self.size == 1:
            return nullcontext()
        return WholeBatch(part)


ALONE = Team()
