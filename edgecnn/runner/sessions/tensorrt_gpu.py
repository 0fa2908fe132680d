"""TensorRT on an NVIDIA GPU: run the engine that ``build-engine`` made on this machine.

An engine belongs to one network, one TensorRT version and one GPU. All three are compared with the record of ``build-engine``
before TensorRT reads the file (``engines/record``).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from ..engines.builder import MessageLog, import_builder, logger_of
from ..engines.record import BUILD, check_gpu, check_version, read_record
from ..feeds import TensorSpec
from ..files import write_bytes, write_json
from ..machine.cudart import Cuda
from ..machine.sensors import gpu_models
from ..messages import RunnerError
from . import Session

if TYPE_CHECKING:
    from ..kit import Kit

DEFAULT_ENGINE = "build/engine.plan"
KNOBS = ()  # type: Tuple[str, ...]


class TensorRtSession(Session):
    """An engine and its device buffers, which are allocated once for the largest batch."""

    no_events = None

    def __init__(self, trt: Any, cuda: Cuda, engine_file: Path, batch: Optional[int], trace_folder: Optional[Path]) -> None:
        self._cuda = cuda
        self._messages = MessageLog()
        self._logger = logger_of(trt, self._messages)
        self._runtime = trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(engine_file.read_bytes())
        if self._engine is None:
            why = self._messages.last_error()
            raise RunnerError("engine-refused", "{}: TensorRT refuses this engine".format(engine_file), why, BUILD)
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise RunnerError(
                "engine-refused", "{}: too little memory to run this engine".format(engine_file), self._messages.last_error()
            )
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        inputs = [name for name in names if self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        self._inputs: Dict[str, Any] = {name: np.dtype(trt.nptype(self._engine.get_tensor_dtype(name))) for name in inputs}
        self._outputs: Dict[str, Any] = {
            name: np.dtype(trt.nptype(self._engine.get_tensor_dtype(name))) for name in names if name not in inputs
        }
        self._stream = self._cuda.stream()
        self._buffers: Dict[str, int] = {}
        self._largest: Dict[str, Tuple[int, ...]] = {}
        self._shapes: Dict[str, Tuple[int, ...]] = {}
        self._allocate(batch)
        self._trace_folder = trace_folder
        self._times = _profiler(trt) if trace_folder is not None else None
        if self._times is not None:
            self._context.profiler = self._times
        self._trt = trt

    def inputs(self) -> Sequence[TensorSpec]:
        """Return the engine's inputs; None for a variable size up to the profile's."""
        return [
            TensorSpec(name, dtype.name, tuple(None if size < 0 else int(size) for size in self._engine.get_tensor_shape(name)))
            for name, dtype in self._inputs.items()
        ]

    def run(self, feed: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run one inference with copies to and from the device. The arrays belong to the caller.

        Raises:
            RunnerError: bad-feed for a shape outside the engine's profile, cuda-failed, or inference-failed.
        """
        arrays = self._copy_inputs(feed)
        self._execute()
        outputs = {}
        for name, dtype in self._outputs.items():
            outputs[name] = np.empty(tuple(self._context.get_tensor_shape(name)), dtype)
            self._cuda.copy_to_host(outputs[name], self._buffers[name], self._stream)
        self._cuda.wait(self._stream)
        del arrays
        return outputs

    def event_ns(self, feed: Mapping[str, Any]) -> int:
        """Return the nanoseconds between two CUDA events around the engine, without copies of the feed and the logits."""
        arrays = self._copy_inputs(feed)
        self._cuda.wait(self._stream)
        del arrays
        begin, end = self._cuda.event(), self._cuda.event()
        self._cuda.record(begin, self._stream)
        self._execute()
        self._cuda.record(end, self._stream)
        return self._cuda.elapsed_ns(begin, end)

    def close(self) -> None:
        """Free the device memory; a traced session writes ``layers.txt`` and ``times.json`` (µs a layer, mean of its calls)."""
        if self._trace_folder is not None and self._times is not None:
            inspector = self._engine.create_engine_inspector()
            inspector.execution_context = self._context
            text = inspector.get_engine_information(self._trt.LayerInformationFormat.ONELINE)
            write_bytes(self._trace_folder / "layers.txt", text.encode("utf-8"))
            write_json(self._trace_folder / "times.json", self._times.means_us())
            self._trace_folder = None
        for address in self._buffers.values():
            self._cuda.free(address)
        if self._buffers:
            self._cuda.destroy_stream(self._stream)
        self._buffers = {}
        # Release the context before the engine, and the engine before the runtime, which holds its logger.
        self._context = self._engine = self._runtime = None

    def _copy_inputs(self, feed: Mapping[str, Any]) -> List[Any]:
        """Queue the copies to the device. The returned arrays must stay alive until the copies are done."""
        arrays = []
        for name, dtype in self._inputs.items():
            array = np.ascontiguousarray(feed[name], dtype=dtype)
            if self._shapes.get(name) != array.shape:
                self._reshape(name, array.shape)
            self._cuda.copy_to_device(self._buffers[name], array, self._stream)
            arrays.append(array)
        return arrays

    def _execute(self) -> None:
        if not self._context.execute_async_v3(self._stream):
            raise RunnerError("inference-failed", "TensorRT could not run the engine", self._messages.last_error())

    def _allocate(self, batch: Optional[int]) -> None:
        for name in self._inputs:
            largest = tuple(self._engine.get_tensor_profile_shape(name, 0)[2])
            self._largest[name] = largest if batch is None else (batch,) + largest[1:]
            self._reshape(name, self._largest[name])
        for name, dtype in list(self._inputs.items()) + list(self._outputs.items()):
            size = int(np.prod(tuple(self._context.get_tensor_shape(name)), dtype=np.int64)) * dtype.itemsize
            self._buffers[name] = self._cuda.allocate(size)
            if not self._context.set_tensor_address(name, self._buffers[name]):
                why = self._messages.last_error()
                raise RunnerError("engine-refused", "tensor {}: TensorRT refuses its buffer".format(name), why)

    def _reshape(self, name: str, shape: Tuple[int, ...]) -> None:
        fits = np.prod(shape) <= np.prod(self._largest[name])
        if not fits or not self._context.set_input_shape(name, shape):
            size_text = "x".join(str(size) for size in shape)
            raise RunnerError(
                "bad-feed", "input {}: the engine does not accept {}".format(name, size_text), self._messages.last_error()
            )
        self._shapes[name] = shape


