"""The export stage's work in order: graph, multiply-adds, the check on real images, torch's own golden answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from edgecnn.graph.checks import compare_logits, onnx_logits, torch_logits
from edgecnn.graph.export import export_onnx
from edgecnn.graph.macs import mac_table
from edgecnn.runner.pixels import to_feed
from edgecnn.values.preprocessing import Normalization
from edgecnn.values.stage import Progress

CHECK_IMAGES = 32


@dataclass(frozen=True)
class TrunkRequest:
    """``pixels`` is the folder that ``prepare`` made."""

    pixels: Path
    resolution_px: int
    normalization: Normalization
    opset: int

    def feed(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Pixels uint8 (N, H, W, 3) as the network wants them: float32 (N, 3, H, W)."""
        return to_feed(pixels, "float32", "NCHW", self.normalization.mean, self.normalization.std)


def make_trunk(network: nn.Module, request: TrunkRequest, out: Path, tell: Progress) -> None:
    """Write ``model.onnx``, ``macs.json``, ``check.json`` and ``golden_logits.npy``.

    Raises:
        WrongOpset, ExportDisagrees, MacsUnknown: see their modules.
    """
    path = out / "model.onnx"
    model = export_onnx(network, request.resolution_px, path, request.opset)
    (out / "macs.json").write_text(mac_table(model).model_dump_json(indent=1) + "\n", encoding="utf-8")
    tell.step("export", 1, 3)
    shown = request.feed(spread_over(np.load(request.pixels / "choose.pixels.npy", mmap_mode="r"), CHECK_IMAGES))
    check = compare_logits(torch_logits(network, shown), onnx_logits(path, shown))
    (out / "check.json").write_text(check.model_dump_json(indent=1) + "\n", encoding="utf-8")
    tell.step("export", 2, 3)
    golden = request.feed(np.load(request.pixels / "golden" / "pixels.npy"))
    np.save(out / "golden_logits.npy", torch_logits(network, golden))
    tell.step("export", 3, 3)


def spread_over(pixels: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.uint8]:
    """``count`` images over the whole set: a folder of one class after another is not judged by its first class alone."""
    chosen = np.unique(np.linspace(0, len(pixels) - 1, num=min(count, len(pixels))).astype(int))
    return np.ascontiguousarray(pixels[chosen])
