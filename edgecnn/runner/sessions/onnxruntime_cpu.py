"""ONNX Runtime on the CPU, with the kit's options and the runtime's defaults for others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

from ..feeds import TensorSpec
from ..messages import RunnerError
from . import Session, error_line, threads_of

# Since 1.29 it sends usage events over the network and stores a device id in the home folder, unless this is set before import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime  # noqa: E402

if TYPE_CHECKING:
    from ..kit import Kit

KNOBS = ("threads", "graph_optimization_level", "session.intra_op.allow_spinning", "pin_threads")
"""Options that keep the logits. Other options may change them."""
_LEVELS = {
    "disable": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
_DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(float16)": "float16", "tensor(int8)": "int8"}
_ERRORS_ONLY = 3


class OnnxRuntimeSession(Session):
    """A model in ONNX Runtime's CPU provider."""

    def __init__(self, model: Path, options: Dict[str, str], trace_folder: Optional[Path]) -> None:
        settings = _settings(dict(options))
        self.threads = settings.intra_op_num_threads
        self._trace_folder = trace_folder
        if trace_folder is not None:
            settings.enable_profiling = True
            settings.profile_file_prefix = str(trace_folder / "raw")
            settings.optimized_model_filepath = str(trace_folder / "optimized.onnx")
        try:
            self._session = onnxruntime.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - the runtime's exceptions share no public base class
            raise RunnerError(
                "runtime-refused-model", "{}: ONNX Runtime cannot open it".format(model.name), error_line(error)
            ) from error
        self._outputs: List[str] = [output.name for output in self._session.get_outputs()]
        self._run = self._session.run

    def inputs(self) -> Sequence[TensorSpec]:
        """Return the inputs in the model file."""
        return [
            TensorSpec(
                port.name,
                _DTYPES.get(port.type, port.type),
                tuple(size if isinstance(size, int) else None for size in port.shape),
            )
            for port in self._session.get_inputs()
        ]

    def run(self, feed: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run one call. The arrays belong to the caller."""
        return dict(zip(self._outputs, self._run(None, feed)))

    def close(self) -> None:
        """Release the model; a traced session writes ``profile.json`` and ``optimized.onnx``."""
        if self._trace_folder is not None:
            Path(self._session.end_profiling()).replace(self._trace_folder / "profile.json")
            self._trace_folder = None
        self._session = self._run = None


def open_session(
    kit: Kit, options: Mapping[str, str], trace_folder: Optional[Path] = None, batch: Optional[int] = None
) -> OnnxRuntimeSession:
    """Open the kit's ONNX file.

    Options: ``threads``; ``graph_optimization_level`` (disable, basic, extended, all); ``pin_threads`` (1: each thread except the
    caller's stays on one processor; 0: threads may move); names with a dot in ``session_options`` go to
    ``SessionOptions.add_session_config_entry``, whose other entries could write files. ``batch`` is not used: the provider plans
    each shape on its first call.

    Raises:
        RunnerError: bad-option or runtime-refused-model.
    """
    return OnnxRuntimeSession(kit.path(kit.manifest.model.entry), dict(options), trace_folder)


def _settings(options: Dict[str, str]) -> Any:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = _ERRORS_ONLY
    settings.intra_op_num_threads = threads_of(options)
    settings.inter_op_num_threads = 1
    settings.graph_optimization_level = _LEVELS[options.pop("graph_optimization_level", "all")]
    affinities = _affinities(settings.intra_op_num_threads) if options.pop("pin_threads", "0") == "1" else ""
    if affinities:
        settings.add_session_config_entry("session.intra_op_thread_affinities", affinities)
    for name, value in sorted(options.items()):
        settings.add_session_config_entry(name, value)
    return settings


def _affinities(threads: int) -> str:
    """Return a processor for each thread except the first, the caller's. ONNX Runtime counts processors from 1:
    ``kOrtSessionOptionsConfigIntraOpThreadAffinities`` of onnxruntime_session_options_config_keys.h."""
    if not hasattr(os, "sched_getaffinity"):
        raise RunnerError("bad-option", "pin_threads = '1': this system does not report a process's processors")
    allowed = sorted(os.sched_getaffinity(0))
    return ";".join(str(allowed[number % len(allowed)] + 1) for number in range(1, threads))
