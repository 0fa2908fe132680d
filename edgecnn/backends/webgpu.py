"""ONNX Runtime Web on a GPU: WebGPU in a browser, fp32. A kit is also a folder that any web server can host as it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgecnn.backends.onnxruntime_web import BrowserBackend
from edgecnn.values.candidate import Candidate, Precision, Runtime, Unsupported
from edgecnn.values.device import Device
from edgecnn.values.knobs import DEFAULT, Knobs
from edgecnn.values.layers import MacTable, Residency

_REFUSED = {
    Precision.FP16: "it needs an adapter with shader-f16, and we had none to try it on",
    Precision.BF16: "WebGPU has no bf16 numbers: https://www.w3.org/TR/WGSL/#floating-point-types",
    Precision.INT8: "ONNX Runtime Web multiplies no 8-bit integers in convolutions there, and would compute in fp32",
}


class WebGpuBackend(BrowserBackend):
    """``onnxruntime-web`` with its WebGPU provider."""

    runtime = Runtime.WEBGPU
    session_module = "webgpu_browser"
    runtime_packages: Mapping[str, str] = {"chromium": ">=136"}
    """WebGPU is in 113; from 136 on an adapter says whether it is software: https://developer.chrome.com/blog/new-in-webgpu-136"""

    def supports(self, device: Device) -> tuple[Candidate | Unsupported, ...]:
        """See ``Backend.supports``."""
        if self.runtime not in device.runtimes:
            return ()
        return (
            Candidate(id="webgpu-fp32", runtime=self.runtime, precision=Precision.FP32),
            *(Unsupported(runtime=self.runtime, precision=each, why=why) for each, why in _REFUSED.items()),
        )

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """See ``Backend.knobs``: none."""
        return (DEFAULT,)

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """See ``Backend.read_residency``; the trace is ``said.json``."""
        from edgecnn.backends.webgpu_trace import residency_of

        return residency_of(trace, macs)


BACKEND = WebGpuBackend()
