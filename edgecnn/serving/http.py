"""HTTP: under which names a server answers, one request, and the socket.

A site may turn its own name to this machine's address once its page is loaded (DNS rebinding), so only known names are
answered. A body is read only after its size, the rate of its sender and its origin were checked. Each connection carries one
request, and places are counted for all clients and for each.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import math
import re
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.usage import ADDRESS_UNUSABLE, PORT_IN_USE
from edgecnn.runner.failure import RunnerError
from edgecnn.serving.answering import Answering, Busy, Limits, NotAPhotograph, Rates
from edgecnn.serving.page import Page

_AUTHORITY: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::[0-9]*)?")
"""Of a Host header: an address of IPv6 in brackets, or a name or an address of IPv4; and a port."""
_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")


def is_host_name(text: str) -> bool:
    """Whether it is a name, or an address of IPv4, as it stands in a Host header: without a scheme and a port."""
    return _NAME.fullmatch(text) is not None


class HostNames:
    """Names with any port, which may be another outside of a container or before a proxy.

    ``allowed``: those that the user gave. ``reached``: whether others reach this machine's server, which then has addresses and
    the machine's own names too.
    """

    def __init__(self, allowed: Iterable[str], *, reached: bool) -> None:
        self._reached = reached
        self._names = {_plain(name) for name in allowed}
        if reached:
            machine = _plain(socket.gethostname())
            self._names |= {"localhost", machine, f"{machine.partition('.')[0]}.local"}
        self._names.discard("")

    def hold(self, host: str) -> bool:
        """Whether a Host header says one of them."""
        match = _AUTHORITY.fullmatch(host.lower())
        if match is None:
            return False
        name = _plain(match[1])
        return name in self._names or (self._reached and (_is_address(name) or name == self._full_name))

    @cached_property
    def _full_name(self) -> str:
        """The machine's, for which the network may be asked, and slow to answer: not before a request makes it necessary."""
        return _plain(socket.getfqdn())


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


_METHODS: Final = {"/": "GET", "/predict": "POST"}
_CHUNK: Final = 1 << 16
_LINGER_S: Final = 2.0
_UNCLEAR: Final = "this is not a request that can be read"
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_GUARDS: Final = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
NO_PLACE: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
    b"X-Content-Type-Options: nosniff\r\n\r\n"
)
"""For a connection that gets no thread."""


