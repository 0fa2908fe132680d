"""A command whose system calls fail, or kill it, at a chosen one; strace(1) does that, so that nothing in edgecnn knows of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from tests.building.builds import Place

CHANGING = ("write", "pwrite64", "fsync", "rename", "renameat", "mkdir", "unlink", "unlinkat", "link")
"""System calls that change files, or make a change last."""
_LINE = re.compile(r"^(?P<process>\d+) +(?P<call>\w+)\((?P<rest>.*)$")
_OPENED = re.compile(r"^\d+<(?P<path>/[^>]*)>")


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


def run_traced(place: Place, command: Sequence[str], fault: Fault | None = None, timeout_s: float | None = None) -> Ended:
    """Run it with that fault, and killed with all that it started where it takes longer."""
    log = place.folder / "calls.log"
    words = ["strace", "-f", "-qq", "-y", "--seccomp-bpf", "-o", str(log), "-e", f"trace={','.join(CHANGING)}"]
    if fault is not None:
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


def somewhere(log: Path, draw: Random, calls: Sequence[str] = CHANGING) -> tuple[str, int]:
    """One of the calls of an undisturbed run, or an earlier one of its kind: that, and the how many-th in its process."""
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for line in log.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match and match["call"] in calls:
            seen[match["process"], match["call"]] += 1
            found.append((match["call"], seen[match["process"], match["call"]]))
    call, count = draw.choice(found)
    return call, draw.randint(1, count)  # a build that goes on has fewer left


def lose_power(log: Path, below: Path) -> int:
    """Empty every file below a folder that was written after it was last synced, as a power cut may leave it. How many."""
    unsynced: set[str] = set()
    for line in log.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        opened = _OPENED.match(match["rest"])
        if match["call"] in ("write", "pwrite64") and opened:
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
