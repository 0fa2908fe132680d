"""Predict the memory of a training step before training starts, because a container kills a process without a message.

The prediction adds weights, gradients, the average, the optimizer's slots, and for each image of a batch the tensors that the
backward pass reads. It is a lower bound, because layers also need scratch space.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from edgecnn.errors.training import batch_too_large
from edgecnn.runner.machine.procfs import ROOT, read_limits, read_text
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.losses import logits_of
from edgecnn.training.process import CPU
from edgecnn.training.schedule import Phase
from edgecnn.training.settings import batch_count
from edgecnn.values.training import LearningPrecision

_MIB = 2**20
_FILLED_SHARE = 0.9
"""Share of the free memory that a proposed batch may fill. The rest is for tensors that are not counted."""
_LARGEST_BATCH_SIZE = 4096
"""Largest ``train.batch_size`` that a recipe accepts."""


def memory_limit_mib(root: Path = ROOT) -> float:
    """Return the machine's memory or the container's limit, whichever is smaller, in MiB."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _MIB
    return min(physical, read_limits(root).memory_mib or physical)


def image_mib(
    network: nn.Module, size_px: ImageSize, on: Literal["meta", "cpu"] = "meta", precision: LearningPrecision = "fp32"
) -> float:
    """Return the memory that each image of a batch adds for the backward pass, in MiB.

    It is half the difference between the storages that autograd saves for four images and for two. Weights cancel out.

    Args:
        network: in its state for training, since frozen layers save less. It is not changed.
        on: meta computes only shapes. Use cpu for a network whose control flow depends on values, such as one with rounding.
        precision: precision of training steps. For bf16 all tensors are counted as bf16, although a few layers keep fp32.
    """
    kind = torch.float32 if precision == "fp32" else torch.bfloat16
    shapes = copy.deepcopy(network).to(on, kind).train()
    two, four = (_saved_bytes(shapes, torch.zeros(count, 3, *size_px, device=on, dtype=kind)) for count in (2, 4))
    return (four - two) / 2 / _MIB


class TrainingProcesses(NamedTuple):
    """Processes that need memory on a device."""

    processes: int = 1
    """Number of processes that share a batch, each with its own copy of the network."""
    device: torch.device = CPU

    def limit_mib(self) -> float:
        """Return the memory limit of the process, or the free memory of the GPU before the network is moved there, in MiB."""
        if self.device.type == "cpu":
            return memory_limit_mib()
        torch.cuda.empty_cache()  # memory of an earlier phase
        return torch.cuda.mem_get_info(self.device)[0] / _MIB

    def held_mib(self, weights_mib: float) -> float:
        """Return the memory in use before the first step: of this process, or on a GPU the network's weights, in MiB."""
        return resident_mib() if self.device.type == "cpu" else weights_mib


_ONE_PROCESS = TrainingProcesses()


@contextmanager
def within_memory(
    network: nn.Module, phase: Phase, images: int, who: TrainingProcesses = _ONE_PROCESS, on: Literal["meta", "cpu"] = "meta"
) -> Iterator[None]:
    """Refuse a phase whose batches do not fit into memory, and report a batch size if memory runs out during training.

    ``on``: see ``image_mib``. Raises BATCH_TOO_LARGE, which names a batch size that fits.
    """
    limit, processes = who.limit_mib(), who.processes
    room = "cpu" if who.device.type == "cpu" else "gpu", limit
    batch = _largest_batch(images, phase.batch_size)
    per_image_mib = image_mib(
        network, max(phase.sizes_px, default=phase.shipped_px, key=lambda size: size.area_px), on, phase.precision
    )
    weights = sum(parameter.numel() for parameter in network.parameters()) * 4 / _MIB
    # The memory of this process counts once: other processes hold copies of the weights, but not cached features.
    fixed = who.held_mib(weights) + (processes - 1) * weights + processes * _state_mib(network, phase)
    fits = max(0, math.floor(_FILLED_SHARE * (limit - fixed) / per_image_mib)) if per_image_mib else images
    needed = fixed + batch * per_image_mib
    if needed > limit:
        raise batch_too_large(batch=batch, needed_mib=needed, room=room, fits=_fitting_batch_size(images, fits))
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        half = _fitting_batch_size(images, min(fits, batch // 2))
        raise batch_too_large(batch=batch, needed_mib=needed, room=room, fits=half, ran_out=True) from error


def _largest_batch(images: int, batch_size: int) -> int:
    """Return the number of images in the largest batch of an epoch."""
    return math.ceil(images / batch_count(images, batch_size))


def _fitting_batch_size(images: int, most: int) -> int:
    """Return the largest batch size whose batches have at most ``most`` images, or 0."""
    sizes = range(min(2 * most, _LARGEST_BATCH_SIZE), 0, -1)  # batches have at least two thirds of the batch size
    return next((size for size in sizes if _largest_batch(images, size) <= most), 0)


def _saved_bytes(network: nn.Module, images: Tensor) -> int:
    saved = {images.untyped_storage()._cdata: images}  # keeping tensors prevents that the address of a storage is reused

    def keep(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        sum(logits.sum() for logits in logits_of(network(images)))
    return sum(tensor.untyped_storage().nbytes() for tensor in saved.values())


def _state_mib(network: nn.Module, phase: Phase) -> float:
    """Return the memory of the average, the gradients, the optimizer's slots and bf16 weights, without fp32 weights."""
    slots = 1 if phase.optimizer == "sgd" else 2
    learning = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    averaged = sum(parameter.numel() for parameter in network.parameters())
    rounded = (
        0 if phase.precision == "fp32" else sum(parameter.numel() for parameter in network.parameters() if parameter.ndim > 1)
    )
    return ((averaged + learning * (1 + slots)) * 4 + rounded * 2) / _MIB


def resident_mib() -> float:
    """Return the anonymous memory of this process in MiB, or 0 if the system does not report it."""
    for line in (read_text(ROOT / "proc/self/status") or "").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _out_of_memory(error: BaseException) -> bool:
    """Recognize torch's CPU allocator and CUDA libraries by their messages, since their errors have no class."""
    messages = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(message in str(error) for message in messages)
