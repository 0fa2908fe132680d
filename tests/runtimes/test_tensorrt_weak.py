"""Files for TensorRT 8.5: older ONNX that answers the same, and nothing in it that its parser is documented to refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgecnn.devices.files import device_named
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import (
    OPERATOR_MISSING,
    OPSET_NOT_LOWERED,
    TENSORRT_READS_UINT8_AS_INT8,
    OnnxBeyondReader,
)
from edgecnn.graph.onnx_file import opset_of
from edgecnn.runtimes.candidate import CandidateRequest, make_candidate
from edgecnn.runtimes.registry import backend_for
from edgecnn.runtimes.tensorrt_files import check_for_tensorrt_8_5, lower_opset
from edgecnn.values.candidate import Candidate, Runtime
from tests.graph.trunks import NORMALIZATION, prepared, trunk
from tests.runtimes.made import Quiet

OFFERED = [
    offer for offer in backend_for(Runtime.TENSORRT).supports(device_named("jetson-xavier-nx")) if isinstance(offer, Candidate)
]


@pytest.mark.parametrize("candidate", OFFERED, ids=lambda candidate: candidate.id)
def test_what_ships_is_fp32_of_opset_17_with_flags_and_its_twin_rounds_activations(candidate: Candidate, tmp_path: Path) -> None:
    images = 0 if candidate.precision.is_float else 8
    make_candidate(CandidateRequest(trunk("resnet18"), prepared(), candidate, images, NORMALIZATION), tmp_path, Quiet())
    model = onnx.load(tmp_path / "model.onnx")
    assert (opset_of(model), model.ir_version) == (17, 8)
    assert not any(tensor.data_type == TensorProto.FLOAT16 for tensor in model.graph.initializer)
    quantizers = sum(node.op_type == "QuantizeLinear" for node in model.graph.node)
    assert quantizers > 10 if images else quantizers == 0
    kinds = [[node.op_type for node in onnx.load(tmp_path / name).graph.node] for name in ("model.onnx", "twin/model.onnx")]
    assert [kind.count("Cast") for kind in kinds] == [0, pytest.approx(2 * kinds[0].count("Conv"), rel=0.6)]
    assert [kind for kind in kinds[1] if kind != "Cast"] == kinds[0]
    document = json.loads((tmp_path / "quantize.json").read_text())
    assert document["distance_of_float_from_trunk"] < 1e-5
    assert document["unverified"].startswith("no TensorRT 8.5 has read this file")
    assert json.loads((tmp_path / "model.json").read_text())["engine"]["flags"] == list(candidate.builder_flags)


def small(*nodes: onnx.NodeProto, opset: int = 20, **constants: np.ndarray) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("image", "logits")]
    stored = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(list(nodes), "small", ends[:1], ends[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def test_an_operator_without_an_older_form_is_refused() -> None:
    with pytest.raises(EdgecnnError, check=OPSET_NOT_LOWERED.made) as caught:
        lower_opset(small(helper.make_node("Gelu", ["image"], ["logits"], name="g")), Path("net.onnx"))
    assert caught.value.what == "net.onnx cannot be converted from opset 20 to 17"


def test_an_operator_that_the_parser_lacks_is_named() -> None:
    layer = helper.make_node("LayerNormalization", ["image", "scale"], ["logits"], name="norm")
    with pytest.raises(
        EdgecnnError,
        match=r"tensorrt 8\.5 lacks the operator LayerNormalization of net\.onnx \(node norm\)",
        check=OPERATOR_MISSING.made,
    ):
        check_for_tensorrt_8_5(small(layer, opset=17, scale=np.ones(4, np.float32)), Path("net.onnx"))


def test_what_newer_parsers_misread_is_refused_here_too_and_so_is_a_newer_opset() -> None:
    pair = [
        helper.make_node("QuantizeLinear", ["image", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["logits"]),
    ]
    constants = {"scale": np.array(0.1, np.float32), "zero": np.array(0, np.uint8)}
    with pytest.raises(EdgecnnError, check=TENSORRT_READS_UINT8_AS_INT8.made):
        check_for_tensorrt_8_5(small(*pair, opset=17, **constants), Path("net.onnx"))
    with pytest.raises(OnnxBeyondReader):
        check_for_tensorrt_8_5(small(helper.make_node("Relu", ["image"], ["logits"])), Path("net.onnx"))
