"""Boards that a sweep leases: the builds that are measured on them, and the handling of boards that fail.

A board whose link or lease is lost is excluded for the rest of the call. A board that lacks a runtime's requirements is excluded
for builds of that target. The build continues on the next board of the kind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Final, NamedTuple

from edgecnn.devices.check.board import BoardUse, fit_board, runtimes_for
from edgecnn.devices.files import target_of
from edgecnn.devices.labgrid import SCHEME, LabgridBoards, labgrid_problems
from edgecnn.devices.leases import Board, Boards, Kind, Lease, ListedBoards, Wait
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts.board import OF_A_BOARD, OF_A_TARGET, BoardBusy
from edgecnn.errors.hosts.leases import (
    BOARD_WITHOUT_ADDRESS,
    NO_SUCH_BOARDS,
    BoardTaken,
    boards_lost_to_build,
    no_board_left,
)
from edgecnn.errors.sweeps import SWEEP_INVALID
from edgecnn.errors.wording import counted
from edgecnn.hosts.ssh.link import Address, Link
from edgecnn.sweeps.file import Cell, Sweep, unknown_devices
from edgecnn.values.board import HostRequest
from edgecnn.values.stage import Progress

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


def leased(sweep: Sweep, boards: Boards | None, cells: Sequence[Cell]) -> tuple[Cell, ...]:
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


def words_of(board: Board) -> tuple[str, ...]:
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
                self._put_aside(error.fields["board"], cell, error, tell)
                continue
            except EdgecnnError as error:
                return Ended(int(error.exit_code), error)
            if ended.error is None or ended.error.ref not in OF_A_BOARD or ended.board is None:
                return ended
            if isinstance(ended.error, BoardBusy):  # another job has the board, so wait again
                Wait(tell, self.over).a_while(_AGAIN_S)
                continue
            reason = self._put_aside(ended.board, cell, ended.error, tell)
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
            reasons = {name: why for name in names if (why := self._why_not(name, cell, listed)) is not None}
            if len(reasons) == len(names):
                raise no_board_left(kind=str(kind), reasons=reasons)
            with self.boards.reserve(kind, listed - (set(names) - set(reasons)), wait) as lease:
                try:
                    look_at(lease.board, cell)
                except EdgecnnError as error:
                    self._put_aside(lease.board.name, cell, error, wait.tell)
                    continue
                yield lease
                return

    def _why_not(self, board: str, cell: Cell, listed: Collection[str]) -> str | None:
        gone = None if board in listed else f"{self.boards.where} no longer has the board"
        return self.set_aside.get(board) or self.set_aside.get(_board_for_target(board, cell)) or gone

    def _put_aside(self, board: str, cell: Cell, error: EdgecnnError, tell: Progress) -> str:
        who, reason = _board_for_target(board, cell) if error.ref in OF_A_TARGET else board, error.sentence()
        self.set_aside[who] = reason
        tell.note(f"{who} is excluded: {reason}")
        return reason


def _board_for_target(board: str, cell: Cell) -> str:
    return f"{board} for {cell.device if cell.runtime is None else f'{cell.device}:{cell.runtime}'}"


def look_at(board: Board, cell: Cell) -> None:
    """Check that a build's kits can run on a board. Raises EdgecnnError: an error of ``errors.hosts``."""
    if board.host is None:
        raise BOARD_WITHOUT_ADDRESS(board=board.name)
    target = target_of(cell.recipe.target, None)
    use = BoardUse(target.device, "edgecnn sweep", runtimes_for(target.device, target.runtime))
    with Link.open(Address.of(board.host)) as link:
        fit_board(link, HostRequest(address=board.host, python=board.python), use)
