"""How torch is let run a program: in which precision, compiled or eagerly, call by call or as a captured CUDA graph."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from typing import Any, Callable, Dict, NamedTuple, Tuple

import torch

from ..failure import RunnerError
from ..installing import lacking

_HALF = {"fp16": torch.float16, "bf16": torch.bfloat16}
_AMPERE = (8, 0)
"""Compute capability from which NVIDIA's GPUs multiply TF32 and bf16:
https://docs.nvidia.com/cuda/cuda-c-programming-guide/ (compute capabilities)."""
_BEFORE_CAPTURE = 3
"""Calls before a capture, on a stream of their own: https://docs.pytorch.org/docs/stable/notes/cuda.html (CUDA graphs)."""


class Way(NamedTuple):
    """What the session's options ask for."""

    precision: str
    graph: str
    compiler: str

    @property
    def words(self) -> str:
        """For errors."""
        return "precision = {}, graph = {}, compile = {}".format(*self)


def way_of(options: Dict[str, str]) -> Way:
    """Take ``precision``, ``graph`` and ``compile`` out of the checked options."""
    return Way(options.pop("precision", "fp32"), options.pop("graph", "off"), options.pop("compile", "off"))


def check_way(way: Way, device: torch.device) -> None:
    """Refuse what this device or this machine cannot do, so that no figure stands under the name of another way.

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
        _need_package("torch_tensorrt", "torch-tensorrt", way)
        if device.type != "cuda":
            raise RunnerError("no-gpu", "TensorRT needs an NVIDIA GPU, and device = {}".format(device.type), missing=True)
    if way.compiler == "inductor":
        _check_compiler(way, device)


def check_gpu(precision: str, name: str, capability: Tuple[int, int]) -> None:
    """Refuse a precision that a GPU of this compute capability has not: torch would silently compute in another.

    Raises:
        RunnerError: unsupported-precision, naming the GPU.
    """
    if precision in ("tf32", "bf16") and capability < _AMPERE:
        why = "its compute capability is {}.{}, it needs {}.{}".format(*(capability + _AMPERE))
        raise RunnerError("unsupported-precision", "{} has no {}".format(name, precision), why)


def settle_tf32(way: Way) -> None:
    """TF32 in convolutions and matrix products, where it was asked for and nowhere else.

    Torch leaves cuDNN's on and calls the result fp32. The older names are used on purpose: torch 2.15 refuses to read them once
    the newer ``fp32_precision`` was set for convolutions alone, and its own libraries still read them.
    """
    torch.backends.cuda.matmul.allow_tf32 = way.precision == "tf32"
    torch.backends.cudnn.allow_tf32 = way.precision == "tf32"


def callable_of(network: Any, way: Way, device: torch.device) -> Callable[[Any], Any]:
    """The network as a function of one tensor on the device, compiled and under autocast as asked.

    Compiled for the shape that it is given, and whole: where a part could not be, it is an error and no slower network.
    """
    call: Callable[[Any], Any] = network
    if way.compiler == "inductor":
        call = torch.compile(network, fullgraph=True, dynamic=False)
    elif way.compiler == "tensorrt":
        options: Dict[str, Any] = {"disable_tf32": way.precision != "tf32"}
        call = torch.compile(network, backend="torch_tensorrt", fullgraph=True, dynamic=False, options=options)
    if way.precision not in _HALF:
        return call
    inner, dtype, kept = call, _HALF[way.precision], way.graph == "off"

    def mixed(there: Any) -> Any:
        # Weights that autocast keeps between calls must not be part of a captured graph.
        with torch.autocast(device.type, dtype=dtype, cache_enabled=kept):
            return inner(there)

    return mixed


class Direct:
    """Each call launches every kernel."""

    def __init__(self, call: Callable[[Any], Any], device: torch.device) -> None:
        self._call, self._device = call, device

    def place(self, tensor: Any) -> Any:
        """Copy a tensor of the host's to the device."""
        return tensor.to(self._device)

    def compute(self, there: Any) -> Any:
        """The network's answer, on the device."""
        return self._call(there)


class Captured:
    """Kernels are recorded once for each shape and launched together, on the same memory every time."""

    def __init__(self, call: Callable[[Any], Any], device: torch.device) -> None:
        self._call, self._device = call, device
        self._held: Dict[Tuple[int, ...], Tuple[Any, Any, Any]] = {}

    def place(self, tensor: Any) -> Any:
        """Copy a tensor of the host's to where the graph of its shape reads it; the first time, record that graph."""
        shape = tuple(tensor.shape)
        if shape not in self._held:
            self._held[shape] = self._capture(tensor)
        there = self._held[shape][1]
        there.copy_(tensor)
        return there

    def compute(self, there: Any) -> Any:
        """The network's answer, on the device, until the next call."""
        graph, _, answer = self._held[tuple(there.shape)]
        graph.replay()
        return answer

    def _capture(self, tensor: Any) -> Tuple[Any, Any, Any]:
        there = tensor.to(self._device)
        aside: Any = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(aside):
            for _ in range(_BEFORE_CAPTURE):
                self._call(there)
        torch.cuda.current_stream(self._device).wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            answer = self._call(there)
        return graph, there, answer


def _check_compiler(way: Way, device: torch.device) -> None:
    """Inductor writes C++ for a processor, and Triton kernels with a launcher in C for a GPU."""
    if device.type == "cuda":
        _need_package("triton", "triton", way)
        wanted = [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang", "cc"]
    else:
        wanted = [os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")]
    if not any(shutil.which(name) for name in wanted):
        why = "{} is not on PATH".format(" or ".join(wanted))
        hint = "install one, such as Debian's package g++"
        raise RunnerError("no-compiler", "torch.compile needs a compiler of C++, and there is none here", why, hint, missing=True)


def _need_package(module: str, distribution: str, way: Way) -> None:
    if find_spec(module) is None:
        raise lacking("compile = {} needs the package {}".format(way.compiler, distribution), distribution)
