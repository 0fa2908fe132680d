"""ONNX Runtime Web: WebAssembly in a browser, fp32 and INT8. A kit is also a folder that any web server can host as it is.

The page times itself; see ``runner/sessions/wasm_browser``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgecnn.backends.isa import byte_products_saturate, fewer_threads
from edgecnn.backends.onnxruntime_web import BrowserBackend
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime, Scheme, Unsupported
from edgecnn.values.device import Device
from edgecnn.values.knobs import DEFAULT, Knobs
from edgecnn.values.layers import MacTable, Residency

_REFUSED = {
    Precision.FP16: "WebAssembly multiplies no half-precision numbers",
    Precision.BF16: "WebAssembly multiplies no bf16 numbers",
}


class WasmBackend(BrowserBackend):
    """``onnxruntime-web`` with its WebAssembly provider."""

    runtime = Runtime.WASM
    session_module = "wasm_browser"
    runtime_packages: Mapping[str, str] = {"chromium": ">=91"}
    """SIMD and threads are in Chromium since 91: https://webassembly.org/features/"""

    def supports(self, device: Device) -> tuple[Candidate | Unsupported, ...]:
        """See ``Backend.supports``. WebAssembly's sums of 8-bit products are exact; those of the golden logits, computed by ONNX
        Runtime on this processor, may not be."""
        if self.runtime not in device.runtimes:
            return ()
        return (
            Candidate(id="wasm-fp32", runtime=self.runtime, precision=Precision.FP32),
            *(Unsupported(runtime=self.runtime, precision=each, why=why) for each, why in _REFUSED.items()),
            Candidate(
                id="wasm-int8",
                runtime=self.runtime,
                precision=Precision.INT8,
                method=Method.POST_TRAINING,
                scheme=Scheme(
                    activation_dtype="uint8",
                    activation_symmetric=False,
                    reduced_range=byte_products_saturate(device.processor),
                ),
            ),
        )

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """See ``Backend.knobs``: as many threads as the machine has cores, fewer, and one, which is all that a page has on a
        server that does not isolate it."""
        fewer = fewer_threads(device.processor)
        return (DEFAULT, *(Knobs(threads=each) for each in sorted({1, fewer or 1}, reverse=True)))

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """See ``Backend.read_residency``; the trace is ``said.json``."""
        from edgecnn.backends.wasm_trace import residency_of

        return residency_of(trace, macs)


BACKEND = WasmBackend()
