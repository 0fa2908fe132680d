"""Our latency beside a bare ONNX Runtime loop on the same file, in interleaved fresh processes: within 3 % is the target.

    python -m benchmarks.cross_check_onnxruntime [--rounds 12] [--work FOLDER]

The bare loop is what anybody would write in ten lines: a session with the same number of threads, a few calls to warm up, and a
clock around ``session.run``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.cross_check import NETWORKS, SAMPLES, SIDE, compare, exported, harness_ms, kit_with, show
from edgecnn.runner.environment import available_cores

WARMUP = 30


def bare(model: Path) -> float:
    """Median in milliseconds."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cores()
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: np.random.default_rng(0).standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)}
    for _ in range(WARMUP):
        session.run(None, feed)
    times = []
    for _ in range(SAMPLES):
        begin = time.perf_counter()
        session.run(None, feed)
        times.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(times)


def bare_ms(model: Path) -> float:
    """The same in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.cross_check_onnxruntime", "--bare", str(model)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--work", type=Path, help="where networks are kept from one call to the next")
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.bare:
        print(json.dumps(bare(asked.bare)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        work = asked.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        compared = []
        for arch in NETWORKS:
            model = exported(arch, work)
            kit = kit_with(Path(scratch), arch, "onnxruntime", model)
            compared.append(
                compare(arch, lambda kit=kit: harness_ms(kit, Path(scratch)), lambda model=model: bare_ms(model), asked.rounds)
            )
        show(compared, "bare loop", "onnxruntime")


if __name__ == "__main__":
    main()
