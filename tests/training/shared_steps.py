"""Run by two processes: steps on the same batches, alone and shared, and how far they are apart, as JSON from the first."""

from __future__ import annotations

import copy
import json
import sys

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
from edgecnn.training.parallel.team import ALONE, Team

IMAGES = 7
"""No multiple of two: parts of 3 and of 4."""


def gradients(network: nn.Module, images: Tensor, labels: Tensor, team: Team) -> tuple[float, dict[str, Tensor]]:
    """Of one backward pass, with the chances of one seed."""
    torch.manual_seed(3)
    part = team.part(len(images))
    mine = slice(part.start, part.stop)
    loss = team.backward(team.learner(network.train()), images[mine], part, lambda *answers: loss_of(answers, labels[mine]))
    found = {name: parameter.grad for name, parameter in network.named_parameters() if parameter.grad is not None}
    return loss, found


def loss_of(answers: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    return torch.stack([functional.cross_entropy(each, labels) for each in answers]).sum()


def apart(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """The largest difference of all, as a share of the largest value of all."""
    assert ours.keys() == theirs.keys()
    largest = max(float(tensor.abs().max()) for tensor in ours.values())
    return max(float((ours[name].double() - theirs[name].double()).abs().max()) for name in ours) / largest


def by_rounding(network: nn.Module, images: Tensor, labels: Tensor, found: dict[str, Tensor]) -> float:
    """How far one process is apart from itself where its images are off by what float32 rounds: a pooling or a rectifier that
    another input wins moves whole gradients."""
    moved = [images * (1 + 3e-7 * torch.randn_like(images)) for _ in range(3)]
    return max(apart(found, gradients(copy.deepcopy(network), each, labels, ALONE)[1]) for each in moved)


def compared(arch: str, side_px: int, team: Team) -> dict[str, float]:
    torch.manual_seed(1)
    images = torch.randn(IMAGES, 3, side_px, side_px).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(IMAGES) % 5
    one = build_network(arch_named(arch), 5).to(memory_format=torch.channels_last)
    two, three = copy.deepcopy(one), copy.deepcopy(one)
    loss, alone = gradients(one, images, labels, ALONE)
    loss_of_all, shared = gradients(two, images, labels, team)
    states = [{name: each for name, each in network.state_dict().items() if "running" in name} for network in (one, two)]
    statistics = apart(*states) if states[0] else 0.0
    found = {"loss": abs(loss - loss_of_all) / loss, "gradients": apart(alone, shared), "statistics": statistics}
    return {**found, "rounding": by_rounding(three, images, labels, alone)}


if __name__ == "__main__":
    rank, meeting = int(sys.argv[1]), sys.argv[2]
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", store=torch.distributed.FileStore(meeting, 2), rank=rank, world_size=2)
    found = {arch: compared(arch, int(side), Team(rank, 2)) for arch, _, side in (word.partition("@") for word in sys.argv[3:])}
    if rank == 0:
        sys.stdout.write(json.dumps(found) + "\n")
    torch.distributed.destroy_process_group()
