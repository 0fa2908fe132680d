"""The ranking finds the layer that was made fragile, and says the same every time."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import ALREADY_QUANTIZED, CALIBRATION_SET_TOO_SMALL
from edgecnn.stages.candidate import RankStage
from edgecnn.values.layers import Ranking
from edgecnn.values.stage import Key
from tests.graph.trunks import NORMALIZATION, prepared
from tests.made_once import made_once
from tests.runtimes.made import IMAGES, Quiet, exported, made
from tests.runtimes.planted import PLANTED, planted_trunk

pytestmark = pytest.mark.slow  # every layer is quantized by itself


def stage(images: int = IMAGES) -> RankStage:
    return RankStage(inputs={"model": Key("a"), "pixels": Key("b")}, images=images, normalization=NORMALIZATION)


def ranked(trunk: Path) -> Path:
    given = {"model": trunk, "pixels": prepared()}
    return made_once(f"ranked-{trunk.name}", lambda folder: stage().make(given, folder, Quiet()))


def ranking(trunk: Path) -> Ranking:
    return Ranking.model_validate_json((ranked(trunk) / "ranking.json").read_text())


def convolutions(trunk: Path) -> list[str]:
    return [node.name for node in onnx.load(trunk / "model.onnx").graph.node if node.op_type == "Conv"]


@pytest.mark.slow  # layers are quantized one by one
def test_the_two_layers_around_the_wide_tensor_come_first_and_by_far() -> None:
    found = ranking(planted_trunk()).layers
    assert {layer.name for layer in found[:2]} == {convolutions(planted_trunk())[place] for place in PLANTED}
    assert found[1].damage_nats > 10 * found[2].damage_nats


@pytest.mark.slow  # ranks every layer of another network
def test_without_it_no_layer_stands_out_so() -> None:
    found = ranking(exported("resnet18")).layers
    assert found[0].damage_nats < 10 * found[2].damage_nats


def test_every_multiplying_layer_is_ranked_once_by_falling_damage() -> None:
    found = ranking(planted_trunk())
    assert len({layer.name for layer in found.layers}) == len(found.layers) == 21
    damages = [layer.damage_nats for layer in found.layers]
    assert damages == sorted(damages, reverse=True)
    assert min(damages) >= 0
    assert sum(layer.mac_share for layer in found.layers) == pytest.approx(1.0)
    assert (found.calibration_images, found.probe_images) == (IMAGES, 32)


@pytest.mark.slow  # ranks every layer again
def test_a_second_run_elsewhere_ranks_by_the_same_bytes(tmp_path: Path) -> None:
    stage().make({"model": planted_trunk(), "pixels": prepared()}, tmp_path, Quiet())
    assert (tmp_path / "ranking.json").read_bytes() == (ranked(planted_trunk()) / "ranking.json").read_bytes()


def test_what_cannot_be_calibrated_is_not_ranked(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=CALIBRATION_SET_TOO_SMALL.made):
        stage(images=41).make({"model": planted_trunk(), "pixels": prepared()}, tmp_path, Quiet())
    with pytest.raises(EdgecnnError, check=ALREADY_QUANTIZED.made):
        stage().make({"model": made("onnxruntime-int8"), "pixels": prepared()}, tmp_path, Quiet())


def test_images_and_range_are_in_the_key_and_the_runtimes_that_will_read_it_are_not() -> None:
    versions = {"onnx": "1", "onnxruntime": "1"}
    assert stage().tools == tuple(versions)
    other = stage().model_copy(update={"reduced_range": True})
    assert len({each.key(versions) for each in (stage(), stage(images=8), other)}) == 3
