"""A runner that is started by its path says how to start it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("start", ["runner", "runner/__main__.py"])
def test_a_runner_that_is_started_by_its_path_says_how_to_start_it(onnx_kit: Path, tmp_path: Path, start: str) -> None:
    (tmp_path / "photo.png").write_bytes((onnx_kit / "golden/card.png").read_bytes())
    (tmp_path / "predict").mkdir()  # which is no reason to make a path of the command
    command = [sys.executable, str(onnx_kit / start), "predict", "photo.png", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    error = json.loads(done.stdout.splitlines()[-1])["error"]
    assert (done.returncode, done.stderr, error["ref"]) == (1, "", "started-by-path")
    assert f" -m runner predict {tmp_path / 'photo.png'}" in error["hint"]
    again = subprocess.run(error["hint"], shell=True, cwd=tmp_path, capture_output=True, text=True)  # noqa: S602 - as pasted
    assert json.loads(again.stdout.splitlines()[-1])["ok"] is True
