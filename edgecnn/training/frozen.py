"""A network that only answers: in torch, or in ONNX Runtime where there is much to ask.

EfficientNet-Lite0 at 224 px answers 197 photographs a second in ONNX Runtime with their normalization inside its graph, and 118
in torch (the same process, two cores, batch norms folded in both). Exporting it takes 8 s, which a thousand photographs and
their mirror images bring back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from edgecnn.training.augment import normalized
from edgecnn.training.machine import training_threads
from edgecnn.values.preprocessing import Normalization

Pixels = npt.NDArray[np.uint8]
Frozen = Callable[[Pixels], Tensor]
"""Photographs (N, H, H, 3) → answers (N, F), fp32."""

MANY = 1_000
"""Photographs from which on the export is worth its time."""
_AT_ONCE = 8
"""Photographs: maps of more leave the caches. 4 and 8 were the fastest of 1 to 16."""
_SAME = 1e-3
"""Of the largest answer: how far the answers may be from torch's, which differ by rounding alone."""


def in_torch(network: nn.Module, normalization: Normalization) -> Frozen:
    """The network in evaluation mode, asked without gradients."""
    network.eval()

    @torch.no_grad()
    def answers(pixels: Pixels) -> Tensor:
        planes = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
        return network(normalized(planes, normalization))  # type: ignore[no-any-return]

    return answers


def in_onnxruntime(network: nn.Module, normalization: Normalization, size_px: int, scratch: Path) -> Frozen:
    """The same network there.

    Args:
        network: takes fp32 (N, 3, H, H), gives fp32 (N, F); left in evaluation mode.
        normalization: pixels → input.
        size_px: H.
        scratch: a folder that takes the graph while it is loaded.

    Raises:
        WrongOpset: see ``export_onnx``.
    """
    import onnxruntime

    from edgecnn.graph.export import export_example

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = training_threads()  # repeatable() says why their number is fixed
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # what goes wrong is raised too
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        path = Path(folder, "frozen.onnx")
        export_example(_FromPixels(network, normalization), torch.zeros(2, size_px, size_px, 3, dtype=torch.uint8), path)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def answers(pixels: Pixels) -> Tensor:
        starts = range(0, len(pixels), _AT_ONCE)
        parts = [session.run(None, {name: np.ascontiguousarray(pixels[start : start + _AT_ONCE])})[0] for start in starts]
        return torch.from_numpy(np.concatenate(parts))

    return answers


def frozen(network: nn.Module, normalization: Normalization, shown: Pixels, how: tuple[int, Path]) -> Frozen:
    """The faster of the two for so many photographs; torch, too, where rounding alone leads a network astray.

    Args:
        network, normalization: see ``in_onnxruntime``.
        shown: some photographs, on which the two are held against each other.
        how: the number of photographs that it will be asked for, and the folder that takes the graph.
    """
    count, scratch = how
    plain = in_torch(network, normalization)
    if count < MANY:
        return plain
    fast = in_onnxruntime(network, normalization, shown.shape[1], scratch)
    expected = plain(shown)
    apart = (fast(shown) - expected).abs().max()
    return fast if bool(apart <= _SAME * expected.abs().max()) else plain


class _FromPixels(nn.Module):
    """Normalizes as ``augment.normalized`` does, to the bit."""

    def __init__(self, network: nn.Module, normalization: Normalization) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(normalization.mean).view(3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(normalization.std).view(3, 1, 1) * 255)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network((pixels.permute(0, 3, 1, 2).to(torch.float32) - self.mean) / self.std)  # type: ignore[no-any-return, operator]
