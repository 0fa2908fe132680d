"""Calls that run at the same time on different lanes, such as builds that different boards measure."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from types import TracebackType


class Lanes:
    """To be used as a context, whose end waits for what runs; where it is left by an exception, what waits is never begun.

    ``stop``: called then, to end what runs.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._pools = dict[str, ThreadPoolExecutor]()
        self._ended = SimpleQueue[BaseException | None]()
        self._open = 0

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            for pool in self._pools.values():
                pool.shutdown(wait=False, cancel_futures=True)
            self._stop()
        for pool in self._pools.values():
            pool.shutdown()

    def begin(self, lane: str, wide: int, call: Callable[[], None]) -> None:
        """Run a call when its lane has room. ``wide``: how many of the lane run at once, as its first call says."""
        if lane not in self._pools:
            self._pools[lane] = ThreadPoolExecutor(max(1, wide))
        self._open += 1
        self._pools[lane].submit(self._run, call)

    def wait(self) -> None:
        """Until the last call ended. Raises what one raised."""
        while self._open:
            self._open -= 1
            if (error := self._ended.get()) is not None:
                raise error

    def _run(self, call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            self._ended.put(error)
        else:
            self._ended.put(None)
