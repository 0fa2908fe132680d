"""Classify images for all clients of a server, within limits.

One image is classified at a time. Only a few wait, and only in memory.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PIL import Image

from edgecnn.bundle.kit_answers import DecodingLimits
from edgecnn.bundle.predictions import Answer

if TYPE_CHECKING:
    from edgecnn.bundle.classifying import KitProcess


@dataclass(frozen=True)
class Limits(DecodingLimits):
    """Limits beyond which a client must wait or is refused."""

    body_bytes: int = 20 << 20
    """Size of one image file."""
    per_minute: int = 300
    """Average number of images of one client per minute. A fifth of them may arrive at once."""
    queue_length: int = 8
    """Number of images that wait while one is classified."""
    connections: int = 24
    connections_per_client: int = 8
    idle_s: float = 10.0
    """Longest silence of a connection, in either direction."""
    request_s: float = 60.0
    """Longest time for a whole request, so that a slow sender does not keep its place indefinitely."""
    settling_s: float = 0.25
    """Time before a connection can lose its place to another."""
    slowest_bytes_per_s: int = 16 << 10
    """Rate of an image after ``settling_s``. A slower sender loses its place if another client needs one."""
    clients: int = 4096
    """Number of clients whose rates are stored. The client that was silent longest is removed first."""


class Rates:
    """A token bucket for each client, with the tokens of a fifth of a minute. ``clock``: monotonic, in seconds."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = limits.per_minute / 60
        self._burst = max(1.0, limits.per_minute / 5)
        self._clients, self._clock = limits.clients, clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait_s(self, client: str) -> float:
        """Count a request and return 0 if it is allowed; otherwise return the seconds to wait."""
        now = self._clock()
        with self._lock:
            tokens, since = self._buckets.pop(client, (self._burst, now))
            tokens = min(self._burst, tokens + (now - since) * self._per_s)
            admitted = tokens >= 1
            self._buckets[client] = (tokens - 1 if admitted else tokens, now)
            while len(self._buckets) > self._clients:
                del self._buckets[next(iter(self._buckets))]
        return 0.0 if admitted else (1 - tokens) / self._per_s


TOP: Final = 5
_LAST_ANSWER_S: Final = 10.0


class Busy(Exception):
    """The queue is full."""


class NotAPhotograph(Exception):
    """A file cannot be read as an image; ``str`` is the reason in words for its sender."""


class Answering:
    """Classifies images for any number of threads. The owner of ``kit`` closes it after ``finish``."""

    def __init__(self, kit: KitProcess, limits: Limits) -> None:
        self._kit, self._limits = kit, limits
        self._places = threading.BoundedSemaphore(limits.queue_length + 1)
        self._turn = threading.Lock()

    @property
    def classes(self) -> int:
        """Number of the model's classes."""
        return self._kit.classes

    def warm_up(self) -> None:
        """Classify an empty image, since a runtime's first prediction is slower than the following ones.

        Raises EdgecnnError: see ``KitProcess.classify``.
        """
        empty = io.BytesIO()
        Image.new("RGB", (64, 64)).save(empty, "PNG")
        self._kit.classify(empty.getvalue())

    def answer(self, content: bytes) -> Answer:
        """Classify an image.

        Raises:
            Busy: the queue is full.
            NotAPhotograph: the file cannot be read as an image, or is too large.
            EdgecnnError: the runtime failed or crashed; see ``KitProcess.classify``.
        """
        if not self._places.acquire(blocking=False):
            raise Busy
        try:
            with self._turn:
                classified = self._kit.classify(content, TOP, self._limits)
        finally:
            self._places.release()
        if classified.unreadable is not None:
            raise NotAPhotograph(classified.unreadable or "it is damaged")
        times = {"decode_ms": classified.decode_ms, "inference_ms": classified.inference_ms}
        return Answer(labels=classified.labels, several=self._kit.several, **times)

    def finish(self) -> None:
        """Wait for the current image. No other image is classified afterwards."""
        self._turn.acquire(timeout=_LAST_ANSWER_S)
