"""fp16 for ONNX Runtime on Arm: one file, typed half between float32 ends, and one line where a network is not taken so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import ALREADY_QUANTIZED, HALF_OVERFLOW, HALF_REFUSED
from edgecnn.runtimes.job import Job
from edgecnn.runtimes.onnxruntime import BACKEND
from edgecnn.runtimes.onnxruntime_files import logits_of
from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.preprocessing import Normalization
from tests.graph.custom_files import classifier, pictures

CANDIDATE = Candidate(id="onnxruntime-fp16", runtime=Runtime.ONNXRUNTIME, precision=Precision.FP16)


def job(folder: Path, model: onnx.ModelProto) -> Job:
    onnx.save(model, folder / "trunk.onnx")
    (folder / "made").mkdir()
    normalization = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    return Job(folder / "trunk.onnx", folder / "made", CANDIDATE, normalization, np.zeros((0, 8, 8, 3), np.uint8), ())


def test_the_file_is_typed_half_between_float32_ends_and_answers_as_the_trunk(tmp_path: Path) -> None:
    quantize_job = job(tmp_path, classifier())
    BACKEND.write(quantize_job)
    made = onnx.load(quantize_job.out / "model.onnx")
    assert {end.type.tensor_type.elem_type for end in [*made.graph.input, *made.graph.output]} == {TensorProto.FLOAT}
    assert {tensor.data_type for tensor in made.graph.initializer} - {TensorProto.INT64} == {TensorProto.FLOAT16}
    feed = pictures(8)[0].transpose(0, 3, 1, 2).astype(np.float32) / 255
    here, there = logits_of(quantize_job.onnx, feed), logits_of(quantize_job.out / "model.onnx", feed)
    assert 0 < np.abs(here - there).max() <= 0.01 * np.ptp(here)


def test_a_network_that_is_not_taken_in_fp16_costs_this_candidate_alone(tmp_path: Path) -> None:
    model = classifier()
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type = "Celu"  # of float32 alone, by ONNX's own schema
    with pytest.raises(EdgecnnError, check=HALF_REFUSED.made) as refusal:
        BACKEND.write(job(tmp_path, model))
    assert refusal.value.ref == "half-refused"


def test_a_weight_beyond_half_precision_is_refused(tmp_path: Path) -> None:
    model = classifier()
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == "fc.w")
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(1e9), "fc.w"))
    with pytest.raises(EdgecnnError, check=HALF_OVERFLOW.made):
        BACKEND.write(job(tmp_path, model))


def test_a_quantized_trunk_is_refused(tmp_path: Path) -> None:
    model = classifier()
    model.graph.node.append(helper.make_node("QuantizeLinear", [model.graph.output[0].name, "scale"], ["rounded"], name="q"))
    with pytest.raises(EdgecnnError, check=ALREADY_QUANTIZED.made):
        BACKEND.write(job(tmp_path, model))


def test_the_refusal_is_one_line() -> None:
    error = HALF_REFUSED(candidate="onnxruntime-fp16", because="Type 'tensor(float16)' of (Celu) is invalid")
    assert (error.ref, error.fields["because"]) == ("half-refused", "Type 'tensor(float16)' of (Celu) is invalid")
