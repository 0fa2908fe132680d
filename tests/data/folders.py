"""Folders of small drawn images, and a listener, for the tests of data."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

LONG_AGO_NS = 1_600_000_000_000_000_000


@dataclass
class Heard:
    """What was told: a Progress that remembers."""

    steps: list[tuple[str, int, int | None, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        self.steps.append((what, done, total, unit))

    def note(self, text: str) -> None:
        self.notes.append(text)


def draw(path: Path, seed: int, size: tuple[int, int] = (12, 9)) -> Path:
    """A picture that no other seed gives, in the format of the name, last changed long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(levels).save(path)
    return aged(path)


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return aged(path)


def aged(path: Path, ns: int = LONG_AGO_NS) -> Path:
    os.utime(path, ns=(ns, ns))
    return path


def fill(root: Path, counts: dict[str, int], start: int = 0) -> Path:
    """``counts`` maps a class folder (``train/cat``) to how many images it gets."""
    seed = start
    for name, count in counts.items():
        for number in range(count):
            draw(root / name / f"{number:03d}.png", seed)
            seed += 1
    return root
