"""Record real process runs of real ONNX Runtime sessions, for the tests that resample them.

The contestants run interleaved: two that are the same file (an A/A pair) and, unless ``--pair-only``, one with more work.
Every run is a fresh process; the order inside a round is drawn anew. What is stored is small (a median per run, thinned samples
for some), and true: nothing is smoothed, dropped or repeated. A recording is added to those that the file already holds.

    python benchmarks/record_runs.py --rounds 100 --out tests/judging/runs/recorded_runs.json
"""

from __future__ import annotations

import argparse
import datetime
import gc
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SAMPLES = 300
THIN = 10
KEEP_SAMPLES_EVERY = 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--pair-only", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", type=Path, help="internal: be one run of this file, and print it as JSON")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run_once(options.one)))
    elif options.out:
        recording = record(options.rounds, ["a", "a-twin"] if options.pair_only else ["a", "a-twin", "more-work"])
        before = json.loads(options.out.read_text(encoding="utf-8"))["recordings"] if options.out.exists() else []
        texts = ",\n".join(recording_text(one) for one in (*before, recording))
        options.out.write_text(f'{{"recordings": [\n{texts}\n]}}\n', encoding="utf-8")
    else:
        parser.error("say where to write: --out FILE")


def run_once(model: Path) -> dict[str, Any]:
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    feed = {"image": np.random.default_rng(0).standard_normal((1, 3, 96, 96)).astype(np.float32)}
    before = processor_seconds()
    end = time.perf_counter_ns() + 200_000_000
    while time.perf_counter_ns() < end:
        session.run(None, feed)
    samples = []
    gc.disable()
    for _ in range(SAMPLES):
        began = time.perf_counter_ns()
        session.run(None, feed)
        samples.append(time.perf_counter_ns() - began)
    after = processor_seconds()
    total, own = after["total"] - before["total"], after["own"] - before["own"]
    others = max(0.0, 100 * (after["busy"] - before["busy"] - own) / total)
    return {
        "samples_ns": samples,
        "others_percent": round(others, 1),
        "onnxruntime": onnxruntime.__version__,
        "numpy": np.__version__,
    }


def processor_seconds() -> dict[str, float]:
    """Of all processors since boot, idle included; of that busy; and of that by this process."""
    with Path("/proc/stat").open(encoding="ascii") as stat:
        ticks = [int(field) / os.sysconf("SC_CLK_TCK") for field in stat.readline().split()[1:9]]
    spent = os.times()
    return {"total": sum(ticks), "busy": sum(ticks) - ticks[3] - ticks[4], "own": spent.user + spent.system}


def record(rounds: int, names: list[str]) -> dict[str, Any]:
    began = time.time()
    load_before = os.getloadavg()
    runs, kept, versions = [], [], {}
    with tempfile.TemporaryDirectory() as folder:
        files = {"a": Path(folder, "a.onnx"), "a-twin": Path(folder, "a-twin.onnx"), "more-work": Path(folder, "more.onnx")}
        write_model(files["a"], blocks=4)
        files["a-twin"].write_bytes(files["a"].read_bytes())
        write_model(files["more-work"], blocks=5)
        for round_ in range(rounds):
            order = random.Random(round_).sample(names, len(names))
            for position, name in enumerate(order):
                seconds = round(time.time() - began, 1)
                got = one_process(files[name])
                versions = {"onnxruntime": got["onnxruntime"], "numpy": got["numpy"], "python": platform.python_version()}
                samples = got["samples_ns"]
                runs.append([round_, position, name, round(statistics.median(samples)), seconds, got["others_percent"]])
                if round_ % KEEP_SAMPLES_EVERY == 0:
                    kept.append({"round": round_, "kit": name, "samples_ns": samples[::THIN]})
    return {
        "recorded_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "versions": versions,
        "order": "drawn anew in each round",
        "model": "3x3 convolutions, 32 to 64 channels, 96 px; a and a-twin are the same bytes, more-work has a fifth block",
        "samples_per_run": SAMPLES,
        "load_average": {"before": load_before, "after": os.getloadavg()},
        "columns": ["round", "position", "kit", "median_ns", "started_after_s", "others_percent"],
        "runs": runs,
        "thinned": {"every": THIN, "runs": kept},
    }


def one_process(model: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", str(model)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    got: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return got


def write_model(path: Path, blocks: int) -> None:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    numbers = np.random.default_rng(1)
    nodes, weights, last, channels = [], [], "image", 3
    for block in range(blocks):
        wide = 32 if block == 0 else 64
        kernel = (numbers.standard_normal((wide, channels, 3, 3)) * 0.1).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"w{block}"))
        stride = 2 if block in (0, 2) else 1
        nodes.append(helper.make_node("Conv", [last, f"w{block}"], [f"c{block}"], strides=[stride, stride], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{block}"], [f"r{block}"]))
        last, channels = f"r{block}", wide
    nodes.append(helper.make_node("GlobalAveragePool", [last], ["logits"]))
    graph = helper.make_graph(
        nodes,
        "recorded",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 96, 96))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def recording_text(recording: dict[str, Any]) -> str:
    """JSON with one run a line, so that a diff of two recordings can be read."""
    head = {name: value for name, value in recording.items() if name not in ("runs", "thinned")}
    text = json.dumps(head, indent=1)[:-2]
    runs = ",\n".join(json.dumps(run) for run in recording["runs"])
    thinned = ",\n".join(json.dumps(run) for run in recording["thinned"]["runs"])
    every = recording["thinned"]["every"]
    return f'{text},\n "runs": [\n{runs}\n ],\n "thinned": {{"every": {every}, "runs": [\n{thinned}\n ]}}\n}}'


if __name__ == "__main__":
    main()
