"""The network whose answers another learns: itself before a change, or a larger one that was trained on the same images."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import load_trained
from edgecnn.values.dataset import Normalization
from edgecnn.values.training import TeacherTerms

WEIGHTS = "weights.safetensors"


def teacher_of(arch: str, classes: int, seed: int, trained: Path | None) -> nn.Module:
    """The network that ``train`` made, in evaluation mode.

    Args:
        arch: its name in the catalogue.
        classes: how many it tells apart.
        seed: of what its weights do not hold.
        trained: a train artifact.

    Raises:
        TypeError: there are no weights; who teaches was trained.
    """
    if trained is None:
        raise TypeError("a network that learns from a network's answers begins with trained weights")
    teacher = load_trained(arch_named(arch), classes, trained / WEIGHTS, seed=seed)
    return teacher.eval().to(memory_format=torch.channels_last)


class OtherInput(nn.Module):
    """A teacher that is fed otherwise than who learns: it sees the same pixels, at its own mean and scale.

    Args:
        teacher: who answers.
        theirs: what was done to the pixels before they come here.
        own: what the teacher wants done to them.
    """

    factor: Tensor
    offset: Tensor

    def __init__(self, teacher: nn.Module, theirs: Normalization, own: Normalization) -> None:
        super().__init__()
        self.teacher = teacher
        means, scales = (torch.tensor(each, dtype=torch.float64).view(1, 3, 1, 1) for each in (theirs.mean, theirs.std))
        mean, scale = (torch.tensor(each, dtype=torch.float64).view(1, 3, 1, 1) for each in (own.mean, own.std))
        self.register_buffer("factor", (scales / scale).float())
        self.register_buffer("offset", ((means - mean) / scale).float())

    def forward(self, images: Tensor) -> Tensor:
        """float32 (N, 3, H, W), normalized as for who learns → the teacher's logits (N, classes)."""
        answers: Tensor = self.teacher(images * self.factor + self.offset)
        return answers


def taught_by(terms: TeacherTerms, classes: int, trained: Path | None, theirs: Normalization) -> nn.Module:
    """A larger network as a teacher of one whose pixels are normalized as ``theirs``, in evaluation mode.

    Raises:
        TypeError: see ``teacher_of``.
    """
    teacher = teacher_of(terms.arch, classes, 0, trained)
    return teacher if terms.normalization == theirs else OtherInput(teacher, theirs, terms.normalization).eval()
