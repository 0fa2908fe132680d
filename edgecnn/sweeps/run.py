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

from edgecnn.devices.leases.protocol import Lease
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.results.folder import REPORT, report_or_none
from edgecnn.runner.machine.environment import available_cores
from edgecnn.store.store import Store
from edgecnn.sweeps.boards import Ended, Pool, words_of
from edgecnn.sweeps.file import Cell, by_training
from edgecnn.sweeps.kin import bench_words, unraced
from edgecnn.sweeps.since import keep, since
from edgecnn.sweeps.state import LOGS, CellOutcome, SweepState, build_folder, write_state
from edgecnn.values.stage import Progress

MAKE: Final = "package"
"""The verb that makes kits and measures nothing."""
_TO_END_S: Final = 60.0
"""That an interrupted build has to put its things down."""
_LOOK_S: Final = 1.0
_LAST_LINE_BYTES: Final = 1 << 16


_INTERRUPTED: Final = (ExitCode.INTERRUPTED, -signal.SIGINT)
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

    def run(self, verb: str, cell: Cell, threads: int | None = None, lease: Lease | None = None) -> int:
        """Run a verb of one build to its end, and give its exit code; what it says goes to the build's log.

        ``lease``: of the board that measures it. Raises BoardTaken, CoordinatorUnreachable: it was lost, and the build ended.
        """
        if self.stopped:
            return ExitCode.INTERRUPTED
        host = words_of(lease.board) if lease else () if cell.host is None or verb == MAKE else ("--host", cell.host)
        return self.start([verb, *cell.words, *host, "--out", str(build_folder(self.out, cell.name))], cell, threads, lease)

    def start(self, words: Sequence[str], cell: Cell, threads: int | None = None, lease: Lease | None = None) -> int:
        """The same of any command about the build."""
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
                return child.wait() if lease is None else _under(lease, child)
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
        _interrupt(list(self.running))


def _interrupt(children: Sequence[subprocess.Popen[bytes]]) -> None:
    for child in children:
        with suppress(ProcessLookupError):
            child.send_signal(signal.SIGINT)
    for child in children:
        try:
            child.wait(_TO_END_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _under(lease: Lease, child: subprocess.Popen[bytes]) -> int:
    """Wait for its end; whatever else ends the wait ends the build first, and only then is the board given back."""
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return child.wait(_LOOK_S)
            if (error := lease.lost()) is not None:
                raise error
    except BaseException:
        _interrupt([child])
        raise


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
    pool: Pool | None = None
    """Boards that are leased."""
    cells: Sequence[Cell] = ()
    """Every build of the sweep, where boards are leased."""


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
            work = partial(_measured, run, children, cell, tell)
            outcome = _ended(run, cell, work, made.get(cell.name, 0.0))
            state = state.with_outcome(outcome, run.pool.set_aside if run.pool else {})
            write_state(run.out, state)
            done += 1
            tell.note(_said(outcome, run.out))
        if run.pool is not None:
            _race_kin(run.pool, run, children, state, tell)
            state = state.model_copy(update={"set_aside": dict(run.pool.set_aside)})
            write_state(run.out, state)
    tell.step("sweep", done, run.total, "builds")
    return state


def _race_kin(pool: Pool, run: SweepRun, children: _Children, state: SweepState, tell: Progress) -> None:
    """Race a build of each device on the further boards that measured others of it; a board that fails there is said."""
    leased = [cell for cell in run.cells if pool.has(cell)]
    for cell, board in tuple(unraced(leased, state.outcomes, run.out)):
        try:
            with pool.leased(cell, tell, board) as lease:
                tell.note(f"{cell.name}: raced on {board}, to compare it with others of its kind")
                code = children.start(bench_words(cell, lease.board, run.out), cell, lease=lease)
        except EdgecnnError as error:
            tell.note(f"{board} is not compared with others of its kind: {error.line()}")
            continue
        if code in _INTERRUPTED:
            raise KeyboardInterrupt
        if (cell, board) in tuple(unraced(leased, state.outcomes, run.out)):
            tell.note(f"{board} is not compared with others of its kind: {_last_line(log_of(run.out, cell.name), code)}")


def _measured(run: SweepRun, children: _Children, cell: Cell, tell: Progress) -> Ended:
    """Build it where it is measured: here, at its host, or on a board that is leased once its kits are made."""
    if run.pool is None or not run.pool.has(cell):
        return Ended(children.run("build", cell))
    log = log_of(run.out, cell.name)
    code = children.run(MAKE, cell)
    if code in (ExitCode.BAD_INPUT, *_INTERRUPTED):
        return Ended(code)

    def build(lease: Lease) -> Ended:
        before = _written_at(build_folder(run.out, cell.name) / REPORT)
        code = children.run("build", cell, lease=lease)
        reported = _written_at(build_folder(run.out, cell.name) / REPORT) != before
        return Ended(code, None if reported or code in _INTERRUPTED else _last_line(log, code), lease.board.name)

    return run.pool.measured(cell, build, tell)


def _said(outcome: CellOutcome, out: Path) -> str:
    report = report_or_none(build_folder(out, outcome.name)) if outcome.reported else None
    return f"{outcome.name}: " + (f"failed: {outcome.error}" if report is None else f"{report.verdict}, {outcome.seconds:,.0f} s")


def _timed(work: Callable[[], Ended]) -> tuple[Ended, float]:
    """How a build ended, and the seconds that it took. Raises KeyboardInterrupt: it was interrupted."""
    started = time.monotonic()
    ended = work()
    if ended.code in _INTERRUPTED:
        raise KeyboardInterrupt
    return ended, time.monotonic() - started


def _ended(run: SweepRun, cell: Cell, work: Callable[[], Ended], spent: float) -> CellOutcome:
    """Do the work, and say how it ended. A report counts where this work wrote it. ``spent``: seconds before it."""
    report = build_folder(run.out, cell.name) / REPORT
    before = _written_at(report)
    ended, took = _timed(work)
    reported = _written_at(report) not in (None, before)
    return CellOutcome(
        name=cell.name,
        asked=run.asked[cell.name],
        exit_code=ended.code,
        reported=reported,
        error=None if reported else ended.error or _last_line(log_of(run.out, cell.name), ended.code),
        board=ended.board if reported else None,
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
    found, running = dict[str, float](), dict[Future[tuple[Ended, float]], tuple[Cell, list[Cell]]]()
    with ThreadPoolExecutor(run.jobs) as pool:

        def begin(cell: Cell, after: list[Cell]) -> None:
            running[pool.submit(_timed, lambda: Ended(children.run(MAKE, cell, threads)))] = cell, after

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
