"""Time calls of a runtime, with nothing else between the two readings of the clock."""

from __future__ import annotations

import time
from itertools import cycle
from typing import Any, Callable, List, Sequence


def timed_calls(call: Callable[[Any], Any], inputs: Sequence[Any], count: int, limit_ns: int) -> List[int]:
    """Return the nanoseconds of ``count`` calls, or of as many as begin within ``limit_ns``; at least one.

    ``inputs``: the calls' arguments in turn.
    """
    clock, following = time.perf_counter_ns, cycle(inputs).__next__
    samples: List[int] = []
    keep = samples.append
    stop = clock() + limit_ns
    for _ in range(count):
        feed = following()
        begin = clock()
        call(feed)
        end = clock()
        keep(end - begin)
        if end >= stop:
            break
    return samples
