"""The ways in which torch runs a program: precision, compiler, and single calls or a captured CUDA graph."""

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
        _need_package("torch_tensorrt", "torch-tensorrt", way)
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
        _need_package("triton", "triton", way)
        wanted = [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang", "cc"]
    else:
        wanted = [os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")]
    if not any(shutil.which(name) for name in wanted):
        why = "{} is not on PATH".format(" or ".join(wanted))
        hint = "install one, such as Debian's package g++"
        raise RunnerError("no-compiler", "torch.compile needs a C++ compiler, which is not installed", why, hint, missing=True)


def _need_package(module: str, distribution: str, way: Way) -> None:
    if find_spec(module) is None:
        raise lacking("compile = {} needs the package {}".format(way.compiler, distribution), distribution)
