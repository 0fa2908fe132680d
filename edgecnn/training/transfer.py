"""Run the transfer stage: choose which layers to train, from the images per class and a linear probe on frozen features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from edgecnn.errors.training import CLASS_TOO_SMALL
from edgecnn.models.catalogue import arch_named
from edgecnn.training.beginning import TrainingInputs, material_for, pretrained_network
from edgecnn.training.checkpoint import finish, is_finished, resume_folder
from edgecnn.training.heads import PARTS, compute_features, head_removed
from edgecnn.training.process import repeatable_on, torch_device
from edgecnn.training.settings import TransferSettings
from edgecnn.values.stage import Progress
from edgecnn.values.training import Transfer, TransferChoice

FACTS = "transfer.json"


def make_transfer(settings: TransferSettings, inputs: TrainingInputs, out: Path, tell: Progress) -> None:
    """Write ``transfer.json`` and the features of the probe, which training reuses.

    Raises NOTHING_TO_TRAIN_ON, CLASSES_DIFFER, CLASS_TOO_SMALL, WeightsDoNotFit: see ``TransferStage.make``.
    """
    if is_finished(out, FACTS):
        return
    resume = resume_folder(out)
    with repeatable_on(torch_device(settings.device), settings.threads):
        material = material_for(settings, inputs, resume, tell)
        spec = arch_named(settings.arch)
        network: nn.Module = pretrained_network(spec, settings.classes, settings.seed, inputs)
        with head_removed(network, spec) as frozen:
            features = compute_features(frozen, material, spec, settings.preprocessing.pixels.crop_px)
        labels = material.decoded.labels
        probed = probe(features.train.numpy(), labels, material.decoded.source.classes, settings.seed)
    for part in sorted(resume.glob(PARTS)):
        part.rename(out / part.name)
    choice = _transfer_choice(settings, np.bincount(labels, minlength=settings.classes), probed)
    tell.note(choice.sentence)
    finish(out, FACTS, choice.model_dump_json(indent=1, by_alias=True) + "\n")


def _transfer_choice(settings: TransferSettings, counts: np.ndarray, probed: Probe) -> TransferChoice:
    similarity = (probed.top1 - probed.largest_share) / (1 - probed.largest_share)
    per_class = float(np.median(counts))
    chosen, why = choose_transfer(per_class, similarity)
    sentence = (
        f"transfer auto is {chosen}: {per_class:,.0f} images per class (median); a linear probe on frozen features reaches "
        f"{probed.top1:.1%} top-1 in {probed.folds}-fold cross-validation on {probed.images:,} training images (the largest "
        f"class alone: {probed.largest_share:.1%}), {similarity:.2f} of the way to perfect: {why}"
    )
    return TransferChoice(
        chosen=chosen,
        sentence=sentence,
        classes=settings.classes,
        images=int(counts.sum()),
        images_per_class=per_class,
        smallest_class=int(counts.min()),
        probed_images=probed.images,
        folds=probed.folds,
        probe_top1=probed.top1,
        largest_class_share=probed.largest_share,
        similarity=similarity,
        seed=settings.seed,
    )


FEW = 50
"""Images per class (median) below which fine-tuning all layers would overfit."""
MANY = 1000
"""Images per class from which a network can be trained from scratch. ImageNet's classes have about 1,300."""
SIMILAR = 0.6
"""Similarity from which frozen features suffice."""
FAR = 0.3
"""Similarity below which the features hardly help."""


def choose_transfer(images_per_class: float, similarity: float) -> tuple[Transfer, str]:
    """Return the choice, and the reason as a clause.

    ``similarity``: accuracy of a linear probe on frozen features, scaled so that 0 is the largest class's share and 1 is perfect.
    """
    if images_per_class < FEW:
        if similarity >= SIMILAR:
            return "head", f"fewer than {FEW} images per class, and the frozen features separate the classes already"
        return "last", f"fewer than {FEW} images per class, and the frozen features do not separate the classes well"
    if images_per_class >= MANY and similarity < FAR:
        return "scratch", f"at least {MANY:,} images per class, and the frozen features hardly separate the classes"
    return "all", f"at least {FEW} images per class, enough for every layer to adapt"


FOLDS = 5
PROBED = 1500
"""Maximum number of images, spread evenly over classes. More would take time, and not change the choice."""
_STRENGTH = 0.01
"""Inverse regularization strength. It is low, because features are many and images are few."""


class Probe(NamedTuple):
    """Result of a probe."""

    top1: float
    largest_share: float
    images: int
    folds: int


def probe(features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], classes: Sequence[str], seed: int) -> Probe:
    """Cross-validate softmax regression on ``features`` (N, F).

    The number of folds is at most the number of images in the smallest class.

    Raises CLASS_TOO_SMALL: a class has one image or none, so it cannot be in both training and test folds.
    """
    counts = np.bincount(labels, minlength=len(classes))
    smallest = int(counts.argmin())
    folds = min(FOLDS, int(counts[smallest]))
    if folds < 2:
        raise CLASS_TOO_SMALL(name=classes[smallest], images=int(counts[smallest]))
    share = max(FOLDS, PROBED // len(classes))
    kept = np.sort(np.concatenate([np.flatnonzero(labels == label)[:share] for label in range(len(classes))]))
    right = cross_val_score(
        make_pipeline(StandardScaler(), LogisticRegression(C=_STRENGTH, max_iter=200)),
        features[kept],
        labels[kept],
        cv=StratifiedKFold(folds, shuffle=True, random_state=seed % 2**32),
        scoring="accuracy",
    )
    of_kept = np.bincount(labels[kept])
    return Probe(float(right.mean()), float(of_kept.max() / len(kept)), len(kept), folds)
