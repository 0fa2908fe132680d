"""Which layer of an ONNX graph first gives a number that is none, on one image: NaN or infinity spreads, so the last layer says
nothing of where it came from.

Every layer's output is asked for, some layers a pass, since all of them together may not fit into memory. Nothing is fused then:
what overflows in a fused kernel alone is not found.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from edgecnn.graph.sessions import Level, answers, session_of

LAYERS_A_PASS = 64
"""Of EfficientNet-B7 at 600 pixels that many outputs of one image take less than 1 GiB."""


class Culprit(NamedTuple):
    """The first layer whose output is not finite although all that it was given is, in the graph's order."""

    layer: str
    operator: str
    value: float
    weights: bool
    """Whether its own weights already hold such a number."""

    def __str__(self) -> str:
        why = "its weights hold it already" if self.weights else "from finite numbers and finite weights"
        return f"layer {self.layer} ({self.operator}) is the first to give {self.value}, {why}"


def first_nonfinite(path: Path, feed: npt.NDArray[Any], options: Mapping[str, str] | None = None) -> Culprit | None:
    """The layer that first gives NaN or infinity for a feed of one image; None where no layer does.

    ``options``: session configuration entries (``session.…``); others are left alone.
    """
    model = onnx.load(path)
    weights = {each.name: each for each in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.output]
    entries = {name: value for name, value in sorted((options or {}).items()) if "." in name}
    for begin in range(0, len(nodes), LAYERS_A_PASS):
        some = nodes[begin : begin + LAYERS_A_PASS]
        names = [name for node in some for name in node.output if name]
        found = answers(session_of(model, Level.ORT_DISABLE_ALL, outputs=names, entries=entries), feed)
        for node in some:
            value = next((bad for name in node.output if (bad := _bad(found.get(name))) is not None), None)
            if value is not None:
                held = any(_bad(numpy_helper.to_array(weights[name])) is not None for name in node.input if name in weights)
                return Culprit(node.name or node.output[0], node.op_type, value, held)
    return None


def _bad(values: npt.NDArray[Any] | None) -> float | None:
    """The first number that is none; None of whole numbers, which are all numbers."""
    if values is None or not np.issubdtype(values.dtype, np.floating):
        return None
    finite = np.isfinite(values)
    return None if finite.all() else float(values[~finite].flat[0])
