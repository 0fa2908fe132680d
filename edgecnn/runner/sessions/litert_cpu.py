"""LiteRT (TensorFlow Lite) on the CPU, with XNNPACK. It takes one picture at a time: a batch is a row of calls.

XNNPACK takes what it has kernels for and leaves the rest to LiteRT's own; a traced session writes down which is which.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Sequence

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from ..failure import RunnerError
from ..feeds import TensorSpec
from . import Session, threads_of
from .litert_trace import write_trace

if TYPE_CHECKING:
    from ..kit import Kit

KNOBS = ("threads",)


class LitertSession(Session):
    """A ``.tflite`` network in LiteRT's interpreter."""

    def __init__(self, kit: Kit, options: Dict[str, str], trace_folder: Optional[Path]) -> None:
        model = kit.manifest.model
        self.threads = threads_of(options)
        self._path, self._trace = kit.path(model.entry), trace_folder
        try:
            self._interpreter = Interpreter(model_path=str(self._path), num_threads=self.threads)
            self._interpreter.allocate_tensors()
            (taken,), (given,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        except (ValueError, RuntimeError) as error:
            why = " ".join(str(error).split())
            raise RunnerError("runtime-refused-model", "{}: LiteRT cannot open it".format(self._path.name), why) from error
        self._input, self._output = taken["index"], given["index"]
        self._name, self._answer_name = model.input.name, model.output.name
        shape = tuple(int(size) for size in taken["shape"])
        self._spec = TensorSpec(self._name, np.dtype(taken["dtype"]).name, (None,) + shape[1:])

    def inputs(self) -> Sequence[TensorSpec]:
        """The one tensor of the file, by the kit's name, for any number of pictures."""
        return [self._spec]

    def run(self, feed: Mapping[str, Any]) -> Mapping[str, Any]:
        """One call of the runtime for each picture; the array is the caller's."""
        return {self._answer_name: np.concatenate([self._answer(picture) for picture in feed[self._name]])}

    def close(self) -> None:
        """Let go of the network; a traced session leaves ``layers.json``."""
        if self._trace is not None:
            write_trace(self._path, self._trace, self.threads or 1)
            self._trace = None
        self._interpreter = None

    def _answer(self, picture: Any) -> Any:
        self._interpreter.set_tensor(self._input, np.ascontiguousarray(picture)[None])
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)


def open_session(
    kit: Kit, options: Mapping[str, str], trace_folder: Optional[Path] = None, batch: Optional[int] = None
) -> LitertSession:
    """Open the kit's ``.tflite``.

    Options: ``threads``. ``batch`` is not used.

    Raises:
        RunnerError: bad-option or runtime-refused-model.
    """
    return LitertSession(kit, dict(options), trace_folder)
