"""The calls of NVIDIA's CUDA runtime that move tensors, through ctypes: JetPack ships no Python package for them."""

from __future__ import annotations

import ctypes
from typing import Any, Iterable, List

from ..messages import RunnerError

LIBRARIES = (
    "libcudart.so",
    "libcudart.so.13",
    "libcudart.so.12",
    "/usr/local/cuda/lib64/libcudart.so",
)
"""Paths of the library, in order; JetPack's is not always on the loader's path."""
_TO_DEVICE = 1
_TO_HOST = 2
"""cudaMemcpyHostToDevice and cudaMemcpyDeviceToHost, CUDA Runtime API, cudaMemcpyKind."""

_CAPABILITY_MAJOR = 75
_CAPABILITY_MINOR = 76
"""cudaDevAttrComputeCapabilityMajor and …Minor, same place, cudaDeviceAttr."""


class Cuda:
    """The first visible device. Every call raises an error instead of returning a code."""

    def __init__(self, libraries: Iterable[str] = LIBRARIES) -> None:
        """Load the library and find a GPU.

        Raises:
            RunnerError: cuda-runtime-missing or no-gpu.
        """
        self._library = _load(libraries)
        self._library.cudaGetErrorString.restype = ctypes.c_char_p
        count = ctypes.c_int(0)
        code = self._library.cudaGetDeviceCount(ctypes.byref(count))
        if code != 0 or count.value < 1:
            why = self._error_text(code) if code != 0 else "the driver reports none"
            raise RunnerError("no-gpu", "no NVIDIA GPU is available", why, "check it with nvidia-smi", missing=True)

    def capability(self) -> str:
        """Return the GPU's compute capability, such as ``8.7``."""
        numbers = []
        for attribute in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR):
            value = ctypes.c_int()
            self._call("cudaDeviceGetAttribute", ctypes.byref(value), ctypes.c_int(attribute), ctypes.c_int(0))
            numbers.append(str(value.value))
        return ".".join(numbers)

    def allocate(self, size: int) -> int:
        """Allocate ``size`` bytes of device memory; return the address."""
        address = ctypes.c_void_p()
        self._call("cudaMalloc", ctypes.byref(address), ctypes.c_size_t(size))
        return int(address.value or 0)

    def free(self, address: int) -> None:
        """Free device memory."""
        self._call("cudaFree", ctypes.c_void_p(address))

    def stream(self) -> int:
        """Create a stream; return its handle."""
        handle = ctypes.c_void_p()
        self._call("cudaStreamCreate", ctypes.byref(handle))
        return int(handle.value or 0)

    def destroy_stream(self, stream: int) -> None:
        """Destroy a stream."""
        self._call("cudaStreamDestroy", ctypes.c_void_p(stream))

    def copy_to_device(self, address: int, array: Any, stream: int) -> None:
        """Queue the copy of a contiguous array to the device."""
        self._copy(address, array.ctypes.data, array.nbytes, _TO_DEVICE, stream)

    def copy_to_host(self, array: Any, address: int, stream: int) -> None:
        """Queue the copy of device memory into a contiguous array."""
        self._copy(array.ctypes.data, address, array.nbytes, _TO_HOST, stream)

    def wait(self, stream: int) -> None:
        """Wait until all queued work is done."""
        self._call("cudaStreamSynchronize", ctypes.c_void_p(stream))

    def event(self) -> int:
        """Create an event that records the time; return its handle."""
        handle = ctypes.c_void_p()
        self._call("cudaEventCreate", ctypes.byref(handle))
        return int(handle.value or 0)

    def record(self, event: int, stream: int) -> None:
        """Queue the event."""
        self._call("cudaEventRecord", ctypes.c_void_p(event), ctypes.c_void_p(stream))

    def elapsed_ns(self, begin: int, end: int) -> int:
        """Return the nanoseconds between two recorded events, to about half a microsecond. Wait for the later, destroy both."""
        milliseconds = ctypes.c_float()
        self._call("cudaEventSynchronize", ctypes.c_void_p(end))
        self._call("cudaEventElapsedTime", ctypes.byref(milliseconds), ctypes.c_void_p(begin), ctypes.c_void_p(end))
        for event in (begin, end):
            self._call("cudaEventDestroy", ctypes.c_void_p(event))
        return round(milliseconds.value * 1e6)

    def _copy(self, target: int, source: int, size: int, kind: int, stream: int) -> None:
        self._call(
            "cudaMemcpyAsync",
            ctypes.c_void_p(target),
            ctypes.c_void_p(source),
            ctypes.c_size_t(size),
            ctypes.c_int(kind),
            ctypes.c_void_p(stream),
        )

    def _call(self, name: str, *arguments: Any) -> None:
        code = getattr(self._library, name)(*arguments)
        if code != 0:
            raise RunnerError("cuda-failed", "{} failed with CUDA error {}".format(name, code), self._error_text(code))

    def _error_text(self, code: int) -> str:
        text = self._library.cudaGetErrorString(ctypes.c_int(code))
        return text.decode("utf-8", "replace") if text else "CUDA error {}".format(code)


def _load(libraries: Iterable[str]) -> ctypes.CDLL:
    tried: List[str] = []
    for name in libraries:
        try:
            return ctypes.CDLL(name)
        except OSError:
            tried.append(name)
    raise RunnerError(
        "cuda-runtime-missing",
        "the CUDA runtime library cannot be loaded",
        "tried {}".format(", ".join(tried)),
        "on a Jetson: sudo apt install cuda-cudart; else name its folder in LD_LIBRARY_PATH",
        missing=True,
    )
