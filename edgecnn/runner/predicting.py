"""Classify many images. An unreadable image is named, and the others are classified."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, Sequence

from .classifier import Classifier
from .failure import RunnerError

_PATIENCE_S = 2.0
"""Progress begins after this time."""


def predict_files(classifier: Classifier, files: Sequence[Any], top: int, tell: Callable[[int], None]) -> Dict[str, Any]:
    """Return the most probable labels of every image; for a multi-label network, all labels that reach their thresholds.

    Args:
        classifier: opened.
        files: paths.
        top: the number of labels; not used for a multi-label network.
        tell: called with the number of classified images, from the third second on.

    Returns:
        ``predictions``, a list of ``file`` and ``labels`` (``label``, ``probability``, most probable first), and ``unreadable``,
        a list of ``file`` and ``because``.
    """
    answers: List[Dict[str, Any]] = []
    unreadable: List[Dict[str, str]] = []
    began = time.monotonic()
    for count, file in enumerate(files, start=1):
        try:
            labels = classifier.predict(file)[: top if classifier.thresholds is None else None]
        except RunnerError as error:
            if error.ref != "unreadable-image":
                raise
            unreadable.append({"file": str(file), "because": error.because or error.what})
        else:
            answers.append({"file": str(file), "labels": [{"label": name, "probability": share} for name, share in labels]})
        if time.monotonic() - began >= _PATIENCE_S:
            tell(count)
    return {"predictions": answers, "unreadable": unreadable}
