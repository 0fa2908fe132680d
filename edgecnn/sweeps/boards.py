"""Boards that a sweep leases: builds that are measured on them, boards that fail, and comparisons of boards of a kind.

A board whose link or lease is lost is excluded for the rest of the call. A board that lacks a runtime's requirements is
excluded for builds of that target. The build continues on the next board of the kind.

To find a slow board, one build is raced on every board that measured builds of its device. Each race is on another day, and a
board's own time varies from day to day. The spread among the other boards is therefore taken as the possible effect of the day
on one board.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Final, NamedTuple

from pydantic import ValidationError

from edgecnn.bench.bundle import REPORTED
from edgecnn.bench.facts import BundleBench
from edgecnn.devices.check.board import BoardUse, fit_board, runtimes_for
from edgecnn.devices.files import target_of
from edgecnn.devices.labgrid import SCHEME, LabgridBoards, labgrid_problems
from edgecnn.devices.leases import Board, Boards, Kind, Lease, ListedBoards, Wait
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import (
    BOARD_WITHOUT_ADDRESS,
    NO_SUCH_BOARDS,
    OF_A_BOARD,
    OF_A_TARGET,
    BoardBusy,
    BoardTaken,
    boards_lost_to_build,
    no_board_left,
)
from edgecnn.errors.sweeps import SWEEP_INVALID
from edgecnn.errors.wording import counted
from edgecnn.hosts.ssh.link import Address, Link
from edgecnn.judging.gates import DEFAULT_LATENCY_RATIO
from edgecnn.judging.intervals import DAYS_NEEDED, LATENCY_CONFIDENCE, day_ratio_interval
from edgecnn.judging.stopping import look_confidence
from edgecnn.results.folder import report_or_none
from edgecnn.runner.files import bounded_content
from edgecnn.store.disk import DOCUMENT_BYTES_MAX
from edgecnn.sweeps.file import Cell, Sweep, file_name, unknown_devices
from edgecnn.sweeps.state import CellOutcome, build_folder
from edgecnn.values.base import Value
from edgecnn.values.board import HostRequest
from edgecnn.values.report import CandidateFacts, Latency
from edgecnn.values.stage import Progress
from edgecnn.values.verdict import Interval

_MOST_LOST: Final = 2
"""Boards that one build may lose during its measurement."""
_AGAIN_S: Final = 5.0


class Ended(NamedTuple):
    """How a build's process ended."""

    code: int
    error: EdgecnnError | None = None
    """The build's error if it left no report."""
    board: str | None = None
    """The leased board that measured the build."""
    seconds: float = 0.0
    """Time of the build, without the wait for a board."""


def boards_of(sweep: Sweep, cells: Sequence[Cell]) -> Boards | None:
    """Return the source of a sweep's leased boards, without asking a coordinator; None if the sweep leases none.

    Raises SWEEP_INVALID: tags of a device that the sweep does not have, or that labgrid does not accept. FILE_UNREADABLE,
    NOT_TOML, BOARDS_INVALID: the file of boards is invalid.
    """
    where, tags, devices = sweep.file.boards, sweep.file.tags, {cell.device for cell in cells}
    problems = unknown_devices("tags", tags, devices)
    if where is None:
        problems += ["[tags] need boards: set boards to a file or a coordinator"] if tags else []
    elif where.startswith(SCHEME):
        problems += labgrid_problems(where, [tag for board_tags in tags.values() for tag in board_tags])
    if problems:
        raise SWEEP_INVALID(path=sweep.path, problems=problems)
    if where is None:
        return None
    return LabgridBoards(where) if where.startswith(SCHEME) else ListedBoards.read(sweep.beside(where), sorted(devices))


