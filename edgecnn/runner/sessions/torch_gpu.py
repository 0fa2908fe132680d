"""PyTorch on a CUDA GPU: the desktop baseline of all edge figures, and its variants."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from torch.export.passes import move_to_device_pass

from ..feeds import TensorSpec
from ..messages import RunnerError
from ..packages import lacking
from . import Session, error_line, threads_of

if TYPE_CHECKING:
    from ..kit import Kit


KNOBS = ("threads",)


class TorchSession(Session):
    """An exported program on one device. The time of a call includes the copies of its feed and its logits."""

    def __init__(self, kit: Kit, device: str, way: Way) -> None:
        self._device, self._way = torch.device(device), way
        self.no_events = None if self._device.type == "cuda" else "it ran on the processor, which has no CUDA events"
        self.threads = torch.get_num_threads() if self._device.type == "cpu" else None
        self._output = kit.manifest.model.output.name
        self._input = kit.manifest.model.input.name
        self._path = kit.path(kit.manifest.model.entry)
        try:
            program = torch.export.load(str(self._path))
            network = move_to_device_pass(program, device).module()
        except Exception as error:  # noqa: BLE001 - a broken archive fails in many ways without a common class
            what = "{}: torch cannot open it".format(self._path.name)
            raise RunnerError("runtime-refused-model", what, error_line(error)) from error
        input_name = program.graph_signature.user_inputs[0]
        node = next(candidate for candidate in program.graph.nodes if candidate.name == input_name)
        self._shape = tuple(size if isinstance(size, int) else None for size in node.meta["val"].shape)
        runner = Captured if way.graph == "cuda" else Direct
        self._network: Any = runner(callable_of(network, way, self._device), self._device)

    def inputs(self) -> Sequence[TensorSpec]:
        """Return the program's only input; None for any number of images."""
        return [TensorSpec(self._input, "float32", self._shape)]

    def run(self, feed: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run one inference with both copies, and wait for the GPU. The array belongs to the caller.

        The first call of a shape compiles or captures if the options request it.

        Raises:
            RunnerError: inference-failed, with torch's message.
        """
        try:
            with torch.inference_mode():
                answer = self._network.compute(self._network.place(self._tensor(feed)))
                return {self._output: answer.to("cpu").float().numpy()}
        except Exception as error:  # noqa: BLE001 - compilers and drivers fail in many ways without a common class
            what = "{}: torch could not run it with {}".format(self._path.name, self._way.words)
            raise RunnerError("inference-failed", what, error_line(error)) from error

    def event_ns(self, feed: Mapping[str, Any]) -> int:
        """Return the nanoseconds between two CUDA events around the network, without copies of the feed and the logits."""
        with torch.inference_mode():
            placed = self._network.place(self._tensor(feed))
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            torch.cuda.synchronize(self._device)
            begin.record()
            self._network.compute(placed)
            end.record()
            end.synchronize()
        return round(float(begin.elapsed_time(end)) * 1e6)

    def close(self) -> None:
        """Release the GPU's memory."""
        self._network = None

    def _tensor(self, feed: Mapping[str, Any]) -> Any:
        return torch.from_numpy(np.ascontiguousarray(feed[self._input]))


def open_session(
    kit: Kit, options: Mapping[str, str], trace_folder: Optional[Path] = None, batch: Optional[int] = None
) -> TorchSession:
    """Open the kit's program.

    Options: ``device``, ``cuda`` (the default) or ``cpu``, which checks the same program without a GPU; ``gpu``, the name of
    one of several GPUs (default: the first); ``threads``, of the CPU; ``precision``, fp32 with TF32 off (the default), tf32, or
    automatic mixed precision in fp16 or bf16; ``graph``, ``cuda`` for a captured CUDA graph; ``compile``, ``inductor`` or
    ``tensorrt`` for torch.compile. ``batch`` is not used: a shape is compiled or captured on its first call. cuDNN selects its
    fastest algorithms during the warm-up.

    Raises:
        RunnerError: no-trace, no-gpu, other-gpu, runtime-refused-model; the errors of ``check_way``.
    """
    remaining: Dict[str, str] = dict(options)
    way = way_of(remaining)
    threads, device, gpu = threads_of(remaining), remaining.pop("device", "cuda"), remaining.pop("gpu", None)
    if trace_folder is not None:
        raise RunnerError("no-trace", "torch_gpu does not trace: torch does not report a layer's precision")
    if device == "cuda":
        device = "cuda:{}".format(_gpu_number(gpu))
        torch.cuda.set_device(device)
    check_way(way, torch.device(device))
    torch.set_num_threads(threads)
    settle_tf32(way)
    torch.backends.cudnn.benchmark = True
    return TorchSession(kit, device, way)


def _gpu_number(name: Optional[str]) -> int:
    """Return the number of the GPU with this name. torch numbers GPUs by speed, so the name must be checked."""
    if not torch.cuda.is_available():
        why = "this torch {} was built without CUDA".format(torch.__version__)
        if torch.version.cuda is not None:
            why = "torch {} (CUDA {}) finds none".format(torch.__version__, torch.version.cuda)
        raise RunnerError("no-gpu", "no NVIDIA GPU is available", why, "check it with nvidia-smi", missing=True)
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    if name is not None and name not in names:
        available = ", ".join(names)
        raise RunnerError("other-gpu", "torch sees no {} here".format(name), "it sees {}".format(available), missing=True)
    return 0 if name is None else names.index(name)


_HALF = {"fp16": torch.float16, "bf16": torch.bfloat16}
_AMPERE = (8, 0)
"""The least compute capability of NVIDIA's GPUs with TF32 and bf16:
https://docs.nvidia.com/cuda/cuda-c-programming-guide/ (compute capabilities)."""
_BEFORE_CAPTURE = 3
"""Calls before a capture, on a separate stream: https://docs.pytorch.org/docs/stable/notes/cuda.html (CUDA graphs)."""


class Way(NamedTuple):
    """The options of a session."""

    precision: str
    graph: str
    compiler: str

    @property
    def words(self) -> str:
        """The options as text, for errors."""
        return "precision = {}, graph = {}, compile = {}".format(*self)


def way_of(options: Dict[str, str]) -> Way:
    """Remove ``precision``, ``graph`` and ``compile`` from the checked options and return them."""
    return Way(options.pop("precision", "fp32"), options.pop("graph", "off"), options.pop("compile", "off"))


def check_way(way: Way, device: torch.device) -> None:
    """Refuse options that this device or this machine does not support, so that no figure has a wrong name.

    Raises:
        RunnerError: unsupported-precision, no-cuda-graph, no-compiler or missing-package.
    """
    if device.type == "cuda":
        check_gpu(way.precision, torch.cuda.get_device_name(device), torch.cuda.get_device_capability(device))
    elif way.precision == "tf32":
        raise RunnerError("unsupported-precision", "tf32 is arithmetic of NVIDIA's GPUs, and device = {}".format(device.type))
    if way.graph == "cuda" and device.type != "cuda":
        raise RunnerError("no-cuda-graph", "a CUDA graph needs an NVIDIA GPU, and device = {}".format(device.type), missing=True)
    if way.compiler == "tensorrt":
        _require_package("torch_tensorrt", "torch-tensorrt", way)
        if device.type != "cuda":
            raise RunnerError("no-gpu", "TensorRT needs an NVIDIA GPU, and device = {}".format(device.type), missing=True)
    if way.compiler == "inductor":
        _check_compiler(way, device)


def check_gpu(precision: str, name: str, capability: Tuple[int, int]) -> None:
    """Refuse a precision that a GPU of this compute capability lacks: torch would silently use another.

    Raises:
        RunnerError: unsupported-precision, with the GPU's name.
    """
    if precision in ("tf32", "bf16") and capability < _AMPERE:
        why = "its compute capability is {}.{}, it needs {}.{}".format(*(capability + _AMPERE))
        raise RunnerError("unsupported-precision", "{} has no {}".format(name, precision), why)


def settle_tf32(way: Way) -> None:
    """Turn TF32 in convolutions and matrix products on or off.

    Torch enables it for cuDNN by default and calls the result fp32. The old names are used on purpose: torch's libraries read
    them, and torch 2.15 refuses to read them after the new ``fp32_precision`` was set for convolutions only.
    """
    torch.backends.cuda.matmul.allow_tf32 = way.precision == "tf32"
    torch.backends.cudnn.allow_tf32 = way.precision == "tf32"


def callable_of(network: Any, way: Way, device: torch.device) -> Callable[[Any], Any]:
    """Return the network as a function of one tensor on the device, with the way's compiler and autocast.

    It is compiled as one graph for each shape: a part that cannot be compiled is an error, not a slower network.
    """
    call: Callable[[Any], Any] = network
    if way.compiler == "inductor":
        call = torch.compile(network, fullgraph=True, dynamic=False)
    elif way.compiler == "tensorrt":
        options: Dict[str, Any] = {"disable_tf32": way.precision != "tf32"}
        call = torch.compile(network, backend="torch_tensorrt", fullgraph=True, dynamic=False, options=options)
    if way.precision not in _HALF:
        return call
    inner, dtype, caches_weights = call, _HALF[way.precision], way.graph == "off"

    def mixed(tensor: Any) -> Any:
        # A captured graph must not contain weights that autocast caches between calls.
        with torch.autocast(device.type, dtype=dtype, cache_enabled=caches_weights):
            return inner(tensor)

    return mixed


class Direct:
    """A network whose every call launches all kernels."""

    def __init__(self, call: Callable[[Any], Any], device: torch.device) -> None:
        self._call, self._device = call, device

    def place(self, tensor: Any) -> Any:
        """Copy a host tensor to the device."""
        return tensor.to(self._device)

    def compute(self, tensor: Any) -> Any:
        """Return the logits, on the device."""
        return self._call(tensor)


class Captured:
    """A network whose kernels are recorded once for each shape, and launched together on the same memory."""

    def __init__(self, call: Callable[[Any], Any], device: torch.device) -> None:
        self._call, self._device = call, device
        self._held: Dict[Tuple[int, ...], Tuple[Any, Any, Any]] = {}

    def place(self, tensor: Any) -> Any:
        """Copy a host tensor to the input of its shape's graph. Record the graph the first time."""
        shape = tuple(tensor.shape)
        if shape not in self._held:
            self._held[shape] = self._capture(tensor)
        placed = self._held[shape][1]
        placed.copy_(tensor)
        return placed

    def compute(self, tensor: Any) -> Any:
        """Return the logits, on the device, valid until the next call."""
        graph, _, answer = self._held[tuple(tensor.shape)]
        graph.replay()
        return answer

    def _capture(self, tensor: Any) -> Tuple[Any, Any, Any]:
        placed = tensor.to(self._device)
        aside: Any = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(aside):
            for _ in range(_BEFORE_CAPTURE):
                self._call(placed)
        torch.cuda.current_stream(self._device).wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            answer = self._call(placed)
        return graph, placed, answer


def _check_compiler(way: Way, device: torch.device) -> None:
    """Check the compilers: Inductor writes C++ for a CPU, and Triton kernels with a C launcher for a GPU."""
    if device.type == "cuda":
        _require_package("triton", "triton", way)
        wanted = [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang", "cc"]
    else:
        wanted = [os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")]
    if not any(shutil.which(name) for name in wanted):
        why = "{} is not on PATH".format(" or ".join(wanted))
        hint = "install one, such as Debian's package g++"
        raise RunnerError("no-compiler", "torch.compile needs a C++ compiler, which is not installed", why, hint, missing=True)


def _require_package(module: str, distribution: str, way: Way) -> None:
    if find_spec(module) is None:
        raise lacking("compile = {} needs the package {}".format(way.compiler, distribution), distribution)
