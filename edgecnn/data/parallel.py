"""The same small work on many files, by every core, told as it goes and left at once by Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from edgecnn.runner.machine.environment import available_cores
from edgecnn.values.stage import Progress

_BATCH: Final = 64
Item = TypeVar("Item")
Result = TypeVar("Result")


def on_every_core(
    items: Sequence[Item], work: Callable[[Item], Result], take: Callable[[Item, Result], None], what: str, tell: Progress
) -> None:
    """Hand every item, in order, to ``take`` with what ``work`` made of it in a thread, as far as it leaves Python's lock."""
    batches = [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]
    stopped = threading.Event()

    def some(batch: Sequence[Item]) -> list[tuple[Item, Result]]:
        return [(item, work(item)) for item in batch if not stopped.is_set()]

    with ThreadPoolExecutor(max_workers=available_cores()) as pool:
        try:
            done = 0
            for found in pool.map(some, batches):
                for item, result in found:
                    take(item, result)
                done += len(found)
                tell.step(what, done, len(items), "images")
        except BaseException:
            stopped.set()  # Ctrl-C waits for the one image that each thread is at, not for its whole batch
            pool.shutdown(cancel_futures=True)
            raise
