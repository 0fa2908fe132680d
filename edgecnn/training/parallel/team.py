"""The team that trains a network: one process, or several that share every batch and have equal weights after each step.

The batches are the same as with one process, and each process gets its part. Layers and losses that depend on the whole batch
combine all parts. The result therefore differs from that of one process only by the order of sums.
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

from edgecnn.training.losses import logits_of

_Item = TypeVar("_Item")

LEAST_IMAGES = 2
"""Minimum number of images for each process in a batch. Batch norm refuses one image with 1×1 maps."""


class Team(NamedTuple):
    """This process's rank among the processes that train together."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and reports progress."""
        return self.rank == 0

    def part(self, images: int) -> Part:
        """Return this process's contiguous part of a batch. Parts have equal sizes, to within one image."""
        return Part(images * self.rank // self.size, images * (self.rank + 1) // self.size, images)

    def own(self, items: Sequence[_Item]) -> Sequence[_Item]:
        """Return every ``size``-th item, from this process's rank on."""
        return items[self.rank :: self.size]

    def learner(self, network: nn.Module) -> nn.Module:
        """Return the network wrapped so that the backward pass averages gradients over all processes.

        The wrapper covers the parameters that are trained now. Call this again after unfreezing others.
        """
        if self.size == 1:
            return network
        from torch.nn.parallel import DistributedDataParallel

        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # names that 2.15 deprecates
            return DistributedDataParallel(network, broadcast_buffers=False, find_unused_parameters=True)

    def backward(self, learner: Callable[[Tensor], Any], images: Tensor, part: Part, loss_of: Callable[..., Tensor]) -> float:
        """Compute the gradients of the whole batch's mean loss, and return that loss.

        Batch norm and random layers act as on the whole batch (``WholeBatch``). If the loss of one process is not finite, that of
        all is not, so that all stop at the same batch.

        ``loss_of``: returns the mean loss over the part, from the network's logits and those of auxiliary heads.
        """
        with nullcontext() if self.size == 1 else WholeBatch(part):
            logits = logits_of(learner(images))
        loss = loss_of(*logits)
        # Gradients are averaged over processes. With this weight, the result is the mean over images.
        weighted = loss if self.size == 1 else loss * (part.images * self.size / part.whole)
        weighted.backward()  # type: ignore[no-untyped-call]
        if self.size == 1:
            return float(loss.detach())
        return float(self.summed(loss.detach().double() * (part.images / part.whole)))

    def summed(self, tensor: Tensor) -> Tensor:
        """Sum the tensor over processes, in place."""
        if self.size > 1:
            torch.distributed.all_reduce(tensor)
        return tensor

    def gathered(self, own: Sequence[Tensor]) -> list[Tensor]:
        """Collect the items that ``own`` dealt to all processes, in their original order."""
        if self.size == 1:
            return list(own)
        dealt: list[list[Tensor]] = [[] for _ in range(self.size)]
        torch.distributed.all_gather_object(dealt, list(own))
        longest = max(map(len, dealt))
        return [theirs[turn] for turn in range(longest) for theirs in dealt if turn < len(theirs)]


ALONE = Team()


_COUNTED = (0, 2, 3)
"""Dimensions of (n, C, H, W) over which a channel's statistics are computed."""


class _Norm(NamedTuple):
    """Parameters of ``torch.nn.functional.batch_norm`` after the images, in order."""

    running_mean: Tensor | None
    running_var: Tensor | None
    weight: Tensor | None = None
    bias: Tensor | None = None
    training: bool = False
    momentum: float = 0.1
    eps: float = 1e-5


class WholeBatch(TorchFunctionMode):
    """Context for the forward pass of one part of a batch, in which layers act as on the whole batch.

    Two kinds of layers depend on more than one image: batch norm, by its mean and variance, and dropout and stochastic depth, by
    the position of an image's random numbers in torch's generator. In this context, mean and variance are computed over all
    processes. Random numbers are drawn for the whole batch in each process, which uses its own rows. torch's SyncBatchNorm does
    the first only on accelerators.

    Functions are intercepted instead of replacing layers, so the network's classes and weight names stay unchanged, and timm's
    subclasses of batch norm are covered.
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
        """Draw for the whole batch, in memory order, and return the part's rows."""
        order = torch.channels_last if like.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last) else None
        shape = (self._part.whole, *like.shape[1:])
        whole = torch.empty(shape, dtype=like.dtype, memory_format=order or torch.contiguous_format)
        return whole.bernoulli_(p)[self._part.start : self._part.stop]


class _NormOfAll(torch.autograd.Function):
    """Batch norm with the mean and variance over all processes, computed by torch's kernels in both directions.

    Images and results are (N, C, H, W) in fp32 or bf16. Statistics are fp32, and their sums are exchanged as float64. ``among``:
    the epsilon, and the number of values of a channel in all processes.
    """

    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor | None, bias: Tensor | None, among: tuple[float, int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return normalized images, mean and biased variance. The last two have no gradient."""
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
        """Return the gradients, as of batch norm over one batch with all images of all processes."""
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
    """Images ``start`` to ``stop`` of a batch of ``whole`` images."""

    start: int
    stop: int
    whole: int

    @property
    def images(self) -> int:
        """Number of images in the part."""
        return self.stop - self.start
