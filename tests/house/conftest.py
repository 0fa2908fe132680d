"""One build of the README's first command, made once and looked at by every test that needs a real one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.house.documents import commands_in, words_of
from tests.house.source_tree import ROOT, SCRIPTS


class Build(NamedTuple):
    """What a call of the command line left behind."""

    status: int
    said: str
    talk: str
    folder: Path
    environment: dict[str, str]

    def again(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Another call of ``edgecnn`` in the same folder, with the same store."""
        return _run(words, self.folder, self.environment)


@pytest.fixture(scope="session")
def readme_build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Command 1 of the README without its set-up, run in an empty folder with an empty store."""
    first = next(words for words in map(words_of, commands_in(ROOT / "README.md")) if words[1] == "build")
    folder = tmp_path_factory.mktemp("readme")
    environment = {**os.environ, "EDGECNN_STORE": str(folder / "store"), "COLUMNS": "160"}
    environment.pop("CI", None)
    done = _run(first[1:], folder, environment)
    return Build(done.returncode, done.stdout, done.stderr, folder, environment)


def _run(words: Sequence[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [SCRIPTS / "edgecnn", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
