"""A user's network that gives an image several labels: its last sigmoid goes where each label has one, and stays elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from scipy.special import expit
from torch import Tensor

from edgecnn.graph.checks import onnx_logits
from edgecnn.graph.custom.file import CustomRequest, make_custom_trunk, open_file, read_file
from edgecnn.graph.custom.form import form_of
from edgecnn.judging.logits import best_thresholds
from edgecnn.render.progress import Quiet
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.custom_model import GraphEntry
from tests.graph.custom_files import CLASSES, SIDE, classifier, feeding_named, pictures
from tests.graph.torch_files import Classifier, exported, scripted

HALF = feeding_named("half")


class WithSigmoid(Classifier):
    def forward(self, image: Tensor) -> Tensor:
        return torch.sigmoid(self.fc(torch.relu(self.norm(self.conv(image))).mean((2, 3))))


def save_onnx(file: Path) -> Path:
    onnx.save(classifier("half", sigmoid=True), file)
    return file


FILES: dict[str, Callable[[Path], Path]] = {
    "onnx": save_onnx,
    "exported": lambda file: exported(WithSigmoid(), file),
    "scripted": lambda file: scripted(WithSigmoid(), file),
}


def prepared(folder: Path, labels: np.ndarray) -> Path:  # type: ignore[type-arg]
    (folder / "golden").mkdir(parents=True)
    pixels, _ = pictures(len(labels))
    np.save(folder / "validation.pixels.npy", pixels)
    np.save(folder / "validation.labels.npy", labels)
    np.save(folder / "golden/pixels.npy", pixels[:4])
    (folder / "labels.json").write_text(json.dumps(CLASSES if labels.ndim == 2 else []))
    return folder


def trunk(path: Path, entry: GraphEntry, pixels: Path, out: Path) -> Path:
    out.mkdir()
    make_custom_trunk(CustomRequest(path, pixels, entry, HALF), out, Quiet())
    return out


@pytest.mark.parametrize("form", FILES)
def test_the_trunk_answers_with_logits_whose_sigmoid_is_the_file_s_answer(form: str, tmp_path: Path) -> None:
    path = FILES[form](tmp_path / "mine.pt2")
    entry = read_file(path, form_of(path), ImageSize.square(SIDE)).entry
    assert entry.ends_in_sigmoid and not entry.ends_in_softmax
    pixels, classes = pictures(64)
    labels = np.eye(len(CLASSES), dtype=np.uint8)[classes]
    out = trunk(path, entry, prepared(tmp_path / "pixels", labels), tmp_path / "out")
    assert "Sigmoid" not in {node.op_type for node in onnx.load(out / "model.onnx").graph.node}
    logits = onnx_logits(out / "model.onnx", HALF.normalization.feed(pixels))
    np.testing.assert_allclose(expit(logits), open_file(path, entry).answers(pixels, HALF), atol=2e-3)
    assert json.loads((out / "thresholds.json").read_text()) == best_thresholds(logits, labels, CLASSES)


def test_without_labels_each_threshold_is_a_half(tmp_path: Path) -> None:
    path = save_onnx(tmp_path / "mine.onnx")
    entry = read_file(path, None, None).entry
    out = trunk(path, entry, prepared(tmp_path / "pixels", np.full(64, -1)), tmp_path / "out")
    assert json.loads((out / "thresholds.json").read_text()) == {f"class {number}": 0.5 for number in range(4)}


def test_of_one_class_an_image_the_sigmoid_stays_as_it_did(tmp_path: Path) -> None:
    path = save_onnx(tmp_path / "mine.onnx")
    entry = read_file(path, None, None).entry.model_copy(update={"ends_in_sigmoid": False})
    assert "ends_in_sigmoid" not in entry.model_dump(), "nothing of it is in a key"
    out = trunk(path, entry, prepared(tmp_path / "pixels", pictures(64)[1]), tmp_path / "out")
    assert "Sigmoid" in {node.op_type for node in onnx.load(out / "model.onnx").graph.node}
    assert not (out / "thresholds.json").exists()
