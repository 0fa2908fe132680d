"""Runs a schedule, a fresh process an item: one that crashes or hangs costs its own item and no other."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

from ..failure import RunnerError
from ..files import make_folder, read_json, sha256_of, write_json
from ..interpreters import kept_variables, python_of
from ..say import Teller
from .cold_start import spawned_now
from .items import Item, Schedule, describe, read_schedule, run_file

SCHEMA = "edgecnn.bench/1"
RESULT = "bench.json"
_COPY = "schedule.json"
KEPT_VARIABLES = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "XDG_CACHE_HOME",
    "EDGECNN_BROWSER",
)
"""What a runner may have of whoever starts it, here or on a board."""


def bench(schedule_path: Path, out: Path) -> Dict[str, Any]:
    """Write ``run-00000.json``… into ``out``, and last ``bench.json``, with the SHA-256 of each.

    A run that an earlier call finished is kept; one that ended in an error is tried again. What an item's process could not
    write itself, because it crashed or was killed, is written for it.

    Raises:
        RunnerError: bad-schedule, or other-schedule when ``out`` belongs to another one.
    """
    schedule = read_schedule(schedule_path)
    make_folder(out)
    _claim(out, read_json(schedule_path))
    begin, ran = time.monotonic(), 0
    teller = Teller("bench", len(schedule.items), "runs", every_s=0.0)
    for index, item in enumerate(schedule.items):
        if not _finished(run_file(out, index)):
            _run_one(schedule, index, item, out)
            ran += 1
        teller.step(index + 1)
    failed = [index for index in range(len(schedule.items)) if not _finished(run_file(out, index))]
    result = {
        "schema": SCHEMA,
        "items": len(schedule.items),
        "ran_now": ran,
        "failed": failed,
        "seconds": time.monotonic() - begin,
        "sha256": {path.name: sha256_of(path) for path in (run_file(out, index) for index in range(len(schedule.items)))},
    }
    write_json(out / RESULT, result)
    return result


def clean_environment(kit: Path) -> Dict[str, str]:
    """Variables for a process in a kit: nothing that would change which code runs or how a runtime computes."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    kept.update(kept_variables())
    return dict(kept, PYTHONPATH=str(kit), PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1")


def kill_group(process: Any) -> None:
    """Kill a process that leads a group, and everything in that group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # nobody is left
    finally:
        process.wait()


def ending(returncode: int) -> str:
    """How a process ended, in words."""
    if returncode >= 0:
        return "exit status {}".format(returncode)
    try:
        return "signal {}".format(signal.Signals(-returncode).name)
    except ValueError:
        return "signal {}".format(-returncode)


def _claim(out: Path, wanted: Any) -> None:
    path = out / _COPY
    if path.is_file() and read_json(path) != wanted:
        raise RunnerError("other-schedule", "{}: holds runs of another schedule".format(out), hint="give an empty folder")
    if not path.is_file():
        write_json(path, wanted)


def _finished(path: Path) -> bool:
    return path.is_file() and "error" not in read_json(path)


def _run_one(schedule: Schedule, index: int, item: Item, out: Path) -> None:
    target, log = run_file(out, index), out / "run-{:05d}.log".format(index)
    if target.is_file():
        target.unlink()
    command = [python_of(item.kit), "-m", "runner.runs.worker", "--schedule", str((out / _COPY).resolve()), "--index", str(index)]
    try:
        error = _watch(command + ["--out", str(out.resolve())], item.kit, schedule.timeout_s, log)
    except OSError as problem:
        error = RunnerError("worker-not-started", "{}: no process could be started here".format(item.kit), str(problem)).facts()
    if not target.is_file():
        error = error or _crash(0, log)
        write_json(target, dict(describe(item), trace=None, error=error))
    if _finished(target):
        log.unlink()


def _watch(command: List[str], kit: Path, timeout_s: float, log: Path) -> Optional[Dict[str, Any]]:
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            cwd=str(kit),
            env=dict(clean_environment(kit), **spawned_now()),
            stdin=subprocess.PIPE,  # open until we end: the worker's lease
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            returncode = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            why = "it was killed after {:g} s".format(timeout_s)
            return RunnerError("worker-timed-out", "{}: a run did not end".format(kit.name), why, "raise timeout_s").facts()
        finally:
            kill_group(process)
            if process.stdin is not None:
                process.stdin.close()
    return _crash(returncode, log) if returncode else None


def _crash(returncode: int, log: Path) -> Dict[str, Any]:
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
    why = "{}{}".format(ending(returncode), "; it said last: " + " | ".join(last) if last else ", and it said nothing")
    return RunnerError("worker-crashed", "a run's process ended without a result", why).facts()
