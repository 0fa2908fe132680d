"""`--keep-head`: a network as its weights have it, on images of the classes that it knows, with nothing trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from edgecnn.building.build import plan_build
from edgecnn.cli.asking import BuildOptions, request_from
from edgecnn.errors.base import EdgecnnError, ErrorRow
from edgecnn.errors.custom_model import (
    KEPT_HEAD_AND_TRAINING,
    KEPT_HEAD_DIFFERS,
    KEPT_HEAD_WITHOUT_DATA,
)
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
from edgecnn.planning.custom_model import check_custom
from edgecnn.render.progress import Quiet
from edgecnn.stages.trunk import ExportStage
from edgecnn.stages.weights import FetchStage
from edgecnn.store.disk import sha256_of
from edgecnn.store.store import Store
from edgecnn.values.preprocessing import Normalization
from edgecnn.values.recipe import DataChoice, ModelChoice, QuantizeChoice, Recipe, TrainChoice
from edgecnn.values.stage import Key
from tests.graph.custom_files import photo_folder

KEPT = ModelChoice(arch="resnet-18", keep_head=True)
PHOTOS = DataChoice(path="photos")


def test_a_state_dict_goes_from_fetch_to_export_without_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    photos, weights = photo_folder(tmp_path / "photos"), tmp_path / "mine.pth"
    torch.save(build_network(arch_named("resnet-18"), 4).state_dict(), weights)
    asked = BuildOptions(arch="resnet-18", weights=str(weights), keep_head=True, data=str(photos), target="cpu", verb="plan")
    planned = plan_build(request_from(asked, "judge"), Store.open(), Quiet()).plan
    trunk = [step.id for step in planned.steps if step.candidate is None]
    assert trunk == ["prepare", "fetch", "export"] and planned.resolved.mode == "kept"
    assert planned.resolved.recipe.data.classes == "folders" and planned.resolved.data.counts["train"] == 0
    assert planned.resolved.weights.why == "nothing is trained: the head of the weights in mine.pth is kept"
    fetch, export = planned.step("fetch"), planned.step("export")
    assert fetch is not None and export is not None and export.stage.inputs["weights"] == fetch.key

    (made := tmp_path / "fetched").mkdir()
    FetchStage(arch="resnet-18", origin="file", inputs={"weights_file": Key(sha256_of(weights))}).make(
        {"weights_file": weights}, made, Quiet()
    )
    assert json.loads((made / "weights.json").read_text())["classes"] == 4
    of_five = ExportStage(inputs={}, arch="resnet-18", classes=5, resolution_px=64, normalization=NORMALIZATION)
    with pytest.raises(EdgecnnError, check=KEPT_HEAD_DIFFERS.made) as caught:
        of_five.make({"weights": made, "pixels": made}, tmp_path, Quiet())
    assert caught.value.ref == "kept-head-differs"


NORMALIZATION = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
REFUSED: tuple[tuple[Recipe, str, ErrorRow], ...] = (
    (Recipe(model=KEPT, data=PHOTOS, train=TrainChoice(epochs=2)), "judge", KEPT_HEAD_AND_TRAINING),
    (Recipe(model=KEPT, data=PHOTOS, quantize=QuantizeChoice(aware=True)), "judge", KEPT_HEAD_AND_TRAINING),
    (Recipe(model=KEPT.model_copy(update={"weights": "none"}), data=PHOTOS), "judge", KEPT_HEAD_AND_TRAINING),
    (Recipe(model=KEPT, data=PHOTOS), "train", KEPT_HEAD_AND_TRAINING),
    (Recipe(model=KEPT), "judge", KEPT_HEAD_WITHOUT_DATA),
)


@pytest.mark.parametrize(("recipe", "goal", "error"), REFUSED)
def test_what_would_train_it_is_refused(recipe: Recipe, goal: str, error: ErrorRow) -> None:
    with pytest.raises(EdgecnnError, check=error.made):
        check_custom(recipe, goal, Path("out"))
    check_custom(Recipe(model=KEPT, data=PHOTOS.model_copy(update={"train": False})), "judge", Path("out"))
