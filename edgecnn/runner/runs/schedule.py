"""Run a schedule, each item in a fresh process: a crash or a hang costs only its item."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

from ..files import make_folder, read_json, sha256_of, write_json
from ..messages import RunnerError, Teller
from ..packages import dropped_path_in
from .items import Item, Schedule, read_schedule, run_file, run_header
from .parent import TURN_OPTION, StartedRun, Turn, run_in_turn, spawn_variable
from .processes import STARTED_BY, clean_environment, exit_text, kill_group

SCHEMA = "edgecnn.bench/1"
RESULT = "bench.json"
_COPY = "schedule.json"
OPENED_AT_ONCE = 6
"""Each open model keeps memory, also on a GPU, until all have had their turn."""


def bench(schedule_path: Path, out: Path) -> Dict[str, Any]:
    """Write ``run-00000.json``… into ``out``, and last ``bench.json``, with the SHA-256 of each.

    Finished runs of an earlier call are kept, failed ones are repeated. This function writes the run file of a process that
    crashed or was killed.

    Raises:
        RunnerError: bad-schedule; other-schedule if ``out`` belongs to another schedule.
    """
    schedule = read_schedule(schedule_path)
    make_folder(out)
    wanted, copy = read_json(schedule_path), out / _COPY
    if not copy.is_file():
        write_json(copy, wanted)
    elif read_json(copy) != wanted:
        raise RunnerError("other-schedule", "{}: holds runs of another schedule".format(out), hint="pass an empty folder")
    begin, ran = time.monotonic(), 0
    teller = Teller("bench", len(schedule.items), "runs", every_s=0.0)
    for wave in _waves(schedule.items):
        unfinished = [index for index in wave if not _is_finished(run_file(out, index))]
        if wave[0] != wave[-1]:
            _run_together(schedule, unfinished, out, lambda done, wave=wave: teller.step(wave[0] + done))  # type: ignore[misc]
        elif unfinished:
            _run_one(schedule, unfinished[0], schedule.items[unfinished[0]], out)
        ran += len(unfinished)
        teller.step(wave[-1] + 1)
    failed = [index for index in range(len(schedule.items)) if not _is_finished(run_file(out, index))]
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


def _is_finished(path: Path) -> bool:
    return path.is_file() and "error" not in read_json(path)


def _waves(items: List[Item]) -> List[List[int]]:
    """Group the items' indexes: up to ``OPENED_AT_ONCE`` consecutive items of a round that open together, others alone."""
    waves = []  # type: List[List[int]]
    for index, item in enumerate(items):
        before = items[index - 1]
        is_neighbour = index and item.together and before.together and item.round == before.round
        if is_neighbour and len(waves[-1]) < OPENED_AT_ONCE:
            waves[-1].append(index)
        else:
            waves.append([index])
    return waves


def _run_one(schedule: Schedule, index: int, item: Item, out: Path) -> None:
    log = _log_file(out, index)
    try:
        with _worker(schedule, index, out) as process:
            try:
                code = process.wait(schedule.timeout_s)  # type: Optional[int]
            except subprocess.TimeoutExpired:
                code = None
            error = _end_error(item, code, schedule, log)
    except OSError as problem:
        error = _start_error(item, problem)
    _complete_run_file(out, index, item, error)


def _run_together(schedule: Schedule, indexes: List[int], out: Path, step: Callable[[int], None]) -> None:
    errors = {}  # type: Dict[int, Optional[Dict[str, Any]]]
    with ExitStack() as running:
        started = []
        for index in indexes:
            item, turn = schedule.items[index], Turn(run_file(out, index))
            turn.clear()
            try:
                process = running.enter_context(_worker(schedule, index, out, TURN_OPTION))
            except OSError as problem:
                errors[index] = _start_error(item, problem)
                continue

            def ended(code: Optional[int], index: int = index, item: Item = item) -> None:
                errors[index] = _end_error(item, code, schedule, _log_file(out, index))

            started.append(StartedRun(process, turn, partial(kill_group, process), ended))
        run_in_turn(started, schedule.timeout_s, step)
    for index in indexes:
        _complete_run_file(out, index, schedule.items[index], errors[index])


@contextmanager
def _worker(schedule: Schedule, index: int, out: Path, *words: str) -> Iterator[Any]:
    """Start the process of an item after deleting its old run file. Kill its process group at the end."""
    item, target = schedule.items[index], run_file(out, index)
    if target.is_file():
        target.unlink()
    command = [
        os.environ.get(STARTED_BY) or sys.executable,
        "-m",
        "runner.runs.worker",
        "--schedule",
        str((out / _COPY).resolve()),
        "--index",
        str(index),
    ]
    with _log_file(out, index).open("wb") as stream:
        process = subprocess.Popen(
            command + ["--out", str(out.resolve())] + list(words),
            cwd=str(item.kit),
            env=dict(clean_environment(item.kit), **spawn_variable()),
            stdin=subprocess.PIPE,  # the worker's lease, open until this process ends
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            kill_group(process)
            if process.stdin is not None:
                process.stdin.close()


def _complete_run_file(out: Path, index: int, item: Item, error: Optional[Dict[str, Any]]) -> None:
    target, log = run_file(out, index), _log_file(out, index)
    if not target.is_file():
        error = error or _crash_error(0, log)
        write_json(target, dict(run_header(item), trace=None, error=error))
    if _is_finished(target):
        log.unlink()


def _log_file(out: Path, index: int) -> Path:
    return out / "run-{:05d}.log".format(index)


def _end_error(item: Item, returncode: Optional[int], schedule: Schedule, log: Path) -> Optional[Dict[str, Any]]:
    """Return the error of a process's end, or None. ``returncode``: None if it timed out."""
    if returncode is None:
        why = "it was killed after {:g} s".format(schedule.timeout_s)
        return RunnerError("worker-timed-out", "{}: a run timed out".format(item.kit.name), why, "raise timeout_s").facts()
    return _crash_error(returncode, log) if returncode else None


def _start_error(item: Item, problem: OSError) -> Dict[str, Any]:
    return RunnerError("worker-not-started", "{}: the run's process cannot be started".format(item.kit), str(problem)).facts()


def _crash_error(returncode: int, log: Path) -> Dict[str, Any]:
    output = log.read_text(encoding="utf-8", errors="replace").strip()
    last = output.splitlines()[-3:]
    why = "{}{}".format(exit_text(returncode), "; its last output: " + " | ".join(last) if last else ", without output")
    why = "; ".join(filter(None, (why, dropped_path_in(output))))
    return RunnerError("worker-crashed", "a run's process ended without a result", why).facts()
