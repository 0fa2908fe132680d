"""Heads on frozen features that no gradient descent of ours makes: linear SVM and softmax regression by scikit-learn, neighbours.

Each is tried at a few strengths, and the best on ``validation`` is kept. Linear ones become the network's own last layer, scaling
folded in; neighbours become a layer that holds the training features. Either way the export is one file.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import nn

from edgecnn.models.neighbours import NeighbourHead
from edgecnn.training.features import Features
from edgecnn.training.images.validation import top1

Classical = Literal["svm", "softmax", "knn"]
STRENGTHS = {"svm": (1e-5, 1e-4, 1e-3, 1e-2), "softmax": (1e-4, 1e-3, 1e-2, 1e-1)}
"""Inverse weights of the penalty (scikit-learn's C) that are tried."""
NEIGHBOURS = (1, 3, 5, 10, 20)


class Fitted(NamedTuple):
    """The head that was best on ``validation``, and what was said of the search."""

    head: nn.Module
    validation_top1: float
    said: str


def fit(kind: Classical, features: Features, classes: int, *, mirrored: bool, seed: int) -> Fitted:
    """Fit a head of this kind at each strength and keep the best on ``validation``; of equals the plainest, the first."""
    shown = [features.train, features.mirrored] if mirrored else [features.train]
    inputs = torch.cat(shown)
    labels = torch.cat([features.labels] * len(shown))
    tried: dict[float, nn.Module] = {}
    if kind == "knn":
        for k in (each for each in NEIGHBOURS if each <= len(inputs)):
            tried[k] = NeighbourHead.of(inputs, labels, classes, k)
    else:
        scale = StandardScaler().fit(inputs.numpy())
        scaled = scale.transform(inputs.numpy())
        for strength in STRENGTHS[kind]:
            tried[strength] = _linear(_solver(kind, strength, seed).fit(scaled, labels.numpy()), scale, classes)
    with torch.no_grad():
        right = {strength: top1(head(features.validation), features.validation_labels) for strength, head in tried.items()}
    best = max(right, key=right.__getitem__)
    what = "k" if kind == "knn" else "C"
    name = {"svm": "linear SVM", "softmax": "softmax regression", "knn": "nearest neighbours by cosine"}[kind]
    said = f"{name} on frozen features, {what} = {best:g} of {', '.join(f'{each:g}' for each in right)}"
    return Fitted(tried[best], right[best], said)


def _solver(kind: str, strength: float, seed: int) -> Any:
    if kind == "svm":
        return LinearSVC(C=strength, random_state=seed % 2**32, max_iter=5000)
    return LogisticRegression(C=strength, max_iter=500)


def _linear(model: Any, scale: Any, classes: int) -> nn.Linear:
    """Of two classes scikit-learn keeps one row: the second's against the first's, halved so that softmax gives its share."""
    weight, bias = np.asarray(model.coef_, np.float64), np.asarray(model.intercept_, np.float64)
    if len(weight) == 1 and classes == 2:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    whole = np.zeros((classes, weight.shape[1])), np.full(classes, bias.min() - 1.0)
    whole[0][model.classes_], whole[1][model.classes_] = weight, bias
    folded = whole[0] / scale.scale_
    head = nn.Linear(weight.shape[1], classes)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(folded))
        head.bias.copy_(torch.from_numpy(whole[1] - folded @ scale.mean_))
    return head
