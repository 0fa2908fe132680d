"""The thresholds of a multi-label trunk, beside its file: chosen once, by the fp32 network, and shipped by every candidate."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgecnn.graph.checks import Logits
from edgecnn.judging.predictions.thresholds import UNCHOSEN, best_thresholds
from edgecnn.values.model_file import THRESHOLDS

_AT_ONCE = 256


def write_thresholds(logits: Callable[[npt.NDArray[np.uint8]], Logits], prepared: Path, out: Path) -> None:
    """Write ``thresholds.json``, label to probability, of the largest F1 of each label on ``validation``; nothing of images that
    have one class each, or of which no class is written down.

    ``logits``: of the fp32 network, of pixels uint8 (N, H, W, 3). ``prepared``: the folder that ``prepare`` made.
    """
    told = prepared / "validation.labels.npy"
    if not told.is_file() or (labels := np.load(told, allow_pickle=False)).ndim != 2:
        return
    pixels = np.load(prepared / "validation.pixels.npy", mmap_mode="r", allow_pickle=False)
    starts = range(0, len(pixels), _AT_ONCE)
    answers = np.concatenate([logits(np.ascontiguousarray(pixels[start : start + _AT_ONCE])) for start in starts])
    names = json.loads((prepared / "labels.json").read_text(encoding="utf-8"))
    _write(best_thresholds(answers, labels, names), out)


def write_unchosen(labels: int, out: Path) -> None:
    """The same where nobody knows which image has which of so many labels: each one's is a half."""
    _write({f"class {number}": UNCHOSEN for number in range(labels)}, out)


def _write(thresholds: dict[str, float], out: Path) -> None:
    (out / THRESHOLDS).write_text(json.dumps(thresholds, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
