"""`edgecnn doctor` as a process, on what is really installed here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edgecnn.runner.packages import installed_version
from tests.house.schemas import FOLDER
from tests.house.test_light_imports import REPORT_HEAVY

MAIN = "import sys; sys.argv = {words!r}\nfrom edgecnn.cli.main import main\ntry:\n    main()\nfinally:\n    " + REPORT_HEAVY


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """The whole of it once, in an interpreter that says at its end what it imported."""
    folder = tmp_path_factory.mktemp("doctor")
    code = MAIN.format(words=["edgecnn", "doctor", "--json"])
    environment = {**os.environ, "EDGECNN_STORE": str(folder / "store"), "TMPDIR": str(folder)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert list(folder.iterdir()) == []  # nothing is kept, and the store is not made
    return ran


@pytest.fixture(scope="module")
def report(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.slow  # every runtime is started
def test_its_json_is_what_its_schema_publishes(report: dict[str, Any]) -> None:
    Draft202012Validator(json.loads((FOLDER / "doctor.json").read_text(encoding="utf-8"))).validate(report)
    assert report["schema"] == "edgecnn.doctor/1"


@pytest.mark.slow  # every runtime is started
def test_nothing_heavy_is_imported_into_its_own_process(done: subprocess.CompletedProcess[str]) -> None:
    assert done.stderr.rpartition("HEAVY ")[1:] == ("HEAVY ", "")


@pytest.mark.slow  # every runtime is started
def test_every_runtime_that_is_installed_here_really_ran(report: dict[str, Any]) -> None:
    parts = {part["name"]: part for part in report["parts"]}
    for name in ("onnxruntime", "openvino"):
        if installed_version(name) is None:
            assert parts[name]["state"] == "absent"
        else:
            assert parts[name]["state"] == "works", parts[name]["found"]
            assert parts[name]["version"] == installed_version(name)
            assert parts[name]["found"].startswith("ran the tiny network")
            assert 0 < parts[name]["seconds"] < 120
    if installed_version("tensorrt-rtx") is not None:
        assert parts["tensorrt-rtx"]["state"] == "works" and "built its engine" in parts["tensorrt-rtx"]["found"]
        assert "engine was not run" in parts["tensorrt-rtx"]["found"]


@pytest.mark.slow  # every runtime is started
def test_this_machine_is_the_device_cpu(report: dict[str, Any]) -> None:
    states = {device["name"]: device["state"] for device in report["devices"]}
    assert states["cpu"] == "works"
    assert report["machine"]["cores_used"] <= (os.cpu_count() or 1)


def test_an_unknown_need_is_bad_input_at_once(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "edgecnn", "doctor", "--need", "openvni"]
    ran = subprocess.run(words, capture_output=True, text=True, check=False, timeout=10)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.endswith("— did you mean --need openvino? [unknown-need]\n")
