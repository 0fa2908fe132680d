"""A custom file that names its classes is judged in its own order, not in that of the folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from edgecnn.building.build import plan_build
from edgecnn.cli.asking import BuildOptions, request_from
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import CLASS_ORDER_OPEN, NotInClassNames
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
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
    assert found.weights.why.endswith("; classes have the order and the names in its metadata")
    for other in (resolved(path, photos, "data.classes=folders"), resolved(shuffled(tmp_path / "b.onnx", named=False), photos)):
        assert other.custom_model is not None and other.custom_model.at_chance == 0.25
    stated = resolved(path, photos, "data.classes=folders").weights.why
    assert stated.endswith(
        "; classes have the order that data.classes states, which differs from its metadata (dark blue, bright blue, dark red, …)"
    )


def test_one_folder_that_is_called_otherwise_is_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders' order was taken without a word: every label was wrong where nothing was searched."""
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    photos, path = photo_folder(tmp_path / "photos"), shuffled(tmp_path / "mine.onnx", named=True)
    (photos / CLASSES[3]).rename(photos / f"{CLASSES[3]}s")
    with pytest.raises(NotInClassNames, match=f"did you mean '{CLASSES[3]}'"):
        resolved(path, photos, "preprocessing.like=imagenet")
    assert resolved(path, photos, "preprocessing.like=imagenet", "data.classes=folders").data.classes == (
        *CLASSES[:3],
        f"{CLASSES[3]}s",
    )


def test_folders_of_another_language_keep_their_order_and_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    photos, path = photo_folder(tmp_path / "photos"), shuffled(tmp_path / "mine.onnx", named=True)
    own = ("dunkelblau", "dunkelrot", "hellblau", "hellrot")
    for folder, name in zip(CLASSES, own, strict=True):
        (photos / folder).rename(photos / name)
    found = resolved(path, photos, "preprocessing.like=imagenet")
    assert found.data.classes == own
    assert found.weights.why.endswith(
        "; classes have the order of their folders, whose names differ from those in its metadata "
        "(dark blue, bright blue, dark red, …)"
    )


BY_CHARACTER = ("1", "10", "2", "3")


def numbered(photos: Path) -> Path:
    """The same photographs in folders that ImageFolder would have in the order of the model."""
    for name, number in zip(CLASSES, BY_CHARACTER, strict=True):
        (photos / name).rename(photos / number)
    return photos


def test_folders_that_people_and_tools_sort_otherwise_are_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    photos, path = numbered(photo_folder(tmp_path / "photos")), tmp_path / "mine.onnx"
    onnx.save(classifier(), path)
    with pytest.raises(EdgecnnError, check=CLASS_ORDER_OPEN.made) as refusal:
        resolved(path, photos)
    assert refusal.value.ref == "class-order-open"
    found = resolved(path, photos, "data.classes=sorted")
    assert found.data.classes == BY_CHARACTER
    assert found.custom_model is not None and found.custom_model.trials[0].right == found.custom_model.trials[0].images
    other = resolved(path, photos, "data.classes=folders").custom_model
    assert other is not None and other.at_chance == 0.25


def test_a_file_that_names_its_classes_is_not_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    photos, model = numbered(photo_folder(tmp_path / "photos")), classifier()
    onnx.helper.set_model_props(model, {"names": str(dict(enumerate(BY_CHARACTER)))})
    onnx.save(model, tmp_path / "mine.onnx")
    assert resolved(tmp_path / "mine.onnx", photos).data.classes == BY_CHARACTER


def test_a_kept_head_is_asked_about_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    photos, weights = numbered(photo_folder(tmp_path / "photos")), tmp_path / "mine.pth"
    torch.save(build_network(arch_named("lenet-5"), 4).state_dict(), weights)
    asked = BuildOptions(arch="lenet-5", weights=str(weights), keep_head=True, data=str(photos), target="cpu", verb="plan")
    with pytest.raises(EdgecnnError, check=CLASS_ORDER_OPEN.made):
        plan_build(request_from(asked, "judge"), Store.open(), Quiet())
    stated = replace(asked, overrides=("data.classes=sorted",))
    found = plan_build(request_from(stated, "judge"), Store.open(), Quiet()).plan.resolved
    assert found.data.classes == BY_CHARACTER