def mark_leasable(sweep: Sweep, boards: Boards | None, cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Mark the builds that may lease a board. A coordinator's boards are not known yet, so any build may."""

    def marked(cell: Cell) -> Cell:
        listed = isinstance(boards, ListedBoards) and not boards.of(Kind(cell.device))
        if boards is None or cell.host is not None or listed:
            return cell
        return cell.model_copy(update={"leased": ("board", *sweep.file.tags.get(cell.device, ()))})

    return tuple(map(marked, cells))


def open_pool(sweep: Sweep, boards: Boards, cells: Sequence[Cell]) -> Pool:
    """Return the boards that may measure these builds, without a reservation.

    Raises NO_SUCH_BOARDS: no board has the tags. SWEEP_INVALID: a device has both a host and boards. LabgridAbsent,
    CoordinatorUnreachable: the coordinator cannot be asked.
    """
    matching = dict[Kind, tuple[Board, ...]]()
    for device in dict.fromkeys(cell.device for cell in cells):
        kind = Kind(device, sweep.file.tags.get(device, ()))
        all_boards = boards.of(Kind(device))
        if all_boards and device in sweep.file.hosts:
            raise SWEEP_INVALID(path=sweep.path, problems=[f"hosts.{device} names a board, but {boards.where} has others"])
        matching[kind] = boards.of(kind) if kind.tags else all_boards
        if kind.tags and not matching[kind]:
            others = [f"{board.name} ({', '.join(board.tags) or 'no tags'})" for board in all_boards]
            raise NO_SUCH_BOARDS(where=boards.where, kind=str(kind), others=others)
    return Pool(boards, matching)


def boards_line(device: str, where: str, names: Sequence[str]) -> str:
    """Return a sentence with the boards of a device, or with the place where its builds are measured instead."""
    listed = (
        f"{counted(len(names), 'board')}: {', '.join(names)}"
        if names
        else "no board; builds are measured on their host, or on this machine if it is the device"
    )
    return f"{device}: {where} has {listed}"


def board_options(board: Board) -> tuple[str, ...]:
    """Return the options that name a board in a command."""
    return ("--host", board.host or "", *(() if board.python is None else ("--python", board.python)))


@dataclass
class Pool:
    """The boards of one call, and those that are excluded."""

    boards: Boards
    boards_by_kind: Mapping[Kind, tuple[Board, ...]]
    """Boards of each kind at the start of the call."""
    set_aside: dict[str, str] = field(default_factory=dict)
    """Excluded board, or board for a target such as ``lab-1 for raspberry-pi-5:litert``, to the reason."""
    over: Event = field(default_factory=Event)
    """Set when no build waits for a board any more."""

    def boards_of(self, cell: Cell) -> int:
        """Return the number of boards that may measure a build."""
        return sum(len(boards) for kind, boards in self.boards_by_kind.items() if kind.device == cell.device)

    def has(self, cell: Cell) -> bool:
        """Whether one of the boards measures a build."""
        return any(kind.device == cell.device and boards for kind, boards in self.boards_by_kind.items())

    def measured(self, cell: Cell, build: Callable[[Lease], Ended], tell: Progress) -> Ended:
        """Measure a build on one board after another, until one does not fail.

        ``build``: returns no error if it left a report, and raises BoardTaken or CoordinatorUnreachable if its lease is lost. A
        build that loses two boards ends with BOARDS_LOST_TO_BUILD, since it may be the cause.
        """
        lost = dict[str, str]()
        while len(lost) < _MOST_LOST:
            try:
                with self.leased(cell, Wait(tell, self.over)) as lease:
                    tell.note(f"{cell.name}: measured on {lease.board.name}")
                    ended = build(lease)
            except BoardTaken as error:
                self._exclude(error.fields["board"], cell, error, tell)
                continue
            except EdgecnnError as error:
                return Ended(int(error.exit_code), error)
            if ended.error is None or ended.error.ref not in OF_A_BOARD or ended.board is None:
                return ended
            if isinstance(ended.error, BoardBusy):  # another job has the board, so wait again
                Wait(tell, self.over).a_while(_AGAIN_S)
                continue
            reason = self._exclude(ended.board, cell, ended.error, tell)
            lost |= {} if ended.error.ref in OF_A_TARGET else {ended.board: reason}
        failure = boards_lost_to_build(build=cell.name, reasons=lost)
        return Ended(int(failure.exit_code), failure)

    @contextmanager
    def leased(self, cell: Cell, wait: Wait, only: str | None = None) -> Iterator[Lease]:
        """Lease a board of the build's kind on which its kits can run. ``only``: lease this board.

        Raises NO_BOARD_LEFT: every board is excluded or gone. BoardTaken, LabgridAbsent, CoordinatorUnreachable,
        COORDINATOR_REFUSED: the coordinator refused, or cannot be asked.
        """
        kind = next(kind for kind in self.boards_by_kind if kind.device == cell.device)
        while True:
            listed = {board.name for board in self.boards.of(kind)}
            names = sorted(listed | {board.name for board in self.boards_by_kind[kind]}) if only is None else [only]
            reasons = {name: why for name in names if (why := self._exclusion_reason(name, cell, listed)) is not None}
            if len(reasons) == len(names):
                raise no_board_left(kind=str(kind), reasons=reasons)
            with self.boards.reserve(kind, listed - (set(names) - set(reasons)), wait) as lease:
                try:
                    check_board(lease.board, cell)
                except EdgecnnError as error:
                    self._exclude(lease.board.name, cell, error, wait.tell)
                    continue
                yield lease
                return

    def _exclusion_reason(self, board: str, cell: Cell, listed: Collection[str]) -> str | None:
        gone = None if board in listed else f"{self.boards.where} no longer has the board"
        return self.set_aside.get(board) or self.set_aside.get(_board_for_target(board, cell)) or gone

    def _exclude(self, board: str, cell: Cell, error: EdgecnnError, tell: Progress) -> str:
        who, reason = _board_for_target(board, cell) if error.ref in OF_A_TARGET else board, error.sentence()
        self.set_aside[who] = reason
        tell.note(f"{who} is excluded: {reason}")
        return reason


def _board_for_target(board: str, cell: Cell) -> str:
    return f"{board} for {cell.device if cell.runtime is None else f'{cell.device}:{cell.runtime}'}"


def check_board(board: Board, cell: Cell) -> None:
    """Check that a build's kits can run on a board. Raises EdgecnnError: an error of ``errors.hosts``."""
    if board.host is None:
        raise BOARD_WITHOUT_ADDRESS(board=board.name)
    target = target_of(cell.recipe.target, None)
    use = BoardUse(target.device, "edgecnn sweep", runtimes_for(target.device, target.runtime))
    with Link.open(Address.of(board.host)) as link:
        fit_board(link, HostRequest(address=board.host, python=board.python), use)


BOARDS_NEEDED: Final = DAYS_NEEDED + 1
"""Number of boards of a kind for which the spread of the others is known."""
BOARDS: Final = "boards"
"""Folder of a sweep's results with the comparison races, by board."""


class KinBoard(Value):
    """One board of a kind, and its time for the common kit."""

    board: str
    p50_ms: Interval | None
    disturbed: str | None
    """Cause that slowed its race, so that the board may be faster."""
    observed_at: str = ""
    """Start of its race."""
    slower: Interval | None = None
    """Ratio of its p50 to that of the other boards, if it is shown to be slower. All compared boards share one error rate."""

    @property
    def uncompared(self) -> str | None:
        """Why the board is not compared, or None."""
        return self.disturbed or ("it has no median" if self.p50_ms is None else None)


class KinRace(Value):
    """One build on every board that measured builds of its device."""

    device: str
    build: str
    candidate: str
    """The shipped candidate, which ran on each board."""
    boards: tuple[KinBoard, ...]

    @property
    def compared(self) -> tuple[KinBoard, ...]:
        """Boards that are compared with each other."""
        return tuple(board for board in self.boards if board.uncompared is None)


def kin_races(cells: Sequence[Cell], outcomes: Mapping[str, CellOutcome], out: Path) -> tuple[KinRace, ...]:
    """Return the comparison for each device whose builds several boards measured. Boards without a race are absent."""
    return tuple(race for cell in _common_builds(cells, outcomes) if len((race := _race(cell, cells, outcomes, out)).boards) > 1)


def unraced(cells: Sequence[Cell], outcomes: Mapping[str, CellOutcome], out: Path) -> Iterator[tuple[Cell, str]]:
    """Yield the common build of each device, with each board that has not raced its kit yet."""
    for cell in _common_builds(cells, outcomes):
        raced = {board.board for board in _race(cell, cells, outcomes, out).boards}
        yield from ((cell, board) for board in _boards_of_device(cell.device, cells, outcomes) if board not in raced)


def bench_words(cell: Cell, board: Board, out: Path) -> tuple[str, ...]:
    """Return the command that races a build's kits on a board, without changing the build."""
    folder = str(_bench_folder(out, board.name, cell))
    return ("bench", str(build_folder(out, cell.name)), "--fresh", *board_options(board), "--out", folder)


def _bench_folder(out: Path, board: str, cell: Cell) -> Path:
    return out / BOARDS / file_name(board) / cell.name


def _boards_of_device(device: str, cells: Sequence[Cell], outcomes: Mapping[str, CellOutcome]) -> tuple[str, ...]:
    """Return the boards that measured builds of a device, in the order of the builds."""
    ended = (outcomes.get(cell.name) for cell in cells if cell.device == device)
    return tuple(dict.fromkeys(outcome.board for outcome in ended if outcome is not None and outcome.board is not None))


def _common_builds(cells: Sequence[Cell], outcomes: Mapping[str, CellOutcome]) -> Iterator[Cell]:
    """Yield the first build with a board, for each device whose builds several boards measured."""
    for device in dict.fromkeys(cell.device for cell in cells):
        if len(used := _boards_of_device(device, cells, outcomes)) > 1:
            yield next(cell for cell in cells if cell.device == device and _board_of(cell, outcomes) == used[0])


def _board_of(cell: Cell, outcomes: Mapping[str, CellOutcome]) -> str | None:
    outcome = outcomes.get(cell.name)
    return None if outcome is None else outcome.board


def _race(cell: Cell, cells: Sequence[Cell], outcomes: Mapping[str, CellOutcome], out: Path) -> KinRace:
    report = report_or_none(build_folder(out, cell.name))
    ships = None if report is None else report.shipped
    if ships is None:
        return KinRace(device=cell.device, build=cell.name, candidate="", boards=())
    first, boards = _board_of(cell, outcomes), list[KinBoard]()
    for board in _boards_of_device(cell.device, cells, outcomes):
        latency = ships.latency if board == first else _benched_latency(_bench_folder(out, board, cell), ships)
        if latency is not None and not latency.selecting:
            figures = {name: getattr(latency, name) for name in ("p50_ms", "disturbed", "observed_at")}
            boards.append(KinBoard(board=board, **figures))
    return KinRace(device=cell.device, build=cell.name, candidate=ships.candidate.id, boards=mark_slower(boards))


def _benched_latency(folder: Path, ships: CandidateFacts) -> Latency | None:
    """Return the shipped kit's latency in a comparison race; None without a readable report."""
    try:
        bench = BundleBench.model_validate_json(bounded_content(folder / REPORTED, DOCUMENT_BYTES_MAX))
    except (OSError, ValidationError):
        return None
    return next((row.latency for row in bench.candidates if row.kit == ships.kit), None)


def mark_slower(boards: Sequence[KinBoard]) -> tuple[KinBoard, ...]:
    """Add its ratio to each board that is shown to be slower than the others.

    Student's t compares a board's race, as one more board-day, with the races of the others (``day_ratio_interval``). The
    confidence is such that all comparisons together name a wrong board once in a hundred sweeps, if the times of board-days
    are log-normal with one spread. A board is named if even the lower bound is above ``DEFAULT_LATENCY_RATIO``.
    """
    usable = [board for board in boards if board.uncompared is None]
    confidence = look_confidence(max(len(usable), 1), LATENCY_CONFIDENCE)

    def slower(board: KinBoard) -> Interval | None:
        if board.p50_ms is None or board.uncompared is not None:
            return None
        others = [other.p50_ms.estimate for other in usable if other is not board and other.p50_ms]
        ratio = day_ratio_interval(board.p50_ms.estimate, others, confidence)
        return ratio if ratio is not None and ratio.low > DEFAULT_LATENCY_RATIO else None

    return tuple(board.model_copy(update={"slower": slower(board)}) for board in boards)
