"""Models and calibration sets that nobody should get a candidate from, or only with a warning: each by the real runtimes."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import (
    ALREADY_QUANTIZED,
    CALIBRATION_NOT_FINITE,
    CALIBRATION_RANGE_NOT_FINITE,
    GOLDEN_NOT_TELLING,
    MODEL_TOO_LARGE,
    OPERATOR_MISSING,
    operator_missing,
)
from edgecnn.graph.missing_operator import NEAREST
from edgecnn.graph.onnx_file import BYTES_MAX, load_model
from edgecnn.runtimes.candidate import CandidateRequest, make_candidate
from edgecnn.runtimes.onnxruntime_files import logits_of
from edgecnn.values.candidate import Candidate, Runtime
from tests.graph.trunks import NORMALIZATION, feed_of, pictures, prepared, trunk
from tests.runner.engine_kits import INT8
from tests.runtimes.made import CANDIDATES, Quiet, made
from tests.slow_parameters import slowly

EVERY_INT8: tuple[Candidate, ...] = (CANDIDATES["onnxruntime-int8"], CANDIDATES["openvino-int8"], INT8)
BY_ONE_RUNTIME = (EVERY_INT8[0], *slowly(*EVERY_INT8[1:]))
"""What is looked at before a runtime's own way of calibrating begins is ordinary for one of them."""
INT8_OF_EACH_RUNTIME = pytest.mark.parametrize("candidate", BY_ONE_RUNTIME, ids=lambda candidate: candidate.id)


def changed(folder: Path, change: Callable[[onnx.ModelProto], object], name: str = "resnet18") -> Path:
    """The trunk after a change, in a folder of its own."""
    model = onnx.load(trunk(name))
    change(model)
    path = folder / "changed.onnx"
    onnx.save(model, path)
    return path


def make(candidate: Candidate, onnx_file: Path, out: Path, images: int = 8) -> Quiet:
    tell = Quiet()
    out.mkdir(exist_ok=True)
    make_candidate(CandidateRequest(onnx_file, prepared(), candidate, images, NORMALIZATION), out, tell)
    return tell


def insert_operator(op: str, domain: str = "") -> Callable[[onnx.ModelProto], None]:
    """Puts an operator of one input behind the first activation."""

    def change(model: onnx.ModelProto) -> None:
        first = next(node for node in model.graph.node if node.op_type == "Relu")
        output, first.output[0] = first.output[0], "before"
        node = helper.make_node(op, ["before"], [output], name="the_new_one", domain=domain)
        model.graph.node.insert(list(model.graph.node).index(first) + 1, node)
        if domain:
            model.opset_import.append(helper.make_opsetid(domain, 1))

    return change


@pytest.mark.parametrize("runtime", [Runtime.ONNXRUNTIME, Runtime.OPENVINO])
def test_an_operator_that_a_runtime_lacks_is_named_with_the_runtime(runtime: Runtime, tmp_path: Path) -> None:
    path = changed(tmp_path, insert_operator("Wobble", "com.example"))
    with pytest.raises(EdgecnnError, check=OPERATOR_MISSING.made) as caught:
        make(CANDIDATES[f"{runtime.value}-fp32"], path, tmp_path / "out")
    assert caught.value.line() == (
        f"{runtime.value} lacks the operator Wobble of "
        f"{path if runtime is Runtime.OPENVINO else tmp_path / 'out' / 'model.onnx'} — "
        "edgecnn builds the other candidates; to use this runtime, write the network without that operator [operator-missing]"
    )


def test_the_nearest_form_is_said_where_one_is_known(tmp_path: Path) -> None:
    error = operator_missing(path=tmp_path, runtime="openvino", op="Mish", node="act_1", nearest=NEAREST["Mish"])
    assert error.fields["hint"] == "write it as x * Tanh(Softplus(x)), which every runtime has"


