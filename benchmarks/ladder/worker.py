"""One process of a rival: makes its files, answers a split, or is timed, and says one line of JSON.

    python -m benchmarks.ladder.worker ASKED.json

The clock is the plainest: warm-up for a time, then so many calls, or as many as begin in a time, each between two readings.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ladder.rival import Call, Network, Rival
from benchmarks.ladder.rivals import RIVALS

BATCH = 50
"""Images in a call when a split is answered."""


def main() -> None:
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    network = Network(**request["network"])
    rival = next(entry for entry in RIVALS if entry.id == request["rival"])
    print(json.dumps(_done(request, rival, network)))


def _done(request: dict[str, Any], rival: Rival, network: Network) -> dict[str, Any]:
    made = Path(request["made"])
    if request["task"] == "make":
        rival.make(network, made)
        return {"bytes": sum((made / name).stat().st_size for name in rival.files)}
    if request["task"] == "answer":
        answer(rival.open(network, made, None), network, Path(request["out"]))
        return {}
    feed = network.normalized(network.feed("validation")[:1])
    return {"samples_ns": timed(rival.open(network, made, 1), feed, request)}


def answer(call: Call, network: Network, out: Path) -> None:
    """Logits of the report pixels, float32 (N, classes)."""
    pixels = network.feed("test")
    batches = range(0, len(pixels), BATCH)
    np.save(out, np.concatenate([np.array(call(network.normalized(pixels[at : at + BATCH]))) for at in batches]))


def timed(call: Call, feed: Any, request: dict[str, Any]) -> list[int]:
    """Nanoseconds of each call after the warm-up."""
    call(feed)
    end = time.perf_counter_ns() + int(1e9 * request["warmup_s"])
    while time.perf_counter_ns() < end:
        call(feed)
    samples = []
    gc.disable()
    last = time.perf_counter_ns() + int(1e9 * request["max_s"])
    for number in range(request["samples"]):
        if number and time.perf_counter_ns() > last:
            break
        began = time.perf_counter_ns()
        call(feed)
        samples.append(time.perf_counter_ns() - began)
    return samples


if __name__ == "__main__":
    main()
