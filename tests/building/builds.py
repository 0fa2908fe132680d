"""Small real builds for the tests that need one: demo pictures as files, a small network, every stage, real runtimes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from edgecnn.data.images import demo_digests, demo_images
from tests import warm
from tests.house.child import child

CLASSES = ("bag", "boot", "shirt")
LABELS = (8, 9, 6)
"""Of Fashion-MNIST."""
EACH = 50
SAID = "said.txt"
"""In a finished build's place: what it told while it ran."""
SETTINGS = (
    "--set",
    "train.epochs=40",
    "--set",
    "train.batch_size=16",
    "--set",
    "model.resolution_px=32",
    "--set",
    "race.samples=100",
    "--set",
    "race.rounds=8",
    "--set",
    "choice.objective=size",
)
"""By size INT8 ships on every machine; by latency the machine would decide what most of these tests are about."""
WORDS = ("--arch", "lenet-5", "--weights", "none", "--target", "cpu:onnxruntime", *SETTINGS)


class Place(NamedTuple):
    """A folder of its own with photographs, a store and a place for results."""

    folder: Path

    @property
    def photos(self) -> Path:
        return self.folder / "photos"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("CI", "EDGECNN_STORE")}
        return {**kept, "EDGECNN_STORE": str(self.store), "EDGECNN_OFFLINE": "1", "COLUMNS": "200", "OMP_WAIT_POLICY": "PASSIVE"}

    def words(self, verb: str, *words: str) -> list[str]:
        return [verb, *WORDS, "--data", str(self.photos), "--out", str(self.out), *words]

    def command(self, verb: str, *words: str) -> list[str]:
        return [sys.executable, "-m", "edgecnn", *self.words(verb, *words)]

    def run(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self.plain(*self.words(verb, *words))

    def plain(self, *words: str | Path, folder: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        """Any command line, in this place's folder and with its store unless told."""
        return warm.edgecnn([*map(str, words)], env={**self.environment, **variables}, cwd=folder or self.folder)

    def start(self, verb: str, *words: str) -> AbstractContextManager[subprocess.Popen[str]]:
        """A build in the background, in a process group of its own."""
        return child(self.command(verb, *words), env=self.environment, cwd=self.folder, start_new_session=True)

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / "report.json").read_text())
        return found

    def progress(self) -> dict[str, Any]:
        """Step to what became of it, of the last verb that stopped early."""
        found: dict[str, Any] = json.loads((self.out / "progress.json").read_text())["outcomes"]
        return found


def place_with_photos(folder: Path, labels: Sequence[int] = LABELS, each: int = EACH) -> Place:
    """So many pictures of each class, as PNG files in a folder a class."""
    place = Place(folder)
    truth = [label for label, _ in demo_digests()]
    for name, label in zip(CLASSES, labels, strict=True):
        (place.photos / name).mkdir(parents=True)
        for number, index in enumerate([index for index, found in enumerate(truth) if found == label][:each]):
            Image.fromarray(demo_images()[index]).save(place.photos / name / f"{number:03}.png")
    return place
