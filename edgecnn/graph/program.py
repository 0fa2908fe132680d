"""The network as torch's own exported program, which plays the desktop-GPU baseline wherever torch is."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.export import Dim

from edgecnn.values.model_file import BATCH_MAX


def save_program(network: nn.Module, resolution_px: int, path: Path) -> None:
    """Write the network as an ``ExportedProgram`` with a batch of 1 to 64.

    The network is put into evaluation mode, in which dropout and stochastic depth do nothing. Nothing is folded or fused: the
    baseline is the network as it was trained.

    Args:
        network: takes float32 (batch, 3, H, W), gives float32 (batch, classes).
        resolution_px: H and W.
        path: of the ``.pt2`` file; its name is inside the file too, so that the same name gives the same bytes.
    """
    network.eval()
    example = torch.zeros(2, 3, resolution_px, resolution_px)  # a batch of one would be taken for a constant
    program = torch.export.export(network, (example,), dynamic_shapes=({0: Dim("batch", min=1, max=BATCH_MAX)},))
    torch.export.save(program, path)
