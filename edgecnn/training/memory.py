"""What a training step takes of memory, foreseen before time is spent: a container that runs out kills without a word.

What is counted is what has to be held at once: weights, gradients, the average and the optimizer's slots, and for each image of
a batch whatever the backward pass will read. Layers' scratch space comes on top, so that the figure is a lower bound.
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
from edgecnn.runner.machine.cgroups import read_limits
from edgecnn.runner.machine.procfs import ROOT, read_text
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.batches import batch_count
from edgecnn.training.losses import answers_of
from edgecnn.training.process import CPU
from edgecnn.training.schedule import Phase
from edgecnn.values.training import LearningPrecision

_MIB = 2**20
_SPARE = 0.9
"""Of the memory that is left, the share that a proposed batch fills: what is not counted needs room too."""

_MOST_ASKED = 4096
"""What a recipe takes for ``train.batch_size`` at most."""


def memory_limit_mib(root: Path = ROOT) -> float:
    """What this process may hold: the machine's memory, or what a container leaves it of that."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _MIB
    return min(physical, read_limits(root).memory_mib or physical)


def image_mib(
    network: nn.Module, size_px: ImageSize, on: Literal["meta", "cpu"] = "meta", precision: LearningPrecision = "fp32"
) -> float:
    """What one image of a batch adds to what the backward pass reads, in MiB.

    What is counted is the storages that autograd saves for two and for four images, each once, whose difference knows no weights.

    Args:
        network: as it will learn; what is frozen saves less. It is not changed.
        on: meta, where shapes are computed and no numbers; cpu for a network that looks at its numbers, as roundings do.
        precision: that its steps compute in. Of bf16 everything is counted as bf16, though a few layers keep fp32.
    """
    kind = torch.float32 if precision == "fp32" else torch.bfloat16
    shapes = copy.deepcopy(network).to(on, kind).train()
    two, four = (_saved_bytes(shapes, torch.zeros(count, 3, *size_px, device=on, dtype=kind)) for count in (2, 4))
    return (four - two) / 2 / _MIB


class Learners(NamedTuple):
    """Who needs the memory."""

    processes: int = 1
    """That share a batch; each has the network for itself."""
    device: torch.device = CPU

    def limit_mib(self) -> float:
        """What the process may hold, or what is free of the GPU's memory before it is moved there."""
        if self.device.type == "cpu":
            return memory_limit_mib()
        torch.cuda.empty_cache()  # what an earlier phase left
        return torch.cuda.mem_get_info(self.device)[0] / _MIB

    def held_mib(self, weights_mib: float) -> float:
        """What is held before the first step: of this process everything, and of the GPU the weights that go there."""
        return held_mib() if self.device.type == "cpu" else weights_mib


_ONE_PROCESS = Learners()


@contextmanager
def within_memory(
    network: nn.Module, phase: Phase, images: int, who: Learners = _ONE_PROCESS, on: Literal["meta", "cpu"] = "meta"
) -> Iterator[None]:
    """Refuse a phase whose batches cannot fit, and name the batch where memory runs out all the same.

    ``on``: where an image is counted, see ``image_mib``. Raises BATCH_TOO_LARGE: names the batch size that would fit.
    """
    limit, processes = who.limit_mib(), who.processes
    room = "cpu" if who.device.type == "cpu" else "gpu", limit
    batch = _largest(images, phase.batch_size)
    per_image_mib = image_mib(
        network, max(phase.sizes_px, default=phase.shipped_px, key=lambda size: size.area_px), on, phase.precision
    )
    weights = sum(parameter.numel() for parameter in network.parameters()) * 4 / _MIB
    # What is held here counts once: other processes hold weights of their own, but not the features that this one may hold.
    fixed = who.held_mib(weights) + (processes - 1) * weights + processes * _state_mib(network, phase)
    fits = max(0, math.floor(_SPARE * (limit - fixed) / per_image_mib)) if per_image_mib else images
    needed = fixed + batch * per_image_mib
    if needed > limit:
        raise batch_too_large(batch=batch, needed_mib=needed, room=room, fits=_asked_for(images, fits))
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        half = _asked_for(images, min(fits, batch // 2))
        raise batch_too_large(batch=batch, needed_mib=needed, room=room, fits=half, ran_out=True) from error


def _largest(images: int, batch_size: int) -> int:
    """Images of the largest batch that an epoch is divided into."""
    return math.ceil(images / batch_count(images, batch_size))


def _asked_for(images: int, most: int) -> int:
    """The largest batch size to ask for whose batches have ``most`` images or fewer; 0 where there is none."""
    sizes = range(min(2 * most, _MOST_ASKED), 0, -1)  # an epoch is never divided finer than by two thirds of what is asked
    return next((size for size in sizes if _largest(images, size) <= most), 0)


def _saved_bytes(network: nn.Module, images: Tensor) -> int:
    saved = {images.untyped_storage()._cdata: images}  # tensors are kept, so that no storage's place is given to another one

    def keep(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        answers = answers_of(network(images))
        sum(answer.sum() for answer in answers)
    return sum(tensor.untyped_storage().nbytes() for tensor in saved.values())


def _state_mib(network: nn.Module, phase: Phase) -> float:
    """The average, a gradient, the optimizer's slots and rounded weights; the weights themselves are held already."""
    slots = 1 if phase.optimizer == "sgd" else 2
    learning = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    averaged = sum(parameter.numel() for parameter in network.parameters())
    rounded = (
        0 if phase.precision == "fp32" else sum(parameter.numel() for parameter in network.parameters() if parameter.ndim > 1)
    )
    return ((averaged + learning * (1 + slots)) * 4 + rounded * 2) / _MIB


def held_mib() -> float:
    """What this process holds now and no file could give back; 0 where the system does not say."""
    for line in (read_text(ROOT / "proc/self/status") or "").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


_SAID = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


def _out_of_memory(error: BaseException) -> bool:
    """torch's allocator for processors has no class of its own for it, only a sentence."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(sentence in str(error) for sentence in _SAID)
