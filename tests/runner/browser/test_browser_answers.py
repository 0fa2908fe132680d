"""The page of a kit for browsers names what ``Classifier`` names, of one class an image and of several labels."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgecnn.runner
from edgecnn.runner.classifier import probabilities

ANSWERS = Path(next(iter(edgecnn.runner.__path__)), "browser/web/answers.mjs")
LOGITS = [2.0, -1.0, 0.5, -3.0, 1.0, 0.0]
LABELS = ["ant", "bee", "cow", "doe", "eel", "fox"]

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs a program that runs scripts: apt-get install nodejs")


def answered(manifest: dict[str, Any]) -> list[list[Any]]:
    script = f"import {{ answersOf }} from {json.dumps(ANSWERS.as_uri())};"
    script += f"console.log(JSON.stringify(answersOf(Float32Array.from({LOGITS}), {json.dumps(manifest)})));"
    done = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, text=True, check=True)
    document: list[list[Any]] = json.loads(done.stdout)
    return document


def test_of_one_class_the_five_most_probable() -> None:
    shown_labels = answered({"labels": LABELS})
    assert [label for _, label in shown_labels] == ["ant", "eel", "cow", "fox", "bee"]
    assert [share for share, _ in shown_labels] == pytest.approx(sorted(probabilities(np.array(LOGITS), False), reverse=True)[:5])


def test_of_several_labels_all_that_reach_their_thresholds() -> None:
    shares = dict(zip(LABELS, probabilities(np.array(LOGITS), True), strict=True))
    bounds = {**dict.fromkeys(LABELS, 0.0), "ant": 0.9, "cow": float(shares["cow"]) - 1e-6}
    shown_labels = answered({"labels": LABELS, "thresholds": bounds})
    assert [label for _, label in shown_labels] == ["eel", "cow", "fox", "bee", "doe"]
    assert [share for share, _ in shown_labels] == pytest.approx([shares[label] for _, label in shown_labels])
    assert answered({"labels": LABELS, "thresholds": dict.fromkeys(LABELS, 1.0)}) == []
