"""A GPU that trains: which one, what goes there and comes back, and arithmetic that repeats itself.

https://docs.pytorch.org/docs/stable/notes/randomness.html
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from edgecnn.errors.training import NoGpuToTrainOn
from edgecnn.errors.wording import reason_in
from edgecnn.training.machine import CPU, repeatable
from edgecnn.values.training import LearningDevice

_NOT_REPEATABLE = re.compile(r"(\S+) (?:does not have a deterministic implementation|defaults to a non-deterministic algorithm)")
"""How torch's warnings begin, after the operation's name."""


def torch_device(asked: LearningDevice) -> torch.device:
    """The processor, or of several GPUs the first, which torch orders by speed. Raises NoGpuToTrainOn: torch can use none."""
    if asked == "cpu":
        return CPU
    if not torch.cuda.is_available():
        built = "was built without CUDA" if torch.version.cuda is None else f"(CUDA {torch.version.cuda}) finds none"
        raise NoGpuToTrainOn(because=f"torch {torch.__version__} {built}")
    device = torch.device("cuda", 0)
    try:
        torch.ones(1, device=device).add_(1)
    except RuntimeError as error:  # a GPU that this torch has no kernels for any more
        raise NoGpuToTrainOn(because=f"{torch.cuda.get_device_name(device)}: {reason_in(error)}") from error
    return device


def gpu_name(device: torch.device) -> str | None:
    """As its driver names it; None of the processor."""
    return None if device.type == "cpu" else torch.cuda.get_device_name(device)


def device_of(network: nn.Module) -> torch.device:
    """Where its weights are; the processor where it has none."""
    return next((each.device for each in network.parameters()), CPU)


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
    found = set[str]()
    if device.type == "cpu":
        with repeatable(threads):
            yield found
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS begins
    with torch.random.fork_rng([device.index]), _settled(), _heard(found), repeatable(threads, warn_only=True):
        yield found


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
def _heard(found: set[str]) -> Iterator[None]:
    """Torch's warnings of operations that do not repeat themselves are kept by name; others go where they always do."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def hear(message: Warning | str, *rest: object) -> None:
            said = _NOT_REPEATABLE.search(str(message))
            if said is None:
                show(message, *rest)  # type: ignore[arg-type]
            else:
                found.add(said[1])

        warnings.showwarning = hear  # type: ignore[assignment]
        yield
