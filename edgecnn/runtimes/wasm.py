"""ONNX Runtime Web: WebAssembly in a browser, fp32 and INT8; and what it says of its layers while it opens a network.

A kit is also a folder that any web server can host as it is. The page times itself; see ``runner/sessions/wasm_browser``. There
is no file system to write a profile to, so no layer is timed and no byte is counted.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from edgecnn.errors.measuring import TRACE_UNREADABLE
from edgecnn.runtimes.onnxruntime_web import BrowserBackend
from edgecnn.runtimes.processor import byte_products_saturate, fewer_threads
from edgecnn.runtimes.protocol import Line, Way
from edgecnn.runtimes.residency import UNKNOWN, executed_residency
from edgecnn.values.candidate import DEFAULT, Candidate, Knobs, Method, Precision, Runtime, Scheme, Unsupported
from edgecnn.values.device import Device
from edgecnn.values.layers import LayerMacs, LayerResidency, MacTable, Residency

_APPLYING = re.compile(r"Applying graph transformer (\w+)")
_MATCHED = re.compile(r"MatchAndProcess\] Matched (\w+)")
_INTEGER = "QDQSelectorActionTransformer"
FILE = "said.json"


def residency_of(trace: Path, macs: MacTable) -> Residency:
    """The residency of a traced session. Raises TRACE_UNREADABLE: the file is missing, is no JSON, or names no step."""
    said, quantized = what_it_said(trace)
    made = _made(said)
    if made is None:
        raise TRACE_UNREADABLE(path=trace / FILE, why="it names no step of the runtime's optimizer")
    counted = Counter(layer.op for layer in macs.layers)
    precisions = {op: _precision(made[op], count) if quantized else "fp32" for op, count in counted.items()}
    return executed_residency([layer_of(layer, layer.op, precisions[layer.op]) for layer in macs.layers], macs)


def what_it_said(trace: Path) -> tuple[list[str], bool]:
    """Lines, and whether the network is quantized. Raises TRACE_UNREADABLE: the file is missing, or is no JSON."""
    path = trace / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return [str(line) for line in found["said"]], bool(found["quantized"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TRACE_UNREADABLE(path=path, why=str(error)) from error


def layer_of(layer: LayerMacs, op: str, precision: str) -> LayerResidency:
    """Of a runtime that times nothing."""
    return LayerResidency(name=layer.name, op=op, precision=precision, macs=layer.macs, time_us=None, onnx_nodes=(layer.name,))


def _precision(made: int, layers: int) -> str:
    return "int8" if made >= layers else UNKNOWN if made else "fp32"


def _made(said: list[str]) -> Counter[str] | None:
    """Kind of layer to how many integer kernels were made of it; None where no step is named."""
    step, found = None, Counter[str]()
    for line in said:
        if (applying := _APPLYING.search(line)) is not None:
            step = applying.group(1)
        elif step == _INTEGER and (matched := _MATCHED.search(line)) is not None:
            found[matched.group(1)] += 1
    return None if step is None else found


_REFUSED = {
    Precision.FP16: "WebAssembly multiplies no half-precision numbers",
    Precision.BF16: "WebAssembly multiplies no bf16 numbers",
}


class WasmBackend(BrowserBackend):
    """``onnxruntime-web`` with its WebAssembly provider."""

    runtime = Runtime.WASM
    adds = "fp32 and INT8 candidates for ONNX Runtime Web, measured in this browser"
    line = Line((6, 2, 2, 2, 2, 2), "dash-dot-dot-dotted")
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

    def way(self, candidate: Candidate) -> Way | None:
        """See ``Backend.way``."""
        if candidate.precision.is_float:
            return Way()
        return Way(calibrates=True) if candidate.method is Method.POST_TRAINING else None

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """See ``Backend.knobs``: as many threads as the machine has cores, fewer, and one, which is all that a page has on a
        server that does not isolate it."""
        fewer = fewer_threads(device.processor)
        return (DEFAULT, *(Knobs(threads=each) for each in sorted({1, fewer or 1}, reverse=True)))

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """See ``Backend.read_residency``; the trace is ``said.json``."""
        return residency_of(trace, macs)


BACKEND = WasmBackend()
