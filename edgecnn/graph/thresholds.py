"""The thresholds next to a multi-label trunk: the fp32 network chooses them once, and every candidate ships them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgecnn.graph.checks import Logits
from edgecnn.judging.logits import UNCHOSEN, best_thresholds
from edgecnn.values.model_file import THRESHOLDS


def write_thresholds(logits: Callable[[npt.NDArray[np.uint8]], Logits], prepared: Path, out: Path) -> None:
    """Write ``thresholds.json``, label to probability, with the best F1 of each label on ``validation``.

    Nothing is written for single-label images, or if no class is recorded.

    ``logits``: of the fp32 network, of pixels uint8 (N, H, W, 3). ``prepared``: the folder that ``prepare`` made.
    """
    labels_file = prepared / "validation.labels.npy"
    if not labels_file.is_file() or (labels := np.load(labels_file, allow_pickle=False)).ndim != 2:
        return
    pixels = np.load(prepared / "validation.pixels.npy", mmap_mode="r", allow_pickle=False)
    batch = 256
    starts = range(0, len(pixels), batch)
    answers = np.concatenate([logits(np.ascontiguousarray(pixels[start : start + batch])) for start in starts])
    names = json.loads((prepared / "labels.json").read_text(encoding="utf-8"))
    _write_json(best_thresholds(answers, labels, names), out)


def write_unchosen(labels: int, out: Path) -> None:
    """Write ``thresholds.json`` with 0.5 for each label, because the labels of the images are not known."""
    _write_json({f"class {number}": UNCHOSEN for number in range(labels)}, out)


def _write_json(thresholds: dict[str, float], out: Path) -> None:
    (out / THRESHOLDS).write_text(json.dumps(thresholds, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
