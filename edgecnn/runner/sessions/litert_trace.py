"""Trace a network by LiteRT's profiler: XNNPACK's kernels, whose names state their number types, and LiteRT's operators.

The profiler is part of LiteRT's C library, which its Python package contains but does not bind:
https://github.com/google-ai-edge/LiteRT/tree/main/litert/c. The input is zeros, since no kernel's time depends on its numbers.
"""

from __future__ import annotations

import ctypes
import json
import re
from pathlib import Path
from typing import Any, Dict, List, Optional

import ai_edge_litert
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from ..failure import RunnerError
from ..files import write_bytes

_CPU, _FLOAT32 = 1, 1
"""``kLiteRtHwAcceleratorCpu`` and ``kLiteRtElementTypeFloat32``, of litert_common.h and litert_model_types.h."""
_WARM, _RUNS = 3, 10
_ROW = re.compile(r"^\s*(?P<kernel>\S.*?)\s+(?:[\d.]+\s+){2}(?P<avg_ms>[\d.]+)\s+[\d.]+%\s+[\d.]+%\s+[\d.]+\s+(?P<times>\d+)\s")
"""A row of the summary's table in the order of the run: node type, start, first, average, share, sum of shares, memory, calls.
In a network of several parts, kernels with the same name and position in several parts share a row."""


def write_trace(model: Path, folder: Path, threads: int, xnnpack_flags: Optional[int]) -> None:
    """Write ``layers.json``: ``kernels`` with their calls and time in an inference, and the file's ``operators``, both in order.

    Raises:
        RunnerError: no-trace, if the library lacks a function.
    """
    traced = {"kernels": _kernels(model, threads, xnnpack_flags), "operators": _operators(model)}
    write_bytes(folder / "layers.json", json.dumps(traced, indent=1).encode("utf-8"))


def _kernels(model: Path, threads: int, flags: Optional[int]) -> List[Dict[str, Any]]:
    text = _Profiled(model, threads, flags).summary().split("Top by", 1)[0]
    rows = [match for match in map(_ROW.match, text.splitlines()) if match is not None]
    if not rows:
        raise RunnerError("no-trace", "LiteRT's profiler names no kernel", text[:200])
    return [
        {
            "kernel": row.group("kernel"),
            "calls": int(row.group("times")) / float(_RUNS),
            "time_us": 1000.0 * float(row.group("avg_ms")) * int(row.group("times")) / _RUNS,
        }
        for row in rows
    ]


def _operators(model: Path) -> List[Dict[str, Any]]:
    """Return the operators without XNNPACK, whose delegate would replace them."""
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    opened = Interpreter(model_path=str(model), experimental_op_resolver_type=plain)
    opened.allocate_tensors()
    tensors = {tensor["index"]: tensor for tensor in opened.get_tensor_details()}
    # there is no public function for this
    return [
        {
            "op": operator["op_name"],
            "inputs": [_described(tensors[index]) for index in operator["inputs"] if index in tensors],
            "outputs": [_described(tensors[index]) for index in operator["outputs"] if index in tensors],
        }
        for operator in opened._get_ops_details()
    ]


def _described(tensor: Any) -> Dict[str, Any]:
    return {"type": np.dtype(tensor["dtype"]).name, "shape": [int(size) for size in tensor["shape"]]}


class _Layout(ctypes.Structure):
    """``LiteRtLayout`` of litert_layout.h."""

    _fields_ = [("packed", ctypes.c_uint32), ("sizes", ctypes.c_int32 * 8), ("strides", ctypes.c_uint32 * 8)]


class _Type(ctypes.Structure):
    """``LiteRtRankedTensorType`` of litert_model_types.h."""

    _fields_ = [("element", ctypes.c_int), ("layout", _Layout)]


