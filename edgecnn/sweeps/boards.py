"""Boards that a sweep leases: which builds are measured on one, and what becomes of a board that fails.

A board whose link is lost or that is taken away is set aside for the rest of the call, with the reason, and one that lacks what
kits of one runtime need for builds of that target; the build goes to the next one of its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Final, NamedTuple

from edgecnn.devices.check.board import Wanted, fit_board, runtimes_for
from edgecnn.devices.files import target_of
from edgecnn.devices.leases.labgrid import SCHEME, LabgridBoards, labgrid_problems
from edgecnn.devices.leases.listed import ListedBoards
from edgecnn.devices.leases.protocol import Board, Boards, Kind, Lease, Wait
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts.board import OF_A_BOARD, OF_A_TARGET, BoardBusy
from edgecnn.errors.hosts.leases import (
    BOARD_WITHOUT_ADDRESS,
    BoardTaken,
    boards_lost_to_build,
    no_board_left,
    no_such_boards,
)
from edgecnn.errors.sweeps import SWEEP_INVALID
from edgecnn.errors.wording import counted
from edgecnn.hosts.ssh.link import Address, Link
from edgecnn.sweeps.file import Cell, Sweep, not_of_sweep
from edgecnn.values.board import HostRequest
from edgecnn.values.stage import Progress

_MOST_LOST: Final = 2
"""Boards that one build may lose while it is measured."""

_AGAIN_S: Final = 5.0


class Ended(NamedTuple):
    """How a build's process ended."""

    code: int
    error: EdgecnnError | None = None
    """Where it left no report, what it wrote down of its failure, if it came to that."""
    board: str | None = None
    """The leased board that it ran on."""
    seconds: float = 0.0
    """Of making and measuring it, what it waited for a board left out."""


def boards_of(sweep: Sweep, cells: Sequence[Cell]) -> Boards | None:
    """From where a sweep's boards are leased; a coordinator is not asked. None where the file says nothing of it.

    Raises SWEEP_INVALID: tags of no device of the sweep, or what labgrid does not take. FILE_UNREADABLE, NOT_TOML,
    BOARDS_INVALID: of a file of boards.
    """
    where, tags, devices = sweep.file.boards, sweep.file.tags, {cell.device for cell in cells}
    problems = not_of_sweep("tags", tags, devices)
    if where is None:
        problems += ["[tags] are of boards, and boards says not where these are"] if tags else []
    elif where.startswith(SCHEME):
        problems += labgrid_problems(where, [tag for each in tags.values() for tag in each])
    if problems:
        raise SWEEP_INVALID(path=sweep.path, problems=problems)
    if where is None:
        return None
    return LabgridBoards(where) if where.startswith(SCHEME) else ListedBoards.read(sweep.beside(where), sorted(devices))


