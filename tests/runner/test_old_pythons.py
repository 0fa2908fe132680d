"""On a Python that is too old, the runner says in one line which versions it needs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import edgecnn.runner

_RUNNER = Path(edgecnn.runner.__file__).parent
OLD = ("2.7", "3.5", "3.6", "3.7")


def _python(version: str) -> str:
    program = next((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"), None) or shutil.which(
        f"python{version}"
    )
    if program is None:
        pytest.skip(f"needs Python {version}")
    return str(program)


@pytest.mark.parametrize("version", OLD)
@pytest.mark.parametrize("words", [("selftest",), ("--help",), ()])
def test_an_old_python_is_told_the_versions(tmp_path: Path, version: str, words: tuple[str, ...]) -> None:
    shutil.copytree(_RUNNER, tmp_path / "runner", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run([_python(version), "-m", "runner", *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    told = f"runner: error: this is Python {version}, but the runner needs Python 3.8 or later [python-too-old]\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", told)


def test_the_first_file_is_python_2_up_to_the_check() -> None:
    """Guards the rule where no old Python is installed."""
    before, check, _ = (_RUNNER / "__init__.py").read_text(encoding="utf-8").partition("if sys.version_info")
    whole = (_RUNNER / "__init__.py").read_bytes()
    assert check and whole.isascii() and "__future__" not in before
    assert not re.search(rb'(?<![\w])f"|:=', whole)
