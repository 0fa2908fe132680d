"""What is installed is complete: from a built wheel, where resources are package data, and from a checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Mapping
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

import pytest

from edgecnn.installed import resource_folder
from tests.house.environments import build, built_wheel, environment_of
from tests.house.source_tree import PACKAGE, ROOT, modules

SHIPPED = {"devices": "*.toml", "pipelines": "*.toml", "baselines": "*"}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network by the backend that pyproject.toml names."""
    return built_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's files and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def unpacked_sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the source distribution unpacks to."""
    folder = tmp_path_factory.mktemp("sdist")
    shutil.unpack_archive(build("sdist", ROOT, folder), folder)
    return next(folder.glob("edgecnn-*/"))


def contents_of(wheel: Path) -> dict[str, bytes]:
    """Every file but the list of their hashes."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def metadata_of(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(archive.read(name).decode("utf-8"))


def run_from(folder: Path, code: str, environment: Mapping[str, str] | None = None) -> str:
    """Run code with the wheel's files first on the path, outside of the checkout."""
    given = {**os.environ, **(environment or {}), "PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_every_module(wheel: Path) -> None:
    expected = {path.relative_to(ROOT).as_posix() for path in modules().values()}
    assert expected - names_in(wheel) == set()


def test_the_wheel_holds_every_resource(wheel: Path) -> None:
    expected = {
        f"edgecnn/_resources/{path.relative_to(ROOT).as_posix()}"
        for folder, pattern in SHIPPED.items()
        for path in (ROOT / folder).rglob(pattern)
        if path.is_file()
    }
    expected |= {path.relative_to(ROOT).as_posix() for path in (PACKAGE / "data" / "demo").iterdir() if path.is_file()}
    expected.add("edgecnn/devices/doctor/tiny.onnx")
    assert expected - names_in(wheel) == set()


def test_the_wheel_holds_the_licences_of_the_code_and_of_the_demo(wheel: Path) -> None:
    texts = {name.partition(".dist-info/licenses/")[2] for name in names_in(wheel) if ".dist-info/licenses/" in name}
    assert {"LICENSE", "edgecnn/data/demo/LICENSE"} <= texts


def test_the_wheel_holds_no_test_and_no_cache(wheel: Path) -> None:
    assert [name for name in names_in(wheel) if name.startswith("tests/") or "__pycache__" in name] == []


def test_a_bare_install_asks_for_nothing_heavy(wheel: Path) -> None:
    bare = [line for line in metadata_of(wheel).get_all("Requires-Dist") or [] if "extra ==" not in line]
    assert bare
    assert [line for line in bare if line.startswith(("torch", "onnx", "openvino", "nncf", "tensorrt"))] == []


def test_all_is_every_extra_but_those_for_special_needs() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = set(extras["all"][0].partition("[")[2].partition("]")[0].split(","))
    outside = {"tensorrt", "loadgen", "parquet", "s3", "ray", "labgrid", "tensorboard", "mlflow"}
    assert named == extras.keys() - {"all", "test", "docs"} - outside


def test_a_wheel_built_from_the_source_distribution_is_the_same(wheel: Path, unpacked_sdist: Path, tmp_path: Path) -> None:
    assert contents_of(build("wheel", unpacked_sdist, tmp_path)) == contents_of(wheel)


def test_the_source_distribution_holds_what_its_tests_read(unpacked_sdist: Path) -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.splitlines()
    if not tracked:
        pytest.skip("not a git checkout, so nothing says which files are the source")
    absent = [name for name in tracked if not name.startswith(".") and not (unpacked_sdist / name).is_file()]
    assert absent == []


def test_in_an_environment_of_its_own_the_bare_wheel_answers_and_says_what_is_missing(wheel: Path, tmp_path: Path) -> None:
    bare = environment_of(wheel, tmp_path / "bare")
    store = bare.variables({"EDGECNN_STORE": str(tmp_path / "store"), "COLUMNS": "200"})

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(bare.command), *words], cwd=tmp_path, env=store, capture_output=True, text=True, check=False)

    assert run("--version").stdout == f"{metadata_of(wheel)['Version']}\n"
    doctor = run("doctor", "--need", "onnxruntime")
    assert doctor.returncode == 3
    assert 'pip install "edgecnn[onnxruntime]"' in doctor.stdout
    for verb in ("plan", "build"):
        tried = run(verb, "demo", "--weights", "none")
        assert (tried.returncode, tried.stdout) == (3, "")
        assert tried.stderr.endswith('— pip install "edgecnn[onnxruntime]" [nothing-to-build]\n')


@pytest.mark.full  # needs a package registry
def test_pip_installs_the_wheel_with_one_runtime_into_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "empty", with_pip=True)
    python = tmp_path / "empty" / "bin" / "python"
    installing = [str(python), "-m", "pip", "install", "--quiet", f"{wheel}[onnxruntime]"]
    done = subprocess.run(installing, cwd=tmp_path, capture_output=True, text=True, check=False)
    if "Temporary failure in name resolution" in done.stderr or "No matching distribution" in done.stderr:
        pytest.skip("no package registry can be reached")
    assert done.returncode == 0, done.stderr
    doctor = [str(python.parent / "edgecnn"), "doctor", "--need", "onnxruntime"]
    given = {**os.environ, "PYTHONPATH": "", "EDGECNN_STORE": str(tmp_path / "store")}
    tried = subprocess.run(doctor, cwd=tmp_path, env=given, capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert subprocess.run([str(python), "-c", "import torch"], capture_output=True, check=False).returncode == 1


def test_the_wheel_is_typed(wheel: Path) -> None:
    assert "edgecnn/py.typed" in names_in(wheel)


def test_the_installed_wheel_lists_its_devices_and_pipelines(installed: Path) -> None:
    program = "import sys; sys.argv = ['edgecnn', 'list', {what!r}, '--json']; from edgecnn.cli.main import main; main()"
    for what in ("devices", "pipelines"):
        listed = json.loads(run_from(installed, program.format(what=what)))
        assert [row["name"] for row in listed] == sorted(path.stem for path in (ROOT / what).glob("*.toml"))


def test_the_installed_wheel_reads_its_own_resources_and_not_the_checkout_s(installed: Path) -> None:
    said = run_from(installed, "from edgecnn.installed import resource_folder; print(resource_folder('devices'))")
    assert Path(said.strip()) == installed / "edgecnn" / "_resources" / "devices"


def test_the_checkout_reads_the_folders_at_its_root() -> None:
    assert resource_folder("devices") == ROOT / "devices"
    assert resource_folder("pipelines") == ROOT / "pipelines"
