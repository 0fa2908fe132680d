from __future__ import annotations

import os
import signal
import site
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.hosts import (
    RUNNER_NOT_STARTED,
    BoardDiskFull,
    BoardError,
    RunnerCannotWrite,
    RunnerCrashed,
    RunnerFailed,
    RunnerTimedOut,
    runner_cannot_write,
)
from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.protocol import Host, Task
from edgecnn.hosts.ssh.host import SshHost
from edgecnn.runner.packages import DROPPED_PATH
from tests.house.child import child
from tests.runner.conftest import CopyKit, copy_kit, onnx_kit  # noqa: F401 - fixtures
from tests.runner.kits import rewrite_manifest, write_pixels
from tests.runner.processes import CRASH, HANG, edit, misbehave, processes_about, schedule_of, wait_until
from tests.runner.pythons import environment_with

ROOT = Path(__file__).resolve().parents[2]


class Heard:
    """A Progress that remembers."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int, int | None, str]] = []
        self.notes: list[str] = []

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        self.steps.append((what, done, total, unit))

    def note(self, text: str) -> None:
        self.notes.append(text)


def listing(kit: Path) -> dict[str, bytes]:
    return {path.relative_to(kit).as_posix(): path.read_bytes() for path in kit.rglob("*") if path.is_file()}


@pytest.mark.parametrize("made_here", [True, False])
def test_the_last_line_comes_back_and_progress_is_relayed(onnx_kit: Path, tmp_path: Path, made_here: bool) -> None:  # noqa: F811
    host: Host = LocalHost()
    heard = Heard()
    pixels = write_pixels(tmp_path / "p.npy", 40)
    task = Task(onnx_kit, "evaluate", inputs={"--pixels": pixels}, out=tmp_path / "out", made_here=made_here)
    result = host.run(task, lease_s=30, tell=heard)
    assert "ok" not in result and result["evaluation"]["images"] == 40
    assert heard.steps[-1] == ("evaluate small-onnxruntime", 40, 40, "images")


def test_running_a_kit_leaves_its_files_as_they_were(onnx_kit: Path) -> None:  # noqa: F811
    before = listing(onnx_kit)
    LocalHost().run(Task(onnx_kit, "selftest", made_here=True), lease_s=30, tell=Heard())
    assert listing(onnx_kit) == before


def test_this_machine_is_identified_as_its_runner_sees_it(onnx_kit: Path) -> None:  # noqa: F811
    inside = LocalHost().run(Task(onnx_kit, "info", made_here=True), lease_s=30, tell=Heard())["environment"]["conditions"]
    here = LocalHost().identify().conditions
    assert {name: inside[name] for name in here} == dict(here)
    assert set(inside) - set(here) == {"runtime", "runtime_version"}


def test_variables_that_change_what_runs_do_not_reach_the_kit(
    onnx_kit: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "numpy.py").write_text("raise ImportError('the wrong numpy')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    assert LocalHost().run(Task(onnx_kit, "selftest", made_here=True), lease_s=30, tell=Heard())["selftest"]


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment_with(tmp_path_factory.mktemp("bare") / "env")


PACKAGES = os.pathsep.join(site.getsitepackages())


@pytest.mark.parametrize(("path", "because"), [(PACKAGES, DROPPED_PATH), ("", None), (None, None)])
def test_a_package_that_a_kit_lacks_since_it_runs_without_pythonpath_is_said_so(
    onnx_kit: Path,  # noqa: F811
    bare_python: Path,
    path: str | None,
    because: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if path is not None:
        monkeypatch.setenv("PYTHONPATH", path)
    host = LocalHost(python=str(bare_python))
    host.run(Task(onnx_kit, "info", made_here=True), lease_s=30, tell=Heard())
    with pytest.raises(RunnerFailed) as caught:
        host.run(Task(onnx_kit, "selftest", made_here=True), lease_s=30, tell=Heard())
    assert (caught.value.ref, caught.value.because) == ("missing-package", because)
    assert (".pth" in (caught.value.hint or "")) == (because is not None)


def test_the_runners_own_words_come_back_with_its_own_reference(copy_kit: CopyKit) -> None:  # noqa: F811
    kit = copy_kit()
    (kit / "model.onnx").unlink()
    with pytest.raises(RunnerFailed) as caught:
        LocalHost().run(Task(kit, "selftest", made_here=True), lease_s=30, tell=Heard())
    assert caught.value.line() == (
        "model.onnx: listed in kit.json, but missing — copy the kit again, or package it again [kit-file-missing]"
    )
    assert caught.value.exit_code is ExitCode.BAD_INPUT


def test_an_absent_package_is_missing_and_not_bad_input(copy_kit: CopyKit) -> None:  # noqa: F811
    kit = copy_kit()
    rewrite_manifest(kit, lambda manifest: manifest["requirements"].update(packages={"not-installed-anywhere": ">=1"}))
    with pytest.raises(RunnerFailed) as caught:
        LocalHost().run(Task(kit, "selftest", made_here=True), lease_s=30, tell=Heard())
    assert caught.value.exit_code is ExitCode.MISSING


def test_a_crash_names_the_signal_and_the_last_words(copy_kit: CopyKit, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.delenv("PYTHONPATH", raising=False)
    kit = copy_kit()
    misbehave(kit, "import sys\nprint('about to fall', file=sys.stderr, flush=True)\n" + CRASH)
    with pytest.raises(RunnerCrashed) as caught:
        LocalHost().run(Task(kit, "selftest", made_here=True), lease_s=30, tell=Heard())
    assert caught.value.fields == {"command": "selftest", "ending": "signal SIGSEGV", "because": "about to fall"}
    monkeypatch.setenv("PYTHONPATH", "/opt/packages")
    with pytest.raises(RunnerCrashed) as caught:
        LocalHost().run(Task(kit, "selftest", made_here=True), lease_s=30, tell=Heard())
    assert caught.value.because == "about to fall", "no import failed"
    misbehave(kit, "import sys\nprint('ImportError: no such module', file=sys.stderr, flush=True)\n" + CRASH)
    with pytest.raises(RunnerCrashed) as caught:
        LocalHost().run(Task(kit, "selftest", made_here=True), lease_s=30, tell=Heard())
    assert caught.value.because == f"ImportError: no such module | {DROPPED_PATH}"


def test_a_full_disk_that_keeps_a_runner_from_saying_so_is_named(copy_kit: CopyKit) -> None:  # noqa: F811
    kit = copy_kit()
    misbehave(
        kit, "import os\nfor stream in (1, 2):\n    os.dup(stream)\n    os.dup2(os.open('/dev/full', os.O_WRONLY), stream)\n"
    )
    with pytest.raises(RunnerCannotWrite) as caught:
        LocalHost().run(Task(kit, "selftest", made_here=True), lease_s=30, tell=Heard())
    assert caught.value.ref == "runner-cannot-write"


@pytest.mark.parametrize(("free_bytes", "kind"), [(0, BoardDiskFull), (1 << 30, BoardError)])
def test_a_board_that_takes_nothing_a_runner_writes_is_the_board_s_failure(free_bytes: int, kind: type[BoardError]) -> None:
    board: Any = SimpleNamespace(name="pi@board", folder="/home/pi/edgecnn", ask=lambda *_, **__: {"free_bytes": free_bytes})
    found = SshHost(board, "lock", "a test")._with_disk_checked(runner_cannot_write(argv=["selftest"], board="pi@board"))
    assert type(found) is kind, "which ends the call, and costs no kit"


def test_a_traceback_that_nobody_takes_hides_no_error(copy_kit: CopyKit) -> None:  # noqa: F811
    kit = copy_kit()
    misbehave(kit, "import os\nos.dup2(os.open('/dev/full', os.O_WRONLY), 2)\nraise ValueError('the reason')\n")
    with pytest.raises(RunnerFailed, match="the runner failed in selftest: ValueError: the reason"):
        LocalHost().run(Task(kit, "selftest", made_here=True), lease_s=30, tell=Heard())


def test_who_reads_only_the_beginning_gets_no_traceback(copy_kit: CopyKit) -> None:  # noqa: F811
    kit = copy_kit()
    words = [sys.executable, "-B", "-m", "runner", "selftest"]
    with subprocess.Popen(words, cwd=kit, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_success_without_a_result_line_is_a_crash(copy_kit: CopyKit) -> None:  # noqa: F811
    kit = copy_kit()
    misbehave(kit, "import os\nos._exit(0)\n")
    with pytest.raises(RunnerCrashed, match=r"ended without a result \(exit status 0\)"):
        LocalHost().run(Task(kit, "selftest", made_here=True), lease_s=30, tell=Heard())


def test_an_unforeseen_exception_in_the_runner_is_a_line_too(copy_kit: CopyKit) -> None:  # noqa: F811
    kit = copy_kit()
    edit(kit, "runner/golden.py", "    total = kit.verify_files()\n", "    total = 1 // 0\n")
    with pytest.raises(RunnerFailed, match="the runner failed in selftest: ZeroDivisionError"):
        LocalHost().run(Task(kit, "selftest", made_here=True), lease_s=30, tell=Heard())


def test_a_runner_that_falls_silent_is_killed_with_all_it_started(copy_kit: CopyKit) -> None:  # noqa: F811
    kit = copy_kit()
    misbehave(kit, "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(602)'])\n" + HANG)
    with pytest.raises(RunnerTimedOut, match="runner selftest was silent for 2 s and was killed"):
        LocalHost().run(Task(kit, "selftest", made_here=True), lease_s=2, tell=Heard())
    assert wait_until(lambda: not processes_about("time.sleep(602)"), 5)


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=RUNNER_NOT_STARTED.made):
        LocalHost().run(Task(tmp_path / "nowhere", "selftest"), lease_s=5, tell=Heard())


def test_work_longer_than_the_lease_goes_on_as_long_as_it_is_heard(copy_kit: CopyKit, tmp_path: Path) -> None:  # noqa: F811
    kit = copy_kit()
    slow = "        import time; time.sleep(0.4)\n        return dict(zip("
    edit(kit, "runner/sessions/onnxruntime_cpu.py", "        return dict(zip(", slow)
    pixels = write_pixels(tmp_path / "p.npy", 12)
    task = Task(kit, "evaluate", ("--batch", "1"), inputs={"--pixels": pixels}, out=tmp_path / "out", made_here=True)
    assert LocalHost().run(task, lease_s=4, tell=Heard())["evaluation"]["seconds"] > 4.5


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_or_killed_outright_here_nothing_is_left_there(
    copy_kit: CopyKit,  # noqa: F811
    tmp_path: Path,
    how: signal.Signals,
) -> None:
    kit = copy_kit()
    slow = "        import time; time.sleep(300)\n        return dict(zip("
    edit(kit, "runner/sessions/onnxruntime_cpu.py", "        return dict(zip(", slow)
    schedule, out = schedule_of(tmp_path / "s.json", kit, timeout_s=200), tmp_path / "out"
    code = (
        "import sys; from pathlib import Path; from edgecnn.hosts.local import LocalHost\n"
        "from edgecnn.hosts.protocol import Task\n"
        "from tests.hosts.test_local import Heard\n"
        "kit, schedule, out = map(Path, sys.argv[1:])\n"
        "task = Task(kit, 'bench', inputs={'--schedule': schedule}, out=out, made_here=True)\n"
        "LocalHost().run(task, lease_s=60, tell=Heard())"
    )
    words = [sys.executable, "-c", code, str(kit), str(schedule), str(out)]
    with child(words, piped=False, cwd=ROOT, stderr=subprocess.DEVNULL) as host:
        assert wait_until(lambda: bool(processes_about(f"runner.runs.worker --schedule {out}")), 40)
        host.send_signal(how)
        assert host.wait(20) == -how
    assert wait_until(lambda: not processes_about(str(out)), 5)
