"""Each kit is run by the Python of its runtime, also where another's carries out the schedule."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.protocol import Schedule, Task
from edgecnn.runner.interpreters import asked, own_python, own_python_version, python_of, reachable_runtimes, runtime_version
from tests.quantization.made import Quiet
from tests.runner.kits import make_kit
from tests.runner.processes import schedule_of

VARIABLE = "EDGECNN_RUNTIME_OPENVINO"
Marked = Callable[[str], Path]


@pytest.fixture
def marked(tmp_path: Path) -> Marked:
    """A Python under another name, which notes in ``<name>.log`` what it was started with."""

    def make(name: str) -> Path:
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho "$*" >> "{path}.log"\nexec "{sys.executable}" "$@"\n')
        path.chmod(0o755)
        return path

    return make


def test_a_runtime_without_a_name_is_run_by_the_python_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    kit = make_kit(tmp_path, "openvino")
    assert own_python("openvino") is None
    assert python_of(kit) == python_of(tmp_path / "no-kit") == sys.executable
    assert own_python_version("openvino") is None, "the machine's own holds"


def test_a_name_may_be_relative_and_its_link_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a link leads to is not the virtual environment that the link lies in."""
    (tmp_path / "python").symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "./python")
    assert own_python("openvino") == str(tmp_path / "python")


def test_the_whole_self_test_runs_in_the_named_python(tmp_path: Path, marked: Marked, monkeypatch: pytest.MonkeyPatch) -> None:
    python = marked("its-own")
    monkeypatch.setenv(VARIABLE, str(python))
    kit = make_kit(tmp_path, "openvino")
    assert LocalHost().run(Task(kit, "selftest"), lease_s=120, tell=Quiet())["selftest"]
    assert "-m runner" in Path(f"{python}.log").read_text()


def test_a_race_gives_each_kit_its_own_python_whoever_carries_it_out(
    tmp_path: Path, marked: Marked, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = marked("its-own")
    monkeypatch.setenv(VARIABLE, str(python))
    first, other = make_kit(tmp_path, "openvino", name="first"), make_kit(tmp_path, name="other")
    wanted = json.loads(schedule_of(tmp_path / "schedule.json", first, other).read_text())
    task = Task(first, "bench", out=tmp_path / "out", schedule=Schedule(tuple(wanted["items"]), wanted["timeout_s"]))
    assert LocalHost().run(task, lease_s=120, tell=Quiet())["bench"]["failed"] == []
    started = Path(f"{python}.log").read_text().splitlines()
    assert [line.split()[1] for line in started] == ["runner", "runner.runs.worker"], (
        "its host and its run, and not the other kit's"
    )
    runs = [json.loads((tmp_path / "out" / f"run-0000{index}.json").read_text()) for index in (0, 1)]
    assert all(run["samples_ns"] for run in runs)


def test_a_named_python_is_asked_for_versions(marked: Marked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    here = runtime_version("openvino")
    monkeypatch.setenv(VARIABLE, str(marked("its-own")))
    assert runtime_version("openvino") == here == reachable_runtimes()["openvino"]
    assert own_python_version("openvino") == sys.version.split()[0]


def test_a_name_that_is_no_python_finds_nothing_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    monkeypatch.setenv(VARIABLE, str(gone))
    assert runtime_version("openvino") is None
    assert asked(str(gone)).why == f"[Errno 2] No such file or directory: '{gone}'"
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'no encodings' >&2\nexit 1\n")
    broken.chmod(0o755)
    assert asked(str(broken)).why == "no encodings"
