"""What is timed has the machine to itself, across stores and processes."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edgecnn.hosts import local as module
from edgecnn.hosts.local import LOCK, alone
from edgecnn.hosts.program import Program
from edgecnn.hosts.ssh import host
from tests.store.toys import Ear


def test_a_second_one_waits_and_says_so_until_the_first_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENT_S", 0.2)
    file, ear, entered = tmp_path / "lock", Ear(), threading.Event()

    def second() -> None:
        with alone(ear, file):
            entered.set()

    with alone(Ear(), file):
        waiting = threading.Thread(target=second)
        waiting.start()
        assert not entered.wait(0.8)
    waiting.join(10)
    assert entered.is_set()
    assert ear.notes == ["waiting for another race on this machine to end: two races would disturb each other"]


def test_a_holder_that_is_killed_holds_nothing(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    lines = ("import fcntl, sys, time", "stream = open(sys.argv[1], 'w')", "fcntl.flock(stream, fcntl.LOCK_EX)")
    code = "\n".join((*lines, "print('held', flush=True)", "time.sleep(600)"))
    holder = subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    holder.kill()
    holder.wait()
    began = time.monotonic()
    with alone(Ear(), file), file.open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("place", ["no-such-folder/lock", "link"])
def test_a_lock_that_cannot_be_had_or_leads_elsewhere_is_left_alone(tmp_path: Path, place: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with alone(Ear(), tmp_path / place):
        assert not (tmp_path / "elsewhere").exists()


def test_what_is_timed_over_ssh_takes_the_lock_that_the_board_s_own_races_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """An evaluation takes none: nothing of it is timed."""
    asked = list[dict[str, Any]]()

    def ran(program: Program, **_: object) -> dict[str, str]:
        asked.append(json.loads(program.opening[8:]))
        return {}

    monkeypatch.setattr(host, "run_program", ran)
    there = host.SshHost(cast("Any", SimpleNamespace(command=list, name="pi")), host.LOCK, "a test")
    for command in ("bench", "evaluate"):
        there._run_runner("kits/a", [], command, host._Lease(60.0, Ear()))
    assert [[path for path, _ in each["locks"]] for each in asked] == [[str(LOCK), f"{host.LOCK}.run"], [f"{host.LOCK}.run"]]