def test_a_model_of_2_gib_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with path.open("wb") as stream:
        stream.truncate(BYTES_MAX + 1)  # sparse: it takes no room on the disk
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(EdgecnnError, check=MODEL_TOO_LARGE.made) as caught:
        load_model(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024
    assert caught.value.ref == "model-too-large"


def test_weights_beside_the_model_count_by_their_shapes_and_are_not_read_either(tmp_path: Path) -> None:
    model = onnx.load(trunk("resnet18"))
    tensor = TensorProto(name="huge", data_type=TensorProto.FLOAT, dims=[30000, 30000])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="huge.bin")
    model.graph.initializer.append(tensor)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "huge.bin").write_bytes(b"")
    with pytest.raises(EdgecnnError, check=MODEL_TOO_LARGE.made) as caught:
        load_model(tmp_path / "model.onnx")
    assert caught.value.ref == "model-too-large"


@INT8_OF_EACH_RUNTIME
def test_a_model_that_is_quantized_already_is_refused_by_every_way_to_int8(candidate: Candidate, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=ALREADY_QUANTIZED.made):
        make(candidate, made("onnxruntime-int8") / "model.onnx", tmp_path / "out")


def scaled(factor: float) -> Callable[[onnx.ModelProto], None]:
    """Multiplies the weights of the first convolution."""

    def change(model: onnx.ModelProto) -> None:
        name = next(node for node in model.graph.node if node.op_type == "Conv").input[1]
        tensor = next(weights for weights in model.graph.initializer if weights.name == name)
        with np.errstate(over="ignore"):
            values = (numpy_helper.to_array(tensor).astype(np.float64) * factor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, name))

    return change


def saturating(model: onnx.ModelProto) -> None:
    """The first convolution overflows to infinity, and what follows makes a finite number of that again."""
    scaled(1e38)(model)
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type = "Sigmoid"


@INT8_OF_EACH_RUNTIME
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_none_in_the_weights_stops_the_calibration(candidate: Candidate, value: float, tmp_path: Path) -> None:
    def spoil(model: onnx.ModelProto) -> None:
        bias = next(tensor for tensor in model.graph.initializer if list(tensor.dims) == [10])
        bias.CopyFrom(numpy_helper.from_array(np.full(10, value, np.float32), bias.name))

    with pytest.raises(EdgecnnError, check=CALIBRATION_NOT_FINITE.made):
        make(candidate, changed(tmp_path, spoil), tmp_path / "out")


def test_an_infinity_inside_that_does_not_show_in_the_answers_stops_the_calibration(tmp_path: Path) -> None:
    candidate = CANDIDATES["onnxruntime-int8"]
    path = changed(tmp_path, saturating)
    assert np.isfinite(logits_of(path, feed_of(pictures(8)))).all()
    with pytest.raises(EdgecnnError, check=CALIBRATION_RANGE_NOT_FINITE.made) as caught:
        make(candidate, path, tmp_path / "out")
    assert caught.value.ref == "calibration-range-not-finite"
    assert caught.value.ref == "calibration-range-not-finite"


@INT8_OF_EACH_RUNTIME
def test_one_image_is_enough_to_calibrate_by_and_is_said(candidate: Candidate, tmp_path: Path) -> None:
    tell = make(candidate, trunk("resnet18"), tmp_path / "out", images=1)
    assert f"{candidate.id}: calibrated on a single image, so ranges fit that image" in tell.notes
    assert np.isfinite(np.load(tmp_path / "out" / "golden_logits.npy")).all()


def constant(model: onnx.ModelProto) -> None:
    """The same answer to everything: the classifier's weights are 0."""
    name = next(node for node in model.graph.node if node.op_type in ("Gemm", "MatMul")).input[1]
    tensor = next(weights for weights in model.graph.initializer if weights.name == name)
    tensor.CopyFrom(numpy_helper.from_array(np.zeros(tuple(tensor.dims), np.float32), name))


@pytest.mark.parametrize("candidate", (CANDIDATES["onnxruntime-fp32"], *BY_ONE_RUNTIME), ids=lambda candidate: candidate.id)
def test_a_network_that_answers_everything_alike_is_refused(candidate: Candidate, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=GOLDEN_NOT_TELLING.made):
        make(candidate, changed(tmp_path, constant), tmp_path / "out", images=0 if candidate.precision.is_float else 8)
