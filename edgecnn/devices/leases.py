"""Lease a board of a kind for the duration of a block, from a list of boards in a file.

The lock on the board itself decides: the process that holds it measures there, from whichever machine. A reservation waits
until the lock is free. If another process takes it first, the build's process ends with BoardBusy and is started again.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Annotated, Final, Literal, NamedTuple, Protocol

from pydantic import Field

from edgecnn.devices.files import device_named
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.devices import UnknownDevice
from edgecnn.errors.hosts import BAD_ADDRESS, BOARDS_INVALID, BadAddress, BoardBusy
from edgecnn.hosts.ssh.board import FOLDER, PYTHON
from edgecnn.hosts.ssh.host import LOCK, SshHost
from edgecnn.hosts.ssh.link import Address, Link
from edgecnn.store.disk import read_table
from edgecnn.values.base import Value
from edgecnn.values.board import EMULATED
from edgecnn.values.stage import Progress
from edgecnn.values.toml import checked


class Board(Value):
    """A board that can be leased."""

    name: str
    device: str
    """Name of its device."""
    host: str | None
    """Address in the form of ``--host``; None: currently unknown."""
    tags: tuple[str, ...] = ()
    """Words that a sweep can require."""
    python: str | None = None
    """Python in the form of ``--python``."""


class Kind(NamedTuple):
    """Boards on which a build can be measured: those of a device with every tag."""

    device: str
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.device} with {' and '.join(self.tags)}" if self.tags else self.device


@dataclass(frozen=True)
class Wait:
    """The wait for a board."""

    tell: Progress
    """Receives notes about the wait."""
    over: Event = field(default_factory=Event)
    """Set when the wait is cancelled."""
    at_most_s: float | None = None
    begun: float = field(default_factory=time.monotonic)

    def a_while(self, seconds: float) -> None:
        """Sleep. Raises KeyboardInterrupt: the wait is over. TimeoutError: it took longer than ``at_most_s``."""
        if self.at_most_s is not None and time.monotonic() - self.begun >= self.at_most_s:
            raise TimeoutError(f"it was busy for more than {self.at_most_s:g} s")
        if self.over.wait(seconds):
            raise KeyboardInterrupt


class Lease(Protocol):
    """A leased board."""

    @property
    def board(self) -> Board:
        """The board."""

    def lost(self) -> EdgecnnError | None:
        """Return why the lease has ended, or None. Cheap enough for a call every second."""


class Boards(Protocol):
    """A source of boards."""

    @property
    def where(self) -> str:
        """The source as the user named it."""

    def of(self, kind: Kind) -> tuple[Board, ...]:
        """Return every board of the kind, including those in use. Nothing is reserved.

        Raises LabgridAbsent, CoordinatorUnreachable: of a coordinator.
        """

    def reserve(self, kind: Kind, without: Collection[str], wait: Wait) -> AbstractContextManager[Lease]:
        """Wait for a board of the kind, and lease it during the block. Several threads may do so at the same time.

        ``without``: names of excluded boards; at least one other exists.

        Raises LabgridAbsent, CoordinatorUnreachable, COORDINATOR_REFUSED: of a coordinator. BoardTaken, NO_BOARD_LEFT: the
        source lost one or all of these boards. KeyboardInterrupt: the wait was cancelled.
        """


LOOK_S: Final = 5.0
"""Seconds between two checks of a lock that another process holds."""


def busy_error(board: Board) -> BoardBusy | None:
    """Return the error that names the board's user, or None if its lock is free. Other faults are left to the next check."""
    try:
        link, python = Link.open(Address.of(board.host or "")), board.python or PYTHON
        with SshHost.over(link, what="edgecnn sweep", python=python, folder=FOLDER, lock=LOCK):
            return None
    except BoardBusy as error:
        return error
    except EdgecnnError:
        return None


_SAY_S: Final = 60.0
_Text = Annotated[str, Field(min_length=1)]


class ListedBoard(Value):
    """One ``[[board]]``."""

    name: _Text
    device: _Text
    """Name of a device."""
    host: _Text
    """Address in the form of ``--host``."""
    tags: tuple[_Text, ...] = ()
    python: str | None = None
    """Python in the form of ``--python``."""


class BoardsFile(Value):
    """The tables of a boards.toml."""

    schema_: Literal["edgecnn.boards/1"] = Field(default="edgecnn.boards/1", alias="schema")
    board: tuple[ListedBoard, ...]


@dataclass(frozen=True)
class ListedLease:
    """A board of a file. The measuring process checks the board's lock itself."""

    board: Board

    def lost(self) -> EdgecnnError | None:
        """See ``Lease.lost``."""
        return None


@dataclass(frozen=True)
class ListedBoards:
    """The boards of a file."""

    where: str
    boards: tuple[Board, ...]
    locks: dict[str, Lock] = field(default_factory=dict, compare=False)
    """Board to the lock of this process's threads: the lock on the board itself ends with each measuring process."""

    @classmethod
    def read(cls, path: Path, known: Sequence[str] = ()) -> ListedBoards:
        """Read a file of boards. ``known``: further names of devices.

        Raises FILE_UNREADABLE, NOT_TOML: of the file. BOARDS_INVALID: unknown keys, duplicate names, unknown devices or
        invalid addresses; all at once.
        """
        file = checked(BoardsFile, read_table(path), lambda problems: BOARDS_INVALID(path=path, problems=problems))
        names, problems, boards = [entry.name for entry in file.board], list[str](), list[Board]()
        for number, entry in enumerate(file.board):
            try:
                if entry.host == EMULATED:
                    raise BAD_ADDRESS(text=entry.host)
                Address.of(entry.host)
                device = entry.device if entry.device in known else device_named(entry.device).name
            except (BadAddress, UnknownDevice) as error:
                problems.append(f"board.{number}: {error.what}")
                continue
            boards.append(Board(**entry.model_dump(exclude={"device"}), device=device))
        problems += [f"{names.count(name)} boards are called {name}" for name in dict.fromkeys(names) if names.count(name) > 1]
        if problems or not boards:
            raise BOARDS_INVALID(path=path, problems=problems or ["it lists no board"])
        return cls(str(path), tuple(boards))

    def of(self, kind: Kind) -> tuple[Board, ...]:
        """See ``Boards.of``."""
        return tuple(board for board in self.boards if board.device == kind.device and set(kind.tags) <= set(board.tags))

    @contextmanager
    def reserve(self, kind: Kind, without: Collection[str], wait: Wait) -> Iterator[ListedLease]:
        """See ``Boards.reserve``. The first board of the file with a free lock is leased."""
        boards, say_at = [candidate for candidate in self.of(kind) if candidate.name not in without], 0.0
        while True:
            busy = list[str]()
            for board in boards:
                own = self.locks.setdefault(board.name, Lock())
                if not own.acquire(blocking=False):
                    busy.append(f"{board.name} is measuring another build of this sweep")
                    continue
                try:
                    if (error := busy_error(board)) is None:
                        yield ListedLease(board)
                        return
                finally:
                    own.release()
                busy.append(f"{board.name}: {error.what}")
            if time.monotonic() >= say_at:
                wait.tell.note(f"waiting for a {kind}: {'; '.join(busy)}")
                say_at = time.monotonic() + _SAY_S
            wait.a_while(LOOK_S)
