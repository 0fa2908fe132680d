"""`--model` with files of torch: what resolve finds in them, keeps, and refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgecnn.building.build import plan_build
from edgecnn.cli.asking import BuildOptions, command_of, request_from
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.custom_model import (
    CUSTOM_MODEL_CLASSES_DIFFER,
    CUSTOM_MODEL_HOLDS_OBJECTS,
    STATE_SIZE,
    CustomModelUnusable,
)
from edgecnn.render.progress import Quiet
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.store import Store
from edgecnn.values.resolved import Resolved
from tests.graph.custom_files import photo_folder
from tests.graph.torch_files import Classifier, exported, scripted


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    return photo_folder(tmp_path / "photos", per_class=60)


def planned(model: Path, photos: Path, *settings: str) -> tuple[Resolved, str]:
    asked = BuildOptions(onnx=str(model), data=str(photos), target="cpu", overrides=settings, verb="plan")
    assert f"--model {model}" in str(command_of(asked))
    found = plan_build(request_from(asked, "judge"), Store.open(), Quiet()).plan
    export = found.step("export")
    assert export is not None
    return found.resolved, export.key


def test_an_exported_program_is_planned_by_its_content(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = exported(Classifier(), tmp_path / "mine.pt2")
    resolved, key = planned(model, photos)
    custom = resolved.custom_model
    assert custom is not None and custom.entry.form == "torch.export" and resolved.mode == "custom"
    assert (custom.feeding.name, custom.stated_by, custom.trials[0].right) == ("half", "search", 36)
    assert resolved.recipe.model.resolution_px == ImageSize.square(32) and resolved.arch.parameters == 34

    monkeypatch.setattr("edgecnn.planning.custom_model._examine", None)  # what was found is kept: nothing is read again
    assert planned(model, photos)[1] == key
    monkeypatch.undo()
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    copy = tmp_path / "copy.pt2"
    copy.write_bytes(model.read_bytes())
    assert planned(copy, photos)[1] == key


def test_a_script_needs_its_resolution_and_nothing_else(photos: Path, tmp_path: Path) -> None:
    model = scripted(Classifier(), tmp_path / "mine.pt")
    with pytest.raises(CustomModelUnusable, match=re.escape(STATE_SIZE)):
        planned(model, photos)
    resolved, _ = planned(model, photos, "model.resolution_px=32", "preprocessing.like=half")
    assert resolved.custom_model is not None and resolved.custom_model.why.endswith(
        "as the recipe states: right on 36 of 36 images"
    )
    (photos / "dark red").rename(tmp_path / "away")
    with pytest.raises(EdgecnnError, check=CUSTOM_MODEL_CLASSES_DIFFER.made):
        planned(model, photos, "model.resolution_px=32")


def test_a_state_dict_is_told_how_it_comes_in(photos: Path, tmp_path: Path) -> None:
    import torch

    torch.save(Classifier().state_dict(), tmp_path / "mine.pth")
    with pytest.raises(EdgecnnError, check=CUSTOM_MODEL_HOLDS_OBJECTS.made):
        planned(tmp_path / "mine.pth", photos)
