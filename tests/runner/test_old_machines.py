"""Boards are old: one ordinary build's kits under runtimes and Pythons that are not this machine's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.runner.conftest import CopyKit
from tests.runner.ordinary import Kits, ordinary_kits  # noqa: F401 - a fixture
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
    said = run_kit(bare_python, copy_kit(), "predict", "golden/card.png")
    assert said["error"] == {
        "ref": "missing-package",
        "what": "the runner needs numpy, which is not installed",
        "because": None,
        "hint": "pip install numpy",
        "missing": True,
    }
