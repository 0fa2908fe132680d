"""What is refused of networks that answer by several last layers, or take one size of images alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.devices.files import device_named
from edgecnn.errors.base import EdgecnnError, ErrorRow
from edgecnn.errors.training import HEAD_NOT_ALONE, NOTHING_TO_PRUNE, NOTHING_TO_REPLACE
from edgecnn.errors.weights import RESOLUTION_FIXED, SHAPE_NOT_TAKEN
from edgecnn.planning.complete import complete_recipe
from edgecnn.planning.recipe import apply_overrides
from edgecnn.planning.request import BuildRequest
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.store import Store
from edgecnn.values.artifact import WeightsAnswer
from edgecnn.values.recipe import Recipe
from tests.planning.test_teaching import Heard

pytest.importorskip("timm", reason='pip install "edgecnn[zoo]"')
FOUND = WeightsAnswer(choice="auto", kind="cached", path="/there", sha256="ab" * 32, why="training starts from weights")


def settled(tmp_path: Path, arch: str, *overrides: str) -> Recipe:
    recipe = apply_overrides(Recipe(), [f"model.arch={arch}", *overrides])
    request = BuildRequest(recipe=recipe, device=device_named("cpu"), out=tmp_path / "out")
    return complete_recipe(request, Store.open(tmp_path / "store"), Heard()).recipe


@pytest.fixture(autouse=True)
def weights_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.planning.complete.answer_weights", lambda *_args, **_kept: FOUND)


@pytest.mark.parametrize("override", ["train.transfer=head", "train.transfer=auto", "train.head=svm", "train.epochs=0"])
@pytest.mark.parametrize("arch", ["timm:repvit_m0_9", "repvit-m0.9"])
def test_several_heads_do_not_learn_on_frozen_features(arch: str, override: str, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, match=r"head\.head\.l and head\.head_dist\.l", check=HEAD_NOT_ALONE.made):
        settled(tmp_path, arch, override)


def test_the_whole_of_such_a_network_learns_unless_its_last_blocks_are_asked_for(tmp_path: Path) -> None:
    assert settled(tmp_path, "timm:repvit_m0_9").train.transfer == "all"
    assert settled(tmp_path, "timm:repvit_m0_9", "train.transfer=last").train.transfer == "last"


def test_a_network_of_one_size_takes_its_own_and_refuses_others(tmp_path: Path) -> None:
    assert settled(tmp_path, "timm:efficientformerv2_s0").model.resolution_px == ImageSize.square(224), (
        "though the demo is shown at 64 px"
    )
    with pytest.raises(EdgecnnError, check=RESOLUTION_FIXED.made):
        settled(tmp_path, "timm:efficientformerv2_s0", "model.resolution_px=256")


def test_a_shape_is_tried_before_anything_is_trained(tmp_path: Path) -> None:
    assert settled(tmp_path, "timm:repvit_m0_9", "model.resolution_px=48x192").model.resolution_px == ImageSize(48, 192)
    with pytest.raises(EdgecnnError, check=SHAPE_NOT_TAKEN.made):
        settled(tmp_path, "timm:halonet26t", "model.resolution_px=256x544")
    with pytest.raises(EdgecnnError, check=SHAPE_NOT_TAKEN.made):
        settled(tmp_path, "timm:hrnet_w18_small", "model.resolution_px=200")


@pytest.mark.parametrize(
    ("override", "refusal"),
    [
        ("surgery.activation=relu6", NOTHING_TO_REPLACE),
        ("surgery.squeeze_excite=remove", NOTHING_TO_REPLACE),
        ("surgery.pruned=0.5", NOTHING_TO_PRUNE),
    ],
)
def test_surgery_is_refused_where_nobody_knows_the_blocks(override: str, refusal: ErrorRow, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=refusal.made):
        settled(tmp_path, "timm:efficientnet_b0", override)
