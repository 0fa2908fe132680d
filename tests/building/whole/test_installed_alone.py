"""`pip install edgecnn[onnxruntime]` and nothing more is enough for whoever has a finished build: torch is not there."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.building.builds import CLASSES, Place
from tests.house.child import child
from tests.house.environments import Environment, built_wheel, environment_of
from tests.serving.asking import announced, predicted

pytestmark = pytest.mark.slow  # a folder of packages without most of them, and processes in it


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return environment_of(wheel, tmp_path_factory.mktemp("environments") / "onnxruntime", "onnxruntime")


@pytest.fixture(scope="module")
def place(built_once: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A finished build with its store, and the zip of its bundle."""
    folder = tmp_path_factory.mktemp("alone") / "moved"
    without_traces = shutil.ignore_patterns("__pycache__")  # another test ran the bundle as a board does, by hand
    shutil.copytree(built_once.folder, folder, ignore=without_traces)
    return Place(folder)


def variables(environment: Environment, place: Place) -> Mapping[str, str]:
    return environment.variables({"EDGECNN_STORE": str(place.store), "COLUMNS": "200", "OMP_WAIT_POLICY": "PASSIVE"})


def run(environment: Environment, place: Place, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [str(environment.command), *words]
    given = {**variables(environment, place), **more}
    return subprocess.run(command, cwd=place.folder, env=given, capture_output=True, text=True, check=False)


def test_the_environment_has_no_torch_and_edgecnn_of_the_wheel(alone: Environment, place: Place) -> None:
    program = (
        "import importlib.util as u, edgecnn; print([u.find_spec(n) for n in ('torch', 'torchvision', 'openvino', 'pytest')], "
    )
    program += "edgecnn.__file__)"
    command = [str(alone.python), "-c", program]
    done = subprocess.run(command, cwd=place.folder, env=alone.variables(), capture_output=True, text=True, check=False)
    assert done.stdout.startswith("[None, None, None, None] "), done.stderr
    assert done.stdout.split()[-1].startswith(str(alone.folder))


VERBS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "verify": (("bundle", "verify", "out"), "complete"),
    "predict": (("predict", "out", "photos/bag/000.png", "--csv"), "photos/bag/000.png"),
    "explain": (("explain", "out"), "onnxruntime-int8"),
    "recipe": (("recipe", "diff", "out", "demo"), "model.arch"),
    "history": (("study", "history", "out"), "onnxruntime-fp32"),
    "compare": (("compare", "out", "again"), "onnxruntime-fp32"),
    "judge": (("judge", "out", "--allow-stored", "--max", "drop_pp=100"), "meets drop_pp ≤ 100"),
    "pin": (("baseline", "pin", "out", "--out", "base.json"), "base.json"),
    "record": (("baseline", "record", "out", "--out", "board.json"), "p50: "),
    "store": (("store", "verify"), ": 0 damaged"),
    "inspect": (("data", "inspect", "photos"), "bag"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_acts_on_what_is_there_needs_no_torch(alone: Environment, place: Place, verb: str) -> None:
    if verb == "compare":
        shutil.copytree(place.out, place.folder / "again")
    words, said = VERBS[verb]
    done = run(alone, place, *words)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


def test_a_bundle_is_zipped_verified_and_served(alone: Environment, place: Place) -> None:
    assert run(alone, place, "bundle", "zip", "out", "--out", "mine.zip").returncode == 0
    assert "complete" in run(alone, place, "bundle", "verify", "mine.zip").stdout
    photo = (place.photos / CLASSES[1] / "000.png").read_bytes()
    serving = [str(alone.command), "bundle", "serve", "mine.zip", "--json"]
    with child(serving, cwd=place.folder, env=variables(alone, place)) as process:
        url = announced(process)["url"]
        assert {each["label"] for each in predicted(url, photo)["labels"]} == set(CLASSES)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


@pytest.mark.slow  # races both kits anew
def test_a_latency_gate_is_measured_anew(alone: Environment, place: Place) -> None:
    done = run(alone, place, "judge", "out", "--max", "p50_ms=10000", "--require-measured", "--verbose", CI="1")
    assert "gate max p50_ms 10000: PASS" in done.stdout, done.stderr
    assert ": reused from" not in done.stdout


def test_what_is_not_there_is_said_with_the_command_that_brings_it(alone: Environment, place: Place) -> None:
    for verb, extra in (("report", "report"), ("study loadgen", "loadgen")):
        done = run(alone, place, *verb.split(), "out")
        assert done.returncode == 3
        assert done.stderr.endswith(f'which is not installed — pip install "edgecnn[{extra}]" [missing-package]\n')
    build = run(alone, place, "build", "--arch", "resnet-18", "--target", "cpu:onnxruntime", "--weights", "none", "--out", "new")
    assert build.returncode == 3
    assert 'pip install "edgecnn[train]" [missing-package]' in build.stderr


def test_with_the_extra_the_page_is_written(wheel: Path, place: Place, tmp_path: Path) -> None:
    done = run(environment_of(wheel, tmp_path / "report", "report"), place, "report", "out", "--out", str(tmp_path / "page.html"))
    assert done.returncode == 0, done.stderr
    assert "<svg" in (tmp_path / "page.html").read_text(encoding="utf-8")
