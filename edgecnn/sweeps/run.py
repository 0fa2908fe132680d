"""Run a sweep: each build is a separate process, so a build that fails or is killed does not stop the others.

A process has a command line that a person could type, and a log. Builds share stages through the store. Builds that different
boards measure run at the same time, in lanes.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Semaphore
from types import TracebackType
from typing import Final

from edgecnn.devices.leases import Lease, Wait
from edgecnn.errors.base import KEPT_IN, EdgecnnError, ExitCode, error_again
from edgecnn.results.folder import REPORT, report_or_none
from edgecnn.runner.runs.processes import kill_group
from edgecnn.store.disk import inside
from edgecnn.store.store import Store
from edgecnn.sweeps.boards import Ended, Pool, bench_words, board_options, unraced
from edgecnn.sweeps.file import Cell, group_by_training
from edgecnn.sweeps.state import (
    LOGS,
    CellOutcome,
    SweepState,
    build_folder,
    keep_earlier_report,
    named_failures,
    since,
    write_state,
)
from edgecnn.sweeps.tasks import run_in_order, training_threads_there
from edgecnn.training.settings import training_threads
from edgecnn.values.board import EMULATED
from edgecnn.values.stage import Progress

MAKE: Final = "package"
"""The verb that makes kits and measures nothing."""
INTERRUPTED: Final = (ExitCode.INTERRUPTED, -signal.SIGINT)
"""Exit codes of an interrupted build."""
_TO_END_S: Final = 60.0
"""Time that an interrupted build has to save its work."""
_LOOK_S: Final = 1.0
_JOB_VARIABLES: Final = ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY")
"""Variables by which a build would report to a CI job; the sweep reports once for all builds."""
_ENDS_WITH_PARENT: Final = (
    "import ctypes, os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); ctypes.CDLL(None).prctl(1, signal.SIGINT); "
    "os.execv(sys.executable, [sys.executable, '-m', 'edgecnn', *sys.argv[1:]])"
)
"""Program that interrupts the build if the sweep is killed, by prctl(2) with PR_SET_PDEATHSIG.

