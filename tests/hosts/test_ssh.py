"""A kit's runner on the far side of a real OpenSSH server: the same as here, and whatever is cut goes on where it stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import LINK_LOST, BoardBusy, BoardDiskFull, RunnerFailed
from edgecnn.hosts.local import LocalHost, alone
from edgecnn.hosts.protocol import Schedule, Task
from edgecnn.hosts.ssh import host as host_module
from edgecnn.hosts.ssh.host import SshHost
from edgecnn.hosts.ssh.link import COMMAND, Address
from tests.hosts.sshd import Loopback, needs_sshd
from tests.hosts.test_local import Heard
from tests.house.child import child
from tests.runner.conftest import CopyKit, copy_kit, onnx_kit  # noqa: F401 - fixtures
from tests.runner.kits import write_pixels
from tests.runner.processes import edit, processes_about, wait_until

pytestmark = [pytest.mark.full, needs_sshd]
ROOT = Path(__file__).resolve().parents[2]


def connect(folder: Path, what: str = "a test") -> SshHost:
    """A host of its own: another private folder, and another lock, than any other test's."""
    lock = str(folder / "lock")
    return SshHost.open(Address.of("loopback"), what=what, python=sys.executable, folder=str(folder / "far"), lock=lock)


@pytest.fixture
def far(board: Loopback, tmp_path: Path) -> Iterator[SshHost]:
    with connect(tmp_path) as host:
        yield host


def race(kit: Path, out: Path, runs: int = 3) -> Task:
    item = {"kit": str(kit), "position": 0, "samples": 5, "warmup_s": 0.0, "max_s": 1.0, "knobs": {}, "trace": False}
    items = tuple({**item, "round": number} for number in range(runs))
    return Task(kit, "bench", out=out, schedule=Schedule(items, 60.0), made_here=True)


def test_it_answers_as_the_same_kit_does_here(far: SshHost, onnx_kit: Path, tmp_path: Path) -> None:  # noqa: F811
    pixels, heard = write_pixels(tmp_path / "p.npy", 40), Heard()
    there = Task(onnx_kit, "evaluate", ("--chunk", "16"), {"--pixels": pixels}, tmp_path / "there")
    here = Task(onnx_kit, "evaluate", ("--chunk", "16"), {"--pixels": pixels}, tmp_path / "here")
    said = far.run(there, lease_s=60, tell=heard)["evaluation"]
    LocalHost().run(here, lease_s=60, tell=Heard())
    assert said["images"] == 40 and heard.steps[-1] == ("evaluate small-onnxruntime", 40, 40, "images")
    for number in range(3):
        name = f"logits-{number:05d}.npy"
        assert np.array_equal(np.load(tmp_path / "there" / name), np.load(tmp_path / "here" / name))


def test_it_is_what_its_own_runner_says_it_is(far: SshHost) -> None:
    assert dict(far.identify().conditions) == dict(LocalHost().identify().conditions), "it is this very machine"
    assert far.runtime_version("onnxruntime") == LocalHost().runtime_version("onnxruntime")
    assert far.runtime_version("tensorrt_of_nobody") is None


def test_what_is_held_there_is_not_sent_again(board: Loopback, onnx_kit: Path, tmp_path: Path) -> None:  # noqa: F811
    sent = []
    for _ in range(2):
        with connect(tmp_path) as host:
            host.run(Task(onnx_kit, "selftest", made_here=True), lease_s=60, tell=Heard())
            sent.append(host.contents.sent_bytes)
    assert sent[0] > (onnx_kit / "model.onnx").stat().st_size and sent[1] == 0


def test_the_runners_own_words_come_back(far: SshHost, copy_kit: CopyKit) -> None:  # noqa: F811
    kit = copy_kit()
    (kit / "model.onnx").unlink()
    with pytest.raises(RunnerFailed) as caught:
        far.run(Task(kit, "selftest", made_here=True), lease_s=60, tell=Heard())
    assert caught.value.line() == (
        "model.onnx: listed in kit.json, but missing — copy the kit again, or package it again [kit-file-missing]"
    )


def test_a_second_user_is_held_off_while_the_first_is_there(far: SshHost, board: Loopback, tmp_path: Path) -> None:
    with pytest.raises(BoardBusy):
        connect(tmp_path, "another")


