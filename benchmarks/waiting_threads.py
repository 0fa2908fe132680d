"""What a kit's threads do while another program runs: the same file by thread settings, alone and beside a busy loop.

    python -m benchmarks.waiting_threads KIT ... --rounds 8

Fresh processes in an order drawn anew each round; a cell is the median, and the range, of their medians in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.live_choices import busy

SETTINGS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "onnxruntime_cpu": {
        "default": {},
        "one thread": {"threads": "1"},
        "spinning off": {"session.intra_op.allow_spinning": "0"},
        "threads pinned": {"pin_threads": "1"},
    },
    "openvino_cpu": {"default": {}, "one thread": {"threads": "1"}, "threads pinned": {"ENABLE_CPU_PINNING": "YES"}},
}


def median_ms(kit: Path, knobs: Mapping[str, str], folder: Path) -> float:
    """Of one process of the kit's own runner: 300 inferences, or 2 s of them."""
    item: dict[str, Any] = {"kit": str(kit), "round": 0, "position": 0, "samples": 300, "max_s": 2.0, "knobs": dict(knobs)}
    schedule = folder / "schedule.json"
    schedule.write_text(json.dumps({"schema": "edgecnn.schedule/1", "timeout_s": 120, "items": [item]}))
    command = [sys.executable, "-B", "-m", "runner", "bench", "--schedule", str(schedule), "--out", str(folder / "runs")]
    subprocess.run(command, cwd=kit, check=True, capture_output=True)
    samples = json.loads((folder / "runs" / "run-00000.json").read_text())["samples_ns"]
    return float(median(samples)) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kits", type=Path, nargs="+", help="folders of kits")
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    ways = []
    for kit in (path.resolve() for path in options.kits):
        manifest = json.loads((kit / "kit.json").read_text())
        ways += [(manifest["name"], kit, *way) for way in SETTINGS[manifest["session"]["module"]].items()]
    times: dict[tuple[str, str], dict[bool, list[float]]] = {
        (name, knobs_text): {False: [], True: []} for name, _, knobs_text, _ in ways
    }
    for beside in (False, True):
        with busy(beside):
            for _ in range(options.rounds):
                for name, kit, knobs_text, knobs in random.sample(ways, len(ways)):
                    with tempfile.TemporaryDirectory() as folder:
                        times[name, knobs_text][beside].append(median_ms(kit, knobs, Path(folder)))
    print("| kit | threads | alone, ms | beside a busy loop, ms |\n| --- | --- | --- | --- |")
    for (name, knobs_text), by in times.items():
        cells = [f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})" for values in by.values()]
        print(f"| {name} | {knobs_text} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
