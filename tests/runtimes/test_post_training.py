"""INT8 for the two CPU runtimes, on networks that really run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import ALREADY_QUANTIZED, CALIBRATION_NOT_FINITE
from edgecnn.runtimes import onnxruntime_files, openvino_files
from edgecnn.runtimes.candidate import CandidateRequest, make_candidate
from edgecnn.runtimes.job import Job
from edgecnn.runtimes.registry import backend_for, way_to
from edgecnn.values.candidate import Candidate
from edgecnn.values.model_file import ModelFile
from tests.graph.trunks import NORMALIZATION, feed_of, network, pictures, prepared, trunk
from tests.runtimes.made import CANDIDATES, UNSIGNED, Quiet, made

INT8 = ("onnxruntime-int8", "openvino-int8")
BOTH = pytest.mark.parametrize("candidate", INT8)


@BOTH
def test_int8_mostly_names_the_class_that_the_network_names(candidate: str) -> None:
    feed = feed_of(pictures(60, seed=3))
    folder = made(candidate)
    model = ModelFile.model_validate_json((folder / "model.json").read_text())
    ours = backend_for(CANDIDATES[candidate].runtime).logits(folder, model, feed)
    with torch.inference_mode():
        theirs = network("resnet18")(torch.from_numpy(feed)).numpy()
    # Random weights leave the two best classes close together, so this is far below what trained networks keep.
    assert np.mean(ours.argmax(axis=1) == theirs.argmax(axis=1)) > 0.8


def test_weights_are_signed_and_per_channel_and_activations_unsigned() -> None:
    model = onnx.load(made("onnxruntime-int8") / "model.onnx")
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights = [
        arrays[node.input[2]]
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and len(arrays[node.input[2]].shape)
    ]
    activations = [arrays[node.input[2]] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert Counter(str(weight.dtype) for weight in weights) == {"int8": 21, "int32": 21}
    assert {str(activation.dtype) for activation in activations} == {"uint8"}
    assert model.ir_version == 10


def test_reduced_range_keeps_weights_to_seven_bits(tmp_path: Path) -> None:
    scheme = UNSIGNED.model_copy(update={"reduced_range": True})
    candidate = CANDIDATES["onnxruntime-int8"].model_copy(update={"scheme": scheme})
    onnxruntime_files.quantize(job(candidate, tmp_path))
    arrays = [onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(tmp_path / "model.onnx").graph.initializer]
    largest = max(int(np.abs(array.astype(int)).max()) for array in arrays if array.dtype == np.int8)
    assert 60 <= largest <= 64


def job(candidate: Candidate, out: Path, model: Path | None = None) -> Job:
    return Job(model or trunk("resnet18"), out, candidate, NORMALIZATION, pictures(4))


def test_a_model_that_is_quantized_already_is_refused(tmp_path: Path) -> None:
    done = made("onnxruntime-int8") / "model.onnx"
    with pytest.raises(EdgecnnError, check=ALREADY_QUANTIZED.made) as caught:
        onnxruntime_files.quantize(job(CANDIDATES["onnxruntime-int8"], tmp_path, done))
    first = onnx.load(done).graph.node[0]
    assert (caught.value.fields["op"], caught.value.fields["node"]) == (first.op_type, first.name)
    with pytest.raises(EdgecnnError, check=ALREADY_QUANTIZED.made):
        openvino_files.quantize(job(CANDIDATES["openvino-int8"], tmp_path, done))


@BOTH
def test_a_network_that_answers_with_nan_is_not_calibrated(candidate: str, tmp_path: Path) -> None:
    model = onnx.load(trunk("resnet18"))
    bias = next(tensor for tensor in model.graph.initializer if list(tensor.dims) == [10])
    bias.CopyFrom(onnx.numpy_helper.from_array(np.full(10, np.nan, np.float32), bias.name))
    onnx.save(model, tmp_path / "broken.onnx")
    module = onnxruntime_files if candidate == "onnxruntime-int8" else openvino_files
    with pytest.raises(EdgecnnError, check=CALIBRATION_NOT_FINITE.made):
        module.quantize(job(CANDIDATES[candidate], tmp_path, tmp_path / "broken.onnx"))


def test_nothing_is_printed_on_stdout_where_results_belong(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for candidate in INT8:
        request = CandidateRequest(trunk("resnet18"), prepared(), CANDIDATES[candidate], 4, NORMALIZATION)
        (tmp_path / candidate).mkdir()
        make_candidate(request, tmp_path / candidate, Quiet())
    assert capfd.readouterr().out == ""


def test_a_way_states_what_it_takes_beyond_the_runtimes_packages() -> None:
    assert way_to(CANDIDATES["onnxruntime-fp32"]).packages == ()
    assert way_to(CANDIDATES["openvino-fp32"]).packages == ()
    assert way_to(CANDIDATES["openvino-int8"]).packages == ("nncf",)
