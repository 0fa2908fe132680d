"""Sweep files as tests write them."""

from __future__ import annotations

from pathlib import Path

from edgecnn.sweeps.file import Cell, cells_of, read_sweep

LENET = """
[set]
data.path = "photos"
model.weights = "none"
model.resolution_px = 32
train.epochs = 2
train.batch_size = 16
race.samples = 100
choice.objective = "size"
[grid]
model.arch = ["lenet-5"]
"""
"""Of few photographs, which learns little in seconds; a test adds the devices."""
TWO_BY_TWO = """
[grid]
model.arch = ["lenet-5", "mobilenet-v2"]
target.device = ["cpu:onnxruntime", "raspberry-pi-5"]
"""


def written(folder: Path, text: str = TWO_BY_TWO, name: str = "sweep.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def cells(folder: Path, text: str = TWO_BY_TWO) -> tuple[Cell, ...]:
    return cells_of(read_sweep(written(folder, text)))
