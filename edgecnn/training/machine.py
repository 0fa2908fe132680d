"""The state of the process while it trains: repeatable arithmetic, a fixed number of threads, and memory that is kept.

By default glibc gives each large tensor back to the kernel and asks for fresh pages at the next step; filling those pages with
zeros took a fifth to a third of the time of a step (EfficientNet-Lite0 at 224 px, 14 → 17 images/s a core). Everything is
put back afterwards.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from edgecnn.values.training import LearningPrecision

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
