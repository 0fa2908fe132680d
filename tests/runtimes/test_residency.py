"""Residency is read from runtimes that really ran; a file in INT8 that runs in fp32 is told from one that does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.measuring import TRACE_UNREADABLE
from edgecnn.graph.macs import mac_table
from edgecnn.runner.sessions.onnxruntime_cpu import OnnxRuntimeSession
from edgecnn.runtimes.registry import backend_for
from edgecnn.runtimes.residency import MovedTensor, moved_bytes
from edgecnn.values.candidate import Runtime
from edgecnn.values.layers import Residency
from tests.graph.trunks import trunk
from tests.runner.kits import SIDE, network
from tests.runtimes.made import F32, made
from tests.runtimes.traces import trace_onnxruntime, trace_openvino
from tests.slow_parameters import slowly


def onnxruntime(candidate: str, folder: Path, name: str = "resnet18", **options: str) -> Residency:
    dotted = {f"session.{key}": value for key, value in options.items()}
    trace = trace_onnxruntime(made(candidate, name) / "model.onnx", folder, dotted)
    return backend_for(Runtime.ONNXRUNTIME).read_residency(trace, mac_table(trunk(name)))


def openvino(candidate: str, folder: Path, name: str = "resnet18") -> Residency:
    trace = trace_openvino(made(candidate, name) / "model.xml", folder, F32)
    return backend_for(Runtime.OPENVINO).read_residency(trace, mac_table(trunk(name)))


@pytest.mark.parametrize("name", ["resnet18", *slowly("mobilenet_v3_small")])
@pytest.mark.parametrize(("read", "runtime"), [(onnxruntime, "onnxruntime"), (openvino, "openvino")])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_every_multiply_add_is_found_in_the_precision_that_ran(
    read: object, runtime: str, precision: str, name: str, tmp_path: Path
) -> None:
    assert callable(read)
    residency: Residency = read(f"{runtime}-{precision}", tmp_path, name)
    assert residency.basis == "executed"
    assert residency.mac_share == {precision: 1.0}
    assert sum(layer.macs for layer in residency.layers) == mac_table(trunk(name)).total
    assert residency.time_share is not None
    assert sum(residency.time_share.values()) == pytest.approx(1.0)


def test_an_int8_file_that_is_made_to_run_in_fp32_has_no_int8_share(tmp_path: Path) -> None:
    residency = onnxruntime("onnxruntime-int8", tmp_path, disable_quant_qdq="1")
    assert residency.mac_share == {"fp32": 1.0}
    assert residency.time_share is not None
    assert "int8" not in residency.time_share


def test_time_spent_on_converting_numbers_is_overhead(tmp_path: Path) -> None:
    residency = onnxruntime("onnxruntime-int8", tmp_path)
    kinds = {layer.op: layer.precision for layer in residency.layers}
    assert kinds["QuantizeLinear"] == kinds["DequantizeLinear"] == "overhead"
    assert kinds["QLinearConv"] == kinds["QGemm"] == "int8"


def test_what_cannot_be_joined_is_unknown_and_never_int8(tmp_path: Path) -> None:
    trace = trace_onnxruntime(made("onnxruntime-int8") / "model.onnx", tmp_path)
    table = mac_table(trunk("resnet18"))
    stranger = table.layers[0].model_copy(update={"name": "elsewhere", "outputs": ("nowhere",)})
    other = table.model_copy(update={"layers": (stranger, *table.layers[1:])})
    residency = backend_for(Runtime.ONNXRUNTIME).read_residency(trace, other)
    assert residency.mac_share["unknown"] == pytest.approx(stranger.macs / table.total)
    assert sum(residency.mac_share.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(("runtime", "file"), [(Runtime.ONNXRUNTIME, "profile.json"), (Runtime.OPENVINO, "layers.json")])
def test_a_trace_without_layers_is_refused_not_read_as_nothing(runtime: Runtime, file: str, tmp_path: Path) -> None:
    (tmp_path / "optimized.onnx").write_bytes(trunk("resnet18").read_bytes())
    (tmp_path / file).write_text("[]")
    with pytest.raises(EdgecnnError, check=TRACE_UNREADABLE.made) as caught:
        backend_for(runtime).read_residency(tmp_path, mac_table(trunk("resnet18")))
    why = "it holds no event of a node's kernel" if runtime is Runtime.ONNXRUNTIME else "it holds no layer"
    assert (caught.value.ref, caught.value.fields["why"]) == ("trace-unreadable", f"{why}")


@pytest.mark.parametrize("runtime", [Runtime.ONNXRUNTIME, Runtime.OPENVINO])
def test_a_missing_trace_is_refused(runtime: Runtime, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=TRACE_UNREADABLE.made):
        backend_for(runtime).read_residency(tmp_path, mac_table(trunk("resnet18")))


def test_a_convolution_that_fell_back_to_a_float_primitive_is_not_int8(tmp_path: Path) -> None:
    (tmp_path / "layers.json").write_text(
        '[{"name": "c", "layer_type": "Convolution", "runtime_precision": "u8", "primitive_type": "ref_any_f32",'
        ' "original_names": ["c"], "time_us": 1.0}]'
    )
    residency = backend_for(Runtime.OPENVINO).read_residency(tmp_path, mac_table(trunk("resnet18")))
    assert residency.layers[0].precision == "fp32"


def test_bytes_are_those_of_every_tensor_that_a_layer_reads_and_writes(tmp_path: Path) -> None:
    """Counted by hand: two convolutions of 16 channels at 32 px in fp32, weights included; biases there are none."""
    onnx.save(network(width=16, depth=2), tmp_path / "model.onnx")
    session = OnnxRuntimeSession(tmp_path / "model.onnx", {}, tmp_path)
    session.run({"image": np.zeros((1, 3, SIDE, SIDE), np.float32)})
    session.close()
    residency = backend_for(Runtime.ONNXRUNTIME).read_residency(tmp_path, mac_table(tmp_path / "model.onnx"))
    convolutions = [dict(layer.moved_bytes or {}) for layer in residency.layers if layer.macs and layer.op == "Conv"]
    image, activation = 4 * 3 * SIDE * SIDE, 4 * 16 * SIDE * SIDE
    first, second = 4 * 16 * 3 * 9, 4 * 16 * 16 * 9
    assert convolutions == [{"fp32": image + first + activation}, {"fp32": activation + second + activation}]
    assert residency.byte_share == {"fp32": 1.0}
    assert residency.moved_bytes == sum(sum((layer.moved_bytes or {}).values()) for layer in residency.layers)


@pytest.mark.parametrize(("read", "runtime"), [(onnxruntime, "onnxruntime"), (openvino, "openvino")])
def test_an_int8_network_moves_a_fraction_of_the_bytes_of_fp32(read: object, runtime: str, tmp_path: Path) -> None:
    assert callable(read)
    moved = {}
    for precision in ("fp32", "int8"):
        (tmp_path / precision).mkdir()
        residency: Residency = read(f"{runtime}-{precision}", tmp_path / precision)
        assert residency.byte_share is not None and residency.bytes_absent is None
        assert max(residency.byte_share, key=residency.byte_share.__getitem__) == precision
        moved[precision] = residency.moved_bytes or 0
    assert moved["int8"] < 0.5 * moved["fp32"]


def test_a_trace_without_shapes_gives_no_bytes_and_the_reason(tmp_path: Path) -> None:
    (tmp_path / "layers.json").write_text(
        '[{"name": "c", "layer_type": "Convolution", "runtime_precision": "u8", "primitive_type": "jit_I8",'
        ' "original_names": ["c"], "time_us": 1.0}]'
    )
    residency = backend_for(Runtime.OPENVINO).read_residency(tmp_path, mac_table(trunk("resnet18")))
    assert (residency.byte_share, residency.moved_bytes) == (None, None)
    assert residency.bytes_absent == "the trace does not give the shapes and types of all that c reads and writes"


def test_a_type_of_unknown_size_is_not_guessed() -> None:
    assert moved_bytes([MovedTensor("float", (2, 3)), MovedTensor("UINT8", (5,))]) == {"fp32": 24, "int8": 5}
    assert moved_bytes([MovedTensor("float", (2, 3)), MovedTensor("string", (1,))]) is None
