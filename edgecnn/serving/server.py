"""A socket that answers: bound before anything is promised, and never held for ever by whoever is slow.

Each connection carries one request. Places are counted for all and for each client, and one whose request has not arrived in time
is cut off, however diligently it sends a byte now and then. Where places are short, who is silent or slow goes at once.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from typing import Any, Final

from edgecnn.errors.base import system_reason
from edgecnn.errors.usage import AddressUnusable, PortInUse
from edgecnn.serving.answering import Answering
from edgecnn.serving.handler import NO_PLACE, Handler
from edgecnn.serving.limits import Limits, Rates
from edgecnn.serving.names import HostNames
from edgecnn.serving.page import Page

_UNBOUND: Final = {
    errno.EACCES: "ports below 1024 are for the administrator",
    errno.EADDRNOTAVAIL: "not an address of this machine",
}


@dataclass(frozen=True)
class Place:
    """Where to listen: a name or an address, and a port; 0 is any free one."""

    host: str = "127.0.0.1"
    port: int = 0
    allowed: tuple[str, ...] = ()
    """Further names under which it answers."""


@dataclass
class _Guest:
    client: str
    since_s: float
    came: int = 0
    """Bytes of its photograph that have arrived."""
    whole: bool = False
    """Whether its request is here: what it waits for now is our own slowness."""

    def is_late(self, limits: Limits, now_s: float) -> bool:
        """Whether it has had all the time that there is for sending."""
        return not self.whole and now_s > self.since_s + limits.request_s

    def is_slow(self, limits: Limits, now_s: float) -> bool:
        """Whether another may have its place."""
        return not self.whole and self.came < (now_s - self.since_s - limits.settling_s) * limits.slowest_bytes_per_s


class PhotoServer(ThreadingHTTPServer):
    """Listens from the moment that it is made.

    ``tell``: hears of failures that are our own, a sentence each. Raises PortInUse, AddressUnusable: ``bundle`` of their command
    is ``page.bundle``.
    """

    daemon_threads = True
    request_queue_size = 32

    def __init__(
        self, place: Place, page: Page, answering: Answering, limits: Limits, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self.page, self.answering, self.limits, self.tell = page, answering, limits, tell
        self.rates = Rates(limits)
        self._lock = threading.Lock()
        self._guests: dict[Any, _Guest] = {}
        self._check: Callable[[], None] = lambda: None
        try:
            self.address_family, *_, address = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)[0]
            super().__init__(address[:2], Handler)  # type: ignore[arg-type] # an address of IPv4 or IPv6
        except (OSError, UnicodeError) as error:  # a name that cannot be encoded is no name
            raise _refusal(place, error, page.bundle) from error
        reached = not self.is_local
        self._names = HostNames((*place.allowed, place.host) if reached else place.allowed, reached=reached)

    def server_bind(self) -> None:
        """Bind, without asking the network for this machine's full name."""
        socketserver.TCPServer.server_bind(self)

    @property
    def port(self) -> int:
        """That it listens on."""
        return int(self.server_address[1])

    @property
    def listens_on(self) -> str:
        """The address, in figures."""
        return str(self.server_address[0])

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(self.listens_on).is_loopback

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what was asked for, in words
        return f"http://{self._authority(everywhere.get(self.listens_on, self.listens_on))}/"

    def answers_to(self, host: str) -> bool:
        """Whether a request may call it so in its Host header."""
        return (self.is_local and host.lower() in self._local_names()) or self._names.hold(host)

    def _local_names(self) -> frozenset[str]:
        """What a browser on this machine calls a server that nobody else reaches."""
        names = {self._authority(each) for each in ("127.0.0.1", "localhost", "::1", self.listens_on)}
        return frozenset(names | ({name.removesuffix(":80") for name in names} if self.port == 80 else set()))

    def serve_until(self, check: Callable[[], None]) -> None:
        """Answer until ``check``, asked every tenth of a second, raises."""
        self._check = check
        self.serve_forever(poll_interval=0.1)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for each connection that has a place; the others are told so and closed."""
        if self._entered(request, str(client_address[0])):
            super().process_request(request, client_address)
            return
        request.settimeout(0)  # it is new, so that so little goes at once or not at all
        with suppress(OSError):  # gone already
            request.send(NO_PLACE)
        self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection and free its place."""
        with self._lock:
            self._guests.pop(request, None)
        super().shutdown_request(request)

    def arrived(self, request: Any) -> None:
        """A whole request is here."""
        with self._lock:
            if request in self._guests:
                self._guests[request].whole = True

    def came(self, request: Any, count: int) -> None:
        """So many bytes more of its photograph are here."""
        with self._lock:
            if request in self._guests:
                self._guests[request].came += count

    def service_actions(self) -> None:
        """Several times a second: see whether this is to end, and cut off whoever has been sending for too long."""
        self._check()
        now_s = time.monotonic()
        with self._lock:
            for request in [request for request, guest in self._guests.items() if guest.is_late(self.limits, now_s)]:
                self._cut_off(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no failure; anything else is one of ours, and the next is served."""
        error = sys.exception()
        if not isinstance(error, OSError):
            self.tell(f"edgecnn: a request was not answered: {type(error).__name__}: {error}")

    def _entered(self, request: Any, client: str) -> bool:
        """Whether it has a place: a free one, or that of the slow one which has been here the longest."""
        now_s, limits = time.monotonic(), self.limits
        with self._lock:
            own = {each: guest for each, guest in self._guests.items() if guest.client == client}
            alone = len(own) >= limits.connections_per_client
            if alone or len(self._guests) >= limits.connections:
                rivals = own if alone else self._guests
                slow = [each for each, guest in rivals.items() if guest.is_slow(limits, now_s)]
                if not slow:
                    return False
                self._cut_off(slow[0])
            self._guests[request] = _Guest(client, now_s)
            return True

    def _cut_off(self, request: Any) -> None:
        """Let its thread find that nothing more comes; the lock is held, so that the socket is still its own."""
        del self._guests[request]
        with suppress(OSError):  # it has gone by itself
            request.shutdown(socket.SHUT_RDWR)

    def _authority(self, host: str) -> str:
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def _refusal(place: Place, error: OSError | UnicodeError, bundle: str) -> PortInUse | AddressUnusable:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return PortInUse(host=place.host, port=place.port, bundle=bundle)
    because = "no such address" if isinstance(error, (socket.gaierror, UnicodeError)) else system_reason(error)
    return AddressUnusable(host=place.host, port=place.port, because=_UNBOUND.get(number or 0, because), bundle=bundle)
