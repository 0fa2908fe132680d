"""What is offered for GPUs in browsers, and where ONNX Runtime Web says that layers ran."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.devices.files import device_named
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.measuring import TRACE_UNREADABLE
from edgecnn.runtimes.webgpu import BACKEND, residency_of
from edgecnn.values.candidate import Candidate, Runtime, Unsupported
from tests.runtimes.test_wasm import MACS, trace

PLACED = "2026-11-27 09:01:49.754290 [V:onnxruntime:, session_state.cc:1380 VerifyEachNodeIsAssignedToAnEp] "


def test_on_a_gpu_fp32_alone_is_offered_and_only_where_it_is_named() -> None:
    device = device_named("browser")
    supported = BACKEND.supports(device)
    assert [offer.id for offer in supported if isinstance(offer, Candidate)] == ["webgpu-fp32"]
    assert {offer.precision.value for offer in supported if isinstance(offer, Unsupported)} == {"fp16", "bf16", "int8"}
    assert device.built_for(Runtime.WEBGPU) == (Runtime.WEBGPU,)


def test_on_a_gpu_all_is_fp32_and_what_fell_back_is_called_so(tmp_path: Path) -> None:
    all_there = trace(tmp_path, f"{PLACED} All nodes placed on [WebGpuExecutionProvider]. Number of nodes: 3", quantized=False)
    residency = residency_of(all_there, MACS)
    assert residency.mac_share == {"fp32": 1.0} and [layer.op for layer in residency.layers] == ["Conv", "Conv", "Gemm"]
    lines = (
        f"{PLACED} Node placements",
        f"{PLACED} Node(s) placed on [CPUExecutionProvider]. Number of nodes: 1",
        "[V:onnxruntime:, another.cc:1 Another] a word between",
        f"{PLACED}  FusedGemm (head)",
        f"{PLACED} Node(s) placed on [WebGpuExecutionProvider]. Number of nodes: 2",
        f"{PLACED}  Conv (stem)",
        f"{PLACED}  Conv (deep)",
        "[V:onnxruntime:, another.cc:1 Another] Gemm (head)",
    )
    residency = residency_of(trace(tmp_path, *lines, quantized=False), MACS)
    assert [layer.op for layer in residency.layers] == ["Conv", "Conv", "Gemm, in part in WebAssembly"]
    none_there = trace(tmp_path, f"{PLACED} All nodes placed on [CPUExecutionProvider]. Number of nodes: 3", quantized=False)
    assert all("WebAssembly" in layer.op for layer in residency_of(none_there, MACS).layers)
    with pytest.raises(EdgecnnError, match="it places no layer", check=TRACE_UNREADABLE.made):
        residency_of(trace(tmp_path, "nothing"), MACS)
