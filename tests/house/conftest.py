"""One build of the README's first command, made once and looked at by every test that needs a real one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.building.builds import place_with_photos
from tests.house.documents import commands_in, words_of
from tests.house.source_tree import ROOT, SCRIPTS

SMALL = ("--arch", "lenet-5", "--data", "photos", "--set", "train.epochs=20", "--set", "train.batch_size=16")
"""After the words of command 1: it goes the same way with little to learn, and comes to the same verdict."""


class Build(NamedTuple):
    """What a call of the command line left behind."""

    words: tuple[str, ...]
    status: int
    said: str
    talk: str
    folder: Path
    environment: dict[str, str]

    @property
    def is_whole(self) -> bool:
        """Whether it is command 1 as it stands in the README."""
        return SMALL[-1] not in self.words

    def again(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Another call of ``edgecnn`` in the same folder, with the same store."""
        return _run(words, self.folder, self.environment)


@pytest.fixture(scope="session", params=[SMALL, pytest.param((), marks=pytest.mark.slow)], ids=["small", "whole"])
def readme_build(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Command 1 of the README without its set-up, run in a folder without results with an empty store."""
    first = next(words for words in map(words_of, commands_in(ROOT / "README.md")) if words[1] == "build")
    words = (*first[1:], *request.param)
    folder = tmp_path_factory.mktemp("readme")
    if request.param:
        place_with_photos(folder)
    environment = {**os.environ, "EDGECNN_STORE": str(folder / "store"), "COLUMNS": "160"}
    environment.pop("CI", None)
    done = _run(words, folder, environment)
    return Build(words, done.returncode, done.stdout, done.stderr, folder, environment)


def _run(words: Sequence[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [SCRIPTS / "edgecnn", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
