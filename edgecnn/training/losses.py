"""Losses: from labels, with balanced classes if the recipe asks for it, or from the logits of a teacher.

Classes of unequal size are balanced by weights in the loss or by how often images are shown. With either method, the mean over an
epoch equals that of classes of one size. A teacher is the network before a change, or a larger network that was trained on the
same images.
"""

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

_BALANCE_STREAM = 0x62616C
"""Second word of the seed, so that balancing does not change other random draws."""


def class_weights(labels: npt.NDArray[np.int64], classes: int, balance: Balance) -> Tensor | None:
    """Return the weight of an image's loss by class, float32 (classes,), or None unless ``balance`` is ``weights``.

    The weight is N / (K · n) for N images, K classes and n images of the class, as scikit-learn's ``class_weight="balanced"``.
    The mean over all images is 1, so learning rates keep their meaning. A class without images has weight 0.
    """
    if balance != "weights":
        return None
    counts = np.bincount(labels, minlength=classes)
    weights = np.where(counts > 0, len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1)), 0.0)
    return torch.from_numpy(weights.astype(np.float32))


def images_by_position(labels: npt.NDArray[np.int64], balance: Balance, seed: int) -> npt.NDArray[np.int64]:
    """Return the image shown at each of an epoch's N positions, int64 (N,).

    With ``sampling``, all classes are shown equally often, to within one image. No image of a class is repeated before all of
    its images were shown. Otherwise position i shows image i.
    """
    places = np.arange(len(labels), dtype=np.int64)
    if balance != "sampling":
        return places
    random = np.random.Generator(np.random.Philox([seed, _BALANCE_STREAM]))
    classes = random.permutation(np.unique(labels))  # the classes that are shown once more differ from epoch to epoch
    shares = [len(places[turn :: len(classes)]) for turn in range(len(classes))]
    shown = []
    for label, share in zip(classes, shares, strict=True):
        members = np.flatnonzero(labels == label)
        rounds = [random.permutation(members) for _ in range(-(-share // len(members)))]
        shown.append(np.concatenate(rounds)[:share])
    return np.concatenate(shown)


def label_loss(logits: Tensor, labels: Tensor, weights: Tensor | None, label_smoothing: float) -> Tensor:
    """Return the mean cross-entropy in nats of logits (n, classes).

    ``labels``: classes (n,), or for mixed images shares of classes (n, classes). ``weights``: of each class (classes,); the
    weight of a mixed image is the mean by its shares.
    """
    if weights is None:
        return functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    losses = functional.cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction="none")
    return (losses * (weights[labels] if labels.ndim == 1 else labels @ weights)).mean()


def multi_label_loss(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    """Return the mean binary cross-entropy in nats of logits (n, labels) for labels float32 (n, labels), 0…1.

    Smoothing spreads the share ``label_smoothing`` of a label evenly over 0 and 1.
    """
    wanted = labels * (1 - label_smoothing) + label_smoothing / 2
    return functional.binary_cross_entropy_with_logits(logits, wanted)


WEIGHTS = "weights.safetensors"


def load_teacher(arch: str, classes: int, size_px: ImageSize, trained: Path | None) -> nn.Module:
    """Return the shipping form of a trained network in evaluation mode.

    Raises TypeError: there are no trained weights.
    """
    if trained is None:
        raise TypeError("a teacher needs trained weights")
    teacher = load_shipping(arch_named(arch), classes, trained / WEIGHTS, size_px)
    return teacher.eval().to(memory_format=torch.channels_last)


class AdaptedTeacher(nn.Module):
    """A teacher with its own resolution and normalization, which takes the images of the network that learns."""

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
        """float32 (N, 3, H, W), normalized for the network that learns → the teacher's logits (N, classes)."""
        logits: Tensor = self.teacher(resized_to(images, self.resolution_px) * self.factor + self.offset)
        return logits


def load_larger_teacher(terms: TeacherTerms, classes: int, trained: Path | None, theirs: Normalization) -> nn.Module:
    """Return a larger network, in evaluation mode, as teacher of a network whose normalization is ``theirs``.

    Raises TypeError: there are no trained weights.
    """
    teacher = load_teacher(terms.arch, classes, terms.resolution_px, trained)
    return AdaptedTeacher(teacher, theirs, terms.normalization, terms.resolution_px).eval()


def distillation(teacher: nn.Module, images: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the loss of logits (N, classes) for ``images``: their divergence from the teacher's logits, in nats for each image.

    It is the cross-entropy with soft targets (Hinton et al. 2015, arXiv:1503.02531, section 2, at temperature 1) minus the
    teacher's entropy, so 0 means equal predictions. The teacher sees the same cropped and mixed images (Beyer et al. 2022,
    arXiv:2106.05237, section 3.1) and runs once for all logits.

    ``teacher``: in evaluation mode; it gets no gradients. ``images``: float32 (N, 3, H, W).
    """
    with torch.no_grad():
        wanted = teacher(images)
    return lambda logits: divergence(logits, wanted)


def divergence(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean Kullback-Leibler divergence of logits from wanted logits, both (N, classes), in nats for each image."""
    probabilities, targets = functional.log_softmax(logits, dim=1), functional.log_softmax(wanted, dim=1)
    return functional.kl_div(probabilities, targets, reduction="batchmean", log_target=True)


def logits_of(output: Tensor | tuple[Tensor | None, ...]) -> tuple[Tensor, ...]:
    """Return the network's logits (N, classes) first, then those of its auxiliary heads, all in fp32.

    ``output``: the result of ``forward``. While torchvision's GoogLeNet and Inception-v3 are trained, they return a named tuple
    in which an auxiliary head is None if its maps are too small.
    """
    if isinstance(output, Tensor):
        return (output.float(),)
    return tuple(logits.float() for logits in output if logits is not None)
