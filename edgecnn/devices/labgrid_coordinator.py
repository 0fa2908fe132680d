"""A connection to a labgrid coordinator. The asynchronous client runs in a separate thread, which ends with the connection."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Final, NamedTuple

import grpc
from labgrid.remote.client import ClientSession, Error
from labgrid.remote.common import Place, Reservation, ReservationState
from labgrid.remote.generated import labgrid_coordinator_pb2 as messages
from labgrid.util.proxy import proxymanager

from edgecnn.devices.leases import Board
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import BOARD_TAKEN, COORDINATOR_REFUSED, coordinator_unreachable

PORT: Final = 20408
"""The coordinator's default port."""
_ANSWER_S: Final = 15.0
_REFRESH_S: Final = 10.0
"""A reservation that is not polled for 60 seconds is dropped."""
_HELD: Final = (ReservationState.allocated, ReservationState.acquired)
_SSH_PORT: Final = 22


class _Session(ClientSession):  # type: ignore[misc]
    """Reserves under a separate user name, so that no one with the same account acquires these reservations."""

    def getuser(self) -> str:
        return f"{super().getuser()}-edgecnn"


class Queue(NamedTuple):
    """The position of a waiting reservation."""

    before: int
    """Earlier reservations that wait for the same places."""
    in_use: tuple[str, ...]
    """Places in use, each with its user."""


