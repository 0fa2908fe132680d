"""What a sweep costs beside the same builds by hand in one loop, and how soon a finished sweep of sixty builds answers.

    python -m benchmarks.fleet.overhead [--work overhead]

Sixty builds, twenty networks for three devices that are not here, so that nothing waits for a race. They are made six at a
time by a sweep and by a loop over ``edgecnn build`` with the same words, in turns; each way has a store of its own, in which
networks are trained once. At the end one sweep of all is run twice: the first finds all stages stored, the second is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from edgecnn.judging.intervals import ratio_interval
from edgecnn.sweeps.file import cells_of, read_sweep

SEEDS, ROUNDS = 20, 10
DEVICES = ("raspberry-pi-5:onnxruntime", "raspberry-pi-4:onnxruntime", "arm64-server:onnxruntime")
SWEEP = "[set]\ntrain.epochs = 3\n[grid]\nmodel.arch = ['lenet-5']\ntrain.seed = {seeds}\ntarget.device = {devices}\n"


def timed(words: list[str], store: Path) -> float:
    """Seconds of one command. A build for a device that is away has no verdict on time, and ends with 3."""
    began = time.monotonic()
    environment = {**os.environ, "EDGECNN_STORE": str(store), "EDGECNN_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-m", "edgecnn", *words], env=environment, capture_output=True, text=True)
    if "edgecnn: error: " in done.stderr or done.returncode not in (0, 1, 3, 4):
        sys.exit(f"edgecnn {shlex.join(words)} ended with {done.returncode}: {done.stderr[-1000:]}")
    return time.monotonic() - began


def swept(file: Path) -> list[str]:
    return ["sweep", "run", str(file), "--out", str(file.with_suffix(""))]


def manual_seconds(file: Path, work: Path) -> float:
    """The same builds, one after another."""
    every = cells_of(read_sweep(file))
    return sum(
        timed(["build", *cell.words, "--out", str(work / "by-hand" / cell.name)], work / "store-by-hand") for cell in every
    )


def written(work: Path, name: str, seeds: list[int]) -> Path:
    file = work / f"{name}.toml"
    file.write_text(SWEEP.format(seeds=seeds, devices=json.dumps(DEVICES)))
    return file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("overhead"))
    work = parser.parse_args().work.resolve()
    if work.exists():
        sys.exit(f"{work} is there already: stores and results have to be fresh")
    work.mkdir(parents=True)
    rounds = []
    for number, seeds in enumerate(np.array_split(np.arange(1, SEEDS + 1), ROUNDS)):
        file = written(work, f"round-{number}", seeds.tolist())
        ways = {
            "sweep": lambda file=file: timed(swept(file), work / "store"),
            "hand": lambda file=file: manual_seconds(file, work),
        }
        took = {way: ways[way]() for way in (("sweep", "hand"), ("hand", "sweep"))[number % 2]}
        rounds.append(took)
        print(f"round {number}: sweep {took['sweep']:.1f} s, by hand {took['hand']:.1f} s", flush=True)
    ratio = ratio_interval([row["sweep"] for row in rounds], [row["hand"] for row in rounds])
    assert ratio is not None
    print(f"sweep / by hand: {ratio.estimate:.3f} [{ratio.low:.3f}, {ratio.high:.3f}] ({ratio.confidence:.0%})")
    whole = written(work, "whole", list(range(1, SEEDS + 1)))
    timed(swept(whole), work / "store")
    print(f"a finished sweep of {SEEDS * len(DEVICES)} builds: {timed(swept(whole), work / 'store'):.1f} s")


if __name__ == "__main__":
    main()
