"""Eight builds, two collections, a push and a check on one store at once: nothing is lost, made twice, or waited for in vain.

``EDGECNN_AT_ONCE_S`` says for how long; ``.ci/run --hard`` gives it 20 minutes.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.building.builds import Place, place_with_photos

TIME_S = float(os.environ.get("EDGECNN_AT_ONCE_S", "60"))
NETWORKS = (8, 12, 16, 24)
"""Batch sizes of its training: each makes other weights, of the same images."""
TWICE = 2
WAIT_S = 900.0
"""No build of these takes that long, even as one of eight; whoever does waits for somebody."""


@pytest.mark.slow  # builds for a minute or more
def test_nothing_is_lost_or_made_twice(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    place, afar = place_with_photos(tmp_path), f"file://{tmp_path}/afar"
    done, calls = threading.Event(), Counter[str]()
    beside = [("store", "gc"), ("store", "gc", "--days", "1"), ("store", "push", afar), ("store", "verify")]
    made: Counter[str] = Counter()
    with ThreadPoolExecutor(12) as pool:
        others = [pool.submit(_again_and_again, place, words, done, calls) for words in beside]
        try:
            until = time.monotonic() + TIME_S
            for seed in itertools.count():
                for outcomes in pool.map(lambda job: _built(place, *job), _jobs(seed)):
                    made.update(key for key, outcome in outcomes if outcome == "ran")
                if time.monotonic() > until:
                    break
        finally:
            done.set()
        for other in others:
            other.result()
    said = ", ".join(f"{count} {words}" for words, count in calls.items())
    record_property("figure", f"eight builds at once for {TIME_S:g} s beside {said}: {len(made)} entries made, each once")
    assert set(made) == {Path(entry).name for entry in _entries(place.store)}, "what was made is there, and nothing else"
    assert set(made.values()) == {1}, "each key is made by one"
    check = place.plain("store", "verify")
    assert check.returncode == 0, check.stdout + check.stderr
    assert place.plain("store", "push", afar).returncode == 0
    pulled = place.plain("store", "pull", afar, EDGECNN_STORE=str(tmp_path / "other"))
    assert pulled.returncode == 0, pulled.stderr
    assert _entries(tmp_path / "other") == _entries(place.store)


def _jobs(seed: int) -> list[tuple[int, int, int]]:
    return [(seed, size, copy) for size in NETWORKS for copy in range(TWICE)]


def _built(place: Place, seed: int, size: int, copy: int) -> list[tuple[str, str]]:
    """Key and outcome of every step."""
    out = place.folder / f"out-{size}-{copy}"
    own = ("--set", f"train.seed={seed}", "--set", f"train.batch_size={size}", "--set", "train.epochs=4", "--out", str(out))
    with place.start("package", *own) as process:
        said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, "".join(said)
    steps = json.loads((out / "plan.json").read_text())["steps"]
    outcomes = json.loads((out / "progress.json").read_text())["outcomes"]
    return [(step["key"], outcomes[step["id"]]["outcome"]) for step in steps if step["id"] in outcomes]


def _again_and_again(place: Place, words: tuple[str, ...], done: threading.Event, calls: Counter[str]) -> None:
    while not done.is_set():
        ended = place.plain(*words)
        assert ended.returncode == 0, f"{' '.join(words)}: {ended.stdout}{ended.stderr}"
        calls[" ".join(words[:2])] += 1


def _entries(store: Path) -> set[str]:
    return {str(path.relative_to(store)) for path in store.glob("artifacts/*/*")}
