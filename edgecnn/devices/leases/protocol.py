"""Lease a board of a kind for the duration of a block.

The lock on the board itself decides: the process that holds it measures there, from whichever machine.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Event
from typing import Final, NamedTuple, Protocol

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import BoardBusy
from edgecnn.hosts.ssh.board import FOLDER, PYTHON
from edgecnn.hosts.ssh.host import LOCK, SshHost
from edgecnn.hosts.ssh.link import Address, Link
from edgecnn.values.base import Value
from edgecnn.values.stage import Progress


class Board(Value):
    """A board that can be leased."""

    name: str
    device: str
    """Name of its device."""
    host: str | None
    """As ``--host`` takes it; None: not known at present."""
    tags: tuple[str, ...] = ()
    """Words that a sweep can require."""
    python: str | None = None
    """As ``--python`` takes it."""


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
    """Set when no one waits any more."""
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
"""Interval between two checks of a taken lock, seconds."""


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
