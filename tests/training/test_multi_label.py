"""What images of several labels are learned by: each label by itself, mixed as pictures are, judged by mAP."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from edgecnn.training.augment import EpochDraw
from edgecnn.training.batches import Batch, mix
from edgecnn.training.history import BestFacts, EpochFacts
from edgecnn.training.losses import multi_label_loss
from edgecnn.training.material import validation_figures
from edgecnn.values.augmentation import Mixup

LOGITS = torch.tensor([[2.0, -1.0, 0.0], [0.5, 3.0, -2.0]])
HAS = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])


def test_the_loss_is_the_mean_binary_cross_entropy_of_every_label() -> None:
    each = [-math.log(1 / (1 + math.exp(-(z if has else -z)))) for z, has in zip(LOGITS.ravel(), HAS.ravel(), strict=True)]
    assert float(multi_label_loss(LOGITS, HAS, 0.0)) == pytest.approx(sum(each) / 6, rel=1e-6)


def test_a_smoothed_label_is_a_little_of_both() -> None:
    sure = torch.tensor([[20.0, -20.0]])
    has = torch.tensor([[1.0, 0.0]])
    assert float(multi_label_loss(sure, has, 0.0)) < 1e-6
    assert float(multi_label_loss(sure, has, 0.1)) == pytest.approx(20 * 0.05, rel=1e-3)


def test_epochs_are_judged_by_map_and_by_top1_of_one_class_an_image() -> None:
    random = np.random.default_rng(0)
    has = (random.random((50, 3)) < 0.4).astype(np.uint8)
    logits = random.normal(size=(50, 3)).astype(np.float32)
    found = validation_figures(torch.from_numpy(logits), torch.from_numpy(has))
    assert found["validation_top1"] is None
    assert found["validation_map"] == pytest.approx(average_precision_score(has, logits, average="macro"))
    assert set(validation_figures(torch.from_numpy(logits), torch.zeros(50, dtype=torch.int64))) == {"validation_top1"}
    epoch = EpochFacts(epoch=0, train_loss=1.0, learning_rate=0.1, resolution_px=32, **found)
    best = BestFacts(phase="scratch", epoch=0, **found)
    assert epoch.score == best.score == found["validation_map"]
    assert (
        "validation_map"
        not in EpochFacts(epoch=0, train_loss=1.0, learning_rate=0.1, resolution_px=32, validation_top1=0.5).model_dump()
    ), "nothing of it is written of one class an image"


def test_labels_are_mixed_as_their_pictures_are() -> None:
    images = torch.stack([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)])
    drawn = {"applied": np.array([True, True]), "seed": np.array([4, 5])}
    draw = EpochDraw(np.arange(2), (Mixup(p=1.0),), (drawn,))
    batch = mix(Batch(images, HAS), draw, 0, 3)
    share = float(batch.images[1, 0, 0, 0])
    assert 0 < share < 1
    torch.testing.assert_close(batch.labels[1], share * HAS[1] + (1 - share) * HAS[0])
