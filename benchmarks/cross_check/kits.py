"""What the cross-checks share: three networks as kits, our harness in a fresh process, and pairs of it with somebody else's.

Weights are random: only time is compared, and the time of these networks does not depend on what they have learned.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.protocol import Schedule, Task
from edgecnn.judging.intervals import ratio_interval
from edgecnn.render.progress import Quiet
from edgecnn.runner.machine.environment import available_cores, read_conditions
from edgecnn.runner.pixel_recipe import ImageSize
from tests.runner.kits import make_kit, rewrite_manifest

NETWORKS = ("mobilenet-v2", "efficientnet-lite0", "resnet-18")
SIDE = 224
CLASSES = 1000
SAMPLES = 100
TARGET = 0.03
"""How far our median may be from theirs."""
Milliseconds = Callable[[], float]
"""Runs one fresh process and says its median."""


def exported(arch: str, folder: Path) -> Path:
    """The network's ONNX file, made where it is not there yet."""
    path = folder / f"{arch}.onnx"
    if not path.is_file():
        from edgecnn.graph.export import export_onnx
        from edgecnn.models.catalogue import arch_named
        from edgecnn.models.networks import build_network

        export_onnx(build_network(arch_named(arch), CLASSES), ImageSize.square(SIDE), path)
    return path


def kit_with(folder: Path, runtime: str, threads: int, *files: Path) -> Path:
    """A kit around model files, the first of which is opened."""
    made = folder / f"{runtime}-{files[0].stem}"
    if made.exists():
        shutil.rmtree(made)
    kit = make_kit(folder, runtime, name=made.name, side=SIDE)
    (kit / "model.onnx").unlink()
    for file in files:
        shutil.copyfile(file, kit / file.name)

    def change(manifest: dict[str, object]) -> None:
        model, session = manifest["model"], manifest["session"]
        assert isinstance(model, dict) and isinstance(session, dict)
        model |= {"entry": files[0].name, "files": [file.name for file in files]}
        model["output"] = {"name": "logits", "classes": CLASSES}
        session["options"]["threads"] = str(threads)
        manifest["labels"] = [f"class {index}" for index in range(CLASSES)]

    rewrite_manifest(kit, change)
    return kit


def harness_ms(kit: Path, work: Path, samples: int = SAMPLES) -> float:
    """Median of one run of our own harness: the process, warm-up and clock that every reported latency comes from."""
    out = work / "harness"
    shutil.rmtree(out, ignore_errors=True)
    item = {"kit": str(kit.resolve()), "round": 0, "position": 0, "samples": samples}
    LocalHost().run(Task(kit, "bench", out=out, schedule=Schedule((item,), 120.0)), lease_s=120, tell=Quiet())
    return float(statistics.median(json.loads((out / "run-00000.json").read_text())["samples_ns"])) / 1e6


@dataclass(frozen=True)
class Compared:
    """One network's rounds."""

    name: str
    ours_ms: tuple[float, ...]
    theirs_ms: tuple[float, ...]

    def row(self) -> str:
        """A line of the table: medians over runs, the paired ratio, and whether all of its interval is inside the target."""
        ratio = ratio_interval(self.ours_ms, self.theirs_ms)
        if ratio is None:
            return f"| {self.name} | {len(self.ours_ms)} rounds are too few for an interval |"
        inside = "yes" if ratio.low >= 1 - TARGET and ratio.high <= 1 + TARGET else "no"
        point = "yes" if abs(ratio.estimate - 1) <= TARGET else "no"
        ours, theirs = statistics.median(self.ours_ms), statistics.median(self.theirs_ms)
        shown = f"{ratio.estimate:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
        return f"| {self.name} | {theirs:.2f} | {ours:.2f} | {shown} | {point} | {inside} |"


def compare(name: str, ours: Milliseconds, theirs: Milliseconds, rounds: int) -> Compared:
    """Fresh processes of both in turn, in an order drawn anew each round."""
    draw = random.Random(name)
    medians: dict[str, list[float]] = {"ours": [], "theirs": []}
    ways: Mapping[str, Milliseconds] = {"ours": ours, "theirs": theirs}
    for _ in range(rounds):
        for which in draw.sample(sorted(ways), 2):
            medians[which].append(ways[which]())
    compared = Compared(name, tuple(medians["ours"]), tuple(medians["theirs"]))
    print(f"{compared.row()}  {np.round(medians['ours'], 2)} / {np.round(medians['theirs'], 2)}", file=sys.stderr, flush=True)
    return compared


def asked_for(about: str) -> argparse.Namespace:
    """The options of a cross-check."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1, help="one is disturbed least where others compute too")
    parser.add_argument("--work", type=Path, help="where networks are kept from one call to the next")
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def show(compared: list[Compared], theirs: str, package: str, threads: int) -> None:
    """The table for README.md beside this file."""
    rounds, load = len(compared[0].ours_ms), os.getloadavg()[2]
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {read_conditions()['cpu']}, {available_cores()} cores, load average {load:.1f}, "
        f"{package} {version(package)}, Python {platform.python_version()}: {rounds} rounds of {SAMPLES} inferences, batch 1, "
        f"{SIDE} px, fp32, threads: {threads}.\n"
    )
    print(f"| network | {theirs} p50 ms | ours p50 ms | ratio (98 %) | ratio within 3 % | whole interval within 3 % |")
    print("| --- | --- | --- | --- | --- | --- |")
    for result in compared:
        print(result.row())
