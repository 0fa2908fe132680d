"""A network that learned to be rounded: what is exported is what learned, and both CPU runtimes compute it in INT8."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import CALIBRATION_SET_TOO_SMALL, ExportDisagrees
from edgecnn.errors.training import BATCH_TOO_LARGE, TRAINING_DIVERGED
from edgecnn.graph import checks
from edgecnn.models.catalogue import arch_named
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.pixels import to_feed
from edgecnn.runner.sessions.onnxruntime_cpu import OnnxRuntimeSession
from edgecnn.runner.sessions.openvino_cpu import OpenVinoSession
from edgecnn.runtimes.onnxruntime_files import float_layers
from edgecnn.runtimes.registry import backend_for
from edgecnn.training.memory import resident_mib
from edgecnn.values.layers import MacTable
from tests.data.folders import Heard
from tests.runtimes.aware_made import (
    CANDIDATES,
    COUNTS,
    LENET,
    SMALL,
    aware,
    made,
    pixels,
    roles,
    stage,
    stage_of_lenet,
    weights,
)
from tests.runtimes.traces import kit_around
from tests.slow_parameters import slowly
from tests.stages.killed import killed_when
from tests.training.made import files_of

pytestmark = pytest.mark.slow  # a network is trained with its quantization
PROGRAM = """
import json, sys
from pathlib import Path
from edgecnn.stages.learning import AwareStage

class Silent:
    def step(self, what, done, total=None, unit=""): pass
    def note(self, text): pass
settings, roles, out = json.loads(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3])
AwareStage.model_validate(settings).make({role: Path(path) for role, path in roles.items()}, out, Silent())
"""
EVERY = pytest.mark.parametrize("candidate", sorted(CANDIDATES))
BOTH = pytest.mark.parametrize("arch", [LENET, *slowly(SMALL)])
"""The small one, and one with depthwise layers, squeeze-excite and batch norms, which takes half a minute."""


def facts(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "aware.json").read_text()))


def golden_feed(arch: str) -> np.ndarray:  # type: ignore[type-arg]
    normalization = arch_named(arch).normalization
    return to_feed(np.load(pixels(arch) / "golden" / "pixels.npy"), "float32", "NCHW", normalization.mean, normalization.std)


def traced(candidate: str, arch: str, folder: Path) -> np.ndarray:  # type: ignore[type-arg]
    """Golden logits by the runner's own session, which leaves its trace in ``folder``."""
    asked, file = CANDIDATES[candidate], made(candidate, arch) / ("model.onnx" if "onnxruntime" in candidate else "model.xml")
    session: Any = (
        OnnxRuntimeSession(file, dict(asked.session_options), folder)
        if "onnxruntime" in candidate
        else OpenVinoSession(kit_around(file), dict(asked.session_options), folder, 1)
    )
    answers = [session.run({"image": image[None]})["logits"].copy() for image in golden_feed(arch)]
    session.close()
    return np.concatenate(answers)


@BOTH
def test_only_the_files_of_the_contract_are_left(arch: str) -> None:
    assert set(files_of(aware(arch))) == {"aware.json", "golden_logits.npy", "macs.json", "model.onnx"}


