"""The network whose answers another learns: itself before a change, or a larger one that was trained on the same images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import load_shipping
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.images.augment import resized_to
from edgecnn.values.preprocessing import Normalization
from edgecnn.values.training import TeacherTerms

WEIGHTS = "weights.safetensors"


def teacher_of(arch: str, classes: int, size_px: ImageSize, trained: Path | None) -> nn.Module:
    """The network that ``train`` made, as it ships, in evaluation mode.

    Raises TypeError: there are no weights; who teaches was trained.
    """
    if trained is None:
        raise TypeError("a network that learns from a network's answers begins with trained weights")
    teacher = load_shipping(arch_named(arch), classes, trained / WEIGHTS, size_px)
    return teacher.eval().to(memory_format=torch.channels_last)


class OtherInput(nn.Module):
    """A teacher that is fed otherwise than who learns: it sees the same pixels, at its own resolution, mean and scale."""

    factor: Tensor
    offset: Tensor

    def __init__(self, teacher: nn.Module, theirs: Normalization, own: Normalization, resolution_px: ImageSize) -> None:
        super().__init__()
        self.teacher, self.resolution_px = teacher, resolution_px
        means, scales = (torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1) for values in (theirs.mean, theirs.std))
        mean, scale = (torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1) for values in (own.mean, own.std))
        self.register_buffer("factor", (scales / scale).float())
        self.register_buffer("offset", ((means - mean) / scale).float())

    def forward(self, images: Tensor) -> Tensor:
        """float32 (N, 3, H, W), normalized as for who learns → the teacher's logits (N, classes)."""
        answers: Tensor = self.teacher(resized_to(images, self.resolution_px) * self.factor + self.offset)
        return answers


def taught_by(terms: TeacherTerms, classes: int, trained: Path | None, theirs: Normalization) -> nn.Module:
    """A larger network as a teacher of one whose pixels are normalized as ``theirs``, in evaluation mode.

    Raises TypeError: see ``teacher_of``.
    """
    teacher = teacher_of(terms.arch, classes, terms.resolution_px, trained)
    return OtherInput(teacher, theirs, terms.normalization, terms.resolution_px).eval()


def distillation(teacher: nn.Module, images: Tensor) -> Callable[[Tensor], Tensor]:
    """The loss of answers to ``images``: their mean Kullback-Leibler divergence from the teacher's, in nats an image.

    It is the cross-entropy against soft targets (Hinton et al. 2015, arXiv:1503.02531, section 2, at temperature 1) less the
    teacher's own entropy, so that 0 means: the same answers. The teacher sees the very images that are learned from, cropped and
    mixed as they are (Beyer et al. 2022, arXiv:2106.05237, section 3.1), if at its own resolution, and is asked once for all
    answers to them.

    ``teacher``: in evaluation mode; nothing flows back into it. ``images``: what both were shown, float32 (N, 3, H, W). Returns
    takes logits, float32 (N, classes).
    """
    with torch.no_grad():
        wanted = teacher(images)
    return lambda logits: divergence(logits, wanted)


def divergence(logits: Tensor, wanted: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence of one set of answers (N, classes) from another, in nats an image."""
    ours, theirs = (functional.log_softmax(answers, dim=1) for answers in (logits, wanted))
    return functional.kl_div(ours, theirs, reduction="batchmean", log_target=True)


def answers_of(output: Tensor | tuple[Tensor | None, ...]) -> tuple[Tensor, ...]:
    """The network's own logits (N, classes) first, then those of the heads that gave any, in fp32 whatever layers compute in.

    ``said``: what ``forward`` returned; torchvision's GoogLeNet and Inception-v3 return a named tuple while they learn, in which
    a head whose maps are too small for it is None.
    """
    if isinstance(output, Tensor):
        return (output.float(),)
    return tuple(logits.float() for logits in output if logits is not None)
