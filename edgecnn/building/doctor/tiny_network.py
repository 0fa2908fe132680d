"""A network of two convolutions, small enough to be worked out here in plain arithmetic, against which a runtime is held.

``tiny.onnx`` lies beside this file, because a machine that only runs kits has no package that could write it; a test writes it
again from these weights and compares the bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

FILE: Final = Path(__file__).with_name("tiny.onnx")
SIDE_PX: Final = 32
CLASSES: Final = 4
STRIDE: Final = 2
_CHANNELS = 8


def weights() -> dict[str, npt.NDArray[np.float32]]:
    """Every weight by its name in the file, float32: sixteenths between -0.5 and 0.5, by a rule instead of a random seed."""
    shapes = {
        "conv.weight": (_CHANNELS, 3, 3, 3),
        "conv.bias": (_CHANNELS,),
        "depthwise.weight": (_CHANNELS, 1, 3, 3),
        "depthwise.bias": (_CHANNELS,),
        "head.weight": (CLASSES, _CHANNELS),
        "head.bias": (CLASSES,),
    }
    return {name: _by_rule(shape, seed) for seed, (name, shape) in enumerate(shapes.items(), start=3)}


def answers(feed: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What the network must answer, worked out in float64.

    Args:
        feed: float32 (N, 3, SIDE_PX, SIDE_PX).

    Returns:
        logits, float32 (N, CLASSES).
    """
    given = {name: array.astype(np.float64) for name, array in weights().items()}
    whole = np.einsum("nchwij,ocij->nohw", _windows(feed), given["conv.weight"])
    first = np.maximum(whole + given["conv.bias"][:, None, None], 0)
    each = np.einsum("nchwij,cij->nchw", _windows(first), given["depthwise.weight"][:, 0])
    second = np.maximum(each + given["depthwise.bias"][:, None, None], 0)
    logits: npt.NDArray[np.float64] = second.mean(axis=(2, 3)) @ given["head.weight"].T + given["head.bias"]
    return logits.astype(np.float32)


def _by_rule(shape: tuple[int, ...], seed: int) -> npt.NDArray[np.float32]:
    numbers = np.arange(np.prod(shape), dtype=np.int64)
    return ((((numbers + seed) ** 2 * 7 + numbers * seed) % 17 - 8) / 16).astype(np.float32).reshape(shape)


def _windows(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """3x3 windows with a border of one zero, a stride apart: (N, C, H, W, 3, 3)."""
    padded = np.pad(images.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::STRIDE, ::STRIDE]