@BOTH
def test_no_batch_norm_is_left_and_every_multiplying_layer_and_its_bias_are_integers(arch: str) -> None:
    model = onnx.load(aware(arch) / "model.onnx")
    kinds = {node.op_type for node in model.graph.node}
    assert "BatchNormalization" not in kinds
    assert {"QuantizeLinear", "DequantizeLinear", "Conv", "Gemm"} <= kinds
    assert float_layers(model) == []
    makers = {output: node.op_type for node in model.graph.node for output in node.output}
    biases = [node.input[2] for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    assert {makers.get(bias) for bias in biases} == {"DequantizeLinear"}


@BOTH
def test_the_file_is_of_the_trunks_opset_with_signed_weights_and_unsigned_activations(arch: str) -> None:
    model = onnx.load(aware(arch) / "model.onnx")
    assert (model.ir_version, model.opset_import[0].version) == (10, 20)
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert {str(arrays[node.input[2]].dtype) for node in model.graph.node if node.op_type == "QuantizeLinear"} == {"uint8"}
    weights_ = [array for array in arrays.values() if array.ndim > 1]
    assert {str(array.dtype) for array in weights_} == {"int8"}
    assert all(np.abs(array.astype(int)).max() <= 127 for array in weights_)


@BOTH
def test_the_table_counts_as_many_multiply_adds_as_the_float_network_has(arch: str) -> None:
    from edgecnn.graph.export import export_onnx
    from edgecnn.graph.macs import mac_table
    from edgecnn.models.networks import build_network

    network = build_network(arch_named(arch), 10)
    path = made("onnxruntime-int8-aware", arch) / "float.onnx"
    ours = MacTable.model_validate_json((aware(arch) / "macs.json").read_text())
    assert ours.total == mac_table(export_onnx(network, ImageSize.square(32 if arch == LENET else 64), path)).total


@BOTH
@EVERY
def test_both_runtimes_compute_in_int8_what_the_network_that_learned_answers(candidate: str, arch: str, tmp_path: Path) -> None:
    wanted = np.load(aware(arch) / "golden_logits.npy")
    answers = traced(candidate, arch, tmp_path)
    assert np.abs(answers - wanted).max() < checks.INTEGER_TOLERANCE * np.ptp(wanted)
    table = MacTable.model_validate_json((aware(arch) / "macs.json").read_text())
    residency = backend_for(CANDIDATES[candidate].runtime).read_residency(tmp_path, table)
    assert residency.mac_share.get("int8", 0.0) >= 0.9, residency.mac_share
    assert residency.mac_share.get("unknown", 0.0) < 0.01


@BOTH
@EVERY
def test_a_candidate_of_it_is_not_calibrated_again(candidate: str, arch: str) -> None:
    told = json.loads((made(candidate, arch) / "quantize.json").read_text())
    assert "calibration_images" not in told
    assert told["candidate"]["method"] == "quantization-aware"


@BOTH
def test_what_is_told_of_the_training_is_where_it_began_and_ended_and_how_its_loss_fell(arch: str) -> None:
    told = facts(aware(arch))
    first, last = (epoch["train_loss"] for epoch in told["epochs"])
    assert last < first
    for standing in (told["before"], told["after"]):
        assert standing["divergence_from_float"] > 0
        assert abs(standing["validation_top1"] - told["float_validation_top1"]) < 0.2
    assert told["export"]["top1_agreement"] > 0.8  # hardly trained, so that its two best classes often lie close together
    assert told["calibration_images"] == COUNTS["calibration"]


@BOTH
def test_the_trained_weights_stay_as_they_were(arch: str) -> None:
    before = files_of(weights(arch))
    aware(arch)
    assert files_of(weights(arch)) == before


@pytest.fixture(scope="module")
def lenet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Heard]:
    """Made in one go, and what was told meanwhile."""
    out, heard = tmp_path_factory.mktemp("lenet"), Heard()
    stage_of_lenet().make(roles(LENET), out, heard)
    return out, heard


def test_progress_ends_at_its_total(lenet: tuple[Path, Heard]) -> None:
    told = [step for step in lenet[1].steps if step[0] == "train with INT8 rounding"]
    assert told[-1] == ("train with INT8 rounding", 2 * COUNTS["train"], 2 * COUNTS["train"], "images")


def test_a_training_killed_and_continued_in_another_process_leaves_the_same_bytes(
    lenet: tuple[Path, Heard], tmp_path: Path
) -> None:
    given = {role: str(path) for role, path in roles(LENET).items()}
    words = [stage_of_lenet().model_dump_json(), json.dumps(given), str(tmp_path)]
    killed_when("resume/aware.checkpoint.safetensors", [sys.executable, "-c", PROGRAM, *words], tmp_path)
    assert not (tmp_path / "aware.json").exists()
    stage_of_lenet().make(roles(LENET), tmp_path, Heard())
    assert files_of(tmp_path) == files_of(lenet[0])


def test_a_loss_that_is_no_number_names_the_setting_to_lower(tmp_path: Path) -> None:
    with pytest.raises(
        EdgecnnError, match=r"phase aware, epoch 1, batch .* --set quantize\.aware_learning_rate=", check=TRAINING_DIVERGED.made
    ):
        stage_of_lenet(learning_rate=1e38).make(roles(LENET), tmp_path, Heard())
    assert not (tmp_path / "model.onnx").exists()


def test_a_batch_that_cannot_fit_is_refused_before_it_is_learned_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.training.memory.memory_limit_mib", lambda: resident_mib() + 256)
    with pytest.raises(
        EdgecnnError, match=r"a batch of 320 images does not fit .* --set train\.batch_size=\d+", check=BATCH_TOO_LARGE.made
    ):
        stage(batch_size=4096).make(roles(), tmp_path, Heard())
    assert not list(tmp_path.rglob("*.best.safetensors"))


def test_fewer_calibration_images_than_asked_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=CALIBRATION_SET_TOO_SMALL.made):
        stage(images=49).make(roles(), tmp_path, Heard())


def test_a_graph_that_answers_otherwise_than_the_network_is_refused() -> None:
    network = np.array([[0.0, 1.0], [2.0, -2.0]], np.float32)
    assert checks.compare_logits(network, network + 0.5, checks.INTEGER_TOLERANCE).max_abs_diff == pytest.approx(0.5)
    for graph in (network + 0.7, np.full_like(network, np.nan)):
        with pytest.raises(ExportDisagrees):
            checks.compare_logits(network, graph, checks.INTEGER_TOLERANCE)


def test_every_setting_enters_the_key() -> None:
    versions = dict.fromkeys(stage().tools, "1")
    signed = stage().scheme.model_copy(update={"reduced_range": True})
    changed: list[dict[str, object]] = [
        {"arch": "resnet-18"}, {"classes": 9}, {"scheme": signed}, {"images": 47}, {"epochs": 3}, {"batch_size": 33},
        {"learning_rate": 1e-4}, {"seed": 1},
    ]  # fmt: skip
    assert len({stage(**change).key(versions) for change in [{}, *changed]}) == len(changed) + 1
