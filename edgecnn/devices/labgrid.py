"""Lease boards of a lab: places of a labgrid coordinator with a tag such as ``device=raspberry-pi-5`` and a NetworkService.

A place is reserved, not acquired. The coordinator keeps an acquired place until someone releases it, even if its user has
crashed. It drops a reservation one minute after the last poll; until then no one else can acquire the place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Final

from edgecnn.devices.leases import LOOK_S, Board, Kind, Wait, busy_error
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import BOARD_TAKEN, LABGRID_ABSENT, no_board_left
from edgecnn.errors.wording import counted

if TYPE_CHECKING:
    from edgecnn.devices.labgrid_coordinator import Coordinator


SCHEME: Final = "labgrid://"
DEVICE: Final = "device"
"""The tag that names a place's device."""
_ADDRESS: Final = re.compile(r"labgrid://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)(:[0-9]{1,5})?/?")
_TAG: Final = re.compile(r"([a-z][a-z0-9_]+)=(\S+)")
_POLL_S: Final = 1.0


def labgrid_problems(where: str, tags: Sequence[str]) -> list[str]:
    """Return a sentence for an invalid address, and for each tag without a value."""
    problems = list[str]()
    if not _ADDRESS.fullmatch(where):
        problems.append(f"boards {where!r} is not a coordinator: write labgrid://HOST or labgrid://HOST:PORT")
    return problems + [f"labgrid's tags have values, such as lab=2; {tag!r} has none" for tag in tags if not _TAG.fullmatch(tag)]


@dataclass(frozen=True)
class LabgridLease:
    """A place that is reserved for this process."""

    board: Board
    token: str
    coordinator: Coordinator

    def lost(self) -> EdgecnnError | None:
        """See ``Lease.lost``."""
        if (error := self.coordinator.gone()) is not None:
            return error
        why = self.coordinator.taken(self.token, self.board.name)
        return None if why is None else BOARD_TAKEN(board=self.board.name, because=why)


@dataclass
class SharedConnection:
    """One connection for all threads, since a coordinator identifies its clients by their sockets."""

    lock: Lock = field(default_factory=Lock)
    users: list[Coordinator] = field(default_factory=list)
    """The connection of each user. Users after a lost connection have a new connection."""

    @contextmanager
    def of(self, make: Callable[[str], Coordinator], where: str) -> Iterator[Coordinator]:
        """Yield the connection. The first user opens it, the last user closes it, and a lost connection is replaced."""
        with self.lock:
            connection = next((user for user in self.users if user.gone() is None), None) or make(where).__enter__()
            self.users.append(connection)
        try:
            yield connection
        finally:
            with self.lock:
                self.users.remove(connection)
                if connection not in self.users:
                    connection.__exit__(None, None, None)


@dataclass(frozen=True)
class LabgridBoards:
    """The places of a coordinator, ``labgrid://HOST:PORT``."""

    where: str
    shared: SharedConnection = field(default_factory=lambda: SharedConnection(), compare=False)

    def of(self, kind: Kind) -> tuple[Board, ...]:
        """See ``Boards.of``."""
        with self._connected() as coordinator:
            return tuple(board for board in coordinator.boards() if _fits(board, kind))

    @contextmanager
    def reserve(self, kind: Kind, without: Collection[str], wait: Wait) -> Iterator[LabgridLease]:
        """See ``Boards.reserve``. Places are tried in labgrid's order. A place that a process outside the lab uses is skipped.

        Raises BoardTaken: the place was deleted meanwhile. NO_BOARD_LEFT: every matching place was deleted.
        """
        with self._connected() as coordinator:
            list_places = partial(self._wanted_places, coordinator, kind, without)
            tags = {DEVICE: kind.device, **dict(tag.split("=", 1) for tag in kind.tags)}
            with coordinator.reserved(_name_filters(list_places()) if without else [tags]) as tokens:
                token, board = _first_free_place(coordinator, kind, list_places, tokens, wait)
                coordinator.cancel([surplus for surplus in tokens if surplus != token])
                yield LabgridLease(board, token, coordinator)

    def _wanted_places(self, coordinator: Coordinator, kind: Kind, without: Collection[str]) -> list[str]:
        names = [board.name for board in coordinator.boards() if _fits(board, kind) and board.name not in without]
        if not names:
            raise no_board_left(kind=str(kind), reasons={self.where: "the last matching place was deleted"})
        return names

    @contextmanager
    def _connected(self) -> Iterator[Coordinator]:
        try:
            from edgecnn.devices.labgrid_coordinator import Coordinator
        except ModuleNotFoundError as error:
            raise LABGRID_ABSENT(where=self.where) from error
        with self.shared.of(Coordinator, self.where) as coordinator:
            yield coordinator


def _fits(board: Board, kind: Kind) -> bool:
    return board.device == kind.device and set(kind.tags) <= set(board.tags)


def _name_filters(places: Sequence[str]) -> list[Mapping[str, str]]:
    """Return a filter for each place, because labgrid has no filter that excludes places."""
    return [{"name": name} for name in places]


def _first_free_place(
    coordinator: Coordinator, kind: Kind, list_places: Callable[[], list[str]], tokens: list[str], wait: Wait
) -> tuple[str, Board]:
    """Return the first reservation whose place has a free lock, with its board.

    If a lock is taken, the place stays reserved, and the other places are reserved too.
    """
    announced: object = None
    while True:
        names, allocated, busy = list_places(), coordinator.allocated(tokens), dict[str, str]()
        for token, name in allocated.items():
            board = next((candidate for candidate in coordinator.boards() if candidate.name == name), None)
            if board is None:
                raise BOARD_TAKEN(board=name, because="the place was deleted")
            if (error := busy_error(board)) is None:
                return token, board
            busy[name] = f"{name}: {error.what}"
        if busy and len(tokens) == 1 and len(names) > 1:
            coordinator.reserve(_name_filters([name for name in names if name not in busy]), tokens)
            continue
        queue = coordinator.queue([token for token in tokens if token not in allocated])
        if (state := (queue, *busy)) != announced:
            announced = state
            reasons = (counted(queue.before, "earlier reservation"), *queue.in_use, *busy.values())
            wait.tell.note(f"waiting for a {kind}: {'; '.join(reasons)}")
        wait.a_while(LOOK_S if busy else _POLL_S)
