"""Heads that are fitted on frozen features: what scikit-learn says is what the network says, and the export holds it all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from edgecnn.graph.checks import onnx_logits
from edgecnn.graph.export import export_onnx, torch_logits
from edgecnn.graph.macs import mac_table
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import NeighbourHead, load_trained
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.heads import Features, fit_head
from tests.data.folders import Heard
from tests.slow_parameters import slowly
from tests.training.made import LITE, SIZE_PX, fetched, make_given, stage


def features(classes: int = 3, seed: int = 0) -> Features:
    random = np.random.default_rng(seed)
    labels, of_validation = np.arange(90) % classes, np.arange(40) % classes
    centres = random.normal(size=(classes, 12)) * 1.5
    train, validation = (centres[each] + random.normal(size=(len(each), 12)) for each in (labels, of_validation))
    numbers = [
        torch.from_numpy(each.astype(np.float32) * np.linspace(0.1, 9, 12, dtype=np.float32)) for each in (train, validation)
    ]
    return Features(numbers[0], numbers[0], torch.from_numpy(labels), numbers[1], torch.from_numpy(of_validation))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind", ["svm", "softmax"])
def test_a_linear_head_answers_as_scikit_learn_does(kind: Any, classes: int) -> None:
    given = features(classes)
    fitted = fit_head(kind, given, classes, mirrored=False, seed=0)
    strength = float(fitted.summary.partition(" = ")[2].split()[0])
    solver = (
        LinearSVC(C=strength, random_state=0, max_iter=5000) if kind == "svm" else LogisticRegression(C=strength, max_iter=500)
    )
    wanted = make_pipeline(StandardScaler(), solver).fit(given.train.numpy(), given.labels.numpy())
    with torch.no_grad():
        logits = fitted.head(given.validation)
    assert np.array_equal(logits.argmax(1).numpy(), wanted.predict(given.validation.numpy()))
    if kind == "softmax":
        assert np.allclose(logits.softmax(1).numpy(), wanted.predict_proba(given.validation.numpy()), atol=1e-4)


@pytest.mark.parametrize("k", [1, 5])
def test_neighbours_vote_as_in_scikit_learn(k: int) -> None:
    given = features()
    model = KNeighborsClassifier(k, metric="cosine").fit(given.train.numpy(), given.labels.numpy())
    votes = NeighbourHead.of(given.train, given.labels, 3, k)(given.validation)
    assert np.allclose(votes.detach().numpy(), model.predict_proba(given.validation.numpy()))


def test_the_strength_that_chooses_best_is_kept() -> None:
    fitted = fit_head("knn", features(), 3, mirrored=True, seed=0)
    assert fitted.validation_top1 > 0.6
    assert fitted.summary.startswith("nearest neighbours by cosine on frozen features, k = ")


@pytest.mark.parametrize("kind", slowly("knn", "svm"))
def test_backbone_and_head_are_exported_as_one_file(kind: str, tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    given, weights = make_given(tmp_path / "given"), fetched(tmp_path / "weights")
    out = tmp_path / "out"
    out.mkdir()
    stage(LITE, mode="finetune", transfer="head", head=kind).make(given.roles(weights), out, Heard())
    told = json.loads((out / "history.json").read_text())
    assert told["best"]["phase"] == kind and told["best"]["validation_top1"] > 0.3
    assert "on frozen features" in told["transfer"]
    network = load_trained(arch_named(LITE), 10, out / "weights.safetensors").eval()
    model = export_onnx(network, ImageSize.square(SIZE_PX), out / "model.onnx")
    shown = np.random.default_rng(0).normal(size=(4, 3, SIZE_PX, SIZE_PX)).astype(np.float32)
    assert np.allclose(torch_logits(network, shown), onnx_logits(out / "model.onnx", shown), atol=1e-3)
    last = mac_table(model).layers[-1]
    assert last.macs == 1280 * (10 if kind == "svm" else 2 * 128), "the neighbours' table is a layer that counts"
