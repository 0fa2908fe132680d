"""What LiteRT is offered for, and what its traces are read as; that it converts and runs is the conformance suite's part."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from onnx import TensorProto, save_model
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor, make_tensor_value_info

from edgecnn.devices.files import device_named
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.devices import CONVERTER_FAILED, LAYER_NOT_CONVERTED
from edgecnn.errors.measuring import TRACE_UNREADABLE
from edgecnn.runtimes.litert import BACKEND, residency_of
from edgecnn.runtimes.litert_writer import writer
from edgecnn.runtimes.litert_writer.writer import convert, write_model
from edgecnn.values.candidate import Candidate, Precision, Runtime, Unsupported
from edgecnn.values.layers import LayerMacs, MacTable

MACS = MacTable(
    resolution_px=8,
    layers=(
        LayerMacs(name="stem", op="Conv", macs=27 * 8 * 16, outputs=("a",)),
        LayerMacs(name="deep", op="Conv", macs=9 * 8 * 16, outputs=("b",)),
        LayerMacs(name="head", op="Gemm", macs=80, outputs=("c",)),
    ),
)


def port(*shape: int, kind: str = "int8") -> dict[str, Any]:
    return {"type": kind, "shape": list(shape)}


OPERATORS = [
    {"op": "QUANTIZE", "inputs": [port(1, 8, 8, 3, kind="float32")], "outputs": [port(1, 8, 8, 3)]},
    {"op": "CONV_2D", "inputs": [port(1, 8, 8, 3), port(8, 3, 3, 3), port(8, kind="int32")], "outputs": [port(1, 4, 4, 8)]},
    {"op": "DEPTHWISE_CONV_2D", "inputs": [port(1, 4, 4, 8), port(1, 3, 3, 8)], "outputs": [port(1, 4, 4, 8)]},
    {"op": "MEAN", "inputs": [port(1, 4, 4, 8), port(2, kind="int32")], "outputs": [port(1, 8)]},
    {"op": "RESHAPE", "inputs": [port(1, 8), port(2, kind="int32")], "outputs": [port(1, 8)]},
    {"op": "FULLY_CONNECTED", "inputs": [port(1, 8), port(10, 8)], "outputs": [port(1, 10)]},
]
KERNELS = [
    "Delegate/Convert (NC)",
    "Delegate/Convolution (NHWC, QC8) IGEMM",
    "Delegate/Convolution (NHWC, QC8) DWConv",
    "Delegate/Mean (ND) Reduce",
    "Delegate/Fully Connected (NC, QS8, QC8W) GEMM",
]


def trace(folder: Path, kernels: list[str], operators: list[dict[str, Any]]) -> Path:
    ran = [{"kernel": kernel, "calls": 1.0, "time_us": 10.0} for kernel in kernels]
    (folder / "layers.json").write_text(json.dumps({"kernels": ran, "operators": operators}))
    return folder


@pytest.mark.parametrize(("device", "halves"), [("raspberry-pi-5", True), ("raspberry-pi-4", False), ("cpu", False)])
def test_half_precision_is_offered_where_the_processor_multiplies_it(device: str, halves: bool) -> None:
    supported = BACKEND.supports(device_named(device))
    offered = {offer.precision: offer for offer in supported if isinstance(offer, Candidate)}
    assert {Precision.FP32, Precision.INT8} <= offered.keys()
    refused = {offer.precision: offer.why for offer in supported if isinstance(offer, Unsupported)}
    if halves:
        assert offered[Precision.FP16].session_options == {"force_fp16": "1"}
        assert refused.keys() == {Precision.BF16}
    else:
        assert "slower than fp32" in refused[Precision.FP16]


def test_kernels_say_what_they_multiply_and_are_joined_in_the_order_of_the_file(tmp_path: Path) -> None:
    residency = residency_of(trace(tmp_path, KERNELS, OPERATORS), MACS)
    assert residency.mac_share == {"int8": 1.0}
    assert residency.time_share == {"int8": pytest.approx(0.6), "overhead": pytest.approx(0.2), "unknown": pytest.approx(0.2)}
    assert [(layer.op, layer.onnx_nodes) for layer in residency.layers if layer.macs] == [
        ("CONV_2D", ("stem",)),
        ("DEPTHWISE_CONV_2D", ("deep",)),
        ("FULLY_CONNECTED", ("head",)),
    ]
    weights, maps = 216 + 4 * 8 + 72 + 80, 4 * 192 + 192 + 192 + 4 * 128 + 4 * 2 + 8 + 8 + 10
    assert residency.moved_bytes == weights + maps, "reshaping moves nothing"


def test_floats_are_no_int8(tmp_path: Path) -> None:
    kernels = [kernel.replace("QC8W", "F32").replace("QC8", "F32").replace("QS8, ", "") for kernel in KERNELS]
    assert residency_of(trace(tmp_path, kernels, OPERATORS), MACS).mac_share == {"fp32": 1.0}


def test_in_half_precision_weights_are_halved_once_and_every_float_that_moves_is_half(tmp_path: Path) -> None:
    weights = port(8, 3, 3, 3, kind="float16")
    halved = {"op": "DEQUANTIZE", "inputs": [weights], "outputs": [port(8, 3, 3, 3, kind="float32")]}
    sizes = [port(1, 8, 8, 3, kind="float32"), port(8, 3, 3, 3, kind="float32"), port(1, 4, 4, 8, kind="float32")]
    conv = {"op": "CONV_2D", "inputs": sizes[:2], "outputs": sizes[2:]}
    kernels = ["Delegate/Convert (NC)", "Delegate/Convolution (NHWC, F16) IGEMM"]
    residency = residency_of(trace(tmp_path, kernels, [halved, conv]), MACS)
    assert residency.mac_share["fp16"] == pytest.approx(216 * 16 / MACS.total)
    assert residency.moved_bytes == 2 * (192 + 216 + 128)


def test_an_operator_that_xnnpack_left_is_named_with_what_its_file_multiplies(tmp_path: Path) -> None:
    kernels = ["CONV_2D", *KERNELS[2:]]
    residency = residency_of(trace(tmp_path, kernels, [OPERATORS[1], *OPERATORS[2:]]), MACS)
    assert residency.layers[0].op == "CONV_2D"
    assert residency.mac_share == {"int8": 1.0}


def test_a_transposed_convolution_that_xnnpack_left_multiplies_and_moves_nothing(tmp_path: Path) -> None:
    transposed = {
        "op": "TRANSPOSE_CONV",
        "inputs": [port(4, kind="int32"), port(8, 3, 3, 3), port(1, 8, 8, 3)],
        "outputs": [port(1, 16, 16, 8)],
    }
    macs = MacTable(resolution_px=8, layers=(LayerMacs(name="up", op="ConvTranspose", macs=216 * 64, outputs=("a",)),))
    assert residency_of(trace(tmp_path, ["TRANSPOSE_CONV"], [transposed]), macs).mac_share == {"int8": 1.0}


def test_where_kernels_and_operators_do_not_match_nothing_is_credited(tmp_path: Path) -> None:
    residency = residency_of(trace(tmp_path, KERNELS[:-1], OPERATORS), MACS)
    assert residency.mac_share == {"unknown": 1.0}
    assert residency.byte_share is None


@pytest.mark.parametrize("text", ["", "[]", '{"kernels": [], "operators": []}'])
def test_a_trace_without_kernels_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "layers.json").write_text(text)
    with pytest.raises(EdgecnnError, check=TRACE_UNREADABLE.made):
        residency_of(tmp_path, MACS)


@pytest.mark.parametrize(
    ("kernels", "share"),
    [
        ({"Delegate/Convolution (NHWC, QC8) IGEMM": 2.0, "Delegate/Fully Connected (NC, QS8, QC8W) GEMM": 1.0}, {"int8": 1.0}),
        ({"Delegate/Convolution (NHWC, QC8) IGEMM": 1.0, "Delegate/Fully Connected (NC, QS8, QC8W) GEMM": 1.0}, {"unknown": 1.0}),
        ({"Delegate/Convolution (NHWC, QC8) IGEMM": 1.6, "Delegate/Fully Connected (NC, QS8, QC8W) GEMM": 1.0}, {"unknown": 1.0}),
        ({"Delegate/Convolution (NHWC, QC8) IGEMM": 2.0, "Delegate/Fully Connected (NC, F32) GEMM": 1.0}, {"unknown": 1.0}),
        ({"Delegate/Convolution (NHWC, QC8) IGEMM": 2.0, "FULLY_CONNECTED": 1.0}, {"unknown": 1.0}),
    ],
    ids=["all accounted for", "one missing", "one missing in some runs", "two precisions", "one of LiteRT's own"],
)
def test_of_a_network_in_pieces_all_is_credited_where_every_operator_was_called_in_one_precision(
    tmp_path: Path, kernels: dict[str, float], share: dict[str, float]
) -> None:
    rows = [{"kernel": name, "calls": calls, "time_us": 10.0} for name, calls in kernels.items()]
    (tmp_path / "layers.json").write_text(json.dumps({"kernels": rows, "operators": OPERATORS}))
    assert residency_of(tmp_path, MACS).mac_share == share


TABLE = """\
=========================== Run Order ===========================
  [node type]    [start]    [first]   [avg ms]        [%]     [cdf%]   [mem KB] [times called]   [Name]
          Delegate/Convert (NC)      0.000      2.057      0.177     2.611%     2.611%      0.000             90   [Delegate]:0
  Delegate/Fully Connected (NC, QS8, QC8W) GEMM   0.000   0.254      1.107    10.886%    23.077%      0.000  60  [Delegate]:4
                    RELU_0_TO_1      7.968      0.002      0.003     0.004%    84.658%      0.000             10   [Builtin]:34
