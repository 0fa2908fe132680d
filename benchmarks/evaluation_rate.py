"""Images a second of ``runner evaluate`` against bare loops of the same runtime on the same pixels: the bound is 90 %.

Two bare loops, since it depends on who makes the feeds: one converts pixels as any user of the runtime must, the other is
handed float batches made beforehand. Both know nothing of files or progress and throw the logits away. All run in fresh
processes, in turn; the best of each counts, since noise only slows.
Run from the checkout: ``python -m benchmarks.evaluation_rate [KIT ...]``; without a kit it makes two of each runtime.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from edgecnn.runner.evaluate import DEFAULT_BATCH
from edgecnn.runner.feeds import feed_of
from edgecnn.runner.kit import Kit
from edgecnn.runner.sessions import open_session
from tests.runner.kits import make_kit, write_pixels

TURNS = 5


def bare_rates(folder: Path, pixels: Path, batch: int) -> tuple[float, float]:
    """Converting, and converted beforehand."""
    kit = Kit.open(folder)
    images = np.load(pixels)
    starts = range(0, len(images), batch)
    feeds = [feed_of(kit, images[start : start + batch]) for start in starts]
    session = open_session(kit, batch=batch)
    session.run(feeds[0])
    begin = time.perf_counter()
    for start in starts:
        session.run(feed_of(kit, images[start : start + batch]))
    middle = time.perf_counter()
    for feed in feeds:
        session.run(feed)
    end = time.perf_counter()
    return len(images) / (middle - begin), len(images) / (end - middle)


def runner_rate(folder: Path, pixels: Path, batch: int, out: Path) -> float:
    command = [
        sys.executable,
        "-B",
        "-m",
        "runner",
        "evaluate",
        "--pixels",
        str(pixels),
        "--out",
        str(out),
        "--batch",
        str(batch),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])["evaluation"]["images_per_s"])


def compare(folder: Path, images: int, batch: int, scratch: Path) -> None:
    kit = Kit.open(folder)
    count = images // batch * batch
    pixels = write_pixels(scratch / f"{folder.name}.npy", count, side=kit.manifest.recipe.crop_px.short_px)
    converting, prepared, ours = [], [], []
    for turn in range(TURNS):
        command = [sys.executable, "-m", "benchmarks.evaluation_rate", "--bare", str(folder), str(pixels), str(batch)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rates = json.loads(done.stdout)
        converting.append(rates[0])
        prepared.append(rates[1])
        ours.append(runner_rate(folder, pixels, batch, scratch / f"{folder.name}-{turn}"))
    best = max(ours)
    print(
        f"{kit.manifest.name}, {kit.manifest.recipe.crop_px} px, batch {batch}: runner {best:.0f} images/s = "
        f"{100 * best / max(converting):.1f} % of the bare loop, {100 * best / max(prepared):.1f} % with feeds made beforehand"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kits", type=Path, nargs="*")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--batch", type=int, default=DEFAULT_BATCH)
    parser.add_argument("--bare", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        print(json.dumps(bare_rates(Path(options.bare[0]), Path(options.bare[1]), int(options.bare[2]))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        kits = options.kits or [
            make_kit(Path(scratch), runtime, name=f"{runtime}-{side}px", width=8, depth=depth, side=side)
            for runtime in ("onnxruntime", "openvino")
            for side, depth in ((64, 6), (224, 2))
        ]
        for kit in kits:
            compare(kit.resolve(), options.images, options.batch, Path(scratch))


if __name__ == "__main__":
    main()
