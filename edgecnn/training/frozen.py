"""A network that only answers: in torch, or in ONNX Runtime where there is much to ask.

EfficientNet-Lite0 at 224 px answers 180 photographs a second in ONNX Runtime with their normalization inside its graph, and 118
in torch, even with its batch norms folded (the same process, two cores). Exporting it takes 8 s, which 1,400 photographs and
their mirror images bring back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.gpu import device_of
from edgecnn.training.images.augmented_batch import in_levels, normalized
from edgecnn.values.arch import ArchSpec
from edgecnn.values.data.preprocessing import Normalization
from edgecnn.values.stage import Progress

Pixels = npt.NDArray[np.uint8]
AT_ONCE = 8
"""Photographs: maps of more leave the caches. 4 and 8 were the fastest of 1 to 16."""
Frozen = Callable[[Pixels], Tensor]
"""Photographs (N, H, H, 3) → answers (N, F), fp32."""

MANY_MACS = 1e12
"""Photographs times multiply-adds of one, from which on the export is worth its time: 2,600 of EfficientNet-Lite0 at 224 px,
240 of ResNet-50, and so many of a small network at 64 px that few folders have them."""
_SAME = 1e-3
"""Of the largest answer: how far the answers may be from torch's, which differ by rounding alone."""


class Work(NamedTuple):
    """What a frozen network will be asked."""

    macs: float
    """Of all photographs."""
    scratch: Path
    """Takes the graph while it is loaded."""
    tell: Progress


def macs_at(spec: ArchSpec, size_px: ImageSize) -> float:
    """Multiply-adds of one image: those of the native size by area, since nearly all are convolutions'; 0 where not known."""
    return (spec.macs or 0) * size_px.area_px / spec.resolution_px.area_px


def in_torch(network: nn.Module, normalization: Normalization) -> Frozen:
    """The network in evaluation mode, asked without gradients."""
    network.eval()
    device = device_of(network)

    @torch.no_grad()
    def answers(pixels: Pixels) -> Tensor:
        planes = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
        return network(normalized(planes, normalization).to(device)).cpu()  # type: ignore[no-any-return]

    return answers


def in_onnxruntime(network: nn.Module, normalization: Normalization, size_px: ImageSize, scratch: Path) -> Frozen:
    """The same network there.

    ``network``: takes fp32 (N, 3, H, W), gives fp32 (N, F); left in evaluation mode. ``scratch``: a folder that takes the graph
    while it is loaded. Raises WrongOpset: see ``export_onnx``.
    """
    import onnxruntime

    from edgecnn.graph.export import export_example

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # which repeatable() fixes
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # 9 % fewer when idle, half as many more when busy
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # what goes wrong is raised too
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        path = Path(folder, "frozen.onnx")
        export_example(_FromPixels(network, normalization), torch.zeros(2, *size_px, 3, dtype=torch.uint8), path)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def answers(pixels: Pixels) -> Tensor:
        starts = range(0, len(pixels), AT_ONCE)
        parts = [session.run(None, {name: np.ascontiguousarray(pixels[start : start + AT_ONCE])})[0] for start in starts]
        return torch.from_numpy(np.concatenate(parts))

    return answers


def frozen(network: nn.Module, normalization: Normalization, shown: Pixels, work: Work) -> Frozen:
    """The sooner of the two for so much work, on a GPU torch; torch too, and it is said, where rounding leads the network astray.

    ``shown``: photographs on which the two are held against each other, one more than are asked at once. Raises WrongOpset: see
    ``export_onnx``.
    """
    plain = in_torch(network, normalization)
    if work.macs < MANY_MACS or device_of(network).type != "cpu":
        return plain
    work.tell.step("export the frozen network", 0, 1)
    fast = in_onnxruntime(network, normalization, ImageSize(*shown.shape[1:3]), work.scratch)
    work.tell.step("export the frozen network", 1, 1)
    expected = plain(shown)
    apart, allowed = float((fast(shown) - expected).abs().max()), _SAME * float(expected.abs().max())
    if not apart <= allowed:
        work.tell.note(f"features come from torch: ONNX Runtime's differ by {apart:.3g}, {allowed:.3g} is allowed")
        return plain
    return fast


class _FromPixels(nn.Module):
    """Normalizes as ``augment.normalized`` does, to the bit."""

    def __init__(self, network: nn.Module, normalization: Normalization) -> None:
        super().__init__()
        self.network = network
        mean, std = in_levels(normalization)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network((pixels.permute(0, 3, 1, 2).to(torch.float32) - self.mean) / self.std)  # type: ignore[no-any-return, operator]