Top by Computation Time
"""


def test_a_row_of_the_profiler_s_table_has_as_many_calls_as_pieces_that_it_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    library, interpreter = ModuleType("ai_edge_litert"), ModuleType("ai_edge_litert.interpreter")
    interpreter.Interpreter = interpreter.OpResolverType = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ai_edge_litert", library)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", interpreter)
    monkeypatch.delitem(sys.modules, "edgecnn.runner.sessions.litert_cpu", raising=False)
    litert_cpu = import_module("edgecnn.runner.sessions.litert_cpu")
    monkeypatch.delitem(sys.modules, "edgecnn.runner.sessions.litert_cpu")
    monkeypatch.setattr(litert_cpu, "_Profiled", lambda *_: SimpleNamespace(summary=lambda: TABLE))
    kernels = litert_cpu._kernels(Path("model.tflite"), 1, None)
    assert [(row["kernel"], row["calls"]) for row in kernels] == [
        ("Delegate/Convert (NC)", 9.0),
        ("Delegate/Fully Connected (NC, QS8, QC8W) GEMM", 6.0),
        ("RELU_0_TO_1", 1.0),
    ]
    assert [row["time_us"] for row in kernels] == pytest.approx([9 * 177, 6 * 1107, 3])


def test_an_operator_that_litert_lacks_is_named_with_its_layer(tmp_path: Path) -> None:
    ends = [make_tensor_value_info(name, 1, shape) for name, shape in (("image", ["n", 3, 8, 8]), ("logits", ["n", 3]))]
    graph = make_graph([make_node("Det", ["image"], ["logits"], name="volumes")], "network", ends[:1], ends[1:])
    save_model(make_model(graph, opset_imports=[make_opsetid("", 20)], ir_version=10), tmp_path / "model.onnx")
    fp32 = Candidate(id="litert-fp32", runtime=Runtime.LITERT, precision=Precision.FP32)
    with pytest.raises(EdgecnnError, check=LAYER_NOT_CONVERTED.made) as caught:
        convert(tmp_path / "model.onnx", fp32, tmp_path)
    assert (caught.value.ref, caught.value.fields["why"]) == ("layer-not-converted", "edgecnn has no rule for it")
    assert not (tmp_path / "model.tflite").exists()


def test_a_model_beyond_the_2_gb_of_a_flatbuffer_is_refused_before_it_is_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = [make_tensor_value_info(name, 1, shape) for name, shape in (("image", ["n", 3, 8, 8]), ("logits", ["n", 3, 8, 8]))]
    weights = make_tensor("weights", 1, [3, 8, 8], [1.0] * 192)
    graph = make_graph([make_node("Mul", ["image", "weights"], ["logits"])], "network", ends[:1], ends[1:], [weights])
    save_model(make_model(graph, opset_imports=[make_opsetid("", 20)], ir_version=10), tmp_path / "model.onnx")
    monkeypatch.setattr(writer, "BYTES_MAX", 700)
    monkeypatch.setattr(writer, "prepare", lambda *_: pytest.fail("it was converted"))
    fp32 = Candidate(id="litert-fp32", runtime=Runtime.LITERT, precision=Precision.FP32)
    with pytest.raises(EdgecnnError, check=CONVERTER_FAILED.made) as caught:
        convert(tmp_path / "model.onnx", fp32, tmp_path)
    assert caught.value.line() == (
        "edgecnn's LiteRT writer could not convert litert-fp32: "
        "its weights take more than the 700 bytes of a FlatBuffer — "
        "edgecnn builds the other candidates without this runtime [converter-failed]"
    )
    assert not (tmp_path / "model.tflite").exists()


def one_layer(path: Path) -> Path:
    """A convolution of 3 channels to 10, over the whole image."""
    weights = make_tensor("w", TensorProto.FLOAT, [10, 3, 4, 4], [0.1] * 480)
    image = make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 4, 4])
    logits = make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])
    nodes = [make_node("Conv", ["image", "w"], ["made"]), make_node("Flatten", ["made"], ["logits"])]
    save_model(make_model(make_graph(nodes, "one", [image], [logits], [weights]), opset_imports=[make_opsetid("", 20)]), path)
    return path


_ONE_CALL = """
import sys
import numpy as np
from pathlib import Path
from edgecnn.runner.sessions import litert_cpu
with litert_cpu._hidden_stderr():
    network = litert_cpu._Compiled(Path(sys.argv[1]), 1)
print(network.compute(np.zeros(network.shape, np.float32)).shape)
"""


def test_a_call_in_half_precision_prints_nothing_and_neither_does_its_end(tmp_path: Path) -> None:
    made = tmp_path / "model.tflite"
    half = Candidate(id="litert-fp16", runtime=Runtime.LITERT, precision=Precision.FP16)
    write_model(one_layer(tmp_path / "model.onnx"), half, made)
    done = subprocess.run([sys.executable, "-c", _ONE_CALL, str(made)], capture_output=True, encoding="utf-8", timeout=120)
    if "RuntimeError" in done.stderr:
        pytest.skip("this processor has no half-precision arithmetic")
    assert (done.stdout, done.stderr) == ("(1, 10)\n", "")
