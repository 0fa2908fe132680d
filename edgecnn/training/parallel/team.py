"""Who trains: one process, or several that share every batch of one training and hold the same weights after each step.

The batches are those of one process, image for image. A process is shown its part of each, and what a layer or a loss makes of a
whole batch is made of all parts together, so that several processes differ from one by the order of their sums alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from edgecnn.training.losses import answers_of

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

        ``loss_of``: makes the mean loss over the part of the network's answers: its own, and those of auxiliary heads.
        """
        with nullcontext() if self.size == 1 else WholeBatch(part):
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


ALONE = Team()


_COUNTED = (0, 2, 3)
"""Dimensions over which a channel's statistics are taken, of (n, C, H, W)."""


class _Norm(NamedTuple):
    """What ``torch.nn.functional.batch_norm`` takes after the images, in its order."""

    running_mean: Tensor | None
    running_var: Tensor | None
    weight: Tensor | None = None
    bias: Tensor | None = None
    training: bool = False
    momentum: float = 0.1
    eps: float = 1e-5


class WholeBatch(TorchFunctionMode):
    """Active in the forward pass of ``part``, in a process of an initialized group of which each has its own part.

    Two things in a network depend on more than one image: batch norm, by its mean and variance, and chance (dropout, stochastic
    depth), by the place of an image's numbers in torch's stream. Here the first are taken over all processes, and the second is
    drawn for the whole batch by each process, which keeps its own rows. torch's own SyncBatchNorm does the first on accelerators
    alone.

    A mode of torch functions, and no exchange of layers: a network's own classes and the names of its weights stay as they are,
    and timm's subclasses of batch norm are reached too.
    """

    def __init__(self, part: Part) -> None:
        super().__init__()
        self._part = part

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is functional.batch_norm:
            return self._batch_norm(*args, **(kwargs or {}))
        if func is functional.dropout:
            return self._dropout(*args, **(kwargs or {}))
        if func is Tensor.bernoulli_:
            return self._bernoulli(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _batch_norm(self, images: Tensor, *how: Any, **named: Any) -> Tensor:
        norm = _Norm(*how, **named)
        if not norm.training or images.ndim != 4 or len(images) != self._part.images:
            return functional.batch_norm(images, *norm)
        count = images.numel() // images.shape[1] * self._part.whole // self._part.images
        normalized: Tensor
        normalized, mean, variance = _NormOfAll.apply(images, norm.weight, norm.bias, (norm.eps, count))
        if norm.running_mean is not None and norm.running_var is not None:
            with torch.no_grad():
                norm.running_mean.lerp_(mean, norm.momentum)
                norm.running_var.lerp_(variance * (count / (count - 1)), norm.momentum)
        return normalized

    def _dropout(self, values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or p in (0.0, 1.0) or len(values) != self._part.images:
            return functional.dropout(values, p, training, inplace)
        kept = self._rows(values, 1 - p).div_(1 - p)
        return values.mul_(kept) if inplace else values * kept

    def _bernoulli(self, values: Tensor, p: float = 0.5, **more: Any) -> Tensor:
        if values.ndim == 0 or len(values) != self._part.images or more:
            return values.bernoulli_(p, **more)
        return values.copy_(self._rows(values, p))

    def _rows(self, like: Tensor, p: float) -> Tensor:
        """The part's rows of what the whole batch would draw, which is drawn in the order of memory."""
        order = torch.channels_last if like.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last) else None
        shape = (self._part.whole, *like.shape[1:])
        whole = torch.empty(shape, dtype=like.dtype, memory_format=order or torch.contiguous_format)
        return whole.bernoulli_(p)[self._part.start : self._part.stop]


class _NormOfAll(torch.autograd.Function):
    """Batch norm by the mean and variance of all processes' images; the arithmetic of both directions is in torch's own kernels.

    Images (N, C, H, W), fp32 or bf16, and so is the answer; statistics are fp32, and their sums travel as float64. ``among`` is
    what is added to the variance, and how many values of a channel all processes have.
    """

    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor | None, bias: Tensor | None, among: tuple[float, int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Normalized images, mean and (biased) variance; no gradient flows through the last two by themselves."""
        (eps, count), own = among, images.numel() // images.shape[1]
        variance, mean = (moment.double() for moment in torch.var_mean(images.float(), _COUNTED, correction=0))
        sums = torch.stack((mean * own, (variance + mean * mean) * own))
        torch.distributed.all_reduce(sums)
        mean, squares = sums / count
        variance = (squares - mean * mean).clamp_min_(0)
        mean, variance = mean.float(), variance.float()
        ctx.save_for_backward(images, weight, mean, variance)
        ctx.eps, ctx.count = eps, count
        ctx.mark_non_differentiable(mean, variance)
        return functional.batch_norm(images, mean, variance, weight, bias, False, 0.0, eps), mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """As batch norm's over one batch, whose mean and variance depend on every image of every process."""
        images, weight, mean, variance = ctx.saved_tensors
        scale = torch.ones_like(mean) if weight is None else weight
        in_order = images.is_contiguous(memory_format=torch.channels_last)
        gradient = gradients[0].contiguous(memory_format=torch.channels_last) if in_order else gradients[0]
        direct, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, images, scale, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        sums = torch.stack((of_bias, of_weight)).double()
        torch.distributed.all_reduce(sums)
        deviation = torch.sqrt(variance.double() + ctx.eps)
        slope = scale.double() * sums[1] / (deviation * deviation * ctx.count)
        level = scale.double() * sums[0] / (deviation * ctx.count) - mean.double() * slope
        shape = (1, -1, 1, 1)
        direct = direct.float() - level.float().view(shape)
        direct.addcmul_(images, slope.float().view(shape), value=-1)
        return direct.to(images.dtype), None if weight is None else of_weight, of_bias if ctx.needs_input_grad[2] else None, None


class Part(NamedTuple):
    """Images ``start`` to ``stop`` of a batch of ``whole``."""

    start: int
    stop: int
    whole: int

    @property
    def images(self) -> int:
        """How many they are."""
        return self.stop - self.start
