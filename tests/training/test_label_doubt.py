from __future__ import annotations

import numpy as np
import pytest

from edgecnn.training.label_doubt import FOLDS, SHARES, _subset, doubts_of, folds_of, forecast, probe

IMAGES, CLASSES = 600, 4


def clusters(spread: float = 1.5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, IMAGES)
    centres = random.normal(size=(CLASSES, 32))
    return (centres[labels] + spread * random.normal(size=(IMAGES, 32))).astype(np.float32), labels


def flipped(labels: np.ndarray, count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    wrong = random.choice(len(labels), count, replace=False)
    noisy = labels.copy()
    noisy[wrong] = (noisy[wrong] + random.integers(1, CLASSES, count)) % CLASSES
    return noisy, wrong


def test_flipped_labels_come_first_and_their_right_class_is_suggested() -> None:
    features, labels = clusters(spread=1.0)
    noisy, wrong = flipped(labels, 30)
    probed = probe(features, noisy, np.arange(IMAGES), 0, lambda done, fits: None)
    doubts = doubts_of(probed.probabilities, noisy, np.ones(IMAGES, bool))
    assert np.isin(wrong, doubts.order[:45]).mean() >= 0.9
    caught = wrong[doubts.doubted[wrong]]
    assert len(caught) >= 21 and (doubts.suggested[caught] == labels[caught]).mean() >= 0.9


def test_the_confident_class_is_counted_by_its_own_mean() -> None:
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.1, 0.9], [0.4, 0.6], [0.55, 0.45]])
    labels = np.array([0, 0, 1, 1, 1])  # thresholds 0.8 and 0.65
    doubts = doubts_of(probabilities, labels, np.ones(5, bool))
    assert not doubts.doubted.any(), "0.55 is the most probable class, but below the mean of that class"
    doubts = doubts_of(np.array([*probabilities[:4], [0.85, 0.15]]), labels, np.ones(5, bool))
    assert doubts.doubted.tolist() == [False] * 4 + [True] and doubts.suggested[4] == 0 and doubts.order[0] == 4


def test_images_of_classes_that_are_not_judged_are_never_doubted_and_come_last() -> None:
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.95, 0.05]])
    doubts = doubts_of(probabilities, np.array([0, 1, 1]), np.array([True, True, False]))
    assert not doubts.doubted.any() and doubts.order[-1] == 2


def test_images_of_a_unit_are_in_one_fold_and_every_fold_has_every_class() -> None:
    labels, units = np.repeat([0, 1, 2], 20), np.arange(60) // 2
    folds = folds_of(labels, units, 3)
    assert (folds[::2] == folds[1::2]).all()
    assert all(set(folds[labels == label]) == set(range(FOLDS)) for label in range(3))


def test_a_share_of_the_images_holds_whole_units() -> None:
    labels, units = np.repeat([0, 1], 40), np.arange(80) // 4
    kept = _subset(np.arange(80), (labels, units), np.array([0.5, 0.25]), np.random.default_rng(0))
    assert np.bincount(labels[kept]).tolist() == [20, 8]
    assert set(np.bincount(units[kept])) == {0, 4}


def test_a_class_of_two_images_still_gets_probabilities() -> None:
    features, labels = clusters()
    labels = np.where(np.arange(IMAGES) < 2, CLASSES, labels)
    done = []
    probed = probe(features, labels, np.arange(IMAGES), 0, lambda at, fits: done.append((at, fits)))
    assert probed.probabilities.shape == (IMAGES, CLASSES + 1)
    assert probed.probabilities.sum(axis=1) == pytest.approx(1)
    assert [at for at, _ in done] == list(range(1, done[-1][1] + 1)), "every fit is counted, and the total is right"


def test_shares_of_the_images_are_less_accurate_and_the_last_share_is_all_of_them() -> None:
    features, labels = clusters(spread=3.0)
    probed = probe(features, labels, np.arange(IMAGES), 0, lambda done, fits: None)
    accuracies = probed.smaller.mean(axis=1)
    assert accuracies[0] < accuracies[-1] - 0.03
    assert (probed.smaller[-1] == (probed.probabilities.argmax(axis=1) == labels)).all()
    assert probed.alone.mean(axis=1)[0] < probed.alone.mean(axis=1)[-1]


def test_a_power_law_is_extrapolated_and_more_images_never_make_it_worse() -> None:
    random = np.random.default_rng(0)
    errors = 0.4 * (np.array(SHARES) / SHARES[0]) ** -0.5
    right = random.random(20_000)[None] >= errors[:, None]
    twice = forecast(right, np.arange(right.shape[1]), 2.0, 0)
    assert twice.accuracy[1] <= 1 - errors[-1] * 2**-0.5 <= twice.accuracy[2]
    assert 0 <= twice.gain[1] <= twice.gain[0] <= twice.gain[2]
    assert forecast(right, np.arange(right.shape[1]), 4.0, 0).gain[0] > twice.gain[0]


def test_a_flat_curve_brings_nothing() -> None:
    right = np.tile(np.random.default_rng(0).random(2000) > 0.1, (len(SHARES), 1))
    assert forecast(right, np.arange(right.shape[1]), 2.0, 0).gain == pytest.approx((0, 0, 0))


def test_a_forecast_of_ten_copies_of_each_image_is_no_more_certain_than_of_one() -> None:
    errors = 0.4 * (np.array(SHARES) / SHARES[0]) ** -0.5
    right = np.random.default_rng(0).random(300)[None] >= errors[:, None]
    once, copies = forecast(right, np.arange(300), 2.0, 0), np.repeat(right, 10, axis=1)
    grouped = forecast(copies, np.repeat(np.arange(300), 10), 2.0, 0)
    apart = forecast(copies, np.arange(3000), 2.0, 0)
    assert grouped.accuracy == pytest.approx(once.accuracy, abs=0.01)
    assert apart.accuracy[2] - apart.accuracy[1] < 0.7 * (grouped.accuracy[2] - grouped.accuracy[1])
