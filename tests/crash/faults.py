"""A command whose system calls fail, or kill it, at a chosen one; strace(1) does that, so that nothing in edgecnn knows of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.building.builds import Place

CHANGING = ("write", "pwrite64", "fsync", "rename", "renameat", "mkdir", "unlink", "unlinkat", "rmdir", "link")
"""System calls that change files, or make a change last."""
OPENING = "openat"
_LINE = re.compile(r"^(?:(?P<process>\d+) +)?(?P<call>\w+)\((?P<rest>.*)$")
PUBLISHED = "publish"
_WORK = re.compile(r"/store/work/(?P<kind>[a-z]+)/|/out/\.?bundle")
_KEPT = "profile"
"""Of what was measured: the end of the work before it."""
_OPENED = re.compile(r"^\d+<(?P<path>/[^>]*)>")
_MADE = re.compile(r"O_(?:TRUNC|EXCL|WRONLY).* = \d+<(?P<path>/[^>]*)>")
"""Whatever a file that is opened so is written by: calls, a copy in the kernel, or memory that is mapped."""


class Fault(NamedTuple):
    """What happens at the n-th call of a kind."""

    call: str
    when: str
    """``7`` at the seventh, ``7+`` from the seventh on."""
    effect: str
    """``signal=SIGKILL``, or ``error=ENOSPC``."""


class Ended(NamedTuple):
    """A command that came to its end, in one way or another."""

    status: int
    said: str
    log: Path


def require_strace() -> None:
    """Skip the test where it is not installed."""
    if shutil.which("strace") is None:
        pytest.skip("apt-get install strace")


def run_traced(
    place: Place,
    command: Sequence[str],
    faults: Sequence[Fault] = (),
    timeout_s: float | None = None,
    calls: Sequence[str] = CHANGING,
) -> Ended:
    """Run it with these faults, and killed with all that it started where it takes longer."""
    log = place.folder / "calls.log"
    words = ["strace", "-qq", "-y", "-o", str(log), "-e", f"trace={','.join(calls)}"]
    if not any(fault.effect.startswith("signal=") for fault in faults):
        words += ["-f", "--seccomp-bpf"]  # which is fast, and sends no signals (strace 6.1)
    for fault in faults:
        words += ["-e", f"inject={fault.call}:{fault.effect}:when={fault.when}"]
    with subprocess.Popen(
        [*words, "--", *command], env=place.environment, cwd=place.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            said, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            _kill_all(process.pid)
            said, _ = process.communicate()
    return Ended(process.returncode, said, log)


def _kill_all(session: int) -> None:
    """With SIGKILL, the traced processes before the tracer, which would else let go of them."""
    listed = subprocess.run(["ps", "-o", "pid=,comm=", "-s", str(session)], capture_output=True, text=True, check=False).stdout
    rows = [line.split(None, 1) for line in listed.splitlines()]
    pids = [pid for pid, name in sorted(rows, key=lambda row: row[1] == "strace")]
    subprocess.run(["kill", "-9", *pids], check=False, stderr=subprocess.DEVNULL)


class Call(NamedTuple):
    """A system call of the traced process itself, in its order."""

    name: str
    at_work_on: str
    """The kind of entry that it works on, ``publish``, or ``""``."""


def calls_of(log: Path) -> list[Call]:
    """Of its first thread, which is the one that makes and publishes; those that it starts have their own."""
    found, first = [], ""
    for line in log.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        first = first or match["process"]
        if match["process"] == first:
            at = _WORK.search(match["rest"])
            kind = (at["kind"] or PUBLISHED) if at else ""
            found.append(Call(match["call"], found[-1].at_work_on if kind == _KEPT else kind))
    return found


def nth(name: str, calls: Sequence[Call], done: Collection[str]) -> int:
    """The next call of that name after these of an undisturbed run, in a run that need not make again what is ``done``."""
    return 1 + sum(call.name == name and call.at_work_on not in done for call in calls)


def lose_power(log: Path, below: Path) -> int:
    """Empty every file below a folder that was written after it was last synced, as a power cut may leave it. How many."""
    unsynced: set[str] = set()
    for line in log.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        opened, made = _OPENED.match(match["rest"]), _MADE.search(match["rest"])
        if match["call"] == OPENING and made:
            unsynced.add(made["path"])
        elif match["call"] in ("write", "pwrite64") and opened:
            unsynced.add(opened["path"])
        elif match["call"] == "fsync" and opened:
            unsynced.discard(opened["path"])
        elif match["call"].startswith("rename"):
            old, new = re.findall(r'"(/[^"]*)"', match["rest"])[:2] or ("", "")
            unsynced = {new + path[len(old) :] if path == old or path.startswith(f"{old}/") else path for path in unsynced}
    lost = [path for path in map(Path, unsynced) if path.is_file() and path.is_relative_to(below)]
    for path in lost:
        path.write_bytes(b"")
    return len(lost)
