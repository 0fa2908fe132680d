"""Work a sweep off: each build is a process of its own, so that one that fails, or is killed, takes no other with it.

What is made is shared through the store, by its key. Calls on different lanes (builds that different boards measure) run at the
same time.
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

from edgecnn.devices.leases.protocol import Lease, Wait
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.results.folder import REPORT, report_or_none
from edgecnn.store.store import Store
from edgecnn.sweeps.boards import Ended, Pool
from edgecnn.sweeps.file import Cell, by_training
from edgecnn.sweeps.kin import bench_words, unraced
from edgecnn.sweeps.processes import INTERRUPTED, Children, ending_of, log_of
from edgecnn.sweeps.state import LOGS, CellOutcome, SweepState, build_folder, keep, since, usable, write_state
from edgecnn.sweeps.tasks import run_in_order, training_threads_there
from edgecnn.values.board import EMULATED
from edgecnn.values.stage import Progress


class Lanes:
    """To be used as a context, whose end waits for what runs; where it is left by an exception, what waits is never begun.

    ``stop``: called then, to end what runs.
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
        """Run a call when its lane has room. ``wide``: how many of the lane run at once, as its first call says."""
        if lane not in self._pools:
            self._pools[lane] = ThreadPoolExecutor(max(1, wide))
        self._open += 1
        self._pools[lane].submit(self._run, call)

    def wait(self) -> None:
        """Until the last call ended. Raises what one raised."""
        while self._open:
            self._open -= 1
            if (error := self._ended.get()) is not None:
                raise error

    def _run(self, call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            self._ended.put(error)
        else:
            self._ended.put(None)


KIN_WAIT_S: Final = 60.0
"""For a board that somebody has, to compare it with others: a sweep does not end later for it."""


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


Make = Callable[[Sequence[Cell], Callable[[str], None]], None]
"""Makes what builds lack, and says of each by its name when all of it is there, or cannot be made there."""


def work_off(run: SweepRun, state: SweepState, tell: Progress, make: Make | None = None) -> SweepState:
    """Make and measure every build, one's failure leaving the others; the state is written after each.

    ``make``: who makes their stages; None: each build its own, or several processes here.

    Raises KeyboardInterrupt: after every running build has put its things down. NOT_A_SWEEP_FOLDER: of logs and what was earlier.
    What ``make`` raises.
    """
    threads = None if make is None else training_threads_there()
    children = Children(run.out, run.jobs, threads, stopped=run.pool.over if run.pool else Event())
    with usable(run.out / LOGS):
        (run.out / LOGS).mkdir(parents=True, exist_ok=True)
        for cell in run.todo:
            log_of(run.out, cell.name).unlink(missing_ok=True)
    for cell in run.todo:
        keep(run.out, state.outcomes.get(cell.name), run.asked[cell.name])
    ledger = _Ledger(run, state, tell)
    with children.ended():
        _measure_all(run, children, ledger, make)
        if run.pool is not None:
            _race_kin(run.pool, run, children, ledger.state, tell)
            ledger.write()
    return ledger.state


class _Ledger:
    """The state of a sweep, written whenever a build ended, in whichever thread."""

    def __init__(self, run: SweepRun, state: SweepState, tell: Progress) -> None:
        self.state, self.tell = state, tell
        self._run, self._done, self._lock = run, run.total - len(run.todo), Lock()
        tell.step("sweep", self._done, run.total, "builds")

    def begin(self, cell: Cell) -> None:
        """Of one build, before it writes anything."""
        with self._lock:
            self.state = self.state.with_begun(cell.name)
            self.write()
            self.tell.note(f"{cell.name}: begun; it says how far it is in {log_of(self._run.out, cell.name)}")

    def take(self, outcome: CellOutcome) -> None:
        """Of one build."""
        with self._lock:
            self.state = self.state.with_outcome(outcome)
            self.write()
            self._done += 1
            self.tell.note(_said(outcome, self._run.out))
            self.tell.step("sweep", self._done, self._run.total, "builds")

    def write(self) -> None:
        """With the boards that are set aside by now."""
        aside = dict(self._run.pool.set_aside) if self._run.pool else {}
        self.state = self.state.model_copy(update={"set_aside": aside})
        write_state(self._run.out, self.state)


def _measure_all(run: SweepRun, children: Children, ledger: _Ledger, make: Make | None) -> None:
    """Those of boards when they are made, different boards at the same time; then those of this machine, one after another."""
    ordered, tell = [cell for group in by_training(run.todo) for cell in group], ledger.tell
    spent, waiting = dict[str, float](), {cell.name: cell for cell in ordered if _of_a_board(cell, run.pool)}

    def one(cell: Cell, *, made: bool) -> None:
        ledger.begin(cell)
        work = partial(_measured, run, children, cell, tell, made=made)
        ledger.take(_ended(run, cell, work, spent.get(cell.name, 0.0)))

    with Lanes(children.stop) as lanes:

        def begin(name: str, *, made: bool = True) -> None:
            if (cell := waiting.pop(name, None)) is not None:
                lane = (cell.host, 1) if cell.host or run.pool is None else (cell.device, run.pool.boards_of(cell))
                lanes.begin(str(lane[0]), lane[1], partial(one, cell, made=made))

        if make is not None:
            make(ordered, begin)
        elif run.jobs > 1 or len(waiting) > 1:
            _make_at_once(run, children, tell, spent, begin)
        for name in list(waiting):
            begin(name, made=False)
        lanes.wait()
        for cell in ordered:
            if not _of_a_board(cell, run.pool):
                one(cell, made=False)


def _of_a_board(cell: Cell, pool: Pool | None) -> bool:
    return cell.host not in (None, EMULATED) or (cell.host is None and pool is not None and pool.has(cell))


def _race_kin(pool: Pool, run: SweepRun, children: Children, state: SweepState, tell: Progress) -> None:
    """Race a build of each device on the further boards that measured others of it; a board that fails there is said."""
    leased = [cell for cell in run.cells if pool.has(cell)]
    for cell, board in tuple(unraced(leased, state.outcomes, run.out)):
        try:
            with pool.leased(cell, Wait(tell, pool.over, at_most_s=KIN_WAIT_S), board) as lease:
                tell.note(f"{cell.name}: raced on {board}, to compare it with others of its kind")
                ended = children.start(bench_words(cell, lease.board, run.out), cell, lease=lease)
        except (EdgecnnError, TimeoutError) as error:
            tell.note(f"{board} is not compared with others of its kind: {error}")
            continue
        if ended.code in INTERRUPTED:
            raise KeyboardInterrupt
        if (cell, board) in tuple(unraced(leased, state.outcomes, run.out)):
            tell.note(f"{board} is not compared with others of its kind: {ending_of(ended, log_of(run.out, cell.name))}")


def _measured(run: SweepRun, children: Children, cell: Cell, tell: Progress, *, made: bool) -> Ended:
    """Build it where it is measured: here, at its host, or on a board that is leased once its kits are made.

    ``made``: whether somebody made these already, as far as they can be.
    """
    if run.pool is None or not run.pool.has(cell):
        return _timed(lambda: children.run("build", cell))
    making = Ended(ExitCode.OK)
    if not made and (making := _timed(lambda: children.make(cell))).code == ExitCode.BAD_INPUT:
        return making

    def build(lease: Lease) -> Ended:
        before = _written_at(build_folder(run.out, cell.name) / REPORT)
        ended = _timed(lambda: children.run("build", cell, lease=lease))
        reported = _written_at(build_folder(run.out, cell.name) / REPORT) != before
        return ended._replace(error=None if reported else ended.error, board=lease.board.name)

    ended = run.pool.measured(cell, build, tell)
    return ended._replace(seconds=making.seconds + ended.seconds)


def _said(outcome: CellOutcome, out: Path) -> str:
    report = report_or_none(build_folder(out, outcome.name)) if outcome.reported else None
    return f"{outcome.name}: " + (f"failed: {outcome.error}" if report is None else f"{report.verdict}, {outcome.seconds:,.0f} s")


def _timed(work: Callable[[], Ended]) -> Ended:
    """How a process ended, with the seconds that it took. Raises KeyboardInterrupt: it was interrupted."""
    started = time.monotonic()
    ended = work()
    if ended.code in INTERRUPTED:
        raise KeyboardInterrupt
    return ended._replace(seconds=time.monotonic() - started)


def _ended(run: SweepRun, cell: Cell, work: Callable[[], Ended], spent: float) -> CellOutcome:
    """Do the work, and say how it ended. A report counts where this work wrote it. ``spent``: seconds before it."""
    report = build_folder(run.out, cell.name) / REPORT
    before = _written_at(report)
    ended = work()
    reported = _written_at(report) not in (None, before)
    return CellOutcome(
        name=cell.name,
        asked=run.asked[cell.name],
        exit_code=ended.code,
        reported=reported,
        error=None if reported else ending_of(ended, log_of(run.out, cell.name)),
        board=ended.board if reported else None,
        seconds=round(spent + ended.seconds, 1),
        ended_at=datetime.now(UTC).isoformat(timespec="seconds"),
        since=since(run.out, cell.name, run.store) if reported else None,
    )


def _written_at(report: Path) -> int | None:
    try:
        return report.stat().st_mtime_ns
    except OSError:
        return None


def _make_at_once(
    run: SweepRun, children: Children, tell: Progress, spent: dict[str, float], ready: Callable[[str], None]
) -> None:
    """Make each build's kits, and note its seconds. The first build of a training goes before the others of it, which then find
    what it made, and these before the next training. How one ends is left to the build itself, which may well ship without."""
    cells, waits_for = {cell.name: cell for cell in run.todo}, dict[str, list[str]]()
    for leader, *others in by_training(run.todo):
        waits_for |= {leader.name: [], **{other.name: [leader.name] for other in others}}

    def make(name: str) -> Ended:
        ended = _timed(lambda: children.make(cells[name]))
        spent[name] = ended.seconds
        return ended._replace(error=None)  # the build itself says what it lacks

    def some_ended(running: list[Future[Ended]]) -> Iterator[tuple[Future[Ended], Ended]]:
        for each in wait(running, return_when=FIRST_COMPLETED).done:
            yield each, each.result()

    with ThreadPoolExecutor(run.jobs) as pool:
        try:
            tell.step("sweep: make kits", 0, len(run.todo), "builds")
            for name, _ in run_in_order(
                waits_for, lambda name: pool.submit(make, name), some_ended, lambda _, running: running < run.jobs
            ):
                tell.step("sweep: make kits", len(spent), len(run.todo), "builds")
                ready(name)
        except BaseException:  # the pool waits for its threads, and those for the builds
            pool.shutdown(wait=False, cancel_futures=True)
            children.stop()
            raise
