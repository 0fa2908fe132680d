"""Learning from a network's answers in place of labels: the softer target tells what the labels leave out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def distillation_loss(logits: Tensor, teacher: nn.Module, images: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence of the student's distribution from the teacher's, in nats an image.

    It is the cross-entropy against soft targets (Hinton et al. 2015, arXiv:1503.02531, section 2, at temperature 1) less the
    teacher's own entropy, so that 0 means: the same answers.

    Args:
        logits: the student's, float32 (N, classes).
        teacher: in evaluation mode; nothing flows back into it.
        images: what both were shown, float32 (N, 3, H, W).
    """
    with torch.no_grad():
        wanted = teacher(images)
    return divergence(logits, wanted)


def divergence(logits: Tensor, wanted: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence of one set of answers (N, classes) from another, in nats an image."""
    ours, theirs = (functional.log_softmax(each, dim=1) for each in (logits, wanted))
    return functional.kl_div(ours, theirs, reduction="batchmean", log_target=True)
