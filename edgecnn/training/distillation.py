"""Learning from a network's answers in place of labels: the softer target tells what the labels leave out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


def distillation(teacher: nn.Module, images: Tensor) -> Callable[[Tensor], Tensor]:
    """The loss of answers to ``images``: their mean Kullback-Leibler divergence from the teacher's, in nats an image.

    It is the cross-entropy against soft targets (Hinton et al. 2015, arXiv:1503.02531, section 2, at temperature 1) less the
    teacher's own entropy, so that 0 means: the same answers. The teacher sees the very images that are learned from, cropped and
    mixed as they are (Beyer et al. 2022, arXiv:2106.05237, section 3.1), and is asked once for all answers to them.

    Args:
        teacher: in evaluation mode; nothing flows back into it.
        images: what both were shown, float32 (N, 3, H, W).

    Returns:
        Takes logits, float32 (N, classes).
    """
    with torch.no_grad():
        wanted = teacher(images)
    return lambda logits: divergence(logits, wanted)


def divergence(logits: Tensor, wanted: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence of one set of answers (N, classes) from another, in nats an image."""
    ours, theirs = (functional.log_softmax(each, dim=1) for each in (logits, wanted))
    return functional.kl_div(ours, theirs, reduction="batchmean", log_target=True)


def answers_of(said: Tensor | tuple[Tensor | None, ...]) -> tuple[Tensor, ...]:
    """The network's own logits (N, classes) first, then those of the heads that gave any, in fp32 whatever layers compute in.

    Args:
        said: what ``forward`` returned; torchvision's GoogLeNet and Inception-v3 return a named tuple while they learn, in which
            a head whose maps are too small for it is None.
    """
    if isinstance(said, Tensor):
        return (said.float(),)
    return tuple(each.float() for each in said if each is not None)
