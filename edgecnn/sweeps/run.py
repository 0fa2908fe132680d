"""Works a sweep off: each build is a process of its own, so that one that fails, or is killed, takes no other with it.

What is made is shared through the store, by its key. With several jobs, networks are trained and kits made at the same time;
then builds are measured one after another, with the machine to themselves, since two that are timed at once measure each other.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from edgecnn.errors.base import ExitCode
from edgecnn.results.folder import REPORT, report_or_none
from edgecnn.runner.machine.environment import available_cores
from edgecnn.store.store import Store
from edgecnn.sweeps.file import Cell, by_training
from edgecnn.sweeps.since import keep, since
from edgecnn.sweeps.state import LOGS, CellOutcome, SweepState, build_folder, write_state
from edgecnn.values.stage import Progress

MAKE: Final = "package"
"""The verb that makes kits and measures nothing."""
_TO_END_S: Final = 60.0
"""That an interrupted build has to put its things down."""
_LAST_LINE_BYTES: Final = 1 << 16


_OF_THE_JOB: Final = ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY")
"""By which a build would tell a job of itself; the sweep does so once for all."""
_ENDS_WITH_PARENT: Final = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGINT); "
    "os.execv(sys.executable, [sys.executable, '-m', 'edgecnn', *sys.argv[1:]])"
)
"""prctl(2), PR_SET_PDEATHSIG, which outlives an exec: a sweep that is killed interrupts its builds."""
_COMMAND: Final = ("-c", _ENDS_WITH_PARENT) if sys.platform.startswith("linux") else ("-m", "edgecnn")


@dataclass
class _Children:
    """Builds that run now, each a process in a session of its own, so that Ctrl-C reaches it once, from here."""

    out: Path
    running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    stopped: bool = False

    def run(self, verb: str, cell: Cell, threads: int | None = None) -> int:
        """Run a verb of one build to its end, and give its exit code; what it says goes to the build's log."""
        if self.stopped:
            return ExitCode.INTERRUPTED
        host = () if cell.host is None or verb == MAKE else ("--host", cell.host)
        words = [verb, *cell.words, *host, "--out", str(build_folder(self.out, cell.name))]
        inherited = {name: value for name, value in os.environ.items() if name not in _OF_THE_JOB}
        own = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        with log_of(self.out, cell.name).open("ab") as log:
            log.write(f"$ {shlex.join(['edgecnn', *words])}\n".encode())
            log.flush()
            child = subprocess.Popen(  # noqa: S603 - words of the sweep's own cells
                [sys.executable, *_COMMAND, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**inherited, **own}, start_new_session=True,
            )  # fmt: skip
            self.running.add(child)
            try:
                return child.wait()
            finally:
                if child.poll() is not None:
                    self.running.discard(child)

    @contextmanager
    def ended(self) -> Iterator[None]:
        """Whatever ends the block ends every build, which keeps what it finished."""
        try:
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        """Interrupt what runs, as Ctrl-C does, and wait until it has put its things down."""
        self.stopped = True
        for child in list(self.running):
            with suppress(ProcessLookupError):
                child.send_signal(signal.SIGINT)
        for child in list(self.running):
            try:
                child.wait(_TO_END_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def log_of(out: Path, name: str) -> Path:
    """Where a build of a sweep says what it says."""
    return out / LOGS / f"{name}.log"


@dataclass(frozen=True)
class SweepRun:
    """What one call works off."""

    out: Path
    todo: Sequence[Cell]
    asked: Mapping[str, str]
    """Build to ``fingerprints`` of it."""
    store: Store
    jobs: int = 1
    total: int = 0
    """Builds of the sweep, those that are finished included."""


def work_off(run: SweepRun, state: SweepState, tell: Progress) -> SweepState:
    """Make and measure every build, one's failure leaving the others; the state is written after each.

    Raises KeyboardInterrupt: after every running build has put its things down.
    """
    children = _Children(run.out)
    (run.out / LOGS).mkdir(parents=True, exist_ok=True)
    for cell in run.todo:
        keep(run.out, state.outcomes.get(cell.name), run.asked[cell.name])
        log_of(run.out, cell.name).unlink(missing_ok=True)
    done = run.total - len(run.todo)
    with children.ended():
        made = _made_at_once(run, children, tell) if run.jobs > 1 else {}
        for cell in (cell for group in by_training(run.todo) for cell in group):
            tell.step("sweep", done, run.total, "builds")
            tell.note(f"{cell.name}: begun; it says how far it is in {log_of(run.out, cell.name)}")
            outcome = _ended(run, cell, partial(children.run, "build", cell), made.get(cell.name, 0.0))
            state = state.with_outcome(outcome)
            write_state(run.out, state)
            done += 1
            tell.note(_said(outcome, run.out))
    tell.step("sweep", done, run.total, "builds")
    return state


def _said(outcome: CellOutcome, out: Path) -> str:
    report = report_or_none(build_folder(out, outcome.name)) if outcome.reported else None
    return f"{outcome.name}: " + (f"failed: {outcome.error}" if report is None else f"{report.verdict}, {outcome.seconds:,.0f} s")


def _timed(work: Callable[[], int]) -> tuple[int, float]:
    """Exit code of a build, and the seconds that it took. Raises KeyboardInterrupt: it was interrupted."""
    started = time.monotonic()
    code = work()
    if code in (ExitCode.INTERRUPTED, -signal.SIGINT):
        raise KeyboardInterrupt
    return code, time.monotonic() - started


def _ended(run: SweepRun, cell: Cell, work: Callable[[], int], spent: float) -> CellOutcome:
    """Do the work, and say how it ended. A report counts where this work wrote it. ``spent``: seconds before it."""
    report = build_folder(run.out, cell.name) / REPORT
    before = _written_at(report)
    code, took = _timed(work)
    reported = _written_at(report) not in (None, before)
    return CellOutcome(
        name=cell.name,
        asked=run.asked[cell.name],
        exit_code=code,
        reported=reported,
        error=None if reported else _last_line(log_of(run.out, cell.name), code),
        seconds=round(spent + took, 1),
        ended_at=datetime.now(UTC).isoformat(timespec="seconds"),
        since=since(run.out, cell.name, run.store) if reported else None,
    )


def _written_at(report: Path) -> int | None:
    try:
        return report.stat().st_mtime_ns
    except OSError:
        return None


def _last_line(log: Path, code: int) -> str:
    """What a build said last; of one that was killed, by which signal."""
    if code < 0:
        return f"ended by {signal.Signals(-code).name}, as where memory ran out or somebody killed it"
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _LAST_LINE_BYTES))
        lines = stream.read().decode("utf-8", "replace").splitlines()
    said = next((line for line in reversed(lines) if line.strip()), f"exit {code}")
    return said.removeprefix("edgecnn: error: ")


def _made_at_once(run: SweepRun, children: _Children, tell: Progress) -> dict[str, float]:
    """Seconds of making each build's kits. The first build of a training goes before the others of it, which then find what it
    made. How that ends is left to the build itself, which may well ship without what could not be made."""
    threads = max(1, available_cores() // run.jobs)
    found, running = dict[str, float](), dict[Future[tuple[int, float]], tuple[Cell, list[Cell]]]()
    with ThreadPoolExecutor(run.jobs) as pool:

        def begin(cell: Cell, after: list[Cell]) -> None:
            running[pool.submit(_timed, partial(children.run, MAKE, cell, threads))] = cell, after

        try:
            for leader, *others in by_training(run.todo):
                begin(leader, others)
            while running:
                tell.step("sweep: make kits", len(found), len(run.todo), "builds")
                for each in wait(running, return_when=FIRST_COMPLETED).done:
                    cell, after = running.pop(each)
                    found[cell.name] = each.result()[1]
                    for other in after:
                        begin(other, [])
        except BaseException:  # the pool waits for its threads, and those for the builds
            pool.shutdown(wait=False, cancel_futures=True)
            children.stop()
            raise
    return found