def _profiler(trt: Any) -> Any:
    class Times(trt.IProfiler):  # type: ignore[misc]
        """Times by TensorRT's profiler, in milliseconds for each layer and call."""

        def __init__(self) -> None:
            trt.IProfiler.__init__(self)
            self.ms: Dict[str, List[float]] = {}

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.ms.setdefault(layer_name, []).append(ms)

        def means_us(self) -> Dict[str, float]:
            return {name: 1000.0 * sum(times) / len(times) for name, times in self.ms.items()}

    return Times()


def open_session(
    kit: Kit, options: Mapping[str, str], trace_folder: Optional[Path] = None, batch: Optional[int] = None
) -> TensorRtSession:
    """Open the engine that was built for this kit on this machine.

    Options: ``engine``, the engine's file relative to the kit, by default ``build/engine.plan``, with ``build.json`` next to it.

    Raises:
        RunnerError: bad-option, outside-the-kit, engine-not-built, engine-record-refused, engine-of-another-network,
            engine-altered, builder-missing, engine-of-another-version, cuda-runtime-missing, no-gpu, engine-of-another-gpu,
            or engine-refused.
    """
    engine = kit.folder / options.get("engine", DEFAULT_ENGINE)
    record = read_record(kit, engine)
    trt = import_builder(str(record["package"]), None)
    check_version(record, engine, str(trt.__version__))
    cuda = Cuda()
    check_gpu(record, engine, cuda.capability(), gpu_models())
    return TensorRtSession(trt, cuda, engine, batch, trace_folder)
