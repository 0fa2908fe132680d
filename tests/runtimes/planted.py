"""A network that INT8 ruins in one place, and float does not notice.

One channel between two convolutions is made a thousand times as large, and the weights that read it as much smaller. ReLU passes
the factor on, so that every answer stays the same; but an activation has one scale for all its channels, and the others round to
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import torch

from edgecnn.graph.export import export_onnx
from edgecnn.runner.pixel_recipe import ImageSize
from tests.graph.trunks import RESOLUTION_PX, network
from tests.made_once import made_once

FACTOR = 1000.0
CHANNEL = 0
BLOCK = "layer4.0"
"""Of ResNet-18: its way around is a convolution, so that the block cannot be done without."""
PLANTED = (15, 16)
"""Numbers of the block's two convolutions, of all in the graph: one each makes and reads the wide tensor."""


def plant(state: dict[str, torch.Tensor], blocks: Sequence[str] = (BLOCK,)) -> dict[str, torch.Tensor]:
    """Weights of a ResNet-18 that answer as these do."""
    made = {name: tensor.clone() for name, tensor in state.items()}
    for block in blocks:
        for name in ("weight", "bias"):
            made[f"{block}.bn1.{name}"][CHANNEL] *= FACTOR
        made[f"{block}.conv2.weight"][:, CHANNEL] /= FACTOR
    return made


def planted_trunk() -> Path:
    """A folder as ``export`` leaves it, as far as ranking and quantizing read it."""
    return made_once("exported-planted", _exported)


def _exported(folder: Path) -> None:
    made = deepcopy(network("resnet18"))
    made.load_state_dict(plant(made.state_dict()))
    export_onnx(made, ImageSize.square(RESOLUTION_PX), folder / "model.onnx")
