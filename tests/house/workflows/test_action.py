"""The GitHub Action: what it takes, and how its steps end; `building/whole/test_action_on_builds.py` runs it on a real build."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
import typer

from edgecnn.cli.main import app
from tests.house.documents import words_of
from tests.house.source_tree import ROOT
from tests.house.workflows.actions import ACTION, STEPS, Job


def test_every_step_takes_its_inputs_from_the_environment_and_never_from_its_text() -> None:
    """An input pasted into a script would be a script: a pull request's branch name could run anything."""
    for step in STEPS:
        assert "${{" not in step["run"], step["name"]
        assert step["shell"] == "bash"
        named = {found for value in step["env"].values() for found in re.findall(r"inputs\.([a-z-]+)", value)}
        assert named <= ACTION["inputs"].keys()
        for name in step["env"]:
            assert f"${name}" in step["run"], f"{step['name']} does not use {name}"


def test_every_input_is_explained_and_has_a_default_or_is_required() -> None:
    for name, facts in ACTION["inputs"].items():
        assert facts["description"].endswith("."), name
        assert ("default" in facts) != (facts.get("required") == "true"), name


def test_what_is_installed_are_extras_that_there_are() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(ACTION["inputs"]["extras"]["default"].split(",")) <= extras.keys()
    assert '"$PYTHON" -m pip install --disable-pip-version-check "$SOURCE[$EXTRAS]"' in STEPS[0]["run"]


def test_the_jobs_that_the_documents_show_use_inputs_and_commands_that_there_are() -> None:
    text = (ROOT / "docs" / "howto" / "ci-runners.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    used = re.search(r"uses: OWNER/edgecnn@VERSION[^\n]*\n +with:\n((?: {10}\S.*\n)+)", blocks[0])
    assert used is not None
    assert {line.split(":")[0].strip() for line in used[1].splitlines()} <= ACTION["inputs"].keys()
    root = typer.main.get_command(app)
    commands = [line for block in blocks for line in re.findall(r"- run: (edgecnn .*)", block)]
    assert len(commands) == 4
    for command in commands:
        context = root.make_context("edgecnn", words_of(command)[1:])
        while rest := [*context._protected_args, *context.args]:
            name, verb, rest = context.command.resolve_command(context, rest)  # type: ignore[attr-defined]
            assert verb is not None
            context = verb.make_context(name, list(rest), parent=context)


def test_a_head_that_cannot_be_built_stops_the_job_and_is_not_compared(tmp_path: Path) -> None:
    job = Job(tmp_path, head="--arch no-such-network", base="--arch resnet-18", extras="", python=sys.executable)
    environment = {"PATH": os.environ["PATH"], "EDGECNN_STORE": str(tmp_path / "store"), "HOME": str(tmp_path)}
    head = job.run("Build HEAD and judge it by itself", environment)
    assert head is not None
    assert head.returncode == 2
    assert job.run("Judge HEAD against BASE", environment) is None
    assert "no-such-network" in (tmp_path / "builds/build.xml").read_text()


def judged_by_nothing(folder: Path, environment: dict[str, str], **inputs: str) -> int:
    """How the first step of a job with these inputs ends: a gate without anything to judge must not pass."""
    seen = Job(folder, extras="", python=sys.executable, **inputs).run("See what is to be built", environment)
    assert seen is not None
    return seen.returncode


def test_a_sweep_is_worked_off_and_judged_in_place_of_a_build(tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text('[set]\ndata.path = "absent"\n[grid]\nmodel.arch = ["lenet-5", "alexnet"]\n')
    job = Job(tmp_path, sweep="sweep.toml", gates="--max drop_pp=1", extras="", python=sys.executable)
    environment = {"PATH": os.environ["PATH"], "EDGECNN_STORE": str(tmp_path / "store"), "HOME": str(tmp_path)}
    assert job.run("Build HEAD and judge it by itself", environment) is None
    swept = job.run("Work the sweep off", environment)
    assert swept is not None and swept.returncode == 2, swept
    assert (tmp_path / "builds/sweep.xml").read_text().count("<testsuite ") == 2
    assert "absent" in swept.stderr and (tmp_path / "builds/sweep/fleet.html").is_file()
    log = (tmp_path / "builds/sweep/logs/lenet-5-cpu.log").read_text()
    assert "--max drop_pp=1 --out " in log, "each build is judged by the bounds where it is measured"
    assert judged_by_nothing(tmp_path, environment, sweep="sweep.toml") == 0
    for inputs in ({}, {"sweep": "sweep.toml", "head": "ci-gate"}, {"sweep": "sweep.toml", "base": "ci-gate"}):
        assert judged_by_nothing(tmp_path, environment, **inputs) == 2, inputs
    assert not [step["name"] for step in STEPS if "sweep judge" in step["run"]], "which cannot time what boards measured"


@pytest.mark.parametrize(("unsure", "code"), [("stop", 4), ("pass", 0)])
def test_unsure_stops_or_passes_as_it_is_told(tmp_path: Path, unsure: str, code: int) -> None:
    fake = a_python(tmp_path, 'case "$*" in *--unsure-passes*) exit 0 ;; esac; exit 4')
    job = Job(tmp_path, head="ci-gate", base="ci-gate", extras="", python=str(fake), unsure=unsure)
    environment = {"PATH": os.environ["PATH"]}
    swept = Job(tmp_path, sweep="sweep.toml", extras="", python=str(fake), unsure=unsure)
    for name in ("Build HEAD and judge it by itself", "Judge HEAD against BASE", "Work the sweep off"):
        done = (swept if "sweep" in name else job).run(name, environment)
        assert done is not None
        assert done.returncode == code, name


@pytest.mark.parametrize("code", [1, 3, 4])
def test_a_base_whose_own_gates_do_not_pass_is_compared_with_all_the_same(tmp_path: Path, code: int) -> None:
    """A gate on energy is MISSING, exit 3, on every hosted runner; without a runtime it is 3 too, and no bundle."""
    fake = a_python(tmp_path, f"exit {code}")
    job = Job(tmp_path, head="ci-gate", base="ci-gate", extras="", python=str(fake))
    environment = {"PATH": os.environ["PATH"]}
    base, head = job.run("Build BASE", environment), job.run("Build HEAD and judge it by itself", environment)
    assert base is not None and head is not None
    assert (base.returncode, head.returncode) == (0, code)
    assert job.run("Judge HEAD against BASE", environment) is not None


def test_a_base_that_cannot_be_built_stops_the_job_whatever_an_earlier_job_left(tmp_path: Path) -> None:
    (tmp_path / "builds/base/bundle").mkdir(parents=True)
    (tmp_path / "builds/base/bundle/choice.json").touch()
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nexit 3\n")
    fake.chmod(0o755)
    job = Job(tmp_path, head="ci-gate", base="ci-gate", extras="", python=str(fake))
    done = job.run("Build BASE", {"PATH": os.environ["PATH"]})
    assert done is not None
    assert done.returncode == 3


def a_python(folder: Path, ending: str) -> Path:
    """What stands in a Python's place: it publishes a bundle where it is told, and ends."""
    fake = folder / "python"
    publish = (
        'while [ $# -gt 0 ]; do if [ "$1" = --out ]; then mkdir -p "$2/bundle"; touch "$2/bundle/choice.json"; fi; shift; done'
    )
    fake.write_text(f'#!/bin/sh\nall="$*"\n(set -- $all; {publish})\n{ending}\n')
    fake.chmod(0o755)
    return fake
