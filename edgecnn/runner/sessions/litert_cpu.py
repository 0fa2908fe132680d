"""LiteRT (TensorFlow Lite) on the CPU, with XNNPACK. It runs one image a call: a batch is a sequence of calls.

XNNPACK runs the operators that it has kernels for, and LiteRT the others; a traced session records which. Half-precision
arithmetic must be requested, which LiteRT's compiled model can do and its interpreter cannot.
"""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping, Optional, Sequence

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from ..failure import RunnerError
from ..feeds import TensorSpec
from . import Session, threads_of
from .litert_trace import write_trace

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
            with _unheard():
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
        return {self._answer_name: np.concatenate([self._network.answer(image[None]) for image in feed[self._name]])}

    def close(self) -> None:
        """Release the network; a traced session writes ``layers.json``."""
        if self._trace is not None:
            write_trace(self._path, self._trace, self.threads or 1, XNNPACK_IN_HALF if self._half else None)
            self._trace = None
        with _unheard():
            self._network = None


@contextmanager
def _unheard() -> Iterator[None]:
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


def _hear_nothing() -> None:
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


class _Interpreted:
    def __init__(self, path: Path, threads: int) -> None:
        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        (input_,), (output,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._input, self._output = input_["index"], output["index"]
        self.shape, self.dtype = tuple(int(size) for size in input_["shape"]), np.dtype(input_["dtype"]).name

    def answer(self, picture: Any) -> Any:
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
        self._given = tuple(int(size) for size in output["shape"])
        self._ins, self._outs = self._model.create_input_buffers(0), self._model.create_output_buffers(0)
        self._answered = False
        atexit.register(_hear_nothing)  # LiteRT prints when it releases its resources at exit

    def answer(self, picture: Any) -> Any:
        if self._answered:
            return self._answer(picture)
        self._answered = True
        with _unheard():  # the first call creates a default environment, which prints
            return self._answer(picture)

    def _answer(self, picture: Any) -> Any:
        self._ins[0].write(np.ascontiguousarray(picture))
        self._model.run_by_index(0, self._ins, self._outs)
        return self._outs[0].read(int(np.prod(self._given)), np.float32).reshape(self._given)


def open_session(
    kit: Kit, options: Mapping[str, str], trace_folder: Optional[Path] = None, batch: Optional[int] = None
) -> LitertSession:
    """Open the kit's ``.tflite``.

    Options: ``threads``; ``force_fp16``, 1 to compute in half precision. ``batch`` is not used.

    Raises:
        RunnerError: bad-option or runtime-refused-model.
    """
    return LitertSession(kit, dict(options), trace_folder)
