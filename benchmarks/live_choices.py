"""Whether builds of one network ship one kit: the same again and again, races forgotten, half of them beside a busy loop.

    python -m benchmarks.live_choices --networks mobilenet-v2 mobilenet-v3-large --builds 10 --work live

The first build of a network trains it and is not counted. How fast each candidate is "over all" is the median over the builds
that ran undisturbed of what their reports say; a choice within 2 % of the fastest that was ever chosen counts as the same.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

SAME = 1.02
SPIN = "while True: pass"
CHOICE = "first race"


@contextmanager
def busy(wanted: bool) -> Iterator[None]:
    """A program beside that keeps one core busy, or none."""
    beside = subprocess.Popen([sys.executable, "-c", SPIN]) if wanted else None
    try:
        yield
    finally:
        if beside is not None:
            beside.kill()
            beside.wait()


def build(words: list[str], store: Path, log: Path) -> tuple[float, float]:
    """Seconds until the choice was made, and of the whole build."""
    began, chosen = time.monotonic(), 0.0
    environment = {**os.environ, "EDGECNN_STORE": str(store), "EDGECNN_OFFLINE": "1"}
    command = [sys.executable, "-m", "edgecnn", "build", *words]
    with (
        log.open("a") as kept,
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=kept, text=True) as process,
    ):
        for line in process.stderr or ():
            kept.write(line)
            chosen = time.monotonic() - began if CHOICE in line else chosen
    if process.returncode not in (0, 1):
        sys.exit(f"edgecnn build {' '.join(words)} ended with {process.returncode}; see {log}")
    return chosen, time.monotonic() - began


def facts_of(report: Mapping[str, Any], chosen_s: float, whole_s: float, beside: bool) -> dict[str, Any]:
    latencies = {row["candidate"]["id"]: row["latency"]["p50_ms"]["estimate"] for row in report["candidates"] if row["latency"]}
    choice = report["choice"]
    facts = {"candidate": choice["candidate"], "state": choice["state"], "regret": choice["regret"], "why": choice["why"]}
    return {**facts, "beside": beside, "choice_s": round(chosen_s, 1), "build_s": round(whole_s, 1), "p50_ms": latencies}


def live(network: str, builds: int, work: Path, more: list[str]) -> list[dict[str, Any]]:
    out, store, log = work / network, work / "store", work / f"{network}.log"
    words = ["--arch", network, "--target", "cpu", "--out", str(out), *more]
    build(words, store, log)
    choices = []
    for number in range(builds):
        for races in store.glob("profiles/*/race"):
            shutil.rmtree(races)
        with busy(number % 2 == 1):
            took = build(words, store, log)
        choices.append(facts_of(json.loads((out / "report.json").read_text()), *took, beside=number % 2 == 1))
        print(network, number + 1, json.dumps(choices[-1]), flush=True)
    return choices


def table(network: str, choices: list[dict[str, Any]]) -> str:
    quiet = [choice for choice in choices if not choice["beside"]]
    names = sorted({name for choice in quiet for name in choice["p50_ms"]})
    typical = {name: median(choice["p50_ms"][name] for choice in quiet if name in choice["p50_ms"]) for name in names}
    least = min(typical[choice["candidate"]] for choice in choices)
    same = sum(typical[choice["candidate"]] <= SAME * least for choice in choices)
    counted = {
        name: [sum(choice["candidate"] == name and choice["beside"] == way for choice in choices) for way in (False, True)]
        for name in names
    }
    lines = [f"| {network} | {name} | {typical[name]:.3f} | {alone} | {loaded} |" for name, (alone, loaded) in counted.items()]
    times = ", ".join(
        f"{median(choice['choice_s'] for choice in choices if choice['beside'] == way):.0f} s" for way in (False, True)
    )
    return "\n".join(
        [*lines, f"{network}: one kit, or one within 2 %, in {same} of {len(choices)}; until the choice {times} (alone, beside)"]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["mobilenet-v3-large", "mobilenet-v2"])
    parser.add_argument("--builds", type=int, default=10)
    parser.add_argument("--work", type=Path, default=Path("live"))
    options, more = parser.parse_known_args()
    options.work.mkdir(parents=True, exist_ok=True)
    every = {network: live(network, options.builds, options.work, more) for network in options.networks}
    (options.work / "live.json").write_text(json.dumps(every, indent=1))
    print("| network | candidate | median ms | chosen, alone | chosen, beside a loop |\n| --- | --- | --- | --- | --- |")
    for network, choices in every.items():
        print(table(network, choices))


if __name__ == "__main__":
    main()