class _Profiled:
    """A network with one float32 input and output, compiled for the CPU with the profiler.

    Its memory is not freed: the process ends after the trace.
    """

    def __init__(self, model: Path, threads: int, flags: Optional[int]) -> None:
        self._library = ctypes.CDLL(str(Path(ai_edge_litert.__file__).parent / "libLiteRt.so"))
        self._kept = []  # type: List[Any]
        self._environment = self._made("LiteRtCreateEnvironment", ctypes.c_int(0), None)
        network = self._made("LiteRtCreateModelFromFile", self._environment, str(model).encode())
        options = self._made("LiteRtCreateOptions")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, ctypes.c_int(_CPU))
        self._set(options, b"runtime_options_string", b"enable_profiling = true\n")
        flags_line = b"" if flags is None else b"flags = %d\n" % flags
        self._set(options, b"xnnpack", b"num_threads = %d\n" % threads + flags_line)
        self._compiled = self._made("LiteRtCreateCompiledModel", self._environment, network, options)

    def summary(self) -> str:
        """Return the profiler's table after some runs."""
        profiler = self._made("LiteRtCompiledModelGetProfiler", self._compiled)
        inputs, outputs = (ctypes.c_void_p * 1)(self._buffer("Input")), (ctypes.c_void_p * 1)(self._buffer("Output"))
        count, first = ctypes.c_size_t(1), ctypes.c_size_t(0)
        for number in range(_WARM + _RUNS):
            if number == _WARM:
                self._call("LiteRtResetProfiler", profiler)
                self._call("LiteRtStartProfiler", profiler)
            self._call("LiteRtRunCompiledModel", self._compiled, first, count, inputs, count, outputs)
        self._call("LiteRtStopProfiler", profiler)
        text = ctypes.c_char_p()
        self._call("LiteRtGetProfileSummary", profiler, self._compiled, ctypes.byref(text))
        return (text.value or b"").decode("utf-8", errors="replace")

    def _buffer(self, end: str) -> Any:
        first, layout = ctypes.c_size_t(0), _Layout()
        if end == "Input":
            self._call("LiteRtGetCompiledModelInputTensorLayout", self._compiled, first, first, ctypes.byref(layout))
        else:
            sizes = (ctypes.c_size_t(1), ctypes.byref(layout), ctypes.c_bool(True))
            self._call("LiteRtGetCompiledModelOutputTensorLayouts", self._compiled, first, *sizes)
        needs = self._made("LiteRtGetCompiledModel{}BufferRequirements".format(end), self._compiled, first, first)
        kind = ctypes.byref(_Type(_FLOAT32, layout))
        buffer = self._made("LiteRtCreateManagedTensorBufferFromRequirements", self._environment, kind, needs)
        size, place = ctypes.c_size_t(), ctypes.c_void_p()
        self._call("LiteRtGetTensorBufferRequirementsBufferSize", needs, ctypes.byref(size))
        self._call("LiteRtLockTensorBuffer", buffer, ctypes.byref(place), ctypes.c_int(1))
        ctypes.memset(place, 0, size.value)
        self._call("LiteRtUnlockTensorBuffer", buffer)
        return buffer

    def _set(self, options: Any, name: bytes, text: bytes) -> None:
        payload = ctypes.create_string_buffer(text)
        dropped = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: None)
        self._kept += [payload, dropped]
        opaque = self._made("LiteRtCreateOpaqueOptions", name, ctypes.cast(payload, ctypes.c_void_p), dropped)
        self._call("LiteRtAddOpaqueOptions", options, opaque)

    def _made(self, name: str, *arguments: Any) -> Any:
        handle = ctypes.c_void_p()
        self._call(name, *arguments, ctypes.byref(handle))
        if handle.value is None:
            raise RunnerError("no-trace", "LiteRT's {} returned nothing".format(name))
        return handle

    def _call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, name, None)
        if function is None:
            raise RunnerError("no-trace", "this version of LiteRT has no {}".format(name))
        status = function(*arguments)
        if status != 0:
            raise RunnerError("no-trace", "LiteRT's {} returned {}".format(name, status))