def leased(sweep: Sweep, boards: Boards | None, cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The same builds; those that a board may be leased for say from where. Of a coordinator nobody knows yet what it has."""

    def one(cell: Cell) -> Cell:
        listed = isinstance(boards, ListedBoards) and not boards.of(Kind(cell.device))
        if boards is None or cell.host is not None or listed:
            return cell
        return cell.model_copy(update={"leased": ("board", *sweep.file.tags.get(cell.device, ()))})

    return tuple(map(one, cells))


def open_pool(sweep: Sweep, boards: Boards, cells: Sequence[Cell]) -> Pool:
    """The boards that these builds would be measured on. Nothing is reserved.

    Raises NO_SUCH_BOARDS: none has the tags that are asked for. SWEEP_INVALID: a device has a host and boards. LabgridAbsent,
    CoordinatorUnreachable: of a coordinator.
    """
    found = dict[Kind, tuple[Board, ...]]()
    for device in dict.fromkeys(cell.device for cell in cells):
        kind = Kind(device, sweep.file.tags.get(device, ()))
        every = boards.of(Kind(device))
        if every and device in sweep.file.hosts:
            raise SWEEP_INVALID(path=sweep.path, problems=[f"hosts.{device} names a board, and {boards.where} has others of it"])
        found[kind] = boards.of(kind) if kind.tags else every
        if kind.tags and not found[kind]:
            others = [f"{each.name} ({', '.join(each.tags) or 'no tags'})" for each in every]
            raise no_such_boards(where=boards.where, kind=str(kind), others=others)
    return Pool(boards, found)


def boards_line(device: str, where: str, names: Sequence[str]) -> str:
    """Which boards of a device there are, in a sentence, and what becomes of its builds where there is none."""
    there = (
        f"{counted(len(names), 'board')}: {', '.join(names)}"
        if names
        else "no board, so that none is leased: its builds go to their host, or are measured here if this is the device"
    )
    return f"{device}: {where} has {there}"


def words_of(board: Board) -> tuple[str, ...]:
    """The board as a command names it."""
    return ("--host", board.host or "", *(() if board.python is None else ("--python", board.python)))


@dataclass
class Pool:
    """The boards of one call, and those that it set aside."""

    boards: Boards
    found: Mapping[Kind, tuple[Board, ...]]
    """Those of each kind when the call began."""
    set_aside: dict[str, str] = field(default_factory=dict)
    """Board to the reason; where only builds of one target cannot be measured there, ``lab-1 for raspberry-pi-5:litert``."""
    over: Event = field(default_factory=Event)
    """Set when nobody waits for a board any more."""

    def boards_of(self, cell: Cell) -> int:
        """How many the build may be measured on."""
        return sum(len(boards) for kind, boards in self.found.items() if kind.device == cell.device)

    def has(self, cell: Cell) -> bool:
        """Whether the build is measured on one of these."""
        return any(kind.device == cell.device and boards for kind, boards in self.found.items())

    def measured(self, cell: Cell, build: Callable[[Lease], Ended], tell: Progress) -> Ended:
        """Measure a build on one board after another, until one does not fail it.

        ``build``: ends without an error where it left a report, and raises BoardTaken or CoordinatorUnreachable where its lease
        was lost. One that lost two boards ends with BOARDS_LOST_TO_BUILD: maybe it is what fails them.
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
            if isinstance(ended.error, BoardBusy):  # somebody was quicker: it is waited for again
                Wait(tell, self.over).a_while(_AGAIN_S)
                continue
            reason = self._put_aside(ended.board, cell, ended.error, tell)
            lost |= {} if ended.error.ref in OF_A_TARGET else {ended.board: reason}
        failure = boards_lost_to_build(build=cell.name, reasons=lost)
        return Ended(int(failure.exit_code), failure)

    @contextmanager
    def leased(self, cell: Cell, wait: Wait, only: str | None = None) -> Iterator[Lease]:
        """A board of the build's kind on which its kits can run; ``only``: this one.

        Raises NO_BOARD_LEFT: each was set aside, or is gone. BoardTaken, LabgridAbsent, CoordinatorUnreachable,
        COORDINATOR_REFUSED: of a coordinator.
        """
        kind = next(kind for kind in self.found if kind.device == cell.device)
        while True:
            there = {board.name for board in self.boards.of(kind)}
            wanted = sorted(there | {board.name for board in self.found[kind]}) if only is None else [only]
            reasons = {name: why for name in wanted if (why := self._why_not(name, cell, there)) is not None}
            if len(reasons) == len(wanted):
                raise no_board_left(kind=str(kind), reasons=reasons)
            with self.boards.reserve(kind, there - (set(wanted) - set(reasons)), wait) as lease:
                try:
                    look_at(lease.board, cell)
                except EdgecnnError as error:
                    self._put_aside(lease.board.name, cell, error, wait.tell)
                    continue
                yield lease
                return

    def _why_not(self, board: str, cell: Cell, there: Collection[str]) -> str | None:
        gone = None if board in there else f"{self.boards.where} has it no longer"
        return self.set_aside.get(board) or self.set_aside.get(_for_target(board, cell)) or gone

    def _put_aside(self, board: str, cell: Cell, error: EdgecnnError, tell: Progress) -> str:
        who, reason = _for_target(board, cell) if error.ref in OF_A_TARGET else board, error.sentence()
        self.set_aside[who] = reason
        tell.note(f"{who} is set aside: {reason}")
        return reason


def _for_target(board: str, cell: Cell) -> str:
    return f"{board} for {cell.device if cell.runtime is None else f'{cell.device}:{cell.runtime}'}"


def look_at(board: Board, cell: Cell) -> None:
    """See that the build's kits can run there. Raises EdgecnnError: of ``errors.hosts``."""
    if board.host is None:
        raise BOARD_WITHOUT_ADDRESS(board=board.name)
    target = target_of(cell.recipe.target, None)
    wanted = Wanted(target.device, "edgecnn sweep", runtimes_for(target.device, target.runtime))
    with Link.open(Address.of(board.host)) as link:
        fit_board(link, HostRequest(address=board.host, python=board.python), wanted)