class _Refused(Exception):
    """Raised where a request gets a sentence instead of an answer."""

    def __init__(self, status: HTTPStatus, ref: str, what: str, **headers: str) -> None:
        super().__init__(what)
        self.status, self.ref, self.what = status, ref, what
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Handler(BaseHTTPRequestHandler):
    """Of one connection and its one request."""

    server: PhotoServer
    protocol_version = "HTTP/1.1"
    _unread = False
    """Whether a body may still be on its way."""

    def setup(self) -> None:
        """Silence ends a connection."""
        super().setup()
        self.connection.settimeout(self.server.limits.idle_s)

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        """The page."""
        self._answer()

    def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
        """A photograph."""
        self._answer()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server itself refuses: a method that has no function here, or a request that is none."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._answer()
            return
        self._unread = True
        self._refuse(_Refused(HTTPStatus(code), "bad-request", _UNCLEAR))

    def handle_expect_100(self) -> bool:
        """Whoever asks before sending is told to only once the rest was found in order."""
        return True

    def version_string(self) -> str:
        """Nobody needs to know which Python this is."""
        return "edgecnn"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in http.server
        """Keep no record of who asked what."""

    def finish(self) -> None:
        """Take what is still being sent, for a moment: closed on it, a client would not see the answer that refused it."""
        super().finish()
        if not self._unread:
            return
        ends = time.monotonic() + _LINGER_S
        try:
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_LINGER_S / 4)
            while time.monotonic() < ends and self.connection.recv(_CHUNK):
                continue
        except OSError:
            pass  # it has gone, or says no more

    def _answer(self) -> None:
        self._unread = self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers
        try:
            path = self.path.partition("?")[0]
            self._check_form()
            self._check_origin()
            if path not in _METHODS:
                raise _Refused(HTTPStatus.NOT_FOUND, "no-such-page", "there is only / and /predict here")
            if self.command != _METHODS[path]:
                what = f"{path} takes {_METHODS[path]} alone"
                raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "wrong-method", what, Allow=_METHODS[path])
            if path == "/":
                page = self.server.page
                self._send(HTTPStatus.OK, "text/html", page.html, {"Content-Security-Policy": page.policy})
            else:
                self._send_json(HTTPStatus.OK, self._predicted(), {})
        except _Refused as refused:
            self._refuse(refused)

    def _check_form(self) -> None:
        """What ``http.server`` passes over is refused: behind a line that is no header it sees none of those that follow."""
        if self.headers.get_content_maintype() == "multipart":
            what = f"a photograph is the body itself, and no form: curl --data-binary @photo.jpg {self.server.url}predict"
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "form", what)
        broken = self.headers.defects or self.headers.get_payload() or any("\0" in value for value in self.headers.values())
        if broken or self.request_version == "HTTP/0.9":
            raise _Refused(HTTPStatus.BAD_REQUEST, "bad-request", _UNCLEAR)

    def _check_origin(self) -> None:
        """Another site's page must not use this one through the browser that has both open."""
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1:
            raise _Refused(HTTPStatus.BAD_REQUEST, "bad-request", "a request names one host")
        host = hosts[0].strip().lower()
        if not self.server.answers_to(host):
            raise _Refused(HTTPStatus.FORBIDDEN, "foreign-host", self._own_names())
        origins = self.headers.get_all("Origin") or []
        if any(origin.strip().lower() not in (f"http://{host}", f"https://{host}") for origin in origins):
            raise _Refused(HTTPStatus.FORBIDDEN, "foreign-origin", "another site's page may not ask here")

    def _own_names(self) -> str:
        """For whoever called it otherwise."""
        if self.server.is_local:
            own = f"this page is at {self.server.url} alone, for"
        else:
            own = "this page answers under addresses and its machine's own names, for"
        return f"{own} another name may be another site's: edgecnn bundle serve --allow-host NAME adds one"

    def _predicted(self) -> dict[str, object]:
        wait_s = self.server.rates.wait_s(self.client_address[0])
        if wait_s > 0:
            raise _later(HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", "too many photographs in a short time", wait_s)
        content = self._body(self._length())
        self.server.arrived(self.request)
        try:
            return self.server.answering.answer(content).model_dump(mode="json")
        except Busy:
            what = "too many photographs are waiting to be looked at"
            raise _later(HTTPStatus.SERVICE_UNAVAILABLE, "busy", what, 1) from None
        except NotAPhotograph as error:
            what = f"This file cannot be read as a picture: {error}."
            raise _Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "unreadable-image", what) from error
        except (RunnerError, MemoryError) as error:
            self.server.tell(f"edgecnn: a photograph was not answered: {type(error).__name__}: {error}")
            what = "The model failed on this photograph; the terminal in which edgecnn runs says how."
            raise _Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "not-answered", what) from error

    def _length(self) -> int:
        """Of the body, in bytes, inside the limit."""
        lengths = self.headers.get_all("Content-Length") or []
        if len(lengths) != 1 or "Transfer-Encoding" in self.headers or not _LENGTH.fullmatch(lengths[0].strip()):
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "length-required", "a photograph is sent whole, with its length")
        length, limit = int(lengths[0]), self.server.limits.body_bytes
        if length > limit:
            what = f"This file has {length / 2**20:,.1f} MiB; at most {limit / 2**20:,.4g} MiB are taken."
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", what)
        if length == 0:
            raise _Refused(HTTPStatus.BAD_REQUEST, "empty", "This file is empty.")
        return length

    def _body(self, length: int) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(HTTPStatus.CONTINUE)
            self.end_headers()
        content = bytearray()
        try:
            while len(content) < length and (chunk := self.rfile.read1(min(_CHUNK, length - len(content)))):
                content += chunk
                self.server.came(self.request, len(chunk))
        except TimeoutError:
            raise _Refused(HTTPStatus.REQUEST_TIMEOUT, "too-slow", "This photograph did not arrive in time.") from None
        if len(content) < length:
            raise _Refused(HTTPStatus.BAD_REQUEST, "cut-off", "This photograph did not arrive whole.")
        self._unread = False
        return bytes(content)

    def _refuse(self, refused: _Refused) -> None:
        facts = {"error": {"ref": refused.ref, "what": refused.what}}
        self._send_json(refused.status, facts, refused.headers)

    def _send_json(self, status: HTTPStatus, facts: object, headers: dict[str, str]) -> None:
        self._send(status, "application/json", json.dumps(facts).encode("ascii"), headers)

    def _send(self, status: HTTPStatus, kind: str, content: bytes, headers: dict[str, str]) -> None:
        policy = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
        described = {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(content))}
        self.request_version = self.protocol_version  # an answer has headers even if the request had none
        self.send_response(status)
        for name, value in {**_GUARDS, **policy, **described, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _later(status: HTTPStatus, ref: str, what: str, wait_s: float) -> _Refused:
    return _Refused(status, ref, f"{what}; try again in {math.ceil(wait_s)} s", Retry_After=str(math.ceil(wait_s)))


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

    ``tell``: hears of failures that are our own, a sentence each. Raises PORT_IN_USE, ADDRESS_UNUSABLE: ``bundle`` of their
    command is ``page.bundle``.
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
        names = {self._authority(host) for host in ("127.0.0.1", "localhost", "::1", self.listens_on)}
        return frozenset(names | ({name.removesuffix(":80") for name in names} if self.port == 80 else set()))

    def serve_until(self, check: Callable[[], None]) -> None:
        """Answer until ``check``, asked every tenth of a second, raises."""
        self._check = check
        self.serve_forever(poll_interval=0.1)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for each connection that has a place; the others are told so and closed."""
        if self._admit(request, str(client_address[0])):
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

    def _admit(self, request: Any, client: str) -> bool:
        """Whether it has a place: a free one, or that of the slow one which has been here the longest."""
        now_s, limits = time.monotonic(), self.limits
        with self._lock:
            own = {held: guest for held, guest in self._guests.items() if guest.client == client}
            alone = len(own) >= limits.connections_per_client
            if alone or len(self._guests) >= limits.connections:
                rivals = own if alone else self._guests
                slow = [rival for rival, guest in rivals.items() if guest.is_slow(limits, now_s)]
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


def _refusal(place: Place, error: OSError | UnicodeError, bundle: str) -> EdgecnnError:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return PORT_IN_USE(host=place.host, port=place.port, bundle=bundle)
    because = "no such address" if isinstance(error, (socket.gaierror, UnicodeError)) else system_reason(error)
    return ADDRESS_UNUSABLE(host=place.host, port=place.port, because=_UNBOUND.get(number or 0, because), bundle=bundle)
