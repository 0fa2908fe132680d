"""Boards are old: one ordinary build's kits under runtimes and Pythons that are not this machine's."""

from __future__ import annotations

import json
import os
import site
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from edgecnn.runner.packages import DROPPED_PATH, PATH_NOT_PASSED
from tests.runner.conftest import CopyKit
from tests.runner.kits import rewrite_manifest
from tests.runner.ordinary import Kits, ordinary_kits  # noqa: F401 - a fixture
from tests.runner.processes import runner, schedule_of
from tests.runner.pythons import DebianPython, environment_with, installed, run_kit

RUNTIMES = ("1.19.2", "1.23.2")
"""The last with wheels for Python 3.8 and 3.9, and for 3.10."""
PYTHONS = {
    DebianPython("bullseye", (3, 9), (2, 31)): "1.19.2",
    DebianPython("trixie", (3, 13), (2, 41)): None,
    DebianPython("sid", (3, 14), (2, 42)): None,
}
"""What Debian has beside this machine's own, and the runtime that pip must come to there."""
PACKAGES = ("onnxruntime>=1.19,<2", "numpy", "pillow")


def holds(last: dict[str, Any]) -> None:
    assert last["ok"] is True, last
    assert last["selftest"]["golden_pictures"] == 5
    assert last["selftest"]["logits_difference"] <= last["selftest"]["logits_allowed"]


@pytest.mark.full  # installs an old runtime from the package index
@pytest.mark.parametrize("version", RUNTIMES)
def test_an_ordinary_builds_kits_hold_under_an_old_runtime(ordinary_kits: Kits, tmp_path: Path, version: str) -> None:  # noqa: F811
    python = environment_with(tmp_path / "env", f"onnxruntime=={version}", "numpy", "pillow")
    for kit in ordinary_kits.values():
        last = run_kit(python, kit, "selftest")
        holds(last)
        assert last["selftest"]["packages"] == {"onnxruntime": version}


@pytest.mark.full  # fetches another Debian's Python
@pytest.mark.parametrize("python", PYTHONS, ids=str)
def test_an_ordinary_builds_kits_hold_under_another_python(ordinary_kits: Kits, tmp_path: Path, python: DebianPython) -> None:  # noqa: F811
    program = installed(python, tmp_path, PACKAGES)
    for kit in ordinary_kits.values():
        holds(run_kit(program, kit, "selftest"))
    info = run_kit(program, next(iter(ordinary_kits.values())), "info")
    conditions = info["environment"]["conditions"]
    assert conditions["python"].startswith(".".join(map(str, python.version)) + ".")
    assert PYTHONS[python] in (None, conditions["runtime_version"])


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment without any package."""
    return environment_with(tmp_path_factory.mktemp("bare") / "env")


def test_a_machine_without_any_package_says_what_it_is(bare_python: Path, onnx_kit: Path) -> None:
    last = run_kit(bare_python, onnx_kit, "info")
    assert last["ok"] is True and last["runtimes"].keys() <= {"wasm", "webgpu"}, "a browser is no package"
    assert "kernel" in last["environment"]["conditions"]


def test_a_missing_package_of_the_runners_own_is_named_with_what_installs_it(bare_python: Path, copy_kit: CopyKit) -> None:
    kit = run_kit(bare_python, copy_kit(), "predict", "golden/card.png")
    assert kit["error"] == {
        "ref": "missing-package",
        "what": "the runner needs numpy and pillow, which are not installed",
        "because": None,
        "hint": "pip install numpy pillow",
        "missing": True,
    }


def test_a_run_in_a_process_without_pythonpath_says_so(bare_python: Path, onnx_kit: Path, tmp_path: Path) -> None:
    """The runner finds its packages by PYTHONPATH when a user starts it; the process of each run does not."""
    words = ["bench", "--schedule", str(schedule_of(tmp_path / "asked.json", onnx_kit)), "--out", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(site.getsitepackages())}
    command = [bare_python, "-B", "-m", "runner", *words]
    subprocess.run(command, cwd=onnx_kit, env=environment, capture_output=True, check=True)
    error = json.loads((tmp_path / "out" / "run-00000.json").read_bytes())["error"]
    assert error["ref"] == "worker-crashed" and error["because"].endswith(f"'numpy'; {DROPPED_PATH}")


def test_a_package_of_another_version_than_that_of_pythonpath_is_said_so(
    copy_kit: CopyKit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = copy_kit()
    rewrite_manifest(kit, lambda manifest: manifest["requirements"].update(packages={"numpy": ">=999"}))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "newer"))
    for marker, clause in (("", ""), ("1", f"; {DROPPED_PATH}")):
        monkeypatch.setenv(PATH_NOT_PASSED, marker)
        error = runner(kit, "selftest")[1]["error"]
        assert (error["ref"], error["because"]) == ("wrong-package-version", f"{version('numpy')} is installed{clause}")
