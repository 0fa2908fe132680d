"""Features of images: the tensor that a network's last layer reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.errors.fit import NO_FEATURES
from edgecnn.graph.checks import answers, session_of
from edgecnn.graph.onnx_file import load_model

_LAYERS = ("Conv", "Gemm", "MatMul")


def features(path: Path, feeds: Iterable[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    """Return the input of the network's last layer for every image, float32 (images, features).

    Maps and tokens are averaged over their positions. ``feeds``: batches that the network reads.

    Raises NO_FEATURES: the network has fewer than two layers that multiply by weights.
    """
    model = load_model(path)
    layers = [node for node in model.graph.node if node.op_type in _LAYERS]
    if len(layers) < 2:
        raise NO_FEATURES(model=path)
    session = session_of(model, outputs=[layers[-1].input[0]])
    return np.concatenate([_averaged(next(iter(answers(session, feed).values()))) for feed in feeds])


def _averaged(tensor: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """(images, features) of (images, features, rows, columns) or (images, tokens, features)."""
    positions = (2, 3) if tensor.ndim == 4 else tuple(range(1, tensor.ndim - 1))
    return np.asarray(tensor.mean(axis=positions), np.float32)
