"""Classes of unequal size count alike where that is asked for, and a rare one is then found more often."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from edgecnn.data.images import open_source
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import load_trained
from edgecnn.training.losses import class_weights, images_by_position, label_loss
from edgecnn.training.material import ValidationPixels, mean_recall, top1
from edgecnn.values.dataset import DataManifest
from edgecnn.values.training import Balance
from tests.data.folders import Heard
from tests.slow_parameters import slowly
from tests.training.made import LITE, SMALL, Given, fetched, make_given, stage

LABELS = np.repeat([0, 1, 3], [16, 3, 1])
RARE, OFTEN = 6, 0
"""Shirt and T-shirt: of Fashion-MNIST the two that are taken for each other."""


def test_every_class_has_the_same_weight_in_all_and_the_mean_is_one() -> None:
    weights = class_weights(LABELS, 4, "weights")
    assert weights is not None
    assert np.allclose(weights.numpy() * np.bincount(LABELS), [20 / 3, 20 / 3, 0, 20 / 3])
    assert float(weights[torch.from_numpy(LABELS)].mean()) == pytest.approx(1)
    assert class_weights(LABELS, 4, "none") is class_weights(LABELS, 4, "sampling") is None


def test_a_weighted_loss_is_that_of_images_repeated() -> None:
    logits, labels = torch.randn(3, 4, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 1])
    twice = label_loss(logits[[0, 0, 1, 2]], labels[[0, 0, 1, 2]], None, 0.1)
    assert torch.allclose(label_loss(logits, labels, torch.tensor([1.5, 0.75, 0.0, 0.0]), 0.1), twice)
    assert torch.equal(label_loss(logits, labels, None, 0.1), functional.cross_entropy(logits, labels, label_smoothing=0.1))


def test_sampling_shows_each_class_as_often_and_each_image_of_a_rare_one() -> None:
    shown = images_by_position(LABELS, "sampling", 5)
    assert len(shown) == len(LABELS)
    assert sorted(np.unique(LABELS[shown], return_counts=True)[1].tolist()) == [6, 7, 7]
    assert set(shown) >= {16, 17, 18, 19}
    counts = np.bincount(shown, minlength=20)[16:19]
    assert counts.max() - counts.min() <= 1, "no image of a class comes again before all have come"


def test_what_is_shown_differs_from_epoch_to_epoch_and_is_the_same_again() -> None:
    assert not np.array_equal(images_by_position(LABELS, "sampling", 5), images_by_position(LABELS, "sampling", 6))
    assert np.array_equal(images_by_position(LABELS, "sampling", 5), images_by_position(LABELS, "sampling", 5))
    assert np.array_equal(images_by_position(LABELS, "none", 5), np.arange(20))


def test_mean_recall_counts_a_rare_class_as_much_as_a_frequent_one(tmp_path: Path) -> None:
    np.save(tmp_path / "validation.pixels.npy", np.zeros((4, 2, 2, 3), np.uint8))
    np.save(tmp_path / "validation.labels.npy", np.array([0, 0, 0, 1]))
    judge = ValidationPixels(tmp_path, arch_named(SMALL).normalization)
    always_first = torch.tensor([[1.0, 0.0]] * 4)
    assert (top1(always_first, judge.labels), mean_recall(always_first, judge.labels)) == (0.75, 0.5)


def test_a_key_without_balance_is_the_one_it_always_was() -> None:
    assert "balance" not in stage().model_dump()
    assert stage(balance="weights").model_dump()["balance"] == "weights"


@pytest.fixture(scope="module")
def unequal(tmp_path_factory: pytest.TempPathFactory) -> Given:
    """T-shirts, and an eighth as many shirts; the validation images are of both alike."""
    given = make_given(tmp_path_factory.mktemp("unequal"), train=1_500, validation=400)
    whole = DataManifest.model_validate_json(given.images.read_bytes())
    new = {OFTEN: 0, RARE: 1}
    rare = [image for image in whole.images if image.role == "train" and image.label == RARE][16:]
    left_out = {image.path for image in rare} | {image.path for image in whole.images if image.label not in new}
    images = tuple(image.model_copy(update={"label": new[image.label]}) for image in whole.images if image.path not in left_out)
    given.images.write_text(whole.model_copy(update={"images": images, "classes": ("t-shirt", "shirt")}).model_dump_json())
    labels = np.load(given.pixels / "validation.labels.npy")
    kept = np.isin(labels, list(new))
    np.save(given.pixels / "validation.pixels.npy", np.load(given.pixels / "validation.pixels.npy")[kept])
    np.save(given.pixels / "validation.labels.npy", np.array([new[label] for label in labels[kept]]))
    return given


@pytest.fixture(scope="module")
def fine_tuned(unequal: Given, tmp_path_factory: pytest.TempPathFactory) -> Mapping[Balance, Path]:
    weights = fetched(tmp_path_factory.mktemp("fetched") / "weights")
    found: dict[Balance, Path] = {}
    for balance in ("none", "weights", "sampling"):
        found[balance] = tmp_path_factory.mktemp(balance)
        asked = stage(LITE, mode="finetune", classes=2, epochs=1, head_epochs=15, balance=balance)
        asked.make(unequal.roles(weights), found[balance], Heard())
    return found


def recall_of_the_rare_class(given: Given, out: Path) -> float:
    network = load_trained(arch_named(LITE), 2, out / "weights.safetensors")
    judge = ValidationPixels(given.pixels, arch_named(LITE).normalization)
    right = judge.outputs(network).argmax(1) == judge.labels
    return float(right[judge.labels == 1].double().mean())


@pytest.mark.slow  # three trainings
def test_the_rare_class_is_found_more_often(unequal: Given, fine_tuned: Mapping[Balance, Path]) -> None:
    recall = {balance: recall_of_the_rare_class(unequal, out) for balance, out in fine_tuned.items()}
    assert recall["weights"] > recall["none"] + 0.15, recall
    assert recall["sampling"] > recall["none"] + 0.15, recall


@pytest.mark.slow  # three trainings
def test_the_history_says_how_classes_were_made_to_count_alike(unequal: Given, fine_tuned: Mapping[Balance, Path]) -> None:
    told = {balance: json.loads((out / "history.json").read_text()) for balance, out in fine_tuned.items()}
    labels = np.array([image.label for image in open_source(unequal.images).entries("train")])
    assert told["weights"]["balance"] == {"how": "weights", "images": np.bincount(labels).tolist()}
    assert told["sampling"]["balance"]["how"] == "sampling"
    assert "balance" not in told["none"]
    assert "validation_recall" not in json.dumps(told["none"])
    head = told["weights"]["phases"][0]["epochs"]
    assert told["weights"]["best"]["validation_recall"] >= max(epoch["validation_recall"] for epoch in head)


@pytest.mark.parametrize("balance", ["weights", *slowly("sampling")])
def test_a_training_from_scratch_with_balance_is_repeatable(unequal: Given, balance: str, tmp_path: Path) -> None:
    for again in ("once", "again"):
        (tmp_path / again).mkdir()
        stage(classes=2, epochs=2, balance=balance).make(unequal.roles(), tmp_path / again, Heard())
    first, second = ((tmp_path / again / "weights.safetensors").read_bytes() for again in ("once", "again"))
    assert first == second
