"""Thousands of changed files of each kind: read or refused in one line, within 2 GiB and 20 s each, nothing written elsewhere.

``EDGECNN_FUZZ_FILES`` says how many of each kind; ``.ci/run --hard`` reads 10,000.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.graph.custom.form import form_of
from edgecnn.graph.custom.trial import examine_file
from tests.fuzz.kinds import KINDS, SIZE
from tests.fuzz.reading import FINE, GUIDED, TIME_S
from tests.training.made import files_of

FILES = int(os.environ.get("EDGECNN_FUZZ_FILES", "300"))
ROOT = Path(__file__).parents[2]
IN_A_TRIAL = ("onnx", "torch.export", "torchscript")
"""What a crash, a hang or too much memory ends there is a process of its own: see ``graph.custom.trial``."""


@pytest.mark.slow  # thousands of files
@pytest.mark.parametrize("kind", KINDS)
def test_every_changed_file_is_read_or_refused_in_one_line(
    kind: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    inside, beside = tmp_path / "inside", tmp_path / "beside"
    for folder in (inside, beside, beside / "home"):
        folder.mkdir()
    before = files_of(beside)
    outcomes, found = _read_all(kind, inside, beside / "home")
    ways = ", ".join(f"{count:,} {way}" for way, count in outcomes.most_common())
    guided = ", guided by coverage" if GUIDED else ""
    record_property("figure", f"{FILES:,} changed files of the kind {kind}{guided}: {ways}")
    assert not found, "\n".join([f"{len(found)}, kept in {inside}", *found[:10]])
    assert outcomes.total() == FILES
    assert outcomes["refused"] > FILES // 10, "else nothing was changed"
    for ended in inside.glob(f"ended-*/{KINDS[kind].file}"):
        _read_or_refused(ended)
    assert files_of(beside) == before
    assert {each.name for each in tmp_path.iterdir()} == {"inside", "beside"}


def _read_or_refused(file: Path) -> None:
    """By the process with limits in which a build goes through it first."""
    try:
        examine_file(file, form_of(file), SIZE, limit_s=3 * TIME_S)
    except EdgecnnError as error:
        assert error.exit_code is ExitCode.BAD_INPUT, error.line()


def _read_all(kind: str, folder: Path, home: Path) -> tuple[Counter[str], list[str]]:
    """How many files ended in which way, and those that ended as none may."""
    outcomes, found, number = Counter[str](), list[str](), 0
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(home), "EDGECNN_STORE": str(folder / "store")}
    while number < FILES:
        words = [sys.executable, "-m", "tests.fuzz.reading", kind, str(number), str(FILES)]
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        for line in done.stdout.splitlines():
            number, *ended = json.loads(line)
            if ended:
                outcomes[ended[0]] += 1
                if ended[0] not in FINE and not (ended[0] == "memory" and kind in IN_A_TRIAL):
                    found.append(f"{kind} {number}: {' '.join(ended)}")
        if done.returncode:
            outcomes["ended"] += 1
            shutil.copytree(folder / "file", folder / f"ended-{number}", dirs_exist_ok=True)
            if kind not in IN_A_TRIAL:
                found.append(f"{kind} {number}: ended with {done.returncode} ({TIME_S} s at most)\n{done.stderr[-2000:]}")
        number += 1
    return outcomes, found
