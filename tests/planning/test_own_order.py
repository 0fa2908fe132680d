"""A custom file that names its classes is judged in its own order, not in that of the folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgecnn.building.build import plan_build
from edgecnn.cli.asking import BuildOptions, request_from
from edgecnn.errors.custom_model import PreprocessingNotFound
from edgecnn.render.progress import Quiet
from edgecnn.store.store import Store
from edgecnn.values.resolved import Resolved
from tests.graph.custom_files import CLASSES, classifier, photo_folder

ORDER = (2, 0, 3, 1)
"""Of the folders' classes, in the file."""


def shuffled(path: Path, *, named: bool) -> Path:
    """The classifier with its answers in another order."""
    model = classifier()
    for tensor in model.graph.initializer:
        if tensor.name in ("fc.w", "fc.b"):
            tensor.CopyFrom(
                numpy_helper.from_array(np.ascontiguousarray(numpy_helper.to_array(tensor)[list(ORDER)]), tensor.name)
            )
    if named:
        names = {place: CLASSES[label] for place, label in enumerate(ORDER)}
        onnx.helper.set_model_props(model, {"names": str(names)})
    onnx.save(model, path)
    return path


def resolved(path: Path, photos: Path, *sets: str) -> Resolved:
    asked = BuildOptions(onnx=str(path), data=str(photos), target="cpu", verb="plan", overrides=sets)
    return plan_build(request_from(asked, "judge"), Store.open(), Quiet()).plan.resolved


def test_the_order_of_its_own_metadata_is_taken_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    photos, path = photo_folder(tmp_path / "photos"), shuffled(tmp_path / "mine.onnx", named=True)
    found = resolved(path, photos)
    assert found.data.classes == tuple(CLASSES[label] for label in ORDER)
    assert found.recipe.data.classes == str(path)
    assert found.custom_model is not None and found.custom_model.trials[0].right == found.custom_model.trials[0].images
    assert found.weights.why.endswith(
        "; classes are in the order in which its metadata names them, and folders are known by these names"
    )
    with pytest.raises(PreprocessingNotFound):
        resolved(path, photos, "data.classes=folders")
    with pytest.raises(PreprocessingNotFound):
        resolved(shuffled(tmp_path / "unnamed.onnx", named=False), photos)
