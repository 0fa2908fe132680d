"""Does the exported graph compute what the network computes? Asked on real images, because random ones hide folded mistakes."""

from __future__ import annotations

from itertools import pairwise
from math import inf, isnan
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.backends.operators import operators_named
from edgecnn.errors.export import ExportDisagrees
from edgecnn.graph.sessions import Level, logits, session_of
from edgecnn.values.base import Value
from edgecnn.values.candidate import Runtime

Logits = npt.NDArray[np.float32]
"""(N, classes)."""
TOLERANCE = 1e-3
"""Allowed difference as a share of the logits' spread: folding a batch norm reorders fp32 sums (1e-6 of the spread is usual, and
a wrong padding or a forgotten layer differs by 1e-1)."""
INTEGER_TOLERANCE = 0.15
"""The same where integers are computed: a sum that falls on the other side of a half moves an activation by a whole step, and the
steps after it. 0.03 was seen with trained weights, 0.11 with random ones; what runs elsewhere is granted as much."""

CHECK_IMAGES = 32
"""Compared to say whether two files are the same network."""


class ExportCheck(Value):
    """``check.json``: how far graph and network are apart on these images."""

    images: int
    max_abs_diff: float
    top1_agreement: float
    """0…1."""

    @classmethod
    def of(cls, network: Logits, graph: Logits) -> ExportCheck:
        """Of two sets of answers (N, classes) to the same images."""
        return cls(
            images=len(network),
            max_abs_diff=float(np.max(np.abs(network - graph))),
            top1_agreement=float(np.mean(network.argmax(axis=1) == graph.argmax(axis=1))),
        )


def onnx_logits(path: Path, feed: npt.NDArray[Any], batch: int = 16) -> Logits:
    """The graph's answers, computed by ONNX Runtime with its plainest kernels, float32 (N, classes).

    The first image goes alone, so that both a batch of one and a larger one are tried.

    Raises OperatorMissing: ONNX Runtime lacks one of its operators.
    """
    with operators_named(path, Runtime.ONNXRUNTIME):
        session = session_of(path, Level.ORT_ENABLE_BASIC)
    edges = [0, *range(1, len(feed), batch), len(feed)]
    return np.concatenate([logits(session, feed[start:end]) for start, end in pairwise(edges)])


def compare_logits(network: Logits, graph: Logits, tolerance: float = TOLERANCE) -> ExportCheck:
    """Hold two sets of answers (N, classes) to the same images against each other.

    Raises ExportDisagrees: beyond ``tolerance``, a share of the network's spread, or a NaN on either side.
    """
    check = ExportCheck.of(network, graph)
    if distance(network, graph) > tolerance:
        allowed = tolerance * float(np.ptp(network))
        raise ExportDisagrees(
            max_abs_diff=check.max_abs_diff, allowed=allowed, images=check.images, top1_agreement=check.top1_agreement
        )
    return check


def distance(wanted: Logits, answers: Logits) -> float:
    """Return the largest difference as a share of the spread of ``wanted``; infinity where either holds a NaN.

    Where ``wanted`` is one number throughout, the difference itself.
    """
    share = float(np.max(np.abs(answers - wanted))) / (float(np.ptp(wanted)) or 1.0)
    return inf if isnan(share) else share


def spread(pixels: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.uint8]:
    """``count`` images over the whole set: a folder of one class after another is not judged by its first class alone."""
    chosen = np.unique(np.linspace(0, len(pixels) - 1, num=min(count, len(pixels))).astype(int))
    return np.ascontiguousarray(pixels[chosen])
