"""ONNX Runtime Web: WebAssembly in a browser, fp32 and INT8; and the reader of its log from opening a network.

A kit is also a folder that any web server can host. The page times itself; see ``runner/sessions/wasm_browser``. A browser has
no file system for a profile, so no layer is timed and no bytes are counted.
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
_MAKES_INTEGER_KERNELS = "QDQSelectorActionTransformer"
"""The step of the optimizer that replaces Q/DQ by integer kernels."""
LOG_FILE = "said.json"


def residency_of(trace: Path, macs: MacTable) -> Residency:
    """Return the residency of a traced session. Raises TRACE_UNREADABLE: the log is missing, is not JSON, or names no step."""
    lines, quantized = read_session_log(trace)
    kernels = _integer_kernels(lines)
    if kernels is None:
        raise TRACE_UNREADABLE(path=trace / LOG_FILE, why="it names no step of the runtime's optimizer")
    counted = Counter(layer.op for layer in macs.layers)
    precisions = dict.fromkeys(counted, "fp32")
    if quantized:  # a type of layers counts as INT8 only if every layer of it has an integer kernel
        precisions = {op: "int8" if kernels[op] >= count else UNKNOWN if kernels[op] else "fp32" for op, count in counted.items()}
    return executed_residency([layer_of(layer, layer.op, precisions[layer.op]) for layer in macs.layers], macs)


def read_session_log(trace: Path) -> tuple[list[str], bool]:
    """Return the log's lines, and whether the network is quantized. Raises TRACE_UNREADABLE: the file is missing or not JSON."""
    path = trace / LOG_FILE
    try:
        trace_file = json.loads(path.read_text(encoding="utf-8"))
        return [str(line) for line in trace_file["said"]], bool(trace_file["quantized"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TRACE_UNREADABLE(path=path, why=str(error)) from error


def layer_of(layer: LayerMacs, op: str, precision: str) -> LayerResidency:
    """Return the residency of a layer of a runtime that does not time layers."""
    return LayerResidency(name=layer.name, op=op, precision=precision, macs=layer.macs, time_us=None, onnx_nodes=(layer.name,))


def _integer_kernels(lines: list[str]) -> Counter[str] | None:
    """Count the integer kernels of each type of layer; None if the log names no step."""
    step, kernels = None, Counter[str]()
    for line in lines:
        if (applying := _APPLYING.search(line)) is not None:
            step = applying.group(1)
        elif step == _MAKES_INTEGER_KERNELS and (matched := _MATCHED.search(line)) is not None:
            kernels[matched.group(1)] += 1
    return None if step is None else kernels


_REFUSED = {
    Precision.FP16: "WebAssembly has no half-precision products",
    Precision.BF16: "WebAssembly has no bf16 products",
}


class WasmBackend(BrowserBackend):
    """``onnxruntime-web`` with its WebAssembly provider."""

    runtime = Runtime.WASM
    adds = "fp32 and INT8 candidates for ONNX Runtime Web, measured in this browser"
    line = Line((6, 2, 2, 2, 2, 2), "dash-dot-dot-dotted")
    session_module = "wasm_browser"
    runtime_packages: Mapping[str, str] = {"chromium": ">=91"}
    """Chromium has SIMD and threads since 91: https://webassembly.org/features/"""

    def supports(self, device: Device) -> tuple[Candidate | Unsupported, ...]:
        """See ``Backend.supports``. WebAssembly adds 8-bit products exactly; ONNX Runtime on this processor, which computes the
        golden logits, may not."""
        if self.runtime not in device.runtimes:
            return ()
        return (
            Candidate(id="wasm-fp32", runtime=self.runtime, precision=Precision.FP32),
            *(Unsupported(runtime=self.runtime, precision=precision, why=why) for precision, why in _REFUSED.items()),
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
        """See ``Backend.knobs``. The knobs are a thread for each core, fewer, and one, as a page has without isolation."""
        fewer = fewer_threads(device.processor)
        return (DEFAULT, *(Knobs(threads=count) for count in sorted({1, fewer or 1}, reverse=True)))

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """See ``Backend.read_residency``; the trace is ``said.json``."""
        return residency_of(trace, macs)


BACKEND = WasmBackend()
