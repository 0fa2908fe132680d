"""EfficientNet-Lite0 with ImageNet weights, fine-tuned on photographs of which enough report to show a loss of 1 point.

    python -m benchmarks.ladder.photographs --data FOLDER [--test-share 0.45] [--work FOLDER]

A folder that has roles of its own would report on its test images, however few; so its images are pooled by a list without roles,
and the build draws them anew.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.ladder.networks import read_build
from benchmarks.ladder.results import FOLDER, Photographs, write
from edgecnn.data.split_names import PART_NAMES
from edgecnn.devices.this_machine import local_facts
from edgecnn.values.report import BuildReport

ARCH = "efficientnet-lite0"
REPORTED_AT_LEAST = 1_500
"""A half-width of 0.5 pp needs about 1,540 images at 1 % discordance."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a sub-folder a class, or train/ and test/ with these")
    parser.add_argument("--test-share", type=float, default=0.45)
    parser.add_argument("--validation-share", type=float, default=0.15)
    parser.add_argument("--work", type=Path, default=Path("builds/ladder"))
    parser.add_argument("--results", type=Path, default=FOLDER)
    options = parser.parse_args()
    work = options.work.absolute() / "photographs"
    work.mkdir(parents=True, exist_ok=True)
    listed = work / "pooled.csv"
    print(f"{pool(options.data.absolute(), listed)} photographs in {listed}", file=sys.stderr)
    words = [
        "build",
        "--arch",
        ARCH,
        "--target",
        "cpu",
        "--data",
        str(listed),
        "--weights",
        "imagenet",
        "--out",
        str(work / "build"),
    ]
    shares = ["--set", f"data.test_share={options.test_share}", "--set", f"data.validation_share={options.validation_share}"]
    done = subprocess.run([sys.executable, "-m", "edgecnn", *words, *shares], check=False)
    if done.returncode not in (0, 1, 4):
        sys.exit(done.returncode)
    photographs = found_in(read_build(work / "build").report)
    if photographs.images["test"] < REPORTED_AT_LEAST:
        print(f"only {photographs.images['test']} test photographs: raise --test-share", file=sys.stderr)
    write(photographs, options.results / "photographs.json")


def pool(data: Path, listed: Path) -> int:
    """Write every picture under ``data`` with its class, without a role; how many there are.

    Raises:
        SystemExit: there is none.
    """
    rows = sorted(_rows(data))
    if not rows:
        sys.exit(f"{data}: no photographs in sub-folders")
    with listed.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label"))
        writer.writerows(rows)
    return len(rows)


def _rows(data: Path) -> Iterator[tuple[str, str]]:
    folders = [path for path in data.iterdir() if path.is_dir()]
    parts = [path for path in folders if path.name.lower() in PART_NAMES]
    for part in parts or [data]:
        for path in part.glob("*/*"):
            if path.suffix.lower() in SUFFIXES:
                yield str(path), path.parent.name


def found_in(report: BuildReport) -> Photographs:
    """What the table says of a build."""
    rows = {row.candidate.id: row for row in report.candidates if row.test is not None}
    return Photographs(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=local_facts().describe(),
        images=dict(report.build.splits),
        resolution_px=report.build.resolution_px.short_px,
        weights=report.build.weights.partition(":")[0],
        chosen=report.choice.candidate,
        candidates={name: row.test for name, row in rows.items() if row.test is not None},
        verdicts={name: row.verdict.value for name, row in rows.items()},
    )


if __name__ == "__main__":
    main()
