"""The state of the process while it trains: repeatable arithmetic, threads, memory, and the GPU.

All changes are undone afterwards. See https://docs.pytorch.org/docs/stable/notes/randomness.html
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

_GENERATOR_LOCK = threading.Lock()


@contextmanager
def seeded_generator(seed: int) -> Iterator[None]:
    """Seed torch's CPU generator in this context, for one thread at a time, and restore its state afterwards."""
    with _GENERATOR_LOCK:
        before = torch.get_rng_state()
        torch.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            torch.set_rng_state(before)


@contextmanager
def repeatable(threads: int, *, warn_only: bool = False) -> Iterator[None]:
    """Use deterministic algorithms, and ``threads`` threads in torch and NumPy's BLAS, so that equal inputs give equal bits.

    ``threads`` may exceed the number of cores. With ``warn_only``, an operation without a deterministic algorithm warns instead
    of raising an error.
    """
    checks = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads(), checks.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    checks.fill_uninitialized_memory = False  # type: ignore[attr-defined] # it costs 15 % and makes no bit repeatable
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]), kept_memory(), threadpool_limits(threads, user_api="blas"):
            yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.set_num_threads(before[1])
        checks.fill_uninitialized_memory = before[2]  # type: ignore[attr-defined]


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread in torch, which is faster for work on single images.

    Cropping 256 px to 224 px and normalizing took 0.67 ms for each image with one thread and 1.06 ms with two, on two idle cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep the memory of freed tensors for the next ones, if the C library is glibc.

    By default glibc returns each large tensor to the kernel and requests new pages at the next step. Filling those pages with
    zeros took a fifth to a third of the time of a step (EfficientNet-Lite0 at 224 px, 14 → 17 images/s on one core).
    """
    trim_threshold, mmap_max = -1, -4  # parameters of mallopt(3)
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is None or not hasattr(libc, "gnu_get_libc_version"):
        yield
        return
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, 2**31 - 1)
    try:
        yield
    finally:
        libc.mallopt(mmap_max, 65536)  # the defaults
        libc.mallopt(trim_threshold, 128 * 1024)
        libc.malloc_trim(0)


def autocast_to(precision: LearningPrecision, device: torch.device = CPU) -> AbstractContextManager[Any]:
    """Return the context of a forward pass in ``precision``. The loss is not scaled, because bf16 has the range of fp32."""
    return nullcontext() if precision == "fp32" else torch.autocast(device.type, torch.bfloat16)


_NOT_REPEATABLE = re.compile(r"(\S+) (?:does not have a deterministic implementation|defaults to a non-deterministic algorithm)")
"""Torch's warnings about an operation without a deterministic algorithm, which start with the name of the operation."""


def torch_device(kind: LearningDevice) -> torch.device:
    """Return the CPU or the first GPU; torch orders GPUs by speed.

    Raises NO_GPU_TO_TRAIN_ON: torch cannot use a GPU.
    """
    if kind == "cpu":
        return CPU
    if not torch.cuda.is_available():
        built = "was built without CUDA" if torch.version.cuda is None else f"(CUDA {torch.version.cuda}) finds none"
        raise NO_GPU_TO_TRAIN_ON(because=f"torch {torch.__version__} {built}")
    device = torch.device("cuda", 0)
    try:
        torch.ones(1, device=device).add_(1)
    except RuntimeError as error:  # this torch has no kernels for an old GPU
        raise NO_GPU_TO_TRAIN_ON(because=f"{torch.cuda.get_device_name(device)}: {reason_in(error)}") from error
    return device


def gpu_name(device: torch.device) -> str | None:
    """Return the driver's name of the GPU, or None for the CPU."""
    return None if device.type == "cpu" else torch.cuda.get_device_name(device)


def device_of(network: nn.Module) -> torch.device:
    """Return the device of the network's weights, or the CPU if it has none."""
    return next((parameter.device for parameter in network.parameters()), CPU)


@contextmanager
def moved_to_device(device: torch.device, *networks: nn.Module | None) -> Iterator[None]:
    """Move networks to a device in this context; afterwards, move them to the CPU and free the GPU's memory."""
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
    """Make arithmetic on the device repeatable, and yield the operations without a deterministic algorithm as they run.

    On a GPU, TF32, cuDNN's benchmarking and fused attention are disabled as well, because fused backward passes add in varying
    order.
    """
    not_repeatable = set[str]()
    if device.type == "cpu":
        with repeatable(threads):
            yield not_repeatable
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it starts
    with (
        torch.random.fork_rng([device.index]),
        _deterministic_cuda(),
        _collecting_warnings(not_repeatable),
        repeatable(threads, warn_only=True),
    ):
        yield not_repeatable


@contextmanager
def _deterministic_cuda() -> Iterator[None]:
    cudnn, cuda = torch.backends.cudnn, torch.backends.cuda
    before = cudnn.allow_tf32, cudnn.benchmark, cuda.matmul.allow_tf32
    fused = cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.cudnn_sdp_enabled()  # type: ignore[no-untyped-call]
    cudnn.allow_tf32 = cudnn.benchmark = cuda.matmul.allow_tf32 = False
    _enable_fused_attention(False, False, False)
    try:
        yield
    finally:
        cudnn.allow_tf32, cudnn.benchmark, cuda.matmul.allow_tf32 = before
        _enable_fused_attention(*fused)


def _enable_fused_attention(flash: bool, memory_efficient: bool, cudnn: bool) -> None:
    torch.backends.cuda.enable_flash_sdp(flash)
    torch.backends.cuda.enable_mem_efficient_sdp(memory_efficient)
    torch.backends.cuda.enable_cudnn_sdp(cudnn)


@contextmanager
def _collecting_warnings(not_repeatable: set[str]) -> Iterator[None]:
    """Collect the operations that torch's warnings name, and show all other warnings as usual."""
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
