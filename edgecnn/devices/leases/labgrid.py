"""Boards of a lab: places of a labgrid coordinator, tagged ``device=raspberry-pi-5``, whose NetworkService has the address.

A place is reserved and not acquired. The coordinator keeps an acquired place for whoever vanished until somebody releases it by
force; a reservation that nobody asks about any more it drops after a minute, and until then nobody else can acquire the place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final

from edgecnn.devices.leases.protocol import Board, Kind, Wait
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts.leases import BoardTaken, LabgridAbsent

if TYPE_CHECKING:
    from edgecnn.devices.leases.coordinator import Coordinator

SCHEME: Final = "labgrid://"
DEVICE: Final = "device"
"""The tag of a place that says which device it is."""
_ADDRESS: Final = re.compile(r"labgrid://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)(:[0-9]{1,5})?/?")
_TAG: Final = re.compile(r"([a-z][a-z0-9_]+)=(\S+)")
_LOOK_S: Final = 1.0


def labgrid_problems(where: str, tags: Sequence[str]) -> list[str]:
    """A sentence for each thing that labgrid does not take: an address that is none, a tag without a value."""
    problems = [] if _ADDRESS.fullmatch(where) else [f"boards {where!r} is no coordinator: labgrid://HOST or labgrid://HOST:PORT"]
    return problems + [f"labgrid's tags have values, as lab=2; {tag!r} has none" for tag in tags if not _TAG.fullmatch(tag)]


@dataclass(frozen=True)
class LabgridLease:
    """A place that is reserved for us."""

    board: Board
    token: str
    coordinator: Coordinator

    def lost(self) -> EdgecnnError | None:
        """See ``Lease.lost``."""
        if (error := self.coordinator.gone()) is not None:
            return error
        why = self.coordinator.taken(self.token, self.board.name)
        return None if why is None else BoardTaken(board=self.board.name, because=why)


@dataclass
class SharedConnection:
    """One connection for all threads that want one: a coordinator knows its clients by their sockets, which a process shares."""

    lock: Lock = field(default_factory=Lock)
    users: list[Coordinator] = field(default_factory=list)
    """The connection of each; of one that ended meanwhile, another than the last."""

    @contextmanager
    def of(self, make: Callable[[str], Coordinator], where: str) -> Iterator[Coordinator]:
        """The connection, opened by the first and closed by the last; a new one where it ended meanwhile."""
        with self.lock:
            mine = next((each for each in self.users if each.gone() is None), None) or make(where).__enter__()
            self.users.append(mine)
        try:
            yield mine
        finally:
            with self.lock:
                self.users.remove(mine)
                last = mine not in self.users
            if last:
                mine.__exit__(None, None, None)


@dataclass(frozen=True)
class LabgridBoards:
    """The places of a coordinator, ``labgrid://HOST:PORT``."""

    where: str
    shared: SharedConnection = field(default_factory=lambda: SharedConnection(), compare=False)

    def of(self, kind: Kind) -> tuple[Board, ...]:
        """See ``Boards.of``."""
        with self._connected() as coordinator:
            return tuple(each for each in coordinator.boards() if _is(each, kind))

    @contextmanager
    def reserve(self, kind: Kind, without: Collection[str], wait: Wait) -> Iterator[LabgridLease]:
        """See ``Boards.reserve``: in the order in which labgrid gives places out."""
        with self._connected() as coordinator:
            wanted = [each.name for each in coordinator.boards() if _is(each, kind) and each.name not in without]
            with coordinator.reserved(_filters(kind, wanted, without)) as tokens:
                token, name = _allocated(coordinator, kind, tokens, wait)
                coordinator.cancel([each for each in tokens if each != token])
                board = next(each for each in coordinator.boards() if each.name == name)
                yield LabgridLease(board, token, coordinator)

    @contextmanager
    def _connected(self) -> Iterator[Coordinator]:
        try:
            from edgecnn.devices.leases.coordinator import Coordinator
        except ModuleNotFoundError as error:
            raise LabgridAbsent(where=self.where) from error
        with self.shared.of(Coordinator, self.where) as coordinator:
            yield coordinator


def _is(board: Board, kind: Kind) -> bool:
    return board.device == kind.device and set(kind.tags) <= set(board.tags)


def _filters(kind: Kind, wanted: Sequence[str], without: Collection[str]) -> list[Mapping[str, str]]:
    """One for all by their tags; where some are not wanted, which labgrid cannot be told, one for each that is."""
    if without and wanted:
        return [{"name": name} for name in wanted]
    return [{DEVICE: kind.device, **dict(tag.split("=", 1) for tag in kind.tags)}]


def _allocated(coordinator: Coordinator, kind: Kind, tokens: Sequence[str], wait: Wait) -> tuple[str, str]:
    """The first reservation that has a place, and that place."""
    said = ""
    while True:
        if (found := coordinator.allocated(tokens)) is not None:
            return found
        queue = coordinator.queue(tokens)
        held = f"; {', '.join(queue.held)}" if queue.held else ""
        if (now := f"waiting for a {kind}: {queue.before} before{held}") != said:
            wait.tell.note(now)
            said = now
        wait.a_while(_LOOK_S)
