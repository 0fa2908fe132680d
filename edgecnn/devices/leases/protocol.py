"""A board for a while: one of a kind, reserved, and nobody else's until the block ends, however it ends.

The lock that lies on a board itself decides: whoever measures there has it, from wherever the board was reached.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Event
from typing import Final, NamedTuple, Protocol

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts.board import BoardBusy
from edgecnn.hosts.ssh.board import FOLDER, PYTHON
from edgecnn.hosts.ssh.host import LOCK, SshHost
from edgecnn.hosts.ssh.link import Address, Link
from edgecnn.values.base import Value
from edgecnn.values.stage import Progress


class Board(Value):
    """A board that can be leased."""

    name: str
    device: str
    """The name of the device that it is."""
    host: str | None
    """As ``--host`` takes it; None: nobody knows it at present."""
    tags: tuple[str, ...] = ()
    """Words that a sweep can ask for."""
    python: str | None = None
    """As ``--python`` takes it."""


class Kind(NamedTuple):
    """What a build may be measured on: boards of a device, of those only the ones with every tag."""

    device: str
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.device} with {' and '.join(self.tags)}" if self.tags else self.device


@dataclass(frozen=True)
class Wait:
    """How somebody waits for a board."""

    tell: Progress
    """Hears what is waited for."""
    over: Event = field(default_factory=Event)
    """Set when nobody waits any more."""
    at_most_s: float | None = None
    begun: float = field(default_factory=time.monotonic)

    def a_while(self, seconds: float) -> None:
        """Raises KeyboardInterrupt: it is over. TimeoutError: it took longer than ``at_most_s``."""
        if self.at_most_s is not None and time.monotonic() - self.begun >= self.at_most_s:
            raise TimeoutError(f"somebody has it for more than {self.at_most_s:g} s")
        if self.over.wait(seconds):
            raise KeyboardInterrupt


class Lease(Protocol):
    """A board that is ours."""

    @property
    def board(self) -> Board:
        """Which one."""

    def lost(self) -> EdgecnnError | None:
        """Why it is ours no longer; None while it is. Cheap: it may be asked every second."""


class Boards(Protocol):
    """Where boards come from."""

    @property
    def where(self) -> str:
        """As the user named it."""

    def of(self, kind: Kind) -> tuple[Board, ...]:
        """Every board of the kind, whoever has it now. Nothing is reserved.

        Raises LabgridAbsent, CoordinatorUnreachable: of a coordinator.
        """

    def reserve(self, kind: Kind, without: Collection[str], wait: Wait) -> AbstractContextManager[Lease]:
        """Wait for a board of the kind, and hold it while the block runs. Several threads may do so at the same time.

        ``without``: names of boards that are not wanted; at least one other is there.

        Raises LabgridAbsent, CoordinatorUnreachable, COORDINATOR_REFUSED: of a coordinator. BoardTaken, NO_BOARD_LEFT: it has one
        or all of these no longer. KeyboardInterrupt: no more waiting.
        """


LOOK_S: Final = 5.0
"""Between two looks at a lock that somebody has."""


def busy_error(board: Board) -> BoardBusy | None:
    """Who has it; None where its lock is free. Whatever else is amiss with it is left to who looks at it next."""
    try:
        link, python = Link.open(Address.of(board.host or "")), board.python or PYTHON
        with SshHost.over(link, what="edgecnn sweep", python=python, folder=FOLDER, lock=LOCK):
            return None
    except BoardBusy as error:
        return error
    except EdgecnnError:
        return None
