"""Queries of NVIDIA's management library, through ctypes: it is part of the driver, not installed by pip.

A Jetson has no such library, or one that returns 'not supported'. Then the result is a reason, never a number.
Source: NVML API Reference, nvmlDeviceGetTotalEnergyConsumption and nvmlDeviceGetComputeRunningProcesses_v3.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import Any, Callable, Iterable, List, Mapping, Optional, Tuple, TypeVar

_Answer = TypeVar("_Answer")
LIBRARIES = ("libnvidia-ml.so.1", "libnvidia-ml.so")
_INSUFFICIENT_SIZE = 7
_NOT_AVAILABLE = (1 << 64) - 1
_NAME_BYTES = 96
"""NVML_ERROR_INSUFFICIENT_SIZE, NVML_VALUE_NOT_AVAILABLE and NVML_DEVICE_NAME_V2_BUFFER_SIZE of nvml.h."""


class NvmlAbsent(Exception):
    """Raised when the library gives no value. ``why``: the reason. ``hint``: the fix, if there is one."""

    def __init__(self, why: str, hint: Optional[str] = None) -> None:
        super().__init__(why)
        self.why, self.hint = why, hint


class _Process(ctypes.Structure):
    _fields_ = (
        ("pid", ctypes.c_uint),
        ("used_bytes", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    )


class Nvml:
    """An open library; ``close`` it."""

    def __init__(self, libraries: Iterable[str] = LIBRARIES) -> None:
        """Load and initialise the library.

        Raises:
            NvmlAbsent: the library or the driver is missing.
        """
        self._library = _load(libraries)
        self._library.nvmlErrorString.restype = ctypes.c_char_p
        self._call("nvmlInit_v2")

    def close(self) -> None:
        """Release the library."""
        self._library.nvmlShutdown()

    def device(self, environment: Mapping[str, str] = os.environ) -> Any:
        """Return the kit's GPU: the only one, or the one that CUDA_VISIBLE_DEVICES names by UUID.

        CUDA numbers GPUs by speed and this library by slot, so a CUDA number may mean another GPU here.

        Raises:
            NvmlAbsent: there is no GPU, or several and no UUID.
        """
        first = environment.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0].strip()
        handle = ctypes.c_void_p()
        if first.startswith("GPU-"):
            self._call("nvmlDeviceGetHandleByUUID", ctypes.c_char_p(first.encode("ascii", "replace")), ctypes.byref(handle))
            return handle
        devices = self._devices()
        if len(devices) == 1:
            return devices[0]
        if not devices:
            raise NvmlAbsent("no GPU is listed")
        why = "{} GPUs are listed, and the one that computes is not known".format(len(devices))
        raise NvmlAbsent(why, "set CUDA_VISIBLE_DEVICES to the GPU's UUID, as nvidia-smi -L shows it")

    def models(self) -> List[str]:
        """Return the names of all GPUs, in the order of their slots."""
        names = []
        for device in self._devices():
            name = ctypes.create_string_buffer(_NAME_BYTES)
            self._call("nvmlDeviceGetName", device, name, ctypes.c_uint(_NAME_BYTES))
            names.append(name.value.decode("utf-8", "replace"))
        return names

    def cuda(self) -> Tuple[int, int]:
        """Return the newest CUDA version that the driver supports, major and minor."""
        version = ctypes.c_int()
        self._call("nvmlSystemGetCudaDriverVersion_v2", ctypes.byref(version))
        return version.value // 1000, version.value % 1000 // 10

    def energy_mj(self, device: Any) -> int:
        """Return the board's millijoules since the driver was loaded. GPUs before Volta do not count them.

        Raises:
            NvmlAbsent: this GPU does not count energy.
        """
        spent = ctypes.c_ulonglong()
        self._call("nvmlDeviceGetTotalEnergyConsumption", device, ctypes.byref(spent))
        return int(spent.value)

    def used_bytes(self, pid: int) -> Optional[int]:
        """Return the memory of a process on all GPUs; None if the driver does not list it.

        Raises:
            NvmlAbsent: the driver does not report memory, as under WDDM.
        """
        used = [process.used_bytes for device in self._devices() for process in self._processes(device) if process.pid == pid]
        if _NOT_AVAILABLE in used:
            raise NvmlAbsent("the driver does not report a process's memory")
        return sum(used) if used else None

    def _devices(self) -> List[Any]:
        count = ctypes.c_uint(0)
        self._call("nvmlDeviceGetCount_v2", ctypes.byref(count))
        handles = []
        for index in range(count.value):
            handle = ctypes.c_void_p()
            self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle))
            handles.append(handle)
        return handles

    def _processes(self, device: Any) -> List[Any]:
        room = 64
        while True:
            count, processes = ctypes.c_uint(room), (_Process * room)()
            code = self._function("nvmlDeviceGetComputeRunningProcesses_v3")(device, ctypes.byref(count), processes)
            if code != _INSUFFICIENT_SIZE:
                self._check("nvmlDeviceGetComputeRunningProcesses_v3", code)
                return list(processes[: count.value])
            room = max(2 * room, count.value)

    def _call(self, name: str, *arguments: Any) -> None:
        self._check(name, self._function(name)(*arguments))

    def _function(self, name: str) -> Any:
        try:
            return getattr(self._library, name)
        except AttributeError:
            raise NvmlAbsent("this driver's library has no {}".format(name), "install a newer NVIDIA driver") from None

    def _check(self, name: str, code: int) -> None:
        if code != 0:
            text = self._library.nvmlErrorString(ctypes.c_int(code))
            raise NvmlAbsent("{}: {}".format(name, text.decode("utf-8", "replace") if text else "error {}".format(code)))


def _load(libraries: Iterable[str]) -> Any:
    names = list(libraries)
    for name in names:
        with suppress(OSError):
            return ctypes.CDLL(name)
    raise NvmlAbsent("{} cannot be loaded: no NVIDIA driver, or a Jetson's".format(names[0] if names else "the library"))


def driver_models() -> List[str]:
    """Return the names of this machine's GPUs; none if the library is not available."""
    return _query(Nvml.models) or []


def driver_cuda() -> Optional[Tuple[int, int]]:
    """Return the newest CUDA version that this machine's driver supports; None if the library is not available."""
    return _query(Nvml.cuda)


def _query(ask: Callable[[Nvml], _Answer]) -> Optional[_Answer]:
    try:
        library = Nvml(LIBRARIES)
    except NvmlAbsent:
        return None
    try:
        return ask(library)
    except NvmlAbsent:
        return None
    finally:
        library.close()
