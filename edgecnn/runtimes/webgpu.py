"""ONNX Runtime Web on a GPU: WebGPU in a browser, fp32; and the reader of its log of where it placed layers.

A kit is also a folder that any web server can host. Layers without a kernel on the GPU fall back to WebAssembly, in fp32 too.
No layer is timed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from edgecnn.errors.measuring import TRACE_UNREADABLE
from edgecnn.runtimes.onnxruntime_web import BrowserBackend
from edgecnn.runtimes.protocol import Line, Way
from edgecnn.runtimes.residency import executed_residency
from edgecnn.runtimes.wasm import LOG_FILE, layer_of, read_session_log
from edgecnn.values.candidate import DEFAULT, Candidate, Knobs, Precision, Runtime, Unsupported
from edgecnn.values.device import Device
from edgecnn.values.layers import MacTable, Residency

_ALL_PLACED = re.compile(r"All nodes placed on \[(\w+)\]")
_SOME_PLACED = re.compile(r"Node\(s\) placed on \[(\w+)\]")
_NODE = re.compile(r"VerifyEachNodeIsAssignedToAnEp\]\s+(?:Fused)?(\w+) \(")
_GPU = "WebGpuExecutionProvider"
_ANY = ""


def residency_of(trace: Path, macs: MacTable) -> Residency:
    """Return the residency of a traced session. The name of a layer type tells if some of its layers ran in WebAssembly.

    Raises TRACE_UNREADABLE: the file is missing, is not JSON, or places no layer.
    """
    placements = _placements(read_session_log(trace)[0])
    if not placements:
        raise TRACE_UNREADABLE(path=trace / LOG_FILE, why="it places no layer")
    fell = {op for provider, op in placements if provider != _GPU}
    names = {op: f"{op}, in part in WebAssembly" if fell & {op, _ANY} else op for op in {layer.op for layer in macs.layers}}
    return executed_residency([layer_of(layer, names[layer.op], "fp32") for layer in macs.layers], macs)


def _placements(lines: list[str]) -> set[tuple[str, str]]:
    """Return the pairs of provider and node type."""
    provider, placed = None, set[tuple[str, str]]()
    for line in lines:
        if (all_on := _ALL_PLACED.search(line)) is not None:
            placed.add((all_on.group(1), _ANY))
        elif (some_on := _SOME_PLACED.search(line)) is not None:
            provider = some_on.group(1)
        elif provider is not None and (node := _NODE.search(line)) is not None:
            placed.add((provider, node.group(1)))
    return placed


_REFUSED = {
    Precision.FP16: "it needs an adapter with shader-f16, and was never tested on one",
    Precision.BF16: "WebGPU has no bf16 numbers: https://www.w3.org/TR/WGSL/#floating-point-types",
    Precision.INT8: "ONNX Runtime Web has no 8-bit convolutions for WebGPU, and would compute in fp32",
}


class WebGpuBackend(BrowserBackend):
    """``onnxruntime-web`` with its WebGPU provider."""

    runtime = Runtime.WEBGPU
    adds = "fp32 candidates for ONNX Runtime Web on a GPU, if this browser offers one to pages"
    line = Line((1, 1), "finely-dotted")
    session_module = "webgpu_browser"
    runtime_packages: Mapping[str, str] = {"chromium": ">=136"}
    """Chromium has WebGPU since 113. Since 136 an adapter states whether it is software:
    https://developer.chrome.com/blog/new-in-webgpu-136"""

    def supports(self, device: Device) -> tuple[Candidate | Unsupported, ...]:
        """See ``Backend.supports``."""
        if self.runtime not in device.runtimes:
            return ()
        return (
            Candidate(id="webgpu-fp32", runtime=self.runtime, precision=Precision.FP32),
            *(Unsupported(runtime=self.runtime, precision=precision, why=why) for precision, why in _REFUSED.items()),
        )

    def way(self, candidate: Candidate) -> Way | None:
        """See ``Backend.way``."""
        return Way() if candidate.precision.is_float else None

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """See ``Backend.knobs``."""
        return (DEFAULT,)

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """See ``Backend.read_residency``; the trace is ``said.json``."""
        return residency_of(trace, macs)


BACKEND = WebGpuBackend()
