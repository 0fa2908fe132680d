"""What befalls a board in the middle of a race: a disk that fills up, a reboot, a clock that is set. Nothing finished is lost."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import LINK_LOST, BoardDiskFull
from tests.hosts.sshd import Loopback, needs_sshd
from tests.hosts.test_local import Heard
from tests.hosts.test_ssh import connect, race, runs_in
from tests.runner.conftest import onnx_kit  # noqa: F401 - a fixture
from tests.runner.processes import processes_about, wait_until

pytestmark = [pytest.mark.full, needs_sshd]  # starts an SSH server; a small disk takes root's right to mount
SMALL_MIB = 16


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few MiB where the private folder will be."""
    place = tmp_path / "far"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_MIB}m", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Take every free byte."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as target:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    target.write(b"\0" * size)
            except OSError:
                continue
    return ballast


def when(happened: object, then: object) -> threading.Thread:
    """Do something at a moment."""

    def work() -> None:
        if wait_until(happened, 60):  # type: ignore[arg-type]
            then()  # type: ignore[operator]

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_disk_that_fills_up_in_a_race_is_said_and_the_race_goes_on_once_there_is_room(
    board: Loopback,
    small_disk: Path,
    onnx_kit: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgecnn.hosts.ssh.files._ROOM", 0)
    out = tmp_path / "out"
    with connect(tmp_path) as host:
        filling = when(lambda: len(runs_in(small_disk)) > 1, lambda: fill(small_disk))
        with pytest.raises(BoardDiskFull) as caught:
            host.run(race(onnx_kit, out, runs=6), lease_s=60, tell=Heard())
        filling.join()
    assert caught.value.ref == "board-disk-full"
    before = {path.name: path.read_bytes() for path in runs_in(small_disk)}
    assert before
    assert before.items() <= {path.name: path.read_bytes() for path in out.glob("run-*.json")}.items(), "it came here"
    with connect(tmp_path) as host, pytest.raises(BoardDiskFull):
        host.run(race(onnx_kit, out, runs=6), lease_s=60, tell=Heard())
    (small_disk / "ballast").unlink()
    with connect(tmp_path) as host:
        said = host.run(race(onnx_kit, out, runs=6), lease_s=60, tell=Heard())["bench"]
    assert said["items"] == 6 and said["ran_now"] == 6 - len(before)
    after = {path.name: path.read_bytes() for path in runs_in(small_disk)}
    assert before.items() <= after.items() and len(after) == 6
    assert {path.name: path.read_bytes() for path in out.glob("run-*.json")} == after


def test_after_a_reboot_the_same_call_goes_on(
    board: Loopback,
    onnx_kit: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    out, lock = tmp_path / "out", tmp_path / "lock"

    def reboot() -> None:
        """Everything of ours there is killed at once, and the folder of temporary files is emptied."""
        for pid in processes_about(str(tmp_path / "far")):
            with suppress(ProcessLookupError):  # a run ended meanwhile
                os.kill(pid, 9)
        board.cut()
        for path in tmp_path.glob("lock*"):
            path.unlink()

    with connect(tmp_path) as host:
        rebooting = when(lambda: len(runs_in(tmp_path / "far")) > 1, reboot)
        with pytest.raises(EdgecnnError, check=LINK_LOST.made):
            host.run(race(onnx_kit, out, runs=5), lease_s=60, tell=Heard())
        rebooting.join()
    assert not lock.exists()
    before = {path.name: path.read_bytes() for path in runs_in(tmp_path / "far")}
    with connect(tmp_path) as host:
        said = host.run(race(onnx_kit, out, runs=5), lease_s=60, tell=Heard())["bench"]
    assert (said["items"], said["ran_now"]) == (5, 5 - len(before))
    assert before.items() <= {path.name: path.read_bytes() for path in out.glob("run-*.json")}.items()


@pytest.mark.parametrize("hours", [-5, 24 * 400], ids=["back", "on by more than a year"])
def test_a_clock_that_is_set_there_loses_nothing(
    board: Loopback,
    onnx_kit: Path,  # noqa: F811
    tmp_path: Path,
    hours: int,
) -> None:
    """A board without a battery begins in the past; what it wrote then is as old as its clock says after it was set."""
    out = tmp_path / "out"
    with connect(tmp_path) as host:
        host.run(race(onnx_kit, out, runs=2), lease_s=60, tell=Heard())
    written = time.time() - hours * 3600
    for path in (tmp_path / "far").rglob("*"):
        os.utime(path, (written, written))
    for path in out.glob("run-*.json"):
        path.unlink()
    with connect(tmp_path) as host:
        host.recall(out)
        assert len(list(out.glob("run-*.json"))) == 2
        assert host.run(race(onnx_kit, out, runs=2), lease_s=60, tell=Heard())["bench"]["ran_now"] == 0
