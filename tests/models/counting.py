"""Multiply-adds and depth of a network without a number in it: shapes alone, on torch's meta device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from edgecnn.runner.pixel_recipe import ImageSize

_LAYERS = {torch.ops.aten.convolution.default, torch.ops.aten.addmm.default, torch.ops.aten.mm.default}


class Depths(TorchDispatchMode):
    """How many layers with weights lie on the longest way to each tensor."""

    def __init__(self) -> None:
        super().__init__()
        self._of: dict[int, int] = {}
        self._held: list[Tensor] = []
        """So that no id is given twice; on the meta device they take nothing."""

    def of(self, tensor: Tensor) -> int:
        return self._of.get(id(tensor), 0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        read = [leaf for leaf in tree_leaves((args, kwargs or {})) if isinstance(leaf, Tensor)]
        depth = max((self.of(leaf) for leaf in read), default=0) + (func in _LAYERS)
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._of[id(tensor)] = depth
                self._held.append(tensor)
        return made


def counted(network: nn.Module, resolution_px: ImageSize) -> tuple[int, int]:
    """Multiply-adds for one image, and depth, of a network on the meta device."""
    with torch.device("meta"), FlopCounterMode(display=False) as flops, Depths() as depths:
        answer = network.eval()(torch.empty(1, 3, *resolution_px))
    return flops.get_total_flops() // 2, depths.of(answer)


def runs_at(network: nn.Module, resolution_px: int) -> bool:
    """Whether a network on the meta device has an answer to images of this size, when it learns and when it answers."""
    with torch.device("meta"), torch.no_grad():
        try:
            for mode in (True, False):
                network.train(mode)(torch.empty(2, 3, resolution_px, resolution_px))
        except (RuntimeError, ValueError):
            return False
    return True
