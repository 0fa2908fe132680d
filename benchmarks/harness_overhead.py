"""What the worker's loop adds to a call of a model of about 1 ms, against the same calls in a bare loop: the bound is 1 %.

Pairs of blocks alternate, so that both see the same machine; the ratio is the median over pairs. Beside it stands what the
harness costs by itself, timed on a session that does nothing, which no drift of the machine can hide.
Run from the checkout: ``python -m benchmarks.harness_overhead``; with ``--browser`` the page's loop in Chromium, against bare
calls of ONNX Runtime Web's session in the same page.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgecnn.runner.feeds import feed_of
from edgecnn.runner.golden import golden_pixels
from edgecnn.runner.kit import Kit
from edgecnn.runner.sessions import Session, open_session, timed_calls
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


BARE = """
deeds.bare = async ({ shape: [feeds, ...shape], count }, body) => {
  const given = { [network.input.name]: network.tensor(numbersOf(body).slice(0, numbersOf(body).length / feeds), shape) };
  const begin = performance.now();
  for (let call = 0; call < count; call++) await network.session.run(given);
  return { head: { spent_ms: performance.now() - begin } };
};
"""
"""What the page is taught beside its own deeds, before it begins to take work."""
BEGINS = "for (;;) {"


def measure_page(folder: Path) -> None:
    """Ratio of the page's samples to bare calls, one thread and all."""
    from edgecnn.building.untrained_kits import KitMaker
    from edgecnn.render.progress import PlainLines
    from edgecnn.runner.browser import Page
    from edgecnn.runner.machine.environment import read_conditions
    from edgecnn.runner.manifest import MANIFEST
    from edgecnn.store.store import Store
    from edgecnn.values.candidate import Candidate, Precision, Runtime
    from edgecnn.values.fit import Probe

    candidate = Candidate(id="wasm-fp32", runtime=Runtime.WASM, precision=Precision.FP32)
    maker = KitMaker(Store.open(), PlainLines(), read_conditions())
    made = maker.kits(Probe(arch="mobilenet-v2", resolution_px=32, classes=10), [candidate]).made[candidate.id]
    kit = Kit.open(Path(shutil.copytree(made.folder, folder / "page")))
    script = kit.path("measure.mjs")
    script.write_text(script.read_text().replace(BEGINS, BARE + BEGINS))
    feed = next(iter(feed_of(kit, golden_pixels(kit)[:1]).values()))
    for threads in (1, 2):
        page = Page(kit.folder, [*kit.manifest.files, MANIFEST], "measure.html")
        page.ask({"do": "open", "threads": threads, "trace": False}, b"", 300)
        head = {"shape": [1, *feed.shape], "count": CALLS, "limit_ms": 1e9}
        ways = {
            "time": lambda page=page, head=head: sum(page.ask({"do": "time", **head}, feed.tobytes(), 300)[0]["samples_ms"]),
            "bare": lambda page=page, head=head: page.ask({"do": "bare", **head}, feed.tobytes(), 300)[0]["spent_ms"],
        }
        for _ in range(20):  # browsers compile twice
            ways["bare"](), ways["time"]()
        pairs = [{way: ways[way]() for way in sorted(ways, reverse=pair % 2 == 0)} for pair in range(PAIRS)]
        page.close()
        bare_us = statistics.median(pair["bare"] for pair in pairs) / CALLS * 1e3
        ratio = statistics.median(pair["time"] / pair["bare"] for pair in pairs)
        print(f"ONNX Runtime Web, {threads} threads: bare {bare_us:.0f} us a call; page / bare = {ratio:.4f}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        if "--browser" in sys.argv:
            measure_page(Path(scratch))
        else:
            for name in ("onnxruntime", "openvino"):
                measure(name, Path(scratch))
