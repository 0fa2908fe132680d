"""One classifier for all who ask.

A photograph at a time is answered, and only so many wait, each of them in memory alone.
"""

from __future__ import annotations

import io
import threading
import time
from typing import TYPE_CHECKING, Final

from edgecnn.bundle.predictions import Answer, LabelShare
from edgecnn.runner.failure import RunnerError
from edgecnn.serving.photographs import too_much

if TYPE_CHECKING:
    from edgecnn.runner.classifier import Classifier
    from edgecnn.serving.limits import Limits


TOP: Final = 5
_LAST_ANSWER_S: Final = 10.0


class Busy(Exception):
    """Raised when as many wait as may."""


class NotAPhotograph(Exception):
    """Raised when a file cannot be read as one; ``str`` says why, in words for whoever sent it."""


class Answering:
    """Answers from any number of threads. ``classifier``: opened; it is the caller's to close, after ``finish``."""

    def __init__(self, classifier: Classifier, limits: Limits) -> None:
        self._classifier, self._limits = classifier, limits
        self._places = threading.BoundedSemaphore(limits.queue_length + 1)
        self._turn = threading.Lock()
        self._most = TOP if classifier.thresholds is None else None

    @property
    def classes(self) -> int:
        """How many the model knows."""
        return len(self._classifier.labels)

    def warm_up(self) -> None:
        """Compute once for nobody: a runtime's first answer is slower than all that follow, and says nothing of them.

        Raises RunnerError: the kit does not compute here.
        """
        import numpy as np

        self._classifier.predict(np.zeros((64, 64, 3), np.uint8))

    def answer(self, content: bytes) -> Answer:
        """What is seen in a photograph.

        Raises:
            Busy: it was not looked at.
            NotAPhotograph: it cannot be read, or would take too much to be.
            RunnerError: the runtime failed.
        """
        if not self._places.acquire(blocking=False):
            raise Busy
        try:
            with self._turn:
                return self._answered(content)
        finally:
            self._places.release()

    def finish(self) -> None:
        """Let the answer that is being computed come to its end, and begin no other."""
        self._turn.acquire(timeout=_LAST_ANSWER_S)

    def _answered(self, content: bytes) -> Answer:
        if reason := too_much(content, self._limits):
            raise NotAPhotograph(reason)
        began = time.perf_counter()
        try:
            pixels = self._classifier.pixels(io.BytesIO(content))
        except RunnerError as error:
            if error.ref != "unreadable-image":
                raise
            raise NotAPhotograph(error.because or "it is damaged") from error
        decoded = time.perf_counter()
        found = self._classifier.classify(pixels)
        ended = time.perf_counter()
        return Answer(
            labels=tuple(LabelShare(label=label, probability=share) for label, share in found[: self._most]),
            decode_ms=(decoded - began) * 1e3,
            inference_ms=(ended - decoded) * 1e3,
            several=self._most is None,
        )