The setting survives exec, and works in background jobs too.
"""
_COMMAND: Final = ("-c", _ENDS_WITH_PARENT) if sys.platform.startswith("linux") else ("-m", "edgecnn")


@dataclass
class Children:
    """Running builds, each a process in a separate session, so that Ctrl-C reaches it only once, from here."""

    out: Path
    jobs: int = 1
    """Number of processes that make kits at the same time."""
    threads: int | None = None
    """Threads of trainings on a cluster; None: the threads of this machine."""
    running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    stopped: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self._making = Semaphore(self.jobs)

    def run(self, verb: str, cell: Cell, threads: int | None = None, lease: Lease | None = None) -> Ended:
        """Run a verb of one build to its end, with its output in the build's log.

        ``lease``: of the board that measures it. Raises BoardTaken, CoordinatorUnreachable: the lease was lost, and the build
        has ended.
        """
        if self.stopped.is_set():
            return Ended(ExitCode.INTERRUPTED)
        host = board_options(lease.board) if lease else () if cell.host is None or verb == MAKE else ("--host", cell.host)
        return self.start([verb, *cell.words, *host, "--out", str(build_folder(self.out, cell.name))], cell, threads, lease)

    def make(self, cell: Cell) -> Ended:
        """Make a build's kits with its share of the cores; at most ``jobs`` builds at the same time."""
        with self._making:
            return self.run(MAKE, cell, max(1, training_threads() // self.jobs))

    def start(self, words: Sequence[str], cell: Cell, threads: int | None = None, lease: Lease | None = None) -> Ended:
        """Run any command for the build, as ``run`` does. Raises NOT_A_SWEEP_FOLDER: its log cannot be written."""
        inherited = {name: value for name, value in os.environ.items() if name not in _JOB_VARIABLES}
        threads = self.threads or threads
        own = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        with named_failures(path := log_path(self.out, cell.name)):
            log = path.open("ab")
        with log, tempfile.TemporaryDirectory(prefix="edgecnn-ended-") as folder:
            file = Path(folder) / "error.json"
            log.write(f"$ {shlex.join(['edgecnn', *words])}\n".encode())
            log.flush()
            child = subprocess.Popen(  # noqa: S603 - words of the sweep's own cells
                [sys.executable, *_COMMAND, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**inherited, **own, KEPT_IN: str(file)}, start_new_session=True,
            )  # fmt: skip
            self.running.add(child)
            if self.stopped.is_set():  # in the meantime
                child.send_signal(signal.SIGINT)
            try:
                code = child.wait() if lease is None else _wait_under_lease(lease, child)
                return Ended(code, _error_in(file))
            finally:
                if child.poll() is not None:
                    self.running.discard(child)

    @contextmanager
    def ended(self) -> Iterator[None]:
        """Stop every build at the end of the block; a stopped build keeps what it finished."""
        try:
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        """Interrupt running builds, like Ctrl-C, and wait until they have saved their work."""
        self.stopped.set()
        _interrupt(list(self.running))


def _interrupt(children: Sequence[subprocess.Popen[bytes]]) -> None:
    for child in children:
        with suppress(ProcessLookupError):
            child.send_signal(signal.SIGINT)
    end = time.monotonic() + _TO_END_S
    for child in children:
        try:
            child.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            kill_group(child)  # with its children: it leads a session


def _wait_under_lease(lease: Lease, child: subprocess.Popen[bytes]) -> int:
    """Wait for the process. Any error ends the build first, and only then is the board released."""
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return child.wait(_LOOK_S)
            if (error := lease.lost()) is not None:
                raise error
    except BaseException:
        _interrupt([child])
        raise


def log_path(out: Path, name: str) -> Path:
    """Return the path of a build's log."""
    return inside(out, LOGS, f"{name}.log")


def ending_text(ended: Ended, log: Path) -> str:
    """Return why a build left no report: its error, the signal that ended it, or its exit code and log."""
    if ended.error is not None:
        return ended.error.line()
    if ended.code < 0:
        return f"ended by {signal.Signals(-ended.code).name}; it was killed, for example because memory ran out"
    how = "interrupted" if ended.code == ExitCode.INTERRUPTED else f"exit {ended.code}"
    return f"{how}; its log is {log}"


def _error_in(file: Path) -> EdgecnnError | None:
    try:
        return error_again(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError):  # it succeeded, or was killed before it could write its error
        return None


class Lanes:
    """Runs calls in lanes. The context waits for running calls; after an exception it drops waiting calls.

    ``stop``: called after an exception, to stop running calls.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._pools = dict[str, ThreadPoolExecutor]()
        self._ended = SimpleQueue[BaseException | None]()
        self._open = 0

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            for pool in self._pools.values():
                pool.shutdown(wait=False, cancel_futures=True)
            self._stop()
        for pool in self._pools.values():
            pool.shutdown()

    def begin(self, lane: str, wide: int, call: Callable[[], None]) -> None:
        """Run a call when its lane has room. ``wide``: calls of the lane that run at once; the lane's first call decides."""
        if lane not in self._pools:
            self._pools[lane] = ThreadPoolExecutor(max(1, wide))
        self._open += 1
        self._pools[lane].submit(self._run, call)

    def wait(self) -> None:
        """Wait for the last call. Raises the first exception of a call."""
        while self._open:
            self._open -= 1
            if (error := self._ended.get()) is not None:
                raise error

    def _run(self, call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - ``wait`` raises it again
            self._ended.put(error)
        else:
            self._ended.put(None)


KIN_WAIT_S: Final = 60.0
"""Longest wait for a busy board that is only compared with others of its kind."""


@dataclass(frozen=True)
class SweepRun:
    """The builds of one call."""

    out: Path
    todo: Sequence[Cell]
    fingerprints: Mapping[str, str]
    """Build to its fingerprint."""
    store: Store
    jobs: int = 1
    total: int = 0
    """Number of builds of the sweep, including finished ones."""
    pool: Pool | None = None
    """Leased boards."""
    cells: Sequence[Cell] = ()
    """Every build of the sweep, if boards are leased."""


Make = Callable[[Sequence[Cell], Callable[[str], None]], None]
"""Makes the missing stages of builds, and reports each build by name when its stages are made or cannot be made."""


def run_builds(run: SweepRun, state: SweepState, tell: Progress, make: Make | None = None) -> SweepState:
    """Make and measure every build, and write the state after each. A failed build does not stop the others.

    ``make``: makes the stages; None: each build makes its own, or several processes on this machine do.

    Raises KeyboardInterrupt: after every running build has saved its work. NOT_A_SWEEP_FOLDER: logs or earlier reports cannot be
    written. Also raises the errors of ``make``.
    """
    threads = None if make is None else training_threads_there()
    children = Children(run.out, run.jobs, threads, stopped=run.pool.over if run.pool else Event())
    with named_failures(run.out / LOGS):
        (run.out / LOGS).mkdir(parents=True, exist_ok=True)
        for cell in run.todo:
            log_path(run.out, cell.name).unlink(missing_ok=True)
    for cell in run.todo:
        keep_earlier_report(run.out, state.outcomes.get(cell.name), run.fingerprints[cell.name])
    ledger = _Ledger(run, state, tell)
    with children.ended():
        _measure_all(run, children, ledger, make)
        if run.pool is not None:
            _race_kin(run.pool, run, children, ledger.state, tell)
            ledger.write()
    return ledger.state


class _Ledger:
    """The state of a sweep, written by any thread when a build starts or ends."""

    def __init__(self, run: SweepRun, state: SweepState, tell: Progress) -> None:
        self.state, self.tell = state, tell
        self._run, self._done, self._lock = run, run.total - len(run.todo), Lock()
        tell.step("sweep", self._done, run.total, "builds")

    def begin(self, cell: Cell) -> None:
        """Record the start of a build, before it writes anything."""
        with self._lock:
            self.state = self.state.with_begun(cell.name)
            self.write()
            self.tell.note(f"{cell.name}: started; its log is {log_path(self._run.out, cell.name)}")

    def take(self, outcome: CellOutcome) -> None:
        """Record the outcome of a build."""
        with self._lock:
            self.state = self.state.with_outcome(outcome)
            self.write()
            self._done += 1
            report = report_or_none(build_folder(self._run.out, outcome.name)) if outcome.reported else None
            shown = f"failed: {outcome.error}" if report is None else f"{report.verdict}, {outcome.seconds:,.0f} s"
            self.tell.note(f"{outcome.name}: {shown}")
            self.tell.step("sweep", self._done, self._run.total, "builds")

    def write(self) -> None:
        """Write the state, with the boards that are excluded by now."""
        aside = dict(self._run.pool.set_aside) if self._run.pool else {}
        self.state = self.state.model_copy(update={"set_aside": aside})
        write_state(self._run.out, self.state)


def _measure_all(run: SweepRun, children: Children, ledger: _Ledger, make: Make | None) -> None:
    """Measure builds of boards as soon as they are made, in parallel; then builds of this machine, one after another."""
    ordered, tell = [cell for group in group_by_training(run.todo) for cell in group], ledger.tell
    spent, waiting = dict[str, float](), {cell.name: cell for cell in ordered if _runs_on_board(cell, run.pool)}

    def measure(cell: Cell, *, made: bool) -> None:
        ledger.begin(cell)
        work = partial(_build_and_measure, run, children, cell, tell, kits_made=made)
        ledger.take(_run_and_record(run, cell, work, spent.get(cell.name, 0.0)))

    with Lanes(children.stop) as lanes:

        def begin(name: str, *, made: bool = True) -> None:
            if (cell := waiting.pop(name, None)) is not None:
                lane = (cell.host, 1) if cell.host or run.pool is None else (cell.device, run.pool.boards_of(cell))
                lanes.begin(str(lane[0]), lane[1], partial(measure, cell, made=made))

        if make is not None:
            make(ordered, begin)
        elif run.jobs > 1 or len(waiting) > 1:
            _make_at_once(run, children, tell, spent, begin)
        for name in list(waiting):
            begin(name, made=False)
        lanes.wait()
        for cell in ordered:
            if not _runs_on_board(cell, run.pool):
                measure(cell, made=False)


def _runs_on_board(cell: Cell, pool: Pool | None) -> bool:
    return cell.host not in (None, EMULATED) or (cell.host is None and pool is not None and pool.has(cell))


def _race_kin(pool: Pool, run: SweepRun, children: Children, state: SweepState, tell: Progress) -> None:
    """Race one build of each device on every board that measured builds of the device. Note boards that fail."""
    leased = [cell for cell in run.cells if pool.has(cell)]
    for cell, board in tuple(unraced(leased, state.outcomes, run.out)):
        try:
            with pool.leased(cell, Wait(tell, pool.over, at_most_s=KIN_WAIT_S), board) as lease:
                tell.note(f"{cell.name}: racing on {board}, to compare the board with others of its kind")
                ended = children.start(bench_words(cell, lease.board, run.out), cell, lease=lease)
        except (EdgecnnError, TimeoutError) as error:
            tell.note(f"{board} is not compared with others of its kind: {error}")
            continue
        if ended.code in INTERRUPTED:
            raise KeyboardInterrupt
        if (cell, board) in tuple(unraced(leased, state.outcomes, run.out)):
            tell.note(f"{board} is not compared with others of its kind: {ending_text(ended, log_path(run.out, cell.name))}")


def _build_and_measure(run: SweepRun, children: Children, cell: Cell, tell: Progress, *, kits_made: bool) -> Ended:
    """Build and measure on this machine, on the host, or on a board that is leased after the kits are made.

    ``kits_made``: whether the kits are made already, as far as possible.
    """
    if run.pool is None or not run.pool.has(cell):
        return _time_process(lambda: children.run("build", cell))
    making = Ended(ExitCode.OK)
    if not kits_made and (making := _time_process(lambda: children.make(cell))).code == ExitCode.BAD_INPUT:
        return making

    def build(lease: Lease) -> Ended:
        before = _modified_ns(build_folder(run.out, cell.name) / REPORT)
        ended = _time_process(lambda: children.run("build", cell, lease=lease))
        reported = _modified_ns(build_folder(run.out, cell.name) / REPORT) != before
        return ended._replace(error=None if reported else ended.error, board=lease.board.name)

    ended = run.pool.measured(cell, build, tell)
    return ended._replace(seconds=making.seconds + ended.seconds)


def _time_process(work: Callable[[], Ended]) -> Ended:
    """Return how a process ended, with its time. Raises KeyboardInterrupt: the process was interrupted."""
    started = time.monotonic()
    ended = work()
    if ended.code in INTERRUPTED:
        raise KeyboardInterrupt
    return ended._replace(seconds=time.monotonic() - started)


def _run_and_record(run: SweepRun, cell: Cell, work: Callable[[], Ended], spent: float) -> CellOutcome:
    """Do the work, and return its outcome. Only a report that this work wrote counts. ``spent``: earlier seconds."""
    report = build_folder(run.out, cell.name) / REPORT
    before = _modified_ns(report)
    ended = work()
    reported = _modified_ns(report) not in (None, before)
    return CellOutcome(
        name=cell.name,
        asked=run.fingerprints[cell.name],
        exit_code=ended.code,
        reported=reported,
        error=None if reported else ending_text(ended, log_path(run.out, cell.name)),
        board=ended.board if reported else None,
        seconds=round(spent + ended.seconds, 1),
        ended_at=datetime.now(UTC).isoformat(timespec="seconds"),
        since=since(run.out, cell.name, run.store) if reported else None,
    )


def _modified_ns(report: Path) -> int | None:
    try:
        return report.stat().st_mtime_ns
    except OSError:
        return None


def _make_at_once(
    run: SweepRun, children: Children, tell: Progress, spent: dict[str, float], ready: Callable[[str], None]
) -> None:
    """Make each build's kits, and record the seconds.

    The first build of a training runs before the others, which then find its artifacts in the store. Failures are left to the
    build itself, which may ship without the kit.
    """
    cells, waits_for = {cell.name: cell for cell in run.todo}, dict[str, list[str]]()
    for leader, *others in group_by_training(run.todo):
        waits_for |= {leader.name: [], **{other.name: [leader.name] for other in others}}

    def make(name: str) -> Ended:
        ended = _time_process(lambda: children.make(cells[name]))
        spent[name] = ended.seconds
        return ended._replace(error=None)  # the build itself reports what it lacks

    def some_ended(running: list[Future[Ended]]) -> Iterator[tuple[Future[Ended], Ended]]:
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            yield future, future.result()

    with ThreadPoolExecutor(run.jobs) as pool:
        try:
            tell.step("sweep: make kits", 0, len(run.todo), "builds")
            for name, _ in run_in_order(
                waits_for, lambda name: pool.submit(make, name), some_ended, lambda _, running: running < run.jobs
            ):
                tell.step("sweep: make kits", len(spent), len(run.todo), "builds")
                ready(name)
        except BaseException:  # the pool waits for its threads, and the threads wait for the builds
            pool.shutdown(wait=False, cancel_futures=True)
            children.stop()
            raise
