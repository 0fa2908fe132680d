"""What the worker's loop adds to a call of a model of about 1 ms, against the same calls in a bare loop: the bound is 1 %.

Pairs of blocks alternate, so that both see the same machine; the ratio is the median over pairs. Beside it stands what the
harness costs by itself, timed on a session that does nothing, which no drift of the machine can hide.
Run from the checkout: ``python -m benchmarks.harness_overhead``.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgecnn.runner.feeds import feed_of
from edgecnn.runner.golden import golden_pixels
from edgecnn.runner.kit import Kit
from edgecnn.runner.sessions import Session, open_session
from edgecnn.runner.timing import timed_calls
from tests.runner.kits import make_kit

PAIRS = 60
CALLS = 60
FOREVER_NS = 10**12


def bare_call(session: Any, feed: Any) -> Callable[[], Any]:
    """The runtime's own call, without the session around it."""
    if hasattr(session, "_request"):
        return lambda: session._request.infer(feed, share_inputs=True)
    return lambda: session._session.run(None, feed)


def bare_loop_s(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    for _ in range(CALLS):
        call()
    return time.perf_counter() - begin


def harness_loop_s(session: Session, feed: Any) -> float:
    begin = time.perf_counter()
    timed_calls(session.run, [feed], CALLS, FOREVER_NS)
    return time.perf_counter() - begin


def own_cost_us(session: Any, feed: Any) -> float:
    """Microseconds a call of clocks and list."""
    calls = 100_000
    best = []
    for _ in range(5):
        begin = time.perf_counter()
        timed_calls(lambda feed: None, [feed], calls, FOREVER_NS)
        best.append(time.perf_counter() - begin)
    return min(best) / calls * 1e6


def measure(runtime: str, folder: Path) -> None:
    kit = Kit.open(make_kit(folder, runtime, name=runtime, width=24, depth=10, side=32))
    session = open_session(kit, batch=1)
    feed = feed_of(kit, golden_pixels(kit)[:1])
    call = bare_call(session, feed)
    for _ in range(3):
        bare_loop_s(call)
        harness_loop_s(session, feed)
    ratios, bare = [], []
    for pair in range(PAIRS):
        first_bare = pair % 2 == 0
        early = bare_loop_s(call) if first_bare else harness_loop_s(session, feed)
        late = harness_loop_s(session, feed) if first_bare else bare_loop_s(call)
        bare.append(early if first_bare else late)
        ratios.append(late / early if first_bare else early / late)
    model_us = statistics.median(bare) / CALLS * 1e6
    own = own_cost_us(session, feed)
    print(
        f"{runtime}: bare {model_us:.0f} us a call; harness / bare = {statistics.median(ratios):.4f}; "
        f"the loop alone {own:.2f} us = {100 * own / 1000:.3f} % of 1 ms"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for each in ("onnxruntime", "openvino"):
            measure(each, Path(folder))
