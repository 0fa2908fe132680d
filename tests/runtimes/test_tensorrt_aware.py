"""INT8 that was learned as TensorRT rounds: the placement, the pair of files, and that a real builder plans it in INT8."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from edgecnn.errors.hosts import RunnerFailed
from edgecnn.planning.candidates import aware_candidates
from edgecnn.runner.pixels import to_feed
from edgecnn.runtimes.onnxruntime_files import logits_of
from edgecnn.runtimes.tensorrt import UNFUSED
from edgecnn.stages.candidate import PackageStage, QuantizeStage, runner_digest
from edgecnn.stages.engine import CompileStage
from edgecnn.values.layers import MacTable, Residency
from tests.data.folders import Heard
from tests.graph.trunks import scratch
from tests.runner.engine_kits import INT8
from tests.runtimes.aware_made import COUNTS, PREPROCESSING, pixels, roles, stage

pytestmark = pytest.mark.slow  # trains with TensorRT's rounding in place

(AWARE,) = aware_candidates((INT8,))


@cache
def learned() -> Path:
    """What the aware stage leaves in TensorRT's scheme."""
    folder = scratch() / "aware-tensorrt"
    folder.mkdir()
    stage(scheme=AWARE.scheme).make(roles(), folder, Heard())
    return folder


@cache
def made() -> Path:
    """What quantize makes of it."""
    folder = scratch() / AWARE.id
    folder.mkdir()
    quantize = QuantizeStage(candidate=AWARE, images=COUNTS["calibration"], normalization=PREPROCESSING.normalization)
    quantize.make({"model": learned(), "pixels": pixels()}, folder, Heard())
    return folder


@cache
def kits() -> tuple[Path, Path]:
    """The kit for the device, and its twin."""
    device = _packaged("device", {})
    return device, _packaged("twin", {"kit": device})


def _packaged(variant: str, paths: dict[str, Path]) -> Path:
    folder = scratch() / f"{AWARE.id}-{variant}"
    folder.mkdir()
    settings = {"name": variant, "candidate": AWARE, "preprocessing": PREPROCESSING, "runner_sha256": runner_digest()}
    package = PackageStage.model_validate({**settings, "variant": variant})
    package.make({"model": made(), "pixels": pixels(), **paths}, folder, Heard())
    return folder


def facts() -> dict[str, Any]:
    return dict(json.loads((made() / "quantize.json").read_text()))


def choose() -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """The validation images, as the network wants them, and their labels."""
    normalization = PREPROCESSING.normalization
    shown = np.load(pixels() / "validation.pixels.npy")
    feed = to_feed(shown, "float32", "NCHW", normalization.mean, normalization.std)
    return feed, np.load(pixels() / "validation.labels.npy")


def top1(path: Path) -> float:
    feed, labels = choose()
    return float(np.mean(logits_of(path, feed, UNFUSED).argmax(axis=1) == labels))


def test_every_multiplying_layer_reads_symmetric_int8_by_fp16_scales_and_keeps_a_float_bias() -> None:
    model = onnx.load(made() / "model.onnx")
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    producers = {output: node for node in model.graph.node for output in node.output}
    multipliers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    assert len(multipliers) == 54
    for node in multipliers:
        activation, weights = (producers[name] for name in node.input[:2])
        assert (activation.op_type, weights.op_type) == ("DequantizeLinear", "DequantizeLinear")
        for dequantize in (activation, weights):
            scale, zero = (constants[name] for name in dequantize.input[1:3])
            assert (scale.data_type, zero.data_type) == (TensorProto.FLOAT16, TensorProto.INT8)
            assert not numpy_helper.to_array(zero).any()
        assert list(constants[weights.input[1]].dims) == [constants[weights.input[0]].dims[0]]
        assert all(constants[name].data_type == TensorProto.FLOAT16 for name in node.input[2:])


def test_nothing_stands_between_a_layer_and_what_follows_it() -> None:
    model = onnx.load(learned() / "model.onnx")
    multiplied = {node.output[0] for node in model.graph.node if node.op_type in ("Conv", "Gemm")}
    kinds = {node.op_type for node in model.graph.node}
    assert {"Relu", "HardSwish", "Add"} <= kinds, "what clamps is not left out, since int8 does not clamp at 0"
    followers = [node for node in model.graph.node if set(node.input) & multiplied]
    # A layer with no activation of its own (the last of a block) may be read by the next one's quantizer.
    linear = {node.input[0] for node in followers if node.op_type == "QuantizeLinear"}
    sums = {name for node in model.graph.node if node.op_type == "Add" for name in node.input}
    assert all(node.op_type == "QuantizeLinear" for node in followers if node.input[0] in linear)
    assert sums & multiplied, "a residual's sum reads what the layer made, in float"


def test_the_pair_is_as_far_from_the_network_that_learned_as_each_other() -> None:
    away = facts()["distance_from_learned"]
    assert 0 < away["twin"] < 0.05
    assert away["ships"] < 1.5 * away["twin"] + 0.01
    assert facts()["float_layers"] == []
    assert "calibration_images" not in facts()


def test_the_file_that_ships_classifies_as_the_network_that_learned() -> None:
    document = json.loads((learned() / "aware.json").read_text())
    for path in (made() / "twin" / "model.onnx", made() / "model.onnx"):
        assert top1(path) == pytest.approx(document["after"]["validation_top1"], abs=0.1)
    assert document["scheme"]["bias"] == "float"


def test_the_twin_names_the_kit_that_it_stands_for() -> None:
    device, twin = kits()
    manifests = [json.loads((kit / "kit.json").read_text()) for kit in (device, twin)]
    assert manifests[0]["stands_for"] is None
    assert manifests[1]["stands_for"]["kit"] == hashlib.sha256((device / "kit.json").read_bytes()).hexdigest()
    assert manifests[0]["candidate"]["method"] == "quantization-aware"


def test_a_real_builder_plans_all_of_it_in_int8(tmp_path: Path) -> None:
    try:
        CompileStage(capabilities=("8.9",)).make({"kit": kits()[0]}, tmp_path, Heard())
    except RunnerFailed as error:
        if error.ref == "builder-missing":
            pytest.skip(error.line())
        raise
    planned = Residency.model_validate_json((tmp_path / "planned.json").read_text())
    assert planned.mac_share["int8"] > 0.95
    assert (
        sum(layer.macs for layer in planned.layers) == MacTable.model_validate_json((learned() / "macs.json").read_text()).total
    )
