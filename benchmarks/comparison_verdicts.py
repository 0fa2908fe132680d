"""How often `judge HEAD --against BASE` is right on this machine, noisy as it is: a kit against itself and against slower twins.

    python -m benchmarks.comparison_verdicts builds/x --pairs 50 --slower 1.05 1.10 --repeats 10

A slower twin is the same kit whose worker waits, busily, after each inference until it took so many times as long: what the
gate sees is a regression of exactly that size in every sample.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

from edgecnn.comparing.comparison import AgainstRequest, judge_against
from edgecnn.devices.machine import local_lab
from edgecnn.judging.stopping import ROUNDS_MAX
from edgecnn.render.progress import Quiet
from edgecnn.results.shipped import shipped_kit
from edgecnn.store.store import Store

CALL = "        call(feed)\n        end = clock()\n"
WAITING = """        call(feed)
        until = begin + int((clock() - begin) * {factor})
        while clock() < until:
            pass
        end = clock()
"""


def bundle_of(build: Path, folder: Path, factor: float = 1.0) -> Path:
    """A bundle with a copy of the build's chosen kit, whose inferences take ``factor`` times as long."""
    kit = shipped_kit(build).kit
    place = folder / "kits" / kit.candidate.id
    shutil.copytree(kit.folder, place, ignore=shutil.ignore_patterns("__pycache__"))
    if factor != 1.0:
        timing = place / "runner" / "sessions" / "__init__.py"
        source = timing.read_text()
        assert source.count(CALL) == 1
        timing.write_text(source.replace(CALL, WAITING.format(factor=factor)))
        manifest = json.loads((place / "kit.json").read_text())
        content = timing.read_bytes()
        manifest["files"]["runner/sessions/__init__.py"] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        (place / "kit.json").write_text(json.dumps(manifest))
    digest = hashlib.sha256((place / "kit.json").read_bytes()).hexdigest()
    kits = {kit.candidate.id: {"folder": f"kits/{kit.candidate.id}", "sha256": digest}}
    choice = {"schema": "edgecnn.choice/1", "choice": {"candidate": kit.candidate.id}, "kits": kits}
    (folder / "choice.json").write_text(json.dumps(choice))
    return folder


def verdicts(head: Path, base: Path, repeats: int, rounds: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    for number in range(repeats):
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as store:
            lab = local_lab(Store.open(Path(store)), Quiet())
            verdict = judge_against(AgainstRequest(head=head, base=base, rounds=rounds), lab)
        counts[verdict.verdict.value] += 1
        others = verdict.environment.observed.get("others_percent", "?")
        print(f"  {number + 1}: {verdict.gates[0].reason} ({others} % others, {time.monotonic() - began:.0f} s)", flush=True)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path, help="a finished build, or a bundle")
    parser.add_argument("--pairs", type=int, default=50, help="of the kit against itself")
    parser.add_argument("--slower", type=float, nargs="*", default=[1.05, 1.10])
    parser.add_argument("--repeats", type=int, default=10, help="of each slower twin")
    parser.add_argument("--rounds", type=int, default=ROUNDS_MAX)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        base = bundle_of(options.build, Path(work) / "base")
        print("itself")
        print("itself:", dict(verdicts(base, base, options.pairs, options.rounds)))
        for factor in options.slower:
            head = bundle_of(options.build, Path(work) / f"slower-{factor}", factor)
            print(f"{factor} times as slow:", dict(verdicts(head, base, options.repeats, options.rounds)))


if __name__ == "__main__":
    main()
