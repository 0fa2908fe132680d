"""One classifier for all who ask, and how much each of them and all together may ask of it.

A photograph at a time is answered, and only so many wait, each of them in memory alone.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgecnn.bundle.predictions import Answer, LabelShare
from edgecnn.runner.failure import RunnerError

if TYPE_CHECKING:
    from edgecnn.runner.classifier import Classifier


TOP: Final = 5
_LAST_ANSWER_S: Final = 10.0


class Busy(Exception):
    """Raised when as many wait as may."""


class NotAPhotograph(Exception):
    """Raised when a file cannot be read as one; ``str`` says why, in words for whoever sent it."""


class Answering:
    """Answers from any number of threads. ``classifier``: opened; it is the caller's to close, after ``finish``."""

    def __init__(self, classifier: Classifier, limits: Limits) -> None:
        self._classifier = classifier
        self._places = threading.BoundedSemaphore(limits.queue_length + 1)
        self._turn = threading.Lock()

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

        Args:
            content: the file's bytes.

        Raises:
            Busy: it was not looked at.
            NotAPhotograph: it cannot be read.
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
            labels=tuple(LabelShare(label=label, probability=share) for label, share in found[:TOP]),
            decode_ms=(decoded - began) * 1e3,
            inference_ms=(ended - decoded) * 1e3,
        )


@dataclass(frozen=True)
class Limits:
    """What is taken before somebody is told to wait or to go."""

    body_bytes: int = 20 << 20
    """Of one photograph's file."""
    per_minute: int = 300
    """Photographs a client, over a longer time; a fifth of it at once."""
    queue_length: int = 8
    """Photographs that wait for the one that is computed."""
    connections: int = 24
    connections_per_client: int = 8
    idle_s: float = 10.0
    """That a connection may be silent, in either direction."""
    request_s: float = 60.0
    """For a whole request to arrive: who sends a byte now and then holds no place for ever."""
    clients: int = 4096
    """Whose rates are remembered; beyond that, whoever was silent longest is forgotten."""


class Rates:
    """A bucket of tokens for each client: it holds a fifth of a minute's, and fills evenly. ``clock``: seconds, monotonic."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = limits.per_minute / 60
        self._burst = max(1.0, limits.per_minute / 5)
        self._clients, self._clock = limits.clients, clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait_s(self, client: str) -> float:
        """0 where this client may go on, which is then counted; else the seconds until it may."""
        now = self._clock()
        with self._lock:
            held, since = self._buckets.pop(client, (self._burst, now))
            held = min(self._burst, held + (now - since) * self._per_s)
            admitted = held >= 1
            self._buckets[client] = (held - 1 if admitted else held, now)
            while len(self._buckets) > self._clients:
                del self._buckets[next(iter(self._buckets))]
        return 0.0 if admitted else (1 - held) / self._per_s
