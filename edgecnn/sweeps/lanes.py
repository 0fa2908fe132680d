"""Calls that run at the same time on different lanes, such as builds that different boards measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Lanes(Generic[Result]):
    """To be used as a context, whose end waits for what runs; where it is left by an exception, what waits is never begun.

    ``stop``: called then, to end what runs.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._pools = dict[str, ThreadPoolExecutor]()
        self._ended = SimpleQueue[Result | BaseException]()
        self._open = 0

    def __enter__(self) -> Lanes[Result]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            for pool in self._pools.values():
                pool.shutdown(wait=False, cancel_futures=True)
            self._stop()
        for pool in self._pools.values():
            pool.shutdown()

    def begin(self, lane: str, wide: int, call: Callable[[], Result]) -> None:
        """Run a call when its lane has room. ``wide``: how many of the lane run at once, as its first call says."""
        if lane not in self._pools:
            self._pools[lane] = ThreadPoolExecutor(max(1, wide))
        self._open += 1
        self._pools[lane].submit(self._run, call)

    def ended(self, *, wait: bool) -> Iterator[Result]:
        """What calls gave, in the order in which they ended; ``wait``: until the last has. Raises what a call raised."""
        while self._open:
            try:
                result = self._ended.get(block=wait)
            except Empty:
                return
            self._open -= 1
            if isinstance(result, BaseException):
                raise result
            yield result

    def _run(self, call: Callable[[], Result]) -> None:
        try:
            self._ended.put(call())
        except BaseException as error:  # noqa: BLE001 - raised again by whoever takes the results
            self._ended.put(error)
