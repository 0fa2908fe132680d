"""Layers that stay in float: the ranking names them, every runtime keeps those, and the answers are mended by it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import LAYER_NOT_FOUND, NOTHING_LEFT_TO_QUANTIZE
from edgecnn.runtimes import litert, onnxruntime, onnxruntime_files, openvino, openvino_files, tensorrt_files
from edgecnn.runtimes.job import Job
from edgecnn.stages.candidate import MixedStage, QuantizeStage
from edgecnn.values.candidate import Method
from edgecnn.values.layers import RankedLayer
from edgecnn.values.model_file import ModelFile
from edgecnn.values.stage import Key
from tests.graph.trunks import NORMALIZATION, feed_of, pictures, prepared, scratch
from tests.runner.engine_kits import INT8 as TENSORRT
from tests.runtimes.made import CANDIDATES, IMAGES, Quiet
from tests.runtimes.planted import PLANTED, planted_trunk
from tests.slow_parameters import slowly
from tests.stages.test_rank import convolutions, ranked, ranking

BACKENDS = {"onnxruntime-int8": onnxruntime.BACKEND, "openvino-int8": openvino.BACKEND, "litert-int8": litert.BACKEND}
EACH = pytest.mark.parametrize("candidate", ["onnxruntime-int8", "litert-int8", *slowly("openvino-int8")])


def stage(candidate: str, kept: int) -> QuantizeStage:
    """Post-training INT8, or with so many layers in float."""
    plain = CANDIDATES[candidate]
    inputs = {"model": Key("a"), "pixels": Key("b")}
    if not kept:
        return QuantizeStage(inputs=inputs, candidate=plain, images=IMAGES, normalization=NORMALIZATION)
    mixed = plain.model_copy(update={"id": f"{candidate}-mixed-{kept}", "method": Method.MIXED})
    inputs["ranking"] = Key("c")
    return MixedStage(inputs=inputs, candidate=mixed, images=IMAGES, normalization=NORMALIZATION, kept_float=kept)


@cache
def made(candidate: str, kept: int) -> Path:
    folder = scratch() / f"planted-{candidate}-{kept}"
    folder.mkdir()
    inputs = {"model": planted_trunk(), "pixels": prepared(), "ranking": ranked(planted_trunk())}
    stage(candidate, kept).make(inputs, folder, Quiet())
    return folder


def compared(candidate: str, kept: int) -> tuple[float, float]:
    """Share of pictures that get another class than from the float network, and how far the logits are from its own."""
    feed, folder = feed_of(pictures(120, seed=3)), made(candidate, kept)
    model = ModelFile.model_validate_json((folder / "model.json").read_text())
    exact = onnxruntime_files.logits_of(planted_trunk() / "model.onnx", feed)
    shown = feed.transpose(0, 2, 3, 1) if model.model.input.layout == "NHWC" else feed
    answered = BACKENDS[candidate].logits(folder, model, shown)
    distance = np.sqrt(np.mean((answered - exact) ** 2)) / np.ptp(exact)
    return float(np.mean(answered.argmax(axis=1) != exact.argmax(axis=1))), float(distance)


@EACH
def test_two_layers_in_float_mend_what_int8_ruins(candidate: str) -> None:
    (others, ruined), (fewer, mended) = compared(candidate, 0), compared(candidate, 2)
    assert fewer < others - 0.04
    assert ruined > 1.8 * mended, (ruined, mended)


@EACH
def test_the_kept_layers_are_named_and_are_the_ones_that_are_in_float(candidate: str) -> None:
    facts = json.loads((made(candidate, 2) / "quantize.json").read_text())
    planted = {convolutions(planted_trunk())[place] for place in PLANTED}
    assert set(facts["kept_float"]) == planted
    assert len(facts["float_layers"]) == 2
    assert all(any(name.startswith(kept) for kept in planted) for name in facts["float_layers"])
    assert facts["calibration_images"] == IMAGES
    assert "kept_float" not in json.loads((made(candidate, 0) / "quantize.json").read_text())


def test_the_wide_tensor_is_not_rounded_any_more_and_its_neighbours_are() -> None:
    model = onnx.load(made("onnxruntime-int8", 2) / "model.onnx")
    made_by = {name: node for node in model.graph.node for name in node.output}
    planted = {convolutions(planted_trunk())[place] for place in PLANTED}
    first, second = (node for node in model.graph.node if node.name in planted)
    assert made_by[second.input[0]].op_type == "Relu"
    assert made_by[made_by[second.input[0]].input[0]].name == first.name
    assert made_by[first.input[0]].op_type == "DequantizeLinear"


@EACH
def test_a_second_run_elsewhere_makes_the_same_bytes(candidate: str, tmp_path: Path) -> None:
    inputs = {"model": planted_trunk(), "pixels": prepared(), "ranking": ranked(planted_trunk())}
    stage(candidate, 2).make(inputs, tmp_path, Quiet())
    for path in made(candidate, 2).iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_as_many_layers_as_the_network_has_are_no_int8_any_more(tmp_path: Path) -> None:
    layers = len(ranking(planted_trunk()).layers)
    inputs = {"model": planted_trunk(), "pixels": prepared(), "ranking": ranked(planted_trunk())}
    with pytest.raises(EdgecnnError, check=NOTHING_LEFT_TO_QUANTIZE.made) as caught:
        stage("onnxruntime-int8", layers).make(inputs, tmp_path, Quiet())
    assert caught.value.ref == "nothing-left-to-quantize"


def test_a_layer_that_openvino_s_model_does_not_name_is_an_error_and_not_left_out(tmp_path: Path) -> None:
    stranger = RankedLayer(name="node_of_another", op="Conv", outputs=("elsewhere",), damage_nats=1.0, mac_share=0.1)
    candidate = CANDIDATES["openvino-int8"]
    job = Job(planted_trunk() / "model.onnx", tmp_path, candidate, NORMALIZATION, pictures(4), (stranger,))
    with pytest.raises(EdgecnnError, check=LAYER_NOT_FOUND.made) as caught:
        openvino_files.quantize(job)
    assert caught.value.ref == "layer-not-found"


@pytest.mark.slow  # another network; the README's build has such a rung
def test_for_tensorrt_the_kept_layers_are_half_precision_and_the_rest_is_int8(tmp_path: Path) -> None:
    """Symmetric int8 has half the steps for such a tensor, and is ruined all the more."""
    kept = ranking(planted_trunk()).layers[:2]
    away = {}
    for name, layers in (("plain", ()), ("mixed", kept)):
        (tmp_path / name).mkdir()
        job = Job(planted_trunk() / "model.onnx", tmp_path / name, TENSORRT, NORMALIZATION, pictures(IMAGES, seed=1), layers)
        facts = tensorrt_files.quantize(job)
        assert set(facts["float_layers"]) == {layer.name for layer in layers}
        away[name] = facts["distance_from_float"]["twin"]
    assert away["plain"] > 3 * away["mixed"]
    model = onnx.load(tmp_path / "mixed" / "model.onnx")
    half = {tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16}
    reads = {node.name: node.input[1] for node in model.graph.node if node.op_type == "Conv"}
    assert {name for name, weights in reads.items() if weights in half} == {layer.name for layer in kept}


def test_how_many_layers_stay_in_float_is_in_the_key() -> None:
    versions = dict.fromkeys(("nncf", "onnx", "onnxruntime", "openvino"), "1")
    assert len({stage("onnxruntime-int8", kept).key(versions) for kept in (0, 2, 4)}) == 3
