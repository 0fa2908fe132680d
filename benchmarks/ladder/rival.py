"""What a rival is given, and what a column of the ladder is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecnn.runner.pixels import to_feed

THREADS = 2
CALIBRATION_IMAGES = 300
Call = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class Network(NamedTuple):
    """The trained network at one resolution, and its calibration pixels."""

    arch: str
    classes: int
    weights: str
    onnx: str
    pixels: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    side_px: int
    olive_python: str = ""
    executorch_python: str = ""
    mnn_python: str = ""

    def feed(self, role: str) -> NDArray[np.uint8]:
        """Pixels of a role, uint8 (N, H, W, 3), mapped."""
        pixels: NDArray[np.uint8] = np.load(Path(self.pixels) / f"{role}.pixels.npy", mmap_mode="r")
        return pixels

    def normalized(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 NCHW."""
        feed: NDArray[np.float32] = to_feed(pixels, "float32", "NCHW", self.mean, self.std)
        return feed

    def calibration(self) -> Iterator[NDArray[np.float32]]:
        """One image at a time, float32 (1, 3, H, W)."""
        pixels = self.feed("calibration")[:CALIBRATION_IMAGES]
        for index in range(len(pixels)):
            yield self.normalized(pixels[index : index + 1])


class Rival(NamedTuple):
    """One column."""

    id: str
    title: str
    make: Callable[[Network, Path], None]
    open: Callable[[Network, Path, int | None], Call]
    """``int``: images in every call; None where that varies."""
    files: tuple[str, ...] = ()
    """That ``make`` leaves and a user would ship."""
    needs: str | None = None
    """Another rival whose files it opens."""
    python: str = ""
    """The field of ``Network`` that names the Python of its environment; empty: it is installed next to edgecnn."""
    is_run_there: bool = False
    """Whether that Python runs it too."""


def torch_module(network: Network) -> Any:
    """The trained network in torch, in evaluation mode."""
    import torch

    from edgecnn.models.catalogue import arch_named
    from edgecnn.models.networks import load_trained

    torch.set_num_threads(THREADS)
    return load_trained(arch_named(network.arch), network.classes, Path(network.weights)).eval()
