"""The export stage's work in order: graph, multiply-adds, the check on real images, torch's own golden answers."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgecnn.errors.export import ExportDisagrees, RoundingDecides
from edgecnn.graph.checks import CHECK_IMAGES, Logits, compare_logits, onnx_logits, spread
from edgecnn.graph.export import export_onnx
from edgecnn.graph.macs import mac_table
from edgecnn.runner.pixels import to_feed
from edgecnn.values.dataset import Normalization
from edgecnn.values.stage import Progress


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
        WrongOpset, ExportDisagrees, RoundingDecides, MacsUnknown: see their modules.
    """
    path = out / "model.onnx"
    model = export_onnx(network, request.resolution_px, path, request.opset)
    (out / "macs.json").write_text(mac_table(model).model_dump_json(indent=1) + "\n", encoding="utf-8")
    tell.step("export", 1, 3)
    shown = request.feed(spread(np.load(request.pixels / "choose.pixels.npy", mmap_mode="r"), CHECK_IMAGES))
    answers = torch_logits(network, shown)
    try:
        check = compare_logits(answers, onnx_logits(path, shown))
    except ExportDisagrees as found:
        _blame_rounding(network, shown, answers, found)
        raise
    (out / "check.json").write_text(check.model_dump_json(indent=1) + "\n", encoding="utf-8")
    tell.step("export", 2, 3)
    golden = request.feed(np.load(request.pixels / "golden" / "pixels.npy"))
    np.save(out / "golden_logits.npy", torch_logits(network, golden))
    tell.step("export", 3, 3)


def _blame_rounding(network: nn.Module, shown: Logits, answers: Logits, found: ExportDisagrees) -> None:
    """Where the network in fp64 is from itself at least half as far as the graph is; a graph that is further off is at fault."""
    exact = torch_logits(copy.deepcopy(network).double(), shown.astype(np.float64))
    apart = float(np.max(np.abs(answers - exact)))
    if apart > max(found.allowed, found.max_abs_diff / 2):
        raise RoundingDecides(max_abs_diff=apart, allowed=found.allowed)


def torch_logits(network: nn.Module, feed: npt.NDArray[np.floating[Any]], batch: int = 16) -> Logits:
    """The network's answers in evaluation mode, float32 (N, classes), for a feed (N, 3, H, W)."""
    network.eval()
    with torch.inference_mode():
        parts = [network(torch.from_numpy(feed[start : start + batch])).numpy() for start in range(0, len(feed), batch)]
    return np.concatenate(parts).astype(np.float32)
