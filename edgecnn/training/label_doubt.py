"""Find labels that a linear probe doubts, and predict the accuracy with more images.

The doubt is confident learning: C. Northcutt, L. Jiang, I. Chuang, "Confident Learning: Estimating Uncertainty in Dataset
Labels", JAIR 70, 2021, sections 3 and 4. An image is doubted if the out-of-sample probability of another class reaches that
class's mean over its own images. Doubted images are ordered by the normalized margin.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

FOLDS = 5
STRENGTHS = (1e-3, 1e-2, 1e-1)
"""Inverse regularization strengths. The one with the smallest cross-validated log loss is chosen."""
COMPONENTS = 256
"""Principal components of the standardized features that the probe reads."""
SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
"""Shares of the training images, for learning curves."""
CURVE_CONFIDENCE = 0.9
_DRAWS = 1000
_TOLERANCE = 1e-3

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Probed(NamedTuple):
    """Out-of-sample results of the probe."""

    probabilities: Floats
    """(images, classes)."""
    smaller: Bools
    """(shares, images): whether the prediction is right if every class has that share of its training images."""
    alone: Bools
    """(shares, images): whether the prediction is right if the image's class has that share, and other classes other shares."""


def folds_of(labels: Integers, units: Integers, seed: int) -> Integers:
    """Deal images to folds (images,), class by class. Images of one unit are in one fold."""
    random = np.random.default_rng(seed)
    _, first, unit = np.unique(units, return_index=True, return_inverse=True)
    order = random.permutation(len(first))
    order = order[np.argsort(labels[first][order], kind="stable")]
    fold = np.empty(len(first), np.int64)
    fold[order] = np.arange(len(order)) % FOLDS
    return fold[unit]


def probe(
    features: npt.NDArray[np.float32], labels: Integers, units: Integers, seed: int, step: Callable[[int, int], None]
) -> Probed:
    """Cross-validate a softmax regression on ``features``: with all training images, and with shares of them.

    ``units``: images with the same number are either all in training or all held out. ``step``: called with done and total fits.
    """
    reduced, folds = _components(features), folds_of(labels, units, seed)
    classes, random = int(labels.max()) + 1, np.random.default_rng(seed)
    fits = FOLDS * (len(STRENGTHS) + 2 * len(SHARES) - 1)
    done = 0

    def held_out(strength: float, shares: Floats) -> Floats:
        """Return out-of-sample probabilities; ``shares``: (classes,), of the training images of each class."""
        nonlocal done
        probabilities = np.zeros((len(labels), classes))
        for fold in range(FOLDS):
            train, test = _subset(np.flatnonzero(folds != fold), (labels, units), shares, random), folds == fold
            _fit_into(probabilities, (reduced, labels), train, test, strength)
            done += 1
            step(done, fits)
        return probabilities

    full = np.ones(classes)
    tried = {strength: held_out(strength, full) for strength in STRENGTHS}
    rows = np.arange(len(labels))
    best = min(tried, key=lambda strength: -float(np.log(np.maximum(tried[strength][rows, labels], 1e-12)).mean()))
    right = tried[best].argmax(axis=1) == labels
    smaller = [held_out(best, full * share).argmax(axis=1) == labels for share in SHARES[:-1]]
    alone, turn = np.empty((len(SHARES), len(labels)), bool), random.permutation(classes)
    for shift in range(len(SHARES)):
        place = (turn + shift) % len(SHARES)
        alone[place[labels], rows] = held_out(best, np.array(SHARES)[place]).argmax(axis=1) == labels
    return Probed(tried[best], np.stack([*smaller, right]), alone)


def _components(features: npt.NDArray[np.float32]) -> Floats:
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    scaled = centred / np.maximum(centred.std(axis=0), 1e-12)
    _, vectors = np.linalg.eigh(scaled.T @ scaled)
    return np.asarray(scaled @ vectors[:, ::-1][:, :COMPONENTS])


