"""What ``--transfer auto`` measures before anything is trained: images a class, and a linear probe on frozen features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import nn

from edgecnn.models.catalogue import arch_named
from edgecnn.training.beginning import TrainingInputs, material_for, pretrained
from edgecnn.training.features import PARTS, compute_features, without_head
from edgecnn.training.machine import repeatable
from edgecnn.training.probe import Probe, probe
from edgecnn.training.resuming import begin, finish, is_made
from edgecnn.training.transfer_matrix import choose
from edgecnn.training.transfer_settings import TransferSettings
from edgecnn.values.stage import Progress
from edgecnn.values.transfer import TransferChoice

FACTS = "transfer.json"


def make_transfer(settings: TransferSettings, inputs: TrainingInputs, out: Path, tell: Progress) -> None:
    """Write ``transfer.json``, and the features that it was measured on, which training then need not compute again.

    Raises:
        NothingToTrainOn, ClassesDiffer, ClassTooSmall, WeightsDoNotFit: see ``TransferStage.make``.
    """
    if is_made(out, FACTS):
        return
    resume = begin(out)
    with repeatable():
        material = material_for(settings, inputs, resume, tell)
        spec = arch_named(settings.arch)
        network: nn.Module = pretrained(spec, settings.classes, settings.seed, inputs)
        with without_head(network, spec.head) as frozen:
            features = compute_features(frozen, material, spec, settings.preprocessing.pixels.crop_px)
        labels = material.squares.labels
        found = probe(features.train.numpy(), labels, material.squares.source.classes, settings.seed)
    for part in sorted(resume.glob(PARTS)):
        part.rename(out / part.name)
    choice = _choice(settings, np.bincount(labels, minlength=settings.classes), found)
    tell.note(choice.sentence)
    finish(out, FACTS, choice.model_dump_json(indent=1, by_alias=True) + "\n")


def _choice(settings: TransferSettings, counts: np.ndarray, found: Probe) -> TransferChoice:
    similarity = (found.top1 - found.largest_share) / (1 - found.largest_share)
    per_class = float(np.median(counts))
    chosen, why = choose(per_class, similarity)
    sentence = (
        f"transfer auto is {chosen}: {per_class:,.0f} images a class, and a linear probe on frozen features is right on "
        f"{found.top1:.1%} ({found.folds} folds, {found.images:,} images; always naming the largest class: "
        f"{found.largest_share:.1%}), {similarity:.2f} of the way to perfect; that is {why}"
    )
    return TransferChoice(
        chosen=chosen,
        sentence=sentence,
        classes=settings.classes,
        images=int(counts.sum()),
        images_per_class=per_class,
        smallest_class=int(counts.min()),
        probed_images=found.images,
        folds=found.folds,
        probe_top1=found.top1,
        largest_class_share=found.largest_share,
        similarity=similarity,
        seed=settings.seed,
    )
