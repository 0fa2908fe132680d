"""Residency is read from runtimes that really ran; a file in INT8 that runs in fp32 is told from one that does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.backends.registry import backend_for
from edgecnn.errors.residency import TraceUnreadable
from edgecnn.graph.macs import mac_table
from edgecnn.values.candidate import Runtime
from edgecnn.values.residency import Residency
from tests.backends.traces import trace_onnxruntime, trace_openvino
from tests.graph.trunks import trunk
from tests.quantization.made import F32, made


def onnxruntime(candidate: str, folder: Path, name: str = "resnet18", **options: str) -> Residency:
    dotted = {f"session.{key}": value for key, value in options.items()}
    trace = trace_onnxruntime(made(candidate, name) / "model.onnx", folder, dotted)
    return backend_for(Runtime.ONNXRUNTIME).read_residency(trace, mac_table(trunk(name)))


def openvino(candidate: str, folder: Path, name: str = "resnet18") -> Residency:
    trace = trace_openvino(made(candidate, name) / "model.xml", folder, F32)
    return backend_for(Runtime.OPENVINO).read_residency(trace, mac_table(trunk(name)))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
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
    with pytest.raises(TraceUnreadable) as caught:
        backend_for(runtime).read_residency(tmp_path, mac_table(trunk("resnet18")))
    why = "it holds no event of a node's kernel" if runtime is Runtime.ONNXRUNTIME else "it holds no layer"
    assert caught.value.line() == (
        f"{tmp_path / file} does not tell what ran in which precision: {why} — the runtime may be newer than edgecnn's reader "
        "of it: install a version inside the ranges of edgecnn's extras [trace-unreadable]"
    )


@pytest.mark.parametrize("runtime", [Runtime.ONNXRUNTIME, Runtime.OPENVINO])
def test_a_missing_trace_is_refused(runtime: Runtime, tmp_path: Path) -> None:
    with pytest.raises(TraceUnreadable):
        backend_for(runtime).read_residency(tmp_path, mac_table(trunk("resnet18")))


def test_a_convolution_that_fell_back_to_a_float_primitive_is_not_int8(tmp_path: Path) -> None:
    (tmp_path / "layers.json").write_text(
        '[{"name": "c", "layer_type": "Convolution", "runtime_precision": "u8", "primitive_type": "ref_any_f32",'
        ' "original_names": ["c"], "time_us": 1.0}]'
    )
    residency = backend_for(Runtime.OPENVINO).read_residency(tmp_path, mac_table(trunk("resnet18")))
    assert residency.layers[0].precision == "fp32"