def _subset(train: Integers, data: tuple[Integers, Integers], shares: Floats, random: np.random.Generator) -> Integers:
    """Draw a share of the units of each class. ``data``: labels and units of all images."""
    if (shares == 1).all():
        return train
    labels, units = data
    kept = []
    for label in np.unique(labels[train]):
        own = train[labels[train] == label]
        drawn = random.permutation(np.unique(units[own]))
        kept.append(own[np.isin(units[own], drawn[: max(1, round(shares[label] * len(drawn)))])])
    return np.sort(np.concatenate(kept))


def _fit_into(out: Floats, data: tuple[Floats, Integers], train: Integers, test: Bools, strength: float) -> None:
    features, labels = data
    if not test.any():
        return
    present = np.unique(labels[train])
    if len(present) == 1:
        out[test, present[0]] = 1
        return
    with warnings.catch_warnings(), threadpool_limits(1):  # on two busy cores, more threads took ten times as long
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=strength, tol=_TOLERANCE, max_iter=200).fit(features[train], labels[train])
    out[np.ix_(test, model.classes_)] = model.predict_proba(features[test])


class Doubts(NamedTuple):
    """Results for all images."""

    doubted: Bools
    suggested: Integers
    """The confident class, or else the most probable class."""
    order: Integers
    """Image numbers, the most doubtful label first."""


def doubts_of(probabilities: Floats, labels: Integers, judged: Bools) -> Doubts:
    """Confident learning on out-of-sample ``probabilities`` (images, classes). Only images of ``judged`` can be doubted."""
    rows, classes = np.arange(len(labels)), probabilities.shape[1]
    own = probabilities[rows, labels]
    counts = np.bincount(labels, minlength=classes)
    thresholds = np.bincount(labels, weights=own, minlength=classes) / np.maximum(counts, 1)
    thresholds[counts == 0] = np.inf
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    predicted = probabilities.argmax(axis=1)
    suggested = np.where((confident >= 0).any(axis=1), confident.argmax(axis=1), predicted)
    doubted = judged & (confident >= 0).any(axis=1) & (suggested != labels) & (predicted != labels)
    others = probabilities.copy()
    others[rows, labels] = -1
    margin = own - others.max(axis=1)
    return Doubts(doubted, suggested, np.lexsort((margin, ~judged, ~doubted)))


class Forecast(NamedTuple):
    """An accuracy (0…1) with more training images, and its gain over today; each (estimate, low, high)."""

    accuracy: tuple[float, float, float]
    gain: tuple[float, float, float]


def forecast(right: Bools, units: Integers, growth: float, seed: int) -> Forecast:
    """Extrapolate a learning curve to ``growth`` times the images.

    The error is c + a·n^-b, the form of J. Hestness et al., arXiv:1712.00409. Each bootstrap draw resamples units and draws the
    floor c: 0 in a fifth of the draws, else evenly up to the last error, since four points cannot tell floor from slope.

    ``right``: (shares, images), whether the prediction is right at each of ``SHARES``. ``units``: (images,); images with the same
    number depend on each other.
    """
    random = np.random.default_rng(seed)
    unit = np.unique(units, return_inverse=True)[1]
    images = np.bincount(unit).astype(np.float64)
    wrong = np.stack([np.bincount(unit, weights=~row) for row in right], axis=1)
    weights = random.multinomial(len(images), np.full(len(images), 1 / len(images)), size=_DRAWS)
    errors = (weights @ wrong + 0.5) / (weights @ images + 1)[:, None]
    floor = np.maximum(random.uniform(-0.25, 0.95, _DRAWS), 0) * errors.min(axis=1)
    sizes = np.log(SHARES) - np.log(SHARES).mean()
    slope = np.maximum(-(np.log(errors - floor[:, None]) @ sizes) / (sizes @ sizes), 0)
    gain = (errors[:, -1] - floor) * (1 - growth**-slope)
    return Forecast(_interval(1 - errors[:, -1] + gain), _interval(gain))


def _interval(values: Floats) -> tuple[float, float, float]:
    tail = (1 - CURVE_CONFIDENCE) / 2
    middle, low, high = np.quantile(values, [0.5, tail, 1 - tail])
    return float(middle), float(low), float(high)
