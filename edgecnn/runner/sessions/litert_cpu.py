"""LiteRT (TensorFlow Lite) on the CPU, with XNNPACK. It runs one image a call: a batch is a sequence of calls.

XNNPACK runs the operators that it has kernels for, and LiteRT the others; a traced session records which. Half-precision
arithmetic must be requested, which LiteRT's compiled model can do and its interpreter cannot.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence

import ai_edge_litert
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from ..feeds import TensorSpec
from ..files import write_bytes
from ..messages import RunnerError
from . import Session, threads_of

if TYPE_CHECKING:
    from ..kit import Kit


KNOBS = ("threads",)
FORCE_FP16 = "force_fp16"
XNNPACK_IN_HALF = 4
"""``TFLITE_XNNPACK_DELEGATE_FLAG_FORCE_FP16`` of tflite/delegates/xnnpack/xnnpack_delegate.h."""


class LitertSession(Session):
    """A ``.tflite`` network in LiteRT's interpreter."""

    def __init__(self, kit: Kit, options: Dict[str, str], trace_folder: Optional[Path]) -> None:
        model = kit.manifest.model
        self.threads = threads_of(options)
        self._path, self._trace = kit.path(model.entry), trace_folder
        self._half = options.get(FORCE_FP16) == "1"
        try:
            with _hidden_stderr():
                self._network = (_Compiled if self._half else _Interpreted)(self._path, self.threads or 1)  # type: Any
        except (ValueError, RuntimeError) as error:
            why = " ".join(str(error).split())
            what = "{}: LiteRT cannot open it".format(self._path.name)
            # XNNPACK refuses half precision on a processor without it, which is not a fault of the kit.
            raise RunnerError("runtime-refused-model", what, why, missing=self._half) from error
        self._name, self._answer_name = model.input.name, model.output.name
        self._spec = TensorSpec(self._name, self._network.dtype, (None,) + self._network.shape[1:])

    def inputs(self) -> Sequence[TensorSpec]:
        """Return the file's only input, by the kit's name, for any number of images."""
        return [self._spec]

    def run(self, feed: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run the images one by one. The array belongs to the caller."""
        return {self._answer_name: np.concatenate([self._network.compute(image[None]) for image in feed[self._name]])}

    def close(self) -> None:
        """Release the network; a traced session writes ``layers.json``."""
        if self._trace is not None:
            write_trace(self._path, self._trace, self.threads or 1, XNNPACK_IN_HALF if self._half else None)
            self._trace = None
        with _hidden_stderr():
            self._network = None


@contextmanager
def _hidden_stderr() -> Iterator[None]:
    """Hide LiteRT's output on standard error; the reason of a failure is in its exception."""
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


def _silence_stderr() -> None:
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


class _Interpreted:
    def __init__(self, path: Path, threads: int) -> None:
        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        (input_,), (output,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._input, self._output = input_["index"], output["index"]
        self.shape, self.dtype = tuple(int(size) for size in input_["shape"]), np.dtype(input_["dtype"]).name

    def compute(self, picture: Any) -> Any:
        self._interpreter.set_tensor(self._input, np.ascontiguousarray(picture))
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)


class _Compiled:
    """A network in half precision with float32 input and output. XNNPACK refuses a processor without such arithmetic."""

    def __init__(self, path: Path, threads: int) -> None:
        from ai_edge_litert.compiled_model import CompiledModel
        from ai_edge_litert.options import CpuOptions, Options

        cpu = CpuOptions(num_threads=threads, xnnpack_flags=XNNPACK_IN_HALF)
        self._model = CompiledModel.from_file(str(path), options=Options(cpu_options=cpu))
        (key,) = self._model.get_signature_list()
        (input_,) = self._model.get_input_tensor_details(key).values()
        (output,) = self._model.get_output_tensor_details(key).values()
        self.shape, self.dtype = tuple(int(size) for size in input_["shape"]), np.dtype(input_["dtype"]).name
        self._output_shape = tuple(int(size) for size in output["shape"])
        self._ins, self._outs = self._model.create_input_buffers(0), self._model.create_output_buffers(0)
        self._has_run = False
        atexit.register(_silence_stderr)  # LiteRT prints when it releases its resources at exit

    def compute(self, picture: Any) -> Any:
        if self._has_run:
            return self._run_once(picture)
        self._has_run = True
        with _hidden_stderr():  # the first call creates a default environment, which prints
            return self._run_once(picture)

    def _run_once(self, picture: Any) -> Any:
        self._ins[0].write(np.ascontiguousarray(picture))
        self._model.run_by_index(0, self._ins, self._outs)
        return self._outs[0].read(int(np.prod(self._output_shape)), np.float32).reshape(self._output_shape)


def open_session(
    kit: Kit, options: Mapping[str, str], trace_folder: Optional[Path] = None, batch: Optional[int] = None
) -> LitertSession:
    """Open the kit's ``.tflite``.

    Options: ``threads``; ``force_fp16``, 1 to compute in half precision. ``batch`` is not used.

    Raises:
        RunnerError: bad-option or runtime-refused-model.
    """
    return LitertSession(kit, dict(options), trace_folder)


_CPU, _FLOAT32 = 1, 1
"""``kLiteRtHwAcceleratorCpu`` and ``kLiteRtElementTypeFloat32``, of litert_common.h and litert_model_types.h."""
_WARM, _RUNS = 3, 10
_ROW = re.compile(r"^\s*(?P<kernel>\S.*?)\s+(?:[\d.]+\s+){2}(?P<avg_ms>[\d.]+)\s+[\d.]+%\s+[\d.]+%\s+[\d.]+\s+(?P<times>\d+)\s")
"""A row of the summary's table in the order of the run: node type, start, first, average, share, sum of shares, memory, calls.
In a network of several parts, kernels with the same name and position in several parts share a row."""


def write_trace(model: Path, folder: Path, threads: int, xnnpack_flags: Optional[int]) -> None:
    """Write ``layers.json``: ``kernels`` with their calls and time in an inference, and the file's ``operators``, both in order.

    LiteRT's profiler lists XNNPACK's kernels, whose names state their number types. It is part of LiteRT's C library, which the
    Python package contains but does not bind: https://github.com/google-ai-edge/LiteRT/tree/main/litert/c. The input is zeros,
    since no kernel's time depends on its numbers.

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
            "inputs": [_tensor_facts(tensors[index]) for index in operator["inputs"] if index in tensors],
            "outputs": [_tensor_facts(tensors[index]) for index in operator["outputs"] if index in tensors],
        }
        for operator in opened._get_ops_details()
    ]


def _tensor_facts(tensor: Any) -> Dict[str, Any]:
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
        self._environment = self._create("LiteRtCreateEnvironment", ctypes.c_int(0), None)
        network = self._create("LiteRtCreateModelFromFile", self._environment, str(model).encode())
        options = self._create("LiteRtCreateOptions")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, ctypes.c_int(_CPU))
        self._set(options, b"runtime_options_string", b"enable_profiling = true\n")
        flags_line = b"" if flags is None else b"flags = %d\n" % flags
        self._set(options, b"xnnpack", b"num_threads = %d\n" % threads + flags_line)
        self._compiled = self._create("LiteRtCreateCompiledModel", self._environment, network, options)

    def summary(self) -> str:
        """Return the profiler's table after some runs."""
        profiler = self._create("LiteRtCompiledModelGetProfiler", self._compiled)
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
        needs = self._create("LiteRtGetCompiledModel{}BufferRequirements".format(end), self._compiled, first, first)
        kind = ctypes.byref(_Type(_FLOAT32, layout))
        buffer = self._create("LiteRtCreateManagedTensorBufferFromRequirements", self._environment, kind, needs)
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
        opaque = self._create("LiteRtCreateOpaqueOptions", name, ctypes.cast(payload, ctypes.c_void_p), dropped)
        self._call("LiteRtAddOpaqueOptions", options, opaque)

    def _create(self, name: str, *arguments: Any) -> Any:
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
