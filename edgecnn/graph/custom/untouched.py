"""Check that the untouched file's output for an image depends only on that image.

The same image runs alone, alone again and among others, in the file's own types and before any change. So later differences come
from the changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from edgecnn.errors.custom_model import CustomModelUnusable, custom_model_unusable
from edgecnn.graph.checks import INTEGER_TOLERANCE, TOLERANCE
from edgecnn.graph.custom.adopt import holds_halves
from edgecnn.graph.custom.file import AnsweringFile, opened
from edgecnn.graph.custom.onnx_entry import read_model
from edgecnn.values.custom_model import Feeding, GraphEntry
from edgecnn.values.preprocessing import Normalization, PixelRecipe

_SCALES: Final = (
    Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    Normalization(mean=(0, 0, 0), std=(1 / 255, 1 / 255, 1 / 255)),
)
"""Input scales to try, since the network's is not known yet: −1 to 1, or 0 to 255."""
_LEVELS: Final = (40, 128, 216)
"""The mean level of each image, with noise around it. No one exports with three images a call."""
_AGAIN: Final = 1e-4
"""Allowed difference between two calls with the same image, as a share of the outputs' spread."""
_AMONG_OTHERS: Final = 0.05
"""Allowed difference between a call with one image and one with several, which may use other kernels, in half precision."""
_ROUNDING: Final = 1e-5
"""Allowed difference as a share of the largest output in single precision, for outputs that hardly differ."""
_RANDOM: Final = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli")
_IN_NAME_ONLY: Final = "export it with a batch axis that is dynamic all through, or with a fixed batch of 1"


def require_steady(path: Path, entry: GraphEntry) -> None:
    """Return if the file's output for an image is the same in each call, whatever other images are in the call.

    Raises CustomModelUnusable: the outputs differ, the file accepts only one image despite a variable batch, or it cannot run.
    """
    session = opened(path, entry)
    draw = np.random.default_rng(0)
    shape = (len(_LEVELS), *entry.resolution_px, 3)
    pixels = (np.reshape(_LEVELS, (-1, 1, 1, 1)) + draw.integers(-39, 40, shape)).astype(np.uint8)
    for scale in _SCALES if entry.form is None else _SCALES[:1]:  # torch is asked for full batches, which take their time
        _ask(session, pixels, _feeding(scale, entry), entry, path)


def _ask(session: AnsweringFile, pixels: npt.NDArray[np.uint8], feeding: Feeding, entry: GraphEntry, path: Path) -> None:
    alone, again = (session.answers(pixels[:1], feeding) for _ in range(2))
    try:
        together = session.answers(pixels, feeding)
    except CustomModelUnusable as error:
        because = f"its batch axis is open in name only: it takes one image in a call, and of {len(pixels)} {error.because}"
        raise custom_model_unusable(path=path, because=because, hint=_IN_NAME_ONLY) from error
    if not all(np.isfinite(answers).all() for answers in (alone, again, together)):
        return  # of this scale; where it holds of every way to feed it, planning says so
    spread = float(np.ptp(together)) or 1.0
    if np.abs(again - alone).max() > _AGAIN * spread:
        because = f"it answers the same image with other numbers in each call{_drawn_by(path, entry)}"
        hint = "call model.eval() before the export, and leave out what draws at random"
        raise custom_model_unusable(path=path, because=because, hint=hint)
    apart = float(np.abs(together[:1] - alone).max())
    if apart > max(TOLERANCE * spread, _ROUNDING * float(np.abs(together).max())) and apart > _tolerance(path, entry) * spread:
        because = "its answer to an image depends on the other images in the call"
        hint = "call model.eval() before the export, and let nothing compute over the axis of images"
        raise custom_model_unusable(path=path, because=because, hint=hint)


def _tolerance(path: Path, entry: GraphEntry) -> float:
    """Return the allowed difference between a call with one image and one with several. A torch program may compute in fp16."""
    if entry.quantized is not None:
        return INTEGER_TOLERANCE
    return _AMONG_OTHERS if entry.form is not None or holds_halves(read_model(path)) else TOLERANCE


def _feeding(scale: Normalization, entry: GraphEntry) -> Feeding:
    size = entry.resolution_px
    return Feeding(
        name="plain",
        pixels=PixelRecipe(resize_px=size, crop_px=size, interpolation="bilinear"),
        normalization=scale,
        channels="grey" if entry.colours == 1 else "rgb",
    )


def _drawn_by(path: Path, entry: GraphEntry) -> str:
    """Return the first random node of an ONNX file as text for an error, or nothing."""
    if entry.form is not None:
        return ""
    nodes = read_model(path).graph.node
    return next((f" ({node.op_type} {node.name or node.output[0]})" for node in nodes if node.op_type in _RANDOM), "")