class Coordinator:
    """A connection, used as a context manager. A process has at most one, because a coordinator identifies clients by sockets.

    Raises CoordinatorUnreachable: no coordinator answers there.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda loop, context: None)  # ignore gRPC's callback after the end of the loop
        self._thread = threading.Thread(target=self._loop.run_forever, name="labgrid", daemon=True)
        self._session: Any = None
        self._dropped = dict[str, str]()
        """Reservation to the reason why it ended."""

    def __enter__(self) -> Coordinator:
        logging.getLogger().addFilter(_is_not_labgrid)
        self._thread.start()
        try:
            self._wait(self._connect())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def boards(self) -> tuple[Board, ...]:
        """Return every place with a device tag."""
        places = [place for place in tuple(self._session.places.values()) if "device" in place.tags]
        return tuple(self._board(place) for place in sorted(places, key=lambda place: str(place.name)))

    @contextmanager
    def reserved(self, filters: Sequence[Mapping[str, str]]) -> Iterator[list[str]]:
        """Reserve by tags, and keep these and all added reservations alive during the block. Raises as ``reserve``."""
        tokens = list[str]()
        try:
            self.reserve(filters, tokens)
            keeping = asyncio.run_coroutine_threadsafe(self._keep_alive(tokens), self._loop)
            try:
                yield tokens
            finally:
                keeping.cancel()
        finally:
            self.cancel(tokens)

    def reserve(self, filters: Sequence[Mapping[str, str]], tokens: list[str]) -> None:
        """Add one reservation for each filter. Raises CoordinatorUnreachable, COORDINATOR_REFUSED."""
        for tags in filters:
            request = messages.CreateReservationRequest(filters={"main": messages.Reservation.Filter(filter=tags)}, prio=0.0)
            tokens.append(self._call(self._session.stub.CreateReservation, request).reservation.token)

    def allocated(self, tokens: Sequence[str]) -> dict[str, str]:
        """Return the reservations that have a place, with the place's name.

        Raises BoardTaken: a reserved place was deleted. CoordinatorUnreachable, COORDINATOR_REFUSED.
        """
        places = dict[str, str]()
        for token in tokens:
            reservation = self._call(self._session.stub.PollReservation, messages.PollReservationRequest(token=token)).reservation
            if ReservationState(reservation.state) is ReservationState.invalid:
                raise BOARD_TAKEN(board=f"the board of reservation {token}", because="the place was deleted")
            if ReservationState(reservation.state) in _HELD:
                places[token] = reservation.allocations["main"]
        if places:
            self._wait(self._session.sync_with_coordinator())  # so that ``taken`` has the places
        return places

    def queue(self, tokens: Collection[str]) -> Queue:
        """Return the position of these reservations. Raises CoordinatorUnreachable, COORDINATOR_REFUSED."""
        answer = self._call(self._session.stub.GetReservations, messages.GetReservationsRequest())
        every = sorted(
            map(Reservation.from_pb2, answer.reservations), key=lambda reservation: (-reservation.prio, reservation.created)
        )
        waiting = [
            reservation for reservation in every if reservation.state is ReservationState.waiting or reservation.token in tokens
        ]
        first = next((number for number, reservation in enumerate(waiting) if reservation.token in tokens), 0)
        places = [place for reservation in waiting if reservation.token in tokens for place in self._places_of(reservation)]
        names = {place.name for place in places}
        before = sum(any(place.name in names for place in self._places_of(reservation)) for reservation in waiting[:first])
        owners = {token.token: token.owner for token in every}
        users = {place.name: place.acquired or owners.get(place.reservation) for place in places}
        return Queue(before, tuple(f"{name} is in use by {owner}" for name, owner in sorted(users.items()) if owner))

    def taken(self, token: str, name: str) -> str | None:
        """Return why a place is no longer reserved for this process, or None."""
        place = self._session.places.get(name)
        if place is None:
            return "the place was deleted"
        if place.acquired:
            return f"{place.acquired} acquired it"
        if token in self._dropped or place.reservation != token:
            return f"its reservation {token} is gone: {self._dropped.get(token, 'it was cancelled')}"
        places = (service.acquired for _, service in self._services(place) if service.acquired not in (None, name))
        return next((f"its NetworkService is in use by the place {holder}" for holder in places), None)

    def gone(self) -> EdgecnnError | None:
        """Return the error of a lost connection, or None."""
        return self._lost("the connection ended") if self._session.stopping.is_set() else None

    def cancel(self, tokens: Sequence[str]) -> None:
        """Cancel reservations, including those that have ended."""
        for token in tokens:
            with suppress(EdgecnnError, RuntimeError):  # the loop has ended with its connection
                self._call(self._session.stub.CancelReservation, messages.CancelReservationRequest(token=token))

    # -----------------------------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        address = self._where.removeprefix("labgrid://").rstrip("/")
        self._session = _Session(proxymanager.get_grpc_address(address, default_port=PORT), self._loop)
        await self._session.start()

    def _board(self, place: Place) -> Board:
        tags = tuple(sorted(f"{name}={value}" for name, value in place.tags.items() if name != "device"))
        host = next((_host_argument(service.params) for _, service in self._services(place) if service.avail), None)
        return Board(name=place.name, device=place.tags["device"], host=host, tags=tags)

    def _services(self, place: Place) -> Iterator[tuple[str, Any]]:
        for exporter, groups in sorted(self._session.resources.items()):
            for group, resources in sorted(groups.items()):
                for name, resource in sorted(resources.items()):
                    if resource.cls == "NetworkService" and place.hasmatch((exporter, group, resource.cls, name)):
                        yield name, resource

    def _places_of(self, reservation: Reservation) -> list[Place]:
        tags = set(reservation.filters.get("main", {}).items())
        every = tuple(self._session.places.values())
        return [place for place in every if tags <= {*place.tags.items(), ("name", place.name)}]

    async def _keep_alive(self, tokens: Sequence[str]) -> None:
        while not self._session.stopping.is_set():
            await asyncio.sleep(_REFRESH_S)
            for token in tuple(tokens):
                try:
                    answer = await self._session.stub.PollReservation(messages.PollReservationRequest(token=token))
                except grpc.aio.AioRpcError as error:
                    if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
                        self._dropped[token] = "it was cancelled"
                    continue
                state = ReservationState(answer.reservation.state)
                if state in (ReservationState.expired, ReservationState.invalid):
                    self._dropped[token] = f"it is {state.name}"

    def _call(self, call: Callable[[Any], Awaitable[Any]], request: Any) -> Any:
        async def invoke() -> Any:
            return await call(request)

        try:
            return self._wait(invoke())
        except grpc.aio.AioRpcError as error:
            reason = error.details() or error.code().name.lower()
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise self._lost(reason) from error
            raise COORDINATOR_REFUSED(where=self._where, because=reason) from error

    def _wait(self, work: Any) -> Any:
        running = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return running.result(_ANSWER_S)
        except TookTooLong as error:
            running.cancel()
            raise self._lost(f"no answer in {_ANSWER_S:g} s") from error
        except (Error, OSError, ValueError) as error:
            raise self._lost(str(error).removeprefix("Error: ").lower()) from error

    def _lost(self, reason: str) -> EdgecnnError:
        return coordinator_unreachable(where=self._where, because=reason)

    def _end(self) -> None:
        try:
            if self._session is not None:
                with suppress(EdgecnnError):
                    self._wait(self._close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_ANSWER_S)
            if not self._thread.is_alive():
                self._loop.close()
            logging.getLogger().removeFilter(_is_not_labgrid)

    async def _close(self) -> None:
        session = self._session
        session.stopping.set()
        await session.stop()
        await session.close()


def _is_not_labgrid(record: logging.LogRecord) -> bool:
    """Drop log records of labgrid's client on the root logger; edgecnn's own error is clearer."""
    return "labgrid" not in record.pathname


def _host_argument(params: Mapping[str, Any]) -> str:
    """Return the address as ``--host`` takes it."""
    user, address, port = params["username"], params["address"], int(params.get("port", _SSH_PORT))
    if port == _SSH_PORT:
        return f"{user}@{address}"
    return f"ssh://{user}@{f'[{address}]' if ':' in address else address}:{port}"
