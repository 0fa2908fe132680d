"""A network's layers in the order in which a picture passes them, as groups that are frozen or learned as a whole."""

from __future__ import annotations

import math
from collections.abc import Collection

from torch import nn

LAST_SHARE = 1 / 3
"""Of the groups before the head: what ``--transfer last`` lets learn."""


def block_groups(network: nn.Module, head: nn.Module, beside: Collection[nn.Module] = ()) -> list[nn.Module]:
    """The groups before the head. A sequence that holds more than half of the parameters counts as its members.

    Args:
        network: whole.
        head: its last layer.
        beside: last layers of auxiliary heads, which fine-tuning leaves off: what holds one of them is no group.
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


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
