"""Records as they are written are read, and a few dozen changed ones are read or refused: ``test_mutated`` tries thousands."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.runner.messages import RunnerError
from tests.fuzz.stored_kinds import STORED


def put(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir()
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize("name", [name for name in STORED if name != "latency table"])  # which counts a dozen networks first
def test_a_record_is_read_and_a_changed_one_too_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    kind = STORED[name]
    seeds = kind.seeds(tmp_path)
    for number, seed in enumerate(seeds):
        kind.read(put(tmp_path / f"right-{number}", kind.file, seed))
    for number in range(30):
        draw = Random(f"{name} {number}")
        path = put(tmp_path / str(number), kind.file, kind.mutated(draw.choice(seeds), draw))
        try:
            kind.read(path)
        except (EdgecnnError, RunnerError) as refused:
            line = str(refused)
            assert line.strip() and "\n" not in line
