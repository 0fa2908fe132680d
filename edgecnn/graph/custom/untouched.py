"""Check on the unmodified file that its output for an image depends on that image alone.

The same image runs alone, alone again, and in a batch, in the file's own types, before the graph is rewritten. A later difference
is then caused by rewriting.
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
"""The expected input range is still unknown: −1 to 1, or 0 to 255."""
_LEVELS: Final = (40, 128, 216)
"""Constant images in the middle of their noise. Hardly anyone exports with a batch of three."""
_AGAIN: Final = 1e-4
"""Allowed between two calls with the same image, as a share of the outputs' spread."""
_AMONG_OTHERS: Final = 0.05
"""Allowed in half precision between a batch of one and a larger one, which may use other kernels."""
_ROUNDING: Final = 1e-5
"""Allowed share of the largest output in single precision, the limit if outputs hardly differ."""
_RANDOM: Final = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli")
_IN_NAME_ONLY: Final = "export it with a batch axis that is dynamic throughout, or with a fixed batch of 1"


def require_steady(path: Path, entry: GraphEntry) -> None:
    """Return if the file gives an image the same output in each call, whatever else is in the batch.

    Raises CustomModelUnusable: it does not, it accepts only one image although its batch is open, or it cannot run.
    """
    session = opened(path, entry)
    draw = np.random.default_rng(0)
    shape = (len(_LEVELS), *entry.resolution_px, 3)
    pixels = (np.reshape(_LEVELS, (-1, 1, 1, 1)) + draw.integers(-39, 40, shape)).astype(np.uint8)
    for scale in _SCALES if entry.form is None else _SCALES[:1]:  # torch runs full batches, which take time
        _ask(session, pixels, _feeding(scale, entry), entry, path)


def _ask(session: AnsweringFile, pixels: npt.NDArray[np.uint8], feeding: Feeding, entry: GraphEntry, path: Path) -> None:
    alone, again = (session.answers(pixels[:1], feeding) for _ in range(2))
    try:
        together = session.answers(pixels, feeding)
    except CustomModelUnusable as error:
        because = f"its batch axis is declared open, but it accepts only one image; with {len(pixels)} {error.because}"
        raise custom_model_unusable(path=path, because=because, hint=_IN_NAME_ONLY) from error
    if not all(np.isfinite(answers).all() for answers in (alone, again, together)):
        return  # for this range only; if it holds for every range, planning reports it
    spread = float(np.ptp(together)) or 1.0
    if np.abs(again - alone).max() > _AGAIN * spread:
        because = f"its output for the same image differs from call to call{_drawn_by(path, entry)}"
        hint = "call model.eval() before the export, and remove random operators"
        raise custom_model_unusable(path=path, because=because, hint=hint)
    apart = float(np.abs(together[:1] - alone).max())
    if apart > max(TOLERANCE * spread, _ROUNDING * float(np.abs(together).max())) and apart > _tolerance(path, entry) * spread:
        because = "its output for an image depends on the other images in the batch"
        hint = "call model.eval() before the export, and do not compute over the batch axis"
        raise custom_model_unusable(path=path, because=because, hint=hint)


def _tolerance(path: Path, entry: GraphEntry) -> float:
    """Return the allowed difference between a batch of one and a larger one; torch programs do not show whether they use fp16."""
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
    """Return the first node of an ONNX file that draws random numbers, for an error."""
    if entry.form is not None:
        return ""
    nodes = read_model(path).graph.node
    return next((f" ({node.op_type} {node.name or node.output[0]})" for node in nodes if node.op_type in _RANDOM), "")
