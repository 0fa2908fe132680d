"""A kit with thresholds gives a picture every label over its own, none where none is, and refuses those of another model."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.runner.classifier import Classifier, predict_files
from edgecnn.runner.kit import Kit
from edgecnn.runner.messages import RunnerError
from tests.runner.kits import CLASSES, rewrite_manifest

OTHERS = "do not match the labels: they belong to another model"
NAMES = [f"class {index}" for index in range(CLASSES)]


def kit_of_thresholds(kit: Path, folder: Path, thresholds: dict[str, float], **changes: Any) -> Path:
    made = shutil.copytree(kit, folder / "several")
    rewrite_manifest(made, lambda manifest: manifest.update(activation="sigmoid", thresholds=thresholds, **changes))
    return made


def test_every_label_over_its_threshold_is_given_the_most_probable_first(onnx_kit: Path, tmp_path: Path) -> None:
    logits = np.load(onnx_kit / "golden/logits.npy")[0].astype(np.float64)
    shares = 1 / (1 + np.exp(-logits))
    ranked = np.argsort(-shares)
    bounds = dict.fromkeys(NAMES, 0.999999)
    kept = [int(ranked[0]), int(ranked[2])]
    for label in kept:
        bounds[NAMES[label]] = float(shares[label]) - 1e-4
    kit = kit_of_thresholds(onnx_kit, tmp_path, bounds)
    predicted = Classifier(kit).predict(kit / "golden/card.png")
    assert [name for name, _ in predicted] == [NAMES[label] for label in kept]
    assert [share for _, share in predicted] == pytest.approx([shares[label] for label in kept], abs=1e-4)


def test_a_picture_may_have_no_label_and_more_than_were_asked_for(onnx_kit: Path, tmp_path: Path) -> None:
    nothing = kit_of_thresholds(onnx_kit, tmp_path, dict.fromkeys(NAMES, 1.0))
    assert predict_files(Classifier(nothing), [nothing / "golden/card.png"], 5, print)["predictions"][0]["labels"] == []
    rewrite_manifest(nothing, lambda manifest: manifest.update(thresholds=dict.fromkeys(NAMES, 0.0)))
    everything = predict_files(Classifier(nothing), [nothing / "golden/card.png"], 1, print)["predictions"][0]["labels"]
    assert len(everything) == CLASSES, "how many labels are shown is what thresholds say"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"thresholds": {"cat": 0.5}},
            f"kit.json: thresholds {OTHERS}",
        ),
        ({"thresholds": dict.fromkeys(NAMES, 1.5)}, "kit.json: thresholds must be probabilities, 0 to 1"),
        ({"activation": "softmax"}, "kit.json: activation is 'softmax', not one of sigmoid"),
        ({"thresholds": None}, "kit.json: thresholds is not an object"),
    ],
)
def test_thresholds_of_another_model_are_refused(onnx_kit: Path, tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    kit = kit_of_thresholds(onnx_kit, tmp_path, dict.fromkeys(NAMES, 0.5))
    rewrite_manifest(kit, lambda manifest: manifest.update(changes))
    with pytest.raises(RunnerError) as caught:
        Kit.open(kit)
    assert caught.value.what == says
