"""The state of the process while it trains: repeatable arithmetic, threads, memory that is kept, and the GPU.

By default glibc gives each large tensor back to the kernel and asks for fresh pages at the next step. Filling those pages with
zeros took a fifth to a third of the time of a step (EfficientNet-Lite0 at 224 px, 14 → 17 images/s a core). Everything is put
back afterwards. https://docs.pytorch.org/docs/stable/notes/randomness.html
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from threadpoolctl import threadpool_limits
from torch import nn

from edgecnn.errors.training import NO_GPU_TO_TRAIN_ON
from edgecnn.errors.wording import reason_in
from edgecnn.values.training import LearningDevice, LearningPrecision

CPU = torch.device("cpu")

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_TRIM_DEFAULT, _MMAP_DEFAULT = 128 * 1024, 65536
"""Numbers and defaults of mallopt(3)."""
_NEVER = 2**31 - 1


_STREAM = threading.Lock()


@contextmanager
def own_stream(seed: int) -> Iterator[None]:
    """The processor's random numbers begun at a seed, for one thread at a time, and then where they were. A GPU has its own."""
    with _STREAM:
        before = torch.get_rng_state()
        torch.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            torch.set_rng_state(before)


@contextmanager
def repeatable(threads: int, *, warn_only: bool = False) -> Iterator[None]:
    """Same bits from the same start: deterministic algorithms only, and a fixed number of threads for torch and NumPy's BLAS.

    ``threads``: may be more than there are cores. ``warn_only``: what has no such algorithm is a warning, and no error.
    """
    checks = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads(), checks.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    checks.fill_uninitialized_memory = False  # type: ignore[attr-defined] # it costs 15 % and makes no bit repeatable
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]), _kept_memory(), threadpool_limits(threads, user_api="blas"):
            yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.set_num_threads(before[1])
        checks.fill_uninitialized_memory = before[2]  # type: ignore[attr-defined]


@contextmanager
def one_thread() -> Iterator[None]:
    """For work on one picture after another. Measured for a crop of 256 px squares to 224 px and its normalization, on two idle
    cores: 0.67 ms a picture on one thread and 1.06 ms on two, for to wake the second one costs more than it gives."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _kept_memory() -> Iterator[None]:
    """Let freed tensors' memory serve the next ones; does nothing where the C library is not glibc."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is None or not hasattr(libc, "gnu_get_libc_version"):
        yield
        return
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        libc.mallopt(_M_MMAP_MAX, _MMAP_DEFAULT)
        libc.mallopt(_M_TRIM_THRESHOLD, _TRIM_DEFAULT)
        libc.malloc_trim(0)


def computing_in(precision: LearningPrecision, device: torch.device = CPU) -> AbstractContextManager[Any]:
    """For a forward pass; the backward pass computes in what this one left. Nothing is scaled: bf16 has the range of fp32."""
    return nullcontext() if precision == "fp32" else torch.autocast(device.type, torch.bfloat16)


_NOT_REPEATABLE = re.compile(r"(\S+) (?:does not have a deterministic implementation|defaults to a non-deterministic algorithm)")
"""How torch's warnings begin, after the operation's name."""


def torch_device(kind: LearningDevice) -> torch.device:
    """The processor, or of several GPUs the first, which torch orders by speed. Raises NO_GPU_TO_TRAIN_ON: torch can use none."""
    if kind == "cpu":
        return CPU
    if not torch.cuda.is_available():
        built = "was built without CUDA" if torch.version.cuda is None else f"(CUDA {torch.version.cuda}) finds none"
        raise NO_GPU_TO_TRAIN_ON(because=f"torch {torch.__version__} {built}")
    device = torch.device("cuda", 0)
    try:
        torch.ones(1, device=device).add_(1)
    except RuntimeError as error:  # a GPU that this torch has no kernels for any more
        raise NO_GPU_TO_TRAIN_ON(because=f"{torch.cuda.get_device_name(device)}: {reason_in(error)}") from error
    return device


def gpu_name(device: torch.device) -> str | None:
    """As its driver names it; None of the processor."""
    return None if device.type == "cpu" else torch.cuda.get_device_name(device)


def device_of(network: nn.Module) -> torch.device:
    """Where its weights are; the processor where it has none."""
    return next((parameter.device for parameter in network.parameters()), CPU)


@contextmanager
def moved(device: torch.device, *networks: nn.Module | None) -> Iterator[None]:
    """Networks on a device, and back on the processor at the end, with the GPU's memory given back."""
    there = [network for network in networks if network is not None and device.type != "cpu"]
    for network in there:
        network.to(device)
    try:
        yield
    finally:
        for network in there:
            network.to(CPU)
        if there:
            torch.cuda.empty_cache()


@contextmanager
def repeatable_on(device: torch.device, threads: int) -> Iterator[set[str]]:
    """``repeatable`` on that device; on a GPU also without TF32, without trying cuDNN's algorithms, and without fused attention,
    whose backward passes add in no fixed order. Gives the operations of which torch has none that repeats itself, as they run.
    """
    not_repeatable = set[str]()
    if device.type == "cpu":
        with repeatable(threads):
            yield not_repeatable
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS begins
    with torch.random.fork_rng([device.index]), _settled(), _heard(not_repeatable), repeatable(threads, warn_only=True):
        yield not_repeatable


@contextmanager
def _settled() -> Iterator[None]:
    cudnn, cuda = torch.backends.cudnn, torch.backends.cuda
    before = cudnn.allow_tf32, cudnn.benchmark, cuda.matmul.allow_tf32
    fused = cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.cudnn_sdp_enabled()  # type: ignore[no-untyped-call]
    cudnn.allow_tf32 = cudnn.benchmark = cuda.matmul.allow_tf32 = False
    _fuse(False, False, False)
    try:
        yield
    finally:
        cudnn.allow_tf32, cudnn.benchmark, cuda.matmul.allow_tf32 = before
        _fuse(*fused)


def _fuse(flash: bool, memory_efficient: bool, cudnn: bool) -> None:
    torch.backends.cuda.enable_flash_sdp(flash)
    torch.backends.cuda.enable_mem_efficient_sdp(memory_efficient)
    torch.backends.cuda.enable_cudnn_sdp(cudnn)


@contextmanager
def _heard(not_repeatable: set[str]) -> Iterator[None]:
    """Torch's warnings of operations that do not repeat themselves are kept by name; others go where they always do."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def hear(message: Warning | str, *rest: object) -> None:
            match = _NOT_REPEATABLE.search(str(message))
            if match is None:
                show(message, *rest)  # type: ignore[arg-type]
            else:
                not_repeatable.add(match[1])

        warnings.showwarning = hear  # type: ignore[assignment]
        yield
