"""The network whose answers another learns: itself before a change, or a larger one that was trained on the same images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import load_shipping
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.augment import resized_to
from edgecnn.values.preprocessing import Normalization
from edgecnn.values.training import Balance, TeacherTerms

_STREAM = 0x62616C  # of numbers of its own, so that what is drawn elsewhere stays as it is


def class_weights(labels: npt.NDArray[np.int64], classes: int, balance: Balance) -> Tensor | None:
    """What the loss of an image of each class counts, or None where all count alike.

    N / (K · n), n the images of the class: the mean over all images is 1, so that learning rates keep their meaning. (It is
    scikit-learn's ``class_weight="balanced"``.)

    Returns float32 (classes,); 0 for a class without an image.
    """
    if balance != "weights":
        return None
    counts = np.bincount(labels, minlength=classes)
    weights = np.where(counts > 0, len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1)), 0.0)
    return torch.from_numpy(weights.astype(np.float32))


def images_shown(labels: npt.NDArray[np.int64], balance: Balance, seed: int) -> npt.NDArray[np.int64]:
    """Which image each of an epoch's N places shows: its own, or with sampling each class as often as any other, to within one.

    A class that is shown more often than it has images goes through all of them before one comes again.

    Returns (N,) positions of images.
    """
    places = np.arange(len(labels), dtype=np.int64)
    if balance != "sampling":
        return places
    random = np.random.Generator(np.random.Philox([seed, _STREAM]))
    classes = random.permutation(np.unique(labels))  # which classes get one place more differs from epoch to epoch
    shares = [len(places[turn :: len(classes)]) for turn in range(len(classes))]
    shown = [_cycled(np.flatnonzero(labels == label), share, random) for label, share in zip(classes, shares, strict=True)]
    return np.concatenate(shown)


def label_loss(logits: Tensor, labels: Tensor, weights: Tensor | None, label_smoothing: float) -> Tensor:
    """Mean cross-entropy in nats of logits (n, classes) from labels (n,), or from shares of classes (n, classes) of mixed images.

    ``weights`` (classes,) says what an image counts; one that is mixed counts by its shares.
    """
    if weights is None:
        return functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    losses = functional.cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction="none")
    return (losses * (weights[labels] if labels.ndim == 1 else labels @ weights)).mean()


def multi_label_loss(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    """Mean binary cross-entropy in nats of logits (n, labels) from what images have, float32 (n, labels), 0…1.

    Smoothed, a label is a little of both: a share ``label_smoothing`` of it is spread over having it and not.
    """
    wanted = labels * (1 - label_smoothing) + label_smoothing / 2
    return functional.binary_cross_entropy_with_logits(logits, wanted)


def _cycled(members: npt.NDArray[np.int64], count: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
    rounds = [random.permutation(members) for _ in range(-(-count // len(members)))]
    return np.concatenate(rounds)[:count]


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
