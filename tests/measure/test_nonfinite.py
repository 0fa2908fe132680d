"""A real kit that answers NaN to one image: candidate, image, split and layer are named, whichever runtime it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgecnn.building.measuring import Observer
from edgecnn.hosts.local import LocalHost
from edgecnn.measure.evaluate import PixelSet, blamed_layer
from edgecnn.measure.kits import KitRef
from edgecnn.measure.subject import Subject
from edgecnn.runner.pixels import pixels_sha256
from edgecnn.store.store import Store
from tests.building.resolutions import resolved
from tests.measure.labs import lab_at
from tests.runner.kits import make_kit, rewrite_manifest, write_pixels

IMAGES, BLACK = 6, 4


@pytest.fixture
def pixels(tmp_path: Path) -> Path:
    """Bright noise, and one black image."""
    path = write_pixels(tmp_path / "pixels.npy", IMAGES)
    shown = np.maximum(np.load(path), 100)
    shown[BLACK] = 0
    np.save(path, shown)
    return path


def a_kit_that_takes_logarithms(folder: Path, runtime: str = "onnxruntime") -> KitRef:
    """Of what is below 0 for a black image alone: normalized pixels and 1.7."""
    place = make_kit(folder, runtime)
    model = onnx.load(place / "model.onnx")
    layers = [("Add", ["image", "shift"], "shifted"), ("Log", ["shifted"], "logged"), ("Neg", ["logged"], "turned")]
    for at, (operator, inputs, output) in enumerate(layers):
        model.graph.node.insert(at, helper.make_node(operator, inputs, [output], name=operator.lower()))
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1.7).reshape(()), "shift"))
    model.graph.node[3].input[0] = "turned"
    onnx.save(model, place / "model.onnx")

    def named(manifest: dict[str, Any]) -> None:
        manifest["candidate"] = {"id": f"{runtime}-fp32", "runtime": runtime, "precision": "fp32", "method": "float"}

    rewrite_manifest(place, named)
    return KitRef.at(place, made_here=True)


def test_the_candidate_is_out_with_the_image_and_the_layer_that_gave_no_number(tmp_path: Path, pixels: Path) -> None:
    kit = a_kit_that_takes_logarithms(tmp_path)
    lab = lab_at(LocalHost(), Store.open(tmp_path / "store"))  # type: ignore[arg-type]
    observer = Observer(Subject.from_build(resolved(), lab=lab))
    observer.subject.answering = {kit.candidate.id: kit}
    split = PixelSet(split="validation", file=pixels, sha256=pixels_sha256(np.load(pixels)), images=IMAGES)
    observer.evaluate_all({"validation": split, "test": split})
    failed = observer.subject.failures[kit.candidate.id]
    assert failed.ref == "logits-not-finite"
    assert failed.ref == "logits-not-finite"


def test_a_runtime_that_shows_no_layers_is_said_to(tmp_path: Path, pixels: Path) -> None:
    kit = a_kit_that_takes_logarithms(tmp_path, "openvino")
    assert blamed_layer(kit, pixels, BLACK) == "the layer is unknown: openvino does not show the outputs of its layers"


def test_an_explanation_that_fails_does_not_hide_what_it_explains(tmp_path: Path, pixels: Path) -> None:
    kit = a_kit_that_takes_logarithms(tmp_path)
    (kit.folder / "model.onnx").write_bytes(b"no model")
    assert blamed_layer(kit, pixels, BLACK).startswith("the layer is unknown: ")
    assert blamed_layer(kit, pixels, 0).startswith("the layer is unknown: ")
