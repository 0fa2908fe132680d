"""Our latency beside a bare ONNX Runtime loop on the same file, in interleaved fresh processes: within 3 % is the target.

    python -m benchmarks.cross_check.onnxruntime [NETWORK ...] [--rounds 10] [--threads 1] [--work FOLDER]

The bare loop is what anybody would write in ten lines: a session with the same number of threads, a few calls to warm up, and a
clock around ``session.run``.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.cross_check.kits import SAMPLES, SIDE, asked_for, compare, exported, harness_ms, kit_with, show

WARMUP = 30


def bare(model: Path, threads: int) -> float:
    """Median in milliseconds."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
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


def bare_ms(model: Path, threads: int) -> float:
    """The same in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.cross_check.onnxruntime", "--bare", str(model), "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    options = asked_for(__doc__)
    if options.bare:
        print(json.dumps(bare(options.bare, options.threads)))
        return
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        work = options.work or scratch
        work.mkdir(parents=True, exist_ok=True)
        compared = []
        for arch in options.networks:
            model = exported(arch, work)
            ours = partial(harness_ms, kit_with(scratch, "onnxruntime", options.threads, model), scratch)
            compared.append(compare(arch, ours, partial(bare_ms, model, options.threads), options.rounds))
        show(compared, "bare loop", "onnxruntime", options.threads)


if __name__ == "__main__":
    main()
