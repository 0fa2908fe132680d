"""A new last layer on frozen features: softmax regression by AdamW, each image shown plain or mirrored at random.

It takes seconds, so it keeps no checkpoint: after a kill it is trained again, to the same bits. Its patience is not limited
either; the best of all epochs is kept.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from edgecnn.errors.training import TrainingDiverged
from edgecnn.training.balance import class_weights, images_shown, label_loss, multi_label_loss
from edgecnn.training.features import Features
from edgecnn.training.history import BestFacts, EpochFacts, as_counted
from edgecnn.training.images.augmented_batch import stream_seed
from edgecnn.training.images.batches import batch_count
from edgecnn.training.images.validation import mean_recall, standing
from edgecnn.training.loop import PhaseResult
from edgecnn.training.settings import TrainSettings
from edgecnn.values.data.augmentation import mirrored_share

NAME = "head"
DROPOUT = 0.2
"""Share of the features left out at random."""


def train_head(head: nn.Linear, features: Features, settings: TrainSettings) -> PhaseResult:
    """Train ``head`` in place and leave it at its best epoch on ``validation``. Raises TrainingDiverged: a loss is not finite."""
    optimizer = torch.optim.AdamW(head.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    size_px = settings.preprocessing.pixels.crop_px
    epochs: list[EpochFacts] = []
    best, kept = BestFacts(phase=NAME, epoch=-1, validation_top1=-1.0), head.state_dict()
    for epoch in range(settings.head_epochs):
        rate = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / settings.head_epochs))
        optimizer.param_groups[0]["lr"] = rate
        loss = _epoch(head, features, settings, epoch, optimizer)
        with torch.no_grad():
            logits = head(features.validation)
        found = standing(logits, features.validation_labels)
        recall = None if settings.balance == "none" else mean_recall(logits, features.validation_labels)
        facts = EpochFacts(
            epoch=epoch,
            train_loss=loss,
            **found,
            validation_recall=recall,
            learning_rate=rate,
            resolution_px=size_px,
        )
        epochs.append(facts)
        if (facts.standing or 0.0) > best.standing:
            best = BestFacts(phase=NAME, epoch=epoch, **found, validation_recall=recall)
            kept = copy.deepcopy(head.state_dict())
    head.load_state_dict(kept)
    return PhaseResult(tuple(epochs), best, "all epochs done")


def _epoch(head: nn.Linear, features: Features, settings: TrainSettings, epoch: int, optimizer: torch.optim.Optimizer) -> float:
    seed = stream_seed(settings.seed, NAME, epoch)
    random = torch.Generator().manual_seed(seed)
    labels, count = features.labels.numpy(), len(features.labels)
    several = labels.ndim == 2
    weights = None if several else class_weights(labels, settings.classes, settings.balance)
    shows = torch.from_numpy(images_shown(labels, settings.balance, seed))
    order = torch.randperm(count, generator=random)
    loss_sum = 0.0
    for index, positions in enumerate(torch.tensor_split(order, batch_count(count, settings.batch_size))):
        images = shows[positions]
        mirror = torch.rand(len(positions), 1, generator=random) < mirrored_share(settings.augment)
        shown = torch.where(mirror, features.mirrored[images], features.train[images])
        kept = torch.rand(shown.shape, generator=random) >= DROPOUT
        logits = head(shown * kept / (1 - DROPOUT))
        right = features.labels[images]
        loss: Tensor = (
            multi_label_loss(logits, right.float(), settings.label_smoothing)
            if several
            else label_loss(logits, right, weights, settings.label_smoothing)
        )
        if not math.isfinite(loss.item()):
            rate = ("train.learning_rate", settings.learning_rate)
            raise TrainingDiverged(phase=NAME, epoch=as_counted(epoch), batch=as_counted(index), kept=None, rate=rate)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss_sum += loss.item() * len(positions)
    return loss_sum / count
