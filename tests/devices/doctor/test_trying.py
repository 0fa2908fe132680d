"""Runtimes that are absent, crash, hang or compute wrongly, in environments that really are so."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edgecnn.devices.doctor.facts import State
from edgecnn.devices.doctor.parts import PARTS
from edgecnn.devices.doctor.trying import Trials
from tests.devices.doctor.environments import LARGE, doctor, environment, real_source
from tests.house.source_tree import ROOT
from tests.store.toys import Ear

WRONG = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location(
    "onnxruntime", "{real}/__init__.py", submodule_search_locations=["{real}"])
module = importlib.util.module_from_spec(spec)
sys.modules["onnxruntime"] = module
spec.loader.exec_module(module)
class Wrong(module.InferenceSession):
    def run(self, *words, **named):
        return [answer[:, ::-1] for answer in super().run(*words, **named)]
module.InferenceSession = Wrong
"""


def part(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in report["parts"] if each["name"] == name)


@pytest.fixture(scope="module")
def crippled(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """No openvino; an onnxruntime whose import ends the process; a report that lacks one of its packages."""
    folder = tmp_path_factory.mktemp("crippled")
    crash = "import os, sys; sys.stderr.write('illegal instruction\\n'); sys.stderr.flush(); os.abort()"
    python = environment(folder / "venv", (*LARGE, "openvino", "jinja2"), {"onnxruntime": crash})
    words = ("--json", "--need", "openvino", "--need", "onnxruntime", "--need", "openvino", "--need", "store")
    return doctor(python, *words, EDGECNN_STORE=str(folder / "store"))


def test_a_runtime_that_is_absent_is_named_with_its_command_and_its_size(crippled: subprocess.CompletedProcess[str]) -> None:
    openvino = part(json.loads(crippled.stdout), "openvino")
    assert (openvino["state"], openvino["found"], openvino["seconds"]) == ("absent", "openvino is not installed", None)
    assert openvino["addition"]["command"].endswith('pip install -e ".[openvino]"')
    assert openvino["addition"]["download_mib"] == 70
    assert {each["name"]: each["version"] for each in openvino["packages"]}["openvino"] is None


def test_a_runtime_that_crashes_is_a_finding_and_not_the_end(crippled: subprocess.CompletedProcess[str]) -> None:
    report = json.loads(crippled.stdout)
    found = part(report, "onnxruntime")
    assert found["state"] == "broken"
    assert "signal SIGABRT" in found["found"] and "illegal instruction" in found["found"]
    assert part(report, "report")["state"] == "broken"
    assert "No module named 'jinja2'" in part(report, "report")["found"]
    assert part(report, "train")["state"] == "absent"
    (cpu,) = [each for each in report["devices"] if each["name"] == "cpu"]
    assert cpu["state"] == "broken" and "none of its runtimes ran" in cpu["found"]


def test_needs_that_are_not_met_end_it_with_3_and_the_mending_commands(crippled: subprocess.CompletedProcess[str]) -> None:
    assert crippled.returncode == 3
    error = json.loads(crippled.stderr)["error"]
    assert error["ref"] == "needs-unmet"
    assert error["what"] == "openvino and onnxruntime do not work, but --need requires them"
    assert '.[openvino]"' in error["hint"] and '.[onnxruntime]"' in error["hint"]
    needs = {each["name"]: each["met"] for each in json.loads(crippled.stdout)["needs"]}
    assert needs == {"openvino": False, "onnxruntime": False, "store": True}


def test_a_runtime_that_computes_wrongly_is_broken(tmp_path: Path) -> None:
    python = environment(
        tmp_path / "venv", (*LARGE, "openvino", "altair"), {"onnxruntime": WRONG.format(real=real_source("onnxruntime"))}
    )
    done = doctor(python, EDGECNN_STORE=str(tmp_path / "store"))
    assert done.returncode == 0, done.stderr
    # Whatever devices this machine is are broken with it.
    assert re.match("[0-9]+ of [0-9]+ installed parts work; broken: onnxruntime, cpu", done.stdout), (
        "other extras may be here too"
    )
    assert "; absent: openvino, tensorrt, " in done.stdout
    assert "[golden-logits-differ]" in done.stdout
    assert f'to fix onnxruntime: {python} -m pip install -e ".[onnxruntime]"' in done.stdout.splitlines()


def test_a_runtime_that_hangs_is_killed_and_said(tmp_path: Path) -> None:
    python = environment(tmp_path / "venv", (*LARGE, "openvino", "altair"), {"onnxruntime": "import time\ntime.sleep(600)"})
    code = (
        "from edgecnn.devices.doctor.examine import examine; from edgecnn.render.progress import Quiet;"
        "print(examine(Quiet(), lease_s=1.5).model_dump_json())"
    )
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), "EDGECNN_STORE": str(tmp_path / "store")}
    done = subprocess.run([str(python), "-c", code], env=surroundings, capture_output=True, text=True, check=False, timeout=60)
    found = part(json.loads(done.stdout), "onnxruntime")
    assert found["state"] == "broken"
    assert found["found"].startswith("runner selftest was silent for 1.5 s and was killed")


def test_a_full_tensorrt_without_a_gpu_is_untried_and_says_why(tmp_path: Path) -> None:
    trials = Trials(Ear(), gpu_models=())
    (tensorrt,) = [row for row in PARTS if row.name == "tensorrt"]
    state, found = trials._tried(tensorrt)
    assert state is State.UNTRIED
    assert found == "installed, but it needs an NVIDIA GPU, and the driver lists none"


@pytest.mark.slow  # tries all that is installed, as the test of the verb does
def test_every_installed_part_of_a_whole_installation_has_a_trial_that_it_passes(tmp_path: Path) -> None:
    """Of the extras that `test` brings; one without a trial was called broken wherever it was installed."""
    tell = Ear()
    parts = Trials(tell, gpu_models=()).parts()
    installed = {each.name: (each.state, each.found) for each in parts if each.state is not State.ABSENT}
    assert {"train", "aware", "report", "parquet", "tensorboard", "mlflow", "sbom"} <= set(installed)
    assert {name: found for name, (state, found) in installed.items() if state is State.BROKEN} == {}
