"""What a server takes of a client before it tells somebody to wait or to go: sizes, times, connections, a rate a client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


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
            held, since = self._buckets.pop(client, (self._burst, now))
            held = min(self._burst, held + (now - since) * self._per_s)
            admitted = held >= 1
            self._buckets[client] = (held - 1 if admitted else held, now)
            while len(self._buckets) > self._clients:
                del self._buckets[next(iter(self._buckets))]
        return 0.0 if admitted else (1 - held) / self._per_s