def test_a_race_of_the_board_s_own_and_one_over_ssh_wait_for_each_other(
    far: SshHost,
    onnx_kit: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host_module, "_RACE_POLL_S", 0.5)
    heard, own, lock = Heard(), Heard(), tmp_path / "lock.race"
    racing = threading.Thread(target=lambda: far.run(race(onnx_kit, tmp_path / "out", runs=4), lease_s=60, tell=heard))
    with alone(own, lock):
        racing.start()
        assert wait_until(lambda: heard.notes, 20) and not runs_in(tmp_path / "far")
    assert wait_until(lambda: runs_in(tmp_path / "far"), 20)
    with alone(own, lock):
        assert len(runs_in(tmp_path / "far")) == 4, "it came after all of them"
    racing.join(30)
    assert heard.notes == ["waiting for another race on loopback to end: two races would disturb each other"]
    assert len(list((tmp_path / "out").glob("run-*.json"))) == 4


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_race_that_was_cut_goes_on_and_measures_nothing_twice(
    board: Loopback,
    onnx_kit: Path,  # noqa: F811
    tmp_path: Path,
    after: int,
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with connect(tmp_path) as host, pytest.raises(EdgecnnError, check=LINK_LOST.made) as caught:
        cutting = cut_when(board, lambda: len(runs_in(tmp_path / "far")) > after)
        host.run(race(onnx_kit, out, runs=4), lease_s=60, tell=Heard())
    cutting.join()
    assert caught.value.ref == "link-lost"
    assert wait_until(lambda: not processes_about(str(tmp_path / "far")), 10), "nothing computes for somebody who is gone"
    before = {path.name: path.read_bytes() for path in runs_in(tmp_path / "far")}
    with connect(tmp_path) as host:
        said = host.run(race(onnx_kit, out, runs=4), lease_s=60, tell=Heard())["bench"]
    assert (said["items"], said["ran_now"]) == (4, 4 - len(before))
    assert before.items() <= {path.name: path.read_bytes() for path in out.glob("run-*.json")}.items()


def test_what_an_interrupted_call_left_is_recalled_as_old_as_it_is(
    board: Loopback,
    onnx_kit: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    with connect(tmp_path) as host:
        host.run(race(onnx_kit, out, runs=1), lease_s=60, tell=Heard())
    (run,) = runs_in(tmp_path / "far")
    os.utime(run, (time.time() - 7200, time.time() - 7200))
    (out / run.name).unlink()
    with connect(tmp_path) as host:
        host.recall(out)
        host.recall(tmp_path / "never begun")
    assert 7190 < time.time() - (out / run.name).stat().st_mtime < 7260
    assert not (tmp_path / "never begun").exists()


def test_whoever_empties_the_folder_here_begins_anew_there(far: SshHost, onnx_kit: Path, tmp_path: Path) -> None:  # noqa: F811
    out = tmp_path / "out"
    for _ in range(2):
        assert far.run(race(onnx_kit, out, runs=1), lease_s=60, tell=Heard())["bench"]["ran_now"] == 1
        shutil.rmtree(out)


def test_runs_that_are_here_and_no_longer_there_are_not_repeated(
    far: SshHost,
    onnx_kit: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    far.run(race(onnx_kit, out, runs=2), lease_s=60, tell=Heard())
    shutil.rmtree(tmp_path / "far/results")
    assert far.run(race(onnx_kit, out, runs=2), lease_s=60, tell=Heard())["bench"]["ran_now"] == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_or_killed_here_nothing_is_left_there(
    board: Loopback,
    copy_kit: CopyKit,  # noqa: F811
    tmp_path: Path,
    how: signal.Signals,
) -> None:
    kit = copy_kit()
    edit(
        kit,
        "runner/sessions/onnxruntime_cpu.py",
        "        return dict(zip(",
        "        import time; time.sleep(300)\n        return dict(zip(",
    )
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.hosts.test_ssh import Heard, connect, race\n"
        "folder, kit = map(Path, sys.argv[1:])\n"
        "connect(folder).run(race(kit, folder / 'out'), lease_s=60, tell=Heard())"
    )
    variables = {**os.environ, COMMAND: board.client, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", code, str(tmp_path), str(kit)]
    with child(words, piped=False, cwd=ROOT, env=variables, stderr=subprocess.DEVNULL) as process:
        assert wait_until(lambda: bool(processes_about(f"runner.runs.worker --schedule {tmp_path}")), 60)
        process.send_signal(how)
        assert process.wait(20) == -how
    assert wait_until(lambda: not processes_about(f"{tmp_path}/far"), 15)


def test_a_full_disk_there_is_said_before_anything_is_sent(
    far: SshHost,
    onnx_kit: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgecnn.hosts.ssh.files._ROOM", 1 << 60)
    with pytest.raises(BoardDiskFull):
        far.run(Task(onnx_kit, "selftest", made_here=True), lease_s=60, tell=Heard())


def runs_in(far: Path) -> list[Path]:
    """Finished runs on the far side."""
    return [path for path in far.glob("results/*/run-*.json") if "error" not in json.loads(path.read_text())]


def cut_when(board: Loopback, when: Callable[[], bool]) -> threading.Thread:
    """Cut every connection at that moment."""

    def work() -> None:
        wait_until(when, 60)
        board.cut()

    thread = threading.Thread(target=work)
    thread.start()
    return thread
