"""Whether a ratio gate keeps its word on this machine as it is now: pairs of one kit, and of one made slower on purpose.

    python -m benchmarks.live_pairs [--same 50] [--slow 10] [--rounds 16] [--samples 100]

Each race is real: fresh processes of a small kit, interleaved by our runner, in an order drawn anew each round. The slowed kits
carry a session that, after each inference, spins for a share of the time that this inference took: a regression whose size is
known whatever the machine does. That session exists here alone. Races of all kinds are mixed, so that they meet the same weather.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.latency_gate_rates import BOUND, verdict
from edgecnn.hosts.local import LocalHost
from edgecnn.judging.intervals import ratio_interval
from edgecnn.render.progress import Quiet
from tests.runner.kits import make_kit
from tests.runner.processes import edit

SESSION = "runner/sessions/onnxruntime_cpu.py"
PLAIN = "        return dict(zip(self._outputs, self._run(None, feed)))\n"
SPUN = """\
        begin = time.perf_counter_ns()
        values = self._run(None, feed)
        until = begin + int((time.perf_counter_ns() - begin) * {factor!r})
        while time.perf_counter_ns() < until:
            pass
        return dict(zip(self._outputs, values))
"""


def slowed(folder: Path, factor: float) -> Path:
    """The kit, every inference of which takes ``factor`` times as long; 1.0 is the kit itself, as another copy."""
    kit = make_kit(folder, name=f"times-{factor:g}", width=24, depth=6)
    if factor != 1.0:
        edit(kit, SESSION, "from pathlib import Path\n", "import time\nfrom pathlib import Path\n")
        edit(kit, SESSION, PLAIN, SPUN.format(factor=factor))
    return kit


def race(old: Path, new: Path, work: Path, asked: argparse.Namespace, seed: int) -> tuple[list[float], list[float]]:
    """Run medians in ms, round by round: of the new kit and of the old one."""
    draw = random.Random(seed)
    kits = {"old": old, "new": new}
    items = [
        {"kit": str(kits[which]), "round": number, "position": position, "samples": asked.samples, "warmup_s": 0.05}
        for number in range(asked.rounds)
        for position, which in enumerate(draw.sample(sorted(kits), 2))
    ]
    schedule, out = work / f"{seed}.json", work / str(seed)
    schedule.write_text(json.dumps({"schema": "edgecnn.schedule/1", "timeout_s": 60, "items": items}))
    LocalHost().run(old, ["bench", "--schedule", str(schedule), "--out", str(out)], lease_s=120, tell=Quiet())
    runs = [json.loads((out / f"run-{index:05d}.json").read_text()) for index in range(len(items))]
    medians = {
        which: [statistics.median(run["samples_ns"]) / 1e6 for run in runs if run["folder"] == str(kit)]
        for which, kit in kits.items()
    }
    return medians["new"], medians["old"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--same", type=int, default=50)
    parser.add_argument("--slow", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--samples", type=int, default=100)
    asked = parser.parse_args()
    began = time.monotonic()
    found: dict[float, list[tuple[str, float, float]]] = {1.0: [], 1.05: [], 1.10: []}
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "old").mkdir()
        old = slowed(Path(scratch) / "old", 1.0)
        kits = {factor: slowed(Path(scratch), factor) for factor in found}
        wanted = [1.0] * asked.same + [1.05] * asked.slow + [1.10] * asked.slow
        random.Random(0).shuffle(wanted)
        for seed, factor in enumerate(wanted):
            new_ms, old_ms = race(old, kits[factor], Path(scratch), asked, seed)
            ratio = ratio_interval(new_ms, old_ms)
            assert ratio is not None
            found[factor].append((verdict(new_ms, old_ms), ratio.estimate, ratio.high / ratio.low))
            print(
                f"{seed + 1}/{len(wanted)} x{factor:g}: {ratio.estimate:.3f} {found[factor][-1][0]}", file=sys.stderr, flush=True
            )
    took = time.monotonic() - began
    print(f"{asked.rounds} rounds of {asked.samples} inferences, gate: ratio at most {BOUND}, {took:.0f} s in all\n")
    print("| pairs | number | PASS | UNSURE | FAIL | ratio, median of races | interval high / low, median |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    names = {1.0: "the same kit twice", 1.05: "5 % slower", 1.10: "10 % slower"}
    for factor, races in found.items():
        counts = " | ".join(str([word for word, _, _ in races].count(each)) for each in ("PASS", "UNSURE", "FAIL"))
        if races:
            middle, width = (statistics.median(race[part] for race in races) for part in (1, 2))
            print(f"| {names[factor]} | {len(races)} | {counts} | {middle:.3f} | {width:.3f} |")


if __name__ == "__main__":
    main()
