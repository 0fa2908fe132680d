"""Boards of a file, boards.toml. The lock on the board itself decides who leases it, from whichever machine.

The measuring process holds the lock. A reservation waits until the lock is free. If another process takes it first, the
build's process ends with BoardBusy and is started again.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Annotated, Final, Literal

from pydantic import Field

from edgecnn.devices.files import device_named
from edgecnn.devices.leases.protocol import LOOK_S, Board, Kind, Wait, busy_error
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.devices import UnknownDevice
from edgecnn.errors.hosts import BAD_ADDRESS, BOARDS_INVALID, BadAddress
from edgecnn.hosts.ssh.link import Address
from edgecnn.recipes.toml_file import checked, read_table
from edgecnn.values.base import Value
from edgecnn.values.board import EMULATED

_SAY_S: Final = 60.0
_Text = Annotated[str, Field(min_length=1)]


class ListedBoard(Value):
    """One ``[[board]]``."""

    name: _Text
    device: _Text
    """Name of a device."""
    host: _Text
    """As ``--host`` takes it."""
    tags: tuple[_Text, ...] = ()
    python: str | None = None
    """As ``--python`` takes it."""


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
                _check_address(entry.host)
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


def _check_address(host: str) -> None:
    if host == EMULATED:
        raise BAD_ADDRESS(text=host)
    Address.of(host)
