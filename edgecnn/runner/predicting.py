"""Many pictures, one after the other: one that cannot be read is named, and the rest are answered."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, Sequence

from .classifier import Classifier
from .failure import RunnerError

_PATIENCE_S = 2.0
"""Nobody wants progress of what takes less."""


def predict_files(classifier: Classifier, files: Sequence[Any], top: int, tell: Callable[[int], None]) -> Dict[str, Any]:
    """The most probable labels of every picture; of a multi-label network all that reach their thresholds.

    Args:
        classifier: opened.
        files: paths.
        top: how many labels, where one of them is right.
        tell: hears after two seconds, and from then on, how many pictures are done.

    Returns:
        ``predictions``, a list of ``file`` and ``labels`` (``label``, ``probability``, most probable first), and ``unreadable``,
        a list of ``file`` and ``because``.
    """
    answers: List[Dict[str, Any]] = []
    unreadable: List[Dict[str, str]] = []
    began = time.monotonic()
    for done, file in enumerate(files, start=1):
        try:
            labels = classifier.predict(file)[: top if classifier.thresholds is None else None]
        except RunnerError as error:
            if error.ref != "unreadable-image":
                raise
            unreadable.append({"file": str(file), "because": error.because or error.what})
        else:
            answers.append({"file": str(file), "labels": [{"label": name, "probability": share} for name, share in labels]})
        if time.monotonic() - began >= _PATIENCE_S:
            tell(done)
    return {"predictions": answers, "unreadable": unreadable}
