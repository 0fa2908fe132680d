"""One classifier for all who ask, and what a client may ask of it.

A photograph at a time is answered, and only so many wait, each of them in memory alone. A few hundred kilobytes may be 179
million pixels, which took 3.3 GiB with transparency, so what decoding would take is read from the file first.
"""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PIL import Image

from edgecnn.bundle.predictions import Answer, LabelShare
from edgecnn.runner.failure import RunnerError
from edgecnn.runner.pixels import BROKEN, open_picture

if TYPE_CHECKING:
    from edgecnn.runner.classifier import Classifier


@dataclass(frozen=True)
class Limits:
    """What is taken before somebody is told to wait or to go."""

    body_bytes: int = 20 << 20
    """Of one photograph's file."""
    pixels: int = 1 << 26
    """Of one photograph: decoding holds up to 20 bytes of each."""
    scanned_pixels: int = 1 << 30
    """Of one progressive JPEG, counted again in every scan: the largest may have 16, one of 12 megapixels 89."""
    text_bytes: int = 1 << 20
    """Of a picture whose pixels are written out as text, which is read a number at a time: 10 MB of it took 5 s."""
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
    settling_s: float = 0.25
    """That a connection has before others are served in its place."""
    slowest_bytes_per_s: int = 16 << 10
    """Of a photograph, from then on: who sends less makes room when places are short."""
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
            tokens, since = self._buckets.pop(client, (self._burst, now))
            tokens = min(self._burst, tokens + (now - since) * self._per_s)
            admitted = tokens >= 1
            self._buckets[client] = (tokens - 1 if admitted else tokens, now)
            while len(self._buckets) > self._clients:
                del self._buckets[next(iter(self._buckets))]
        return 0.0 if admitted else (1 - tokens) / self._per_s


_MARKER: Final = re.compile(rb"\xff+([^\x00\x01\xd0-\xd8\xff])")
"""Of a JPEG, where something begins that is no more of the same scan (ITU T.81, B.1.1)."""
_SCAN, _END = b"\xda", b"\xd9"
_WRITTEN_OUT: Final = (b"P1", b"P2", b"P3")
"""Where PBM, PGM and PPM begin that are text."""


def too_much(content: bytes, limits: Limits) -> str:
    """Why a file is not decoded; empty where it is, be it only to learn what else is wrong with it."""
    try:
        with open_picture(io.BytesIO(content)) as picture:
            width, height = picture.size
    except (*BROKEN, Image.DecompressionBombError):
        return ""
    if content[:2] in _WRITTEN_OUT and len(content) > limits.text_bytes:
        return f"its pixels are written out as text, in more than {limits.text_bytes:,} bytes"
    size = f"{width:,} x {height:,} pixels"
    if width * height > limits.pixels:
        return f"{size}, more than {limits.pixels:,} in all"
    scans = limits.scanned_pixels // (width * height)
    if content.startswith(b"\xff\xd8") and _has_more_scans(content, scans):
        return f"more than {scans:,} scans of {size}"
    return ""


def _has_more_scans(jpeg: bytes, most: int) -> bool:
    """Whether a JPEG's first picture has; what its segments or the bytes behind it hold are others."""
    at, count = 2, 0
    while count <= most and (marker := _MARKER.search(jpeg, at)) and marker[1] != _END:
        count += marker[1] == _SCAN
        at = marker.end() + int.from_bytes(jpeg[marker.end() : marker.end() + 2], "big")
    return count > most


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
        shares = self._classifier.classify(pixels)
        ended = time.perf_counter()
        return Answer(
            labels=tuple(LabelShare(label=label, probability=share) for label, share in shares[: self._most]),
            decode_ms=(decoded - began) * 1e3,
            inference_ms=(ended - decoded) * 1e3,
            several=self._most is None,
        )
