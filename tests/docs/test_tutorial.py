"""The tutorial's commands, in its order, each exactly as it stands there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.house.documents import commands_in, words_of
from tests.house.source_tree import ROOT

TUTORIAL = [words_of(command)[1:] for command in commands_in(ROOT / "docs" / "tutorial.md")]
COLOURS = {"dress": (200, 60, 60), "hat": (60, 200, 60), "shoes": (60, 60, 200)}
EACH = 24


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a reader stands, with ``photos/``: a colour a class, under noise."""
    noise = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(EACH):
            pixels = np.clip(noise.normal(colour, 40, (80, 96, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.jpg")
    return tmp_path


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "EDGECNN_STORE": str(folder / "store"), "EDGECNN_OFFLINE": "1"}
    command = [sys.executable, "-m", "edgecnn", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.timeout(3600)  # 7 minutes of processor time, 19 minutes on two busy cores
def test_a_reader_who_types_the_tutorial_ends_with_a_bundle_that_answers(folder: Path) -> None:
    assert [words[0] for words in TUTORIAL] == [
        "doctor", "data", "init", "plan", "build", "explain", "report", "judge", "predict", "bundle", "bundle",
    ]  # fmt: skip
    done = {words[0]: run(words, folder) for words in TUTORIAL}
    assert {verb: process.stderr for verb, process in done.items() if process.returncode != 0} == {}
    assert all(
        (folder / name).is_file() for name in ("sheet.png", "mine.toml", "gates.xml", "mine.zip", "builds/mine/report.html")
    )
    assert done["predict"].stdout.count(".jpg") == EACH
