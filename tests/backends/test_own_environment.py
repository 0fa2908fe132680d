"""A runtime in an environment of its own: asked there, and where it is missing, said with what makes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn.backends.elsewhere import run_elsewhere
from edgecnn.backends.installed import OWN_ENVIRONMENTS, installed_version, lacking, own_environment, require_packages
from edgecnn.errors.devices import ConverterFailed, RuntimeEnvironmentMissing
from edgecnn.runner.installing import DROPPED_PATH

NCNN = "EDGECNN_RUNTIME_NCNN"
COMMAND = (
    'python3 -m venv ncnn-env && ncnn-env/bin/pip install "ncnn>=1.0.20261020,<2" "numpy>=1.24" "pillow>=11" && '
    'ncnn-env/bin/pip install --no-deps "pnnx>=20261020,<20280000" && '
    "export EDGECNN_RUNTIME_NCNN=$PWD/ncnn-env/bin/python"
)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """An environment that really has no package."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    return tmp_path / "bare" / "bin" / "python"


def with_packages(python: Path, **versions: str) -> None:
    """As pip records what it installs."""
    packages = next((python.parent.parent / "lib").glob("python*")) / "site-packages"
    for name, version in versions.items():
        about = packages / f"{name}-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_each_is_a_runtime_of_its_own_that_is_no_extra() -> None:
    assert [each.runtime for each in OWN_ENVIRONMENTS] == ["ncnn", "litert"]
    assert own_environment("openvino") is None


def test_without_a_name_the_command_that_makes_one_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NCNN, raising=False)
    if installed_version("ncnn") is not None:
        pytest.skip("ncnn is installed beside edgecnn here")
    with pytest.raises(RuntimeEnvironmentMissing) as caught:
        require_packages(("ncnn", "pnnx"), extra="ncnn", needed_for="ncnn-fp32")
    assert caught.value.line() == (
        "ncnn-fp32 needs an environment of its own: ncnn, pnnx are not installed here, and EDGECNN_RUNTIME_NCNN names no Python"
        f" — {COMMAND} [runtime-environment-missing]"
    )


def test_an_environment_is_asked_and_what_it_lacks_is_named(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_packages(bare, ncnn="1.0.20261020", numpy="2.0")
    monkeypatch.setenv(NCNN, str(bare))
    assert installed_version("ncnn") == "1.0.20261020"
    assert installed_version("pnnx") is None
    lacks = lacking(("ncnn", "pnnx"), "ncnn")
    assert lacks is not None and lacks.command == COMMAND
    assert lacks.why == f"pnnx, pillow are not installed in the environment of {bare}"


@pytest.mark.parametrize(
    ("program", "why"),
    [("raise SystemExit('it broke')", "it broke"), ("import absent_package", f"'absent_package' | {DROPPED_PATH}")],
)
def test_a_converter_that_fails_blames_pythonpath_only_for_a_failed_import(
    program: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(NCNN, raising=False)
    monkeypatch.setenv("PYTHONPATH", "/opt/packages")
    (tmp_path / "program.py").write_text(program)
    with pytest.raises(ConverterFailed) as caught:
        run_elsewhere("ncnn", [str(tmp_path / "program.py")], tmp_path / "model.bin", "ncnn-fp32")
    assert (caught.value.because or "").endswith(why)


def test_a_whole_environment_lacks_nothing_and_leaves_other_packages_to_this_one(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_packages(bare, ncnn="1.0.20261020", pnnx="20261020", numpy="1.99", pillow="12", onnx="0.1")
    monkeypatch.setenv(NCNN, str(bare))
    assert lacking(("ncnn", "pnnx"), "ncnn") is None
    assert installed_version("onnx") != "0.1"
    require_packages(("ncnn", "pnnx"), extra="ncnn", needed_for="ncnn-fp32")


def test_a_build_for_a_runtime_whose_python_does_not_answer_ends_with_3_before_anything(tmp_path: Path) -> None:
    words = ["build", "--arch", "resnet-18", "--weights", "none", "--target", "cpu:ncnn", "--out", str(tmp_path / "out")]
    surroundings = {**os.environ, NCNN: str(tmp_path / "gone"), "EDGECNN_STORE": str(tmp_path / "store")}
    done = subprocess.run(
        [sys.executable, "-m", "edgecnn", *words], env=surroundings, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == (
        f"edgecnn: error: nothing can be built for cpu here: EDGECNN_RUNTIME_NCNN names {tmp_path / 'gone'}, "
        f"which does not answer: [Errno 2] No such file or directory: '{tmp_path / 'gone'}' — {COMMAND} [nothing-to-build]"
    )
