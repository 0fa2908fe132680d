"""A network's layers in the order in which a picture passes them, as groups that are frozen or learned as a whole."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from torch import nn

LAST_SHARE = 1 / 3
"""Of the groups before the head: what ``--transfer last`` lets learn."""


def block_groups(network: nn.Module, head: nn.Module, beside: Collection[nn.Module] = ()) -> list[nn.Module]:
    """The groups before the head. A sequence that holds more than half of the parameters counts as its members.

    ``beside``: last layers of auxiliary heads, which fine-tuning leaves off: what holds one of them is no group.
    """
    total = _size(network) - _size(head)
    found: list[nn.Module] = []
    _collect(network, head, total, found)
    return [group for group in found if not any(module is last for module in group.modules() for last in beside)]


def _collect(parent: nn.Module, head: nn.Module, total: int, found: list[nn.Module]) -> None:
    for child in parent.children():
        if child is head or _size(child) == 0:
            continue
        holds_head = any(module is head for module in child.modules())
        if holds_head or (isinstance(child, nn.Sequential) and len(child) > 1 and _size(child) > total / 2):
            _collect(child, head, total, found)
        else:
            found.append(child)


def freeze_all_but_last(network: nn.Module, head: nn.Module, beside: Collection[nn.Module] = ()) -> int:
    """Let the head and the last groups alone learn, and say how many groups those are."""
    groups = block_groups(network, head, beside)
    learning = math.ceil(len(groups) * LAST_SHARE)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    for module in (head, *groups[len(groups) - learning :]):
        for parameter in module.parameters():
            parameter.requires_grad_(True)
    return learning


def learning_groups(network: nn.Module, head: nn.Module, beside: Collection[nn.Module] = ()) -> tuple[nn.Module, ...]:
    """Those of the groups that are not frozen, to be released one after another."""
    groups = block_groups(network, head, beside)
    return tuple(group for group in groups if any(parameter.requires_grad for parameter in group.parameters()))


def release(groups: Sequence[nn.Module], epoch: int, epochs: int) -> int:
    """Let the last groups alone learn, as many as fall to this epoch, and say how many those are.

    It is gradual unfreezing (Howard and Ruder 2018, arXiv:1801.06146, section 3.3), which begins with the layers that hold
    the least general of what was learned before; here its pace follows from ``epochs``, so that in the last one all groups learn.
    """
    learning = math.ceil(len(groups) * (epoch + 1) / epochs)
    for index, group in enumerate(groups):
        for parameter in group.parameters():
            parameter.requires_grad_(index >= len(groups) - learning)
    return learning


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
