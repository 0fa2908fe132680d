"""ONNX Runtime sends usage events and writes a device id into the home folder, unless it is told not to before its import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.runner.kits import make_kit

SILENCERS = ("ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI", "TF_BUILD", "GITHUB_ACTIONS")


def left_behind(home: Path, *command: str, cwd: Path | None = None) -> list[str]:
    """What a Python command left in its home and temporary folder."""
    home.mkdir()
    clean = {name: value for name, value in os.environ.items() if name not in SILENCERS}
    places = {"HOME": str(home), "TMPDIR": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    subprocess.run([sys.executable, *command], check=True, capture_output=True, cwd=cwd, env={**clean, **places})
    return sorted(str(path.relative_to(home)) for path in home.rglob("*"))


def test_a_kit_on_a_device_leaves_no_trace_of_its_runtime(tmp_path: Path) -> None:
    kit = make_kit(tmp_path, "onnxruntime")
    assert left_behind(tmp_path / "home", "-B", "-m", "runner", "selftest", cwd=kit) == []


def test_a_build_leaves_no_trace_of_its_runtime(tmp_path: Path) -> None:
    assert left_behind(tmp_path / "home", "-c", "import edgecnn, onnxruntime") == []


def test_the_users_own_word_is_kept(tmp_path: Path) -> None:
    code = "import edgecnn, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    wished = {**os.environ, "ORT_DISABLE_TELEMETRY": "0"}
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=wished).stdout == "0\n"
