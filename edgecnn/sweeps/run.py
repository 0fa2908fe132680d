"""Run a sweep: each build is a separate process, so a build that fails or is killed does not stop the others.

Builds share stages through the store. Builds that different boards measure run at the same time, in lanes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock
from types import TracebackType
from typing import Final

from edgecnn.devices.leases import Lease, Wait
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.results.folder import REPORT, report_or_none
from edgecnn.store.store import Store
from edgecnn.sweeps.boards import Ended, Pool
from edgecnn.sweeps.file import Cell, group_by_training
from edgecnn.sweeps.kin import bench_words, unraced
from edgecnn.sweeps.processes import INTERRUPTED, Children, ending_of, log_of
from edgecnn.sweeps.state import LOGS, CellOutcome, SweepState, build_folder, keep, since, usable, write_state
from edgecnn.sweeps.tasks import run_in_order, training_threads_there
from edgecnn.values.board import EMULATED
from edgecnn.values.stage import Progress


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


def work_off(run: SweepRun, state: SweepState, tell: Progress, make: Make | None = None) -> SweepState:
    """Make and measure every build, and write the state after each. A failed build does not stop the others.

    ``make``: makes the stages; None: each build makes its own, or several processes on this machine do.

    Raises KeyboardInterrupt: after every running build has saved its work. NOT_A_SWEEP_FOLDER: logs or earlier reports cannot be
    written. Also raises the errors of ``make``.
    """
    threads = None if make is None else training_threads_there()
    children = Children(run.out, run.jobs, threads, stopped=run.pool.over if run.pool else Event())
    with usable(run.out / LOGS):
        (run.out / LOGS).mkdir(parents=True, exist_ok=True)
        for cell in run.todo:
            log_of(run.out, cell.name).unlink(missing_ok=True)
    for cell in run.todo:
        keep(run.out, state.outcomes.get(cell.name), run.fingerprints[cell.name])
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
            self.tell.note(f"{cell.name}: started; its log is {log_of(self._run.out, cell.name)}")

    def take(self, outcome: CellOutcome) -> None:
        """Record the outcome of a build."""
        with self._lock:
            self.state = self.state.with_outcome(outcome)
            self.write()
            self._done += 1
            self.tell.note(_outcome_line(outcome, self._run.out))
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
        work = partial(_measure, run, children, cell, tell, kits_made=made)
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
            tell.note(f"{board} is not compared with others of its kind: {ending_of(ended, log_of(run.out, cell.name))}")


def _measure(run: SweepRun, children: Children, cell: Cell, tell: Progress, *, kits_made: bool) -> Ended:
    """Build and measure on this machine, on the host, or on a board that is leased after the kits are made.

    ``kits_made``: whether the kits are made already, as far as possible.
    """
    if run.pool is None or not run.pool.has(cell):
        return _timed(lambda: children.run("build", cell))
    making = Ended(ExitCode.OK)
    if not kits_made and (making := _timed(lambda: children.make(cell))).code == ExitCode.BAD_INPUT:
        return making

    def build(lease: Lease) -> Ended:
        before = _modified_ns(build_folder(run.out, cell.name) / REPORT)
        ended = _timed(lambda: children.run("build", cell, lease=lease))
        reported = _modified_ns(build_folder(run.out, cell.name) / REPORT) != before
        return ended._replace(error=None if reported else ended.error, board=lease.board.name)

    ended = run.pool.measured(cell, build, tell)
    return ended._replace(seconds=making.seconds + ended.seconds)


def _outcome_line(outcome: CellOutcome, out: Path) -> str:
    report = report_or_none(build_folder(out, outcome.name)) if outcome.reported else None
    return f"{outcome.name}: " + (f"failed: {outcome.error}" if report is None else f"{report.verdict}, {outcome.seconds:,.0f} s")


def _timed(work: Callable[[], Ended]) -> Ended:
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
        error=None if reported else ending_of(ended, log_of(run.out, cell.name)),
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
        ended = _timed(lambda: children.make(cells[name]))
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
