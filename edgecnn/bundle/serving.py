"""Serve a bundle on a port: the server's names, one request, the socket, and the signals that end it.

Nothing listens before the bundle is verified and has classified once. A site may point its own name to this machine's address
after its page is loaded (DNS rebinding), so only known names are answered. A body is read only after its size, its sender's
rate and its origin are checked. Each connection carries one request, and connections are limited in total and for each client.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import math
import re
import signal
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any, Final

from edgecnn.bundle.answering import Answering, Busy, Limits, NotAPhotograph, Rates
from edgecnn.bundle.classifying import opened_kit
from edgecnn.bundle.predictions import Served
from edgecnn.bundle.verify import Trust, verify
from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.usage import ADDRESS_UNUSABLE, PORT_IN_USE
from edgecnn.values.stage import Progress

_AUTHORITY: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::[0-9]*)?")
"""A Host header: an IPv6 address in brackets, or a name or IPv4 address; then a port."""
_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")


def is_host_name(text: str) -> bool:
    """Return whether a text is a name or an IPv4 address as in a Host header, without scheme and port."""
    return _NAME.fullmatch(text) is not None


class HostNames:
    """The names under which a server answers, with any port, because a proxy or a container may use another port.

    ``allowed``: names from the user. ``reached``: whether other machines reach the server, which then also answers to its
    addresses and the machine's names.
    """

    def __init__(self, allowed: Iterable[str], *, reached: bool) -> None:
        self._reached = reached
        self._names = {_normalized_name(name) for name in allowed}
        if reached:
            machine = _normalized_name(socket.gethostname())
            self._names |= {"localhost", machine, f"{machine.partition('.')[0]}.local"}
        self._names.discard("")

    def contain(self, host: str) -> bool:
        """Return whether a Host header has one of the names."""
        match = _AUTHORITY.fullmatch(host.lower())
        if match is None:
            return False
        name = _normalized_name(match[1])
        return name in self._names or (self._reached and (_is_ip_address(name) or name == self._full_name))

    @cached_property
    def _full_name(self) -> str:
        """The machine's full name. The network may answer slowly, so the name is resolved only when a request needs it."""
        return _normalized_name(socket.getfqdn())


def _normalized_name(name: str) -> str:
    return name.lower().removesuffix(".")


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


_METHODS: Final = {"/": ("GET", "HEAD"), "/predict": ("POST",)}
_CHUNK: Final = 1 << 16
_LINGER_S: Final = 2.0
_LINGERING: Final = 64
"""Most refused connections that are kept open, so that their clients can read the response."""
_BEGINNING: Final = 1024
_FORM: Final = re.compile(rb"[A-Za-z_][\w.-]*=")
"""The beginning of an URL-encoded form."""
_UNCLEAR: Final = "this request is not valid"
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
"""Response to a connection that gets no thread."""


class _Refused(Exception):
    """A request that gets an error."""

    def __init__(self, status: HTTPStatus, ref: str, what: str, **headers: str) -> None:
        super().__init__(what)
        self.status, self.ref, self.what = status, ref, what
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Handler(BaseHTTPRequestHandler):
    """A connection, which carries one request."""

    server: PhotoServer
    protocol_version = "HTTP/1.1"
    _unread = False
    """Whether a body may still arrive."""

    def setup(self) -> None:
        """Set the time-out of a silent connection."""
        super().setup()
        self.connection.settimeout(self.server.limits.idle_s)

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        """Send the page."""
        self._respond()

    def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
        """Classify an image."""
        self._respond()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse requests that http.server refuses: unknown methods, and invalid requests."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._respond()
            return
        self._unread = True
        self._refuse(_Refused(HTTPStatus(code), "bad-request", _UNCLEAR))

    def handle_expect_100(self) -> bool:
        """Send 100 Continue only after the other headers are checked."""
        return True

    def version_string(self) -> str:
        """Hide the version of Python."""
        return "edgecnn"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in http.server
        """Log no requests."""

    def finish(self) -> None:
        """Read the rest of a body for a moment, because the client would otherwise not see the error."""
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
            pass  # it has disconnected

    def _respond(self) -> None:
        self._unread = self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers
        try:
            path = self.path.partition("?")[0]
            self._check_headers()
            self._check_origin()
            if path not in _METHODS:
                raise _Refused(HTTPStatus.NOT_FOUND, "no-such-page", "this server has only / and /predict")
            if self.command not in _METHODS[path]:
                what = f"{path} takes only {' and '.join(_METHODS[path])}"
                raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "wrong-method", what, Allow=", ".join(_METHODS[path]))
            if path == "/":
                page = self.server.page
                self._send(HTTPStatus.OK, "text/html", page.html, {"Content-Security-Policy": page.policy})
            else:
                self._send_json(HTTPStatus.OK, self._predict(), {})
        except _Refused as refused:
            self._refuse(refused)

    def _check_headers(self) -> None:
        """Refuse invalid headers that ``http.server`` ignores. It reads no headers after a line that is not a header."""
        if self.headers.get_content_maintype() == "multipart":
            raise self._unsupported("form", "in a form")
        if self.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise self._unsupported("compressed", "compressed")
        broken = self.headers.defects or self.headers.get_payload() or any("\0" in value for value in self.headers.values())
        if broken or self.request_version == "HTTP/0.9":
            raise _Refused(HTTPStatus.BAD_REQUEST, "bad-request", _UNCLEAR)

    def _unsupported(self, ref: str, form: str) -> _Refused:
        """Return the refusal of a body that contains the image in another form, with the way to send the image."""
        what = f"send the image as the body, not {form}: curl --data-binary @photo.jpg {self.server.url}predict"
        return _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, ref, what)

    def _refusal_of_file(self, content: bytes, error: NotAPhotograph) -> _Refused:
        """Return the refusal of a body that is not an image. Its first bytes decide, then its stated type.

        The type alone decides nothing, because ``curl --data-binary`` states that of a form.
        """
        stated = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        begins = content[:_BEGINNING].lstrip()
        if content.startswith(b"\x1f\x8b"):
            return self._unsupported("compressed", "compressed")
        if begins.startswith((b"{", b"[")) or stated.endswith(("/json", "+json")):
            return self._unsupported("json", "in JSON")
        if stated.startswith("text/") or begins.startswith(b"data:"):
            return self._unsupported("text", "as text")
        if _FORM.match(begins):
            return self._unsupported("form", "in a form")
        return _Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "unreadable-image", f"This file cannot be read as an image: {error}.")

    def _check_origin(self) -> None:
        """Refuse another site's page that uses this server through a browser that has both open."""
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1:
            raise _Refused(HTTPStatus.BAD_REQUEST, "bad-request", "a request must name one host")
        host = hosts[0].strip().lower()
        if not self.server.answers_to(host):
            names = f"is only at {self.server.url}" if self.server.is_local else "has only its machine's addresses and names"
            what = (
                f"this page {names}, since another name may belong to another site; "
                "add a name with edgecnn bundle serve --allow-host NAME"
            )
            raise _Refused(HTTPStatus.FORBIDDEN, "foreign-host", what)
        origins = self.headers.get_all("Origin") or []
        if any(origin.strip().lower() not in (f"http://{host}", f"https://{host}") for origin in origins):
            raise _Refused(HTTPStatus.FORBIDDEN, "foreign-origin", "pages of other sites may not use this server")

    def _predict(self) -> dict[str, object]:
        wait_s = self.server.rates.wait_s(self.client_address[0])
        if wait_s > 0:
            raise _retry_later(HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", "too many images in a short time", wait_s)
        content = self._read_body(self._content_length())
        self.server.mark_complete(self.request)
        try:
            return self.server.answering.answer(content).model_dump(mode="json")
        except Busy:
            what = "too many images are waiting"
            raise _retry_later(HTTPStatus.SERVICE_UNAVAILABLE, "busy", what, 1) from None
        except NotAPhotograph as error:
            raise self._refusal_of_file(content, error) from error
        except (EdgecnnError, MemoryError) as error:
            self.server.tell(f"edgecnn: an image was not classified: {type(error).__name__}: {error}")
            what = "The model failed on this image; the terminal of edgecnn shows the error."
            raise _Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "not-answered", what) from error

    def _content_length(self) -> int:
        """Return the length of the body in bytes, which is within the limit."""
        lengths = self.headers.get_all("Content-Length") or []
        if len(lengths) != 1 or "Transfer-Encoding" in self.headers or not _LENGTH.fullmatch(lengths[0].strip()):
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "length-required", "send the whole image with its Content-Length")
        length, limit = int(lengths[0]), self.server.limits.body_bytes
        if length > limit:
            what = f"This file has {length / 2**20:,.1f} MiB; the limit is {limit / 2**20:,.4g} MiB."
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", what)
        if length == 0:
            raise _Refused(HTTPStatus.BAD_REQUEST, "empty", "This file is empty.")
        return length

    def _read_body(self, length: int) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(HTTPStatus.CONTINUE)
            self.end_headers()
        content = bytearray()
        try:
            while len(content) < length and (chunk := self.rfile.read1(min(_CHUNK, length - len(content)))):
                content += chunk
                self.server.count_bytes(self.request, len(chunk))
        except TimeoutError:
            raise _Refused(HTTPStatus.REQUEST_TIMEOUT, "too-slow", "This image did not arrive in time.") from None
        if len(content) < length:
            raise _Refused(HTTPStatus.BAD_REQUEST, "cut-off", "This image did not arrive completely.")
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


def _retry_later(status: HTTPStatus, ref: str, what: str, wait_s: float) -> _Refused:
    return _Refused(status, ref, f"{what}; try again in {math.ceil(wait_s)} s", Retry_After=str(math.ceil(wait_s)))


_UNBOUND: Final = {
    errno.EACCES: "ports below 1024 need administrator rights",
    errno.EADDRNOTAVAIL: "not an address of this machine",
}


@dataclass(frozen=True)
class Page:
    """The page of a bundle: its bytes in UTF-8, and its content security policy."""

    bundle: str
    html: bytes
    policy: str


@dataclass(frozen=True)
class Place:
    """Address to listen on; port 0 is any free one."""

    host: str = "127.0.0.1"
    port: int = 0
    allowed: tuple[str, ...] = ()
    """Additional names under which the server answers."""


@dataclass
class _Guest:
    client: str
    since_s: float
    arrived_bytes: int = 0
    """Number of arrived bytes of the image."""
    complete: bool = False
    """Whether the request is complete and waits only for the server."""

    def is_late(self, limits: Limits, now_s: float) -> bool:
        """Return whether the time for sending the request is over."""
        return not self.complete and now_s > self.since_s + limits.request_s

    def is_slow(self, limits: Limits, now_s: float) -> bool:
        """Return whether another client may have the place."""
        return not self.complete and self.arrived_bytes < (now_s - self.since_s - limits.settling_s) * limits.slowest_bytes_per_s


class PhotoServer(ThreadingHTTPServer):
    """The server of a bundle's page. It listens from the start.

    ``tell``: receives a sentence for each failure of the server.

    Raises:
        PORT_IN_USE, ADDRESS_UNUSABLE: the server cannot listen there.
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
        self._lingering: dict[Any, float] = {}
        """The end of waiting for each refused connection. Only the serving thread uses it."""
        self._check: Callable[[], None] = lambda: None
        try:
            self.address_family, *_, address = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)[0]
            super().__init__(address[:2], Handler)  # type: ignore[arg-type] # an address of IPv4 or IPv6
        except (OSError, UnicodeError) as error:  # the name cannot be encoded
            raise _listening_error(place, error, page.bundle) from error
        reached = not self.is_local
        self._names = HostNames((*place.allowed, place.host) if reached else place.allowed, reached=reached)

    def server_bind(self) -> None:
        """Bind without a network request for this machine's full name."""
        socketserver.TCPServer.server_bind(self)

    @property
    def port(self) -> int:
        """Port on which the server listens."""
        return int(self.server_address[1])

    @property
    def listens_on(self) -> str:
        """Numeric address on which the server listens."""
        return str(self.server_address[0])

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the server."""
        return ipaddress.ip_address(self.listens_on).is_loopback

    @property
    def url(self) -> str:
        """Address of the page for a browser on this machine."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - the user named it
        return f"http://{self._authority(everywhere.get(self.listens_on, self.listens_on))}/"

    def answers_to(self, host: str) -> bool:
        """Return whether this Host header is valid."""
        local = set[str]()
        if self.is_local:
            local = {self._authority(name) for name in ("127.0.0.1", "localhost", "::1", self.listens_on)}
        if self.port == 80:
            local |= {name.removesuffix(":80") for name in local}
        return host.lower() in local or self._names.contain(host)

    def serve_until(self, check: Callable[[], None]) -> None:
        """Serve until ``check`` raises; it is called every tenth of a second."""
        self._check = check
        self.serve_forever(poll_interval=0.1)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection if a place is free. Otherwise send an error and close the connection."""
        if self._admit(request, str(client_address[0])):
            super().process_request(request, client_address)
            return
        request.settimeout(0)  # the socket is new, so this little is sent at once or not at all
        try:
            request.send(NO_PLACE)
            request.shutdown(socket.SHUT_WR)
        except OSError:  # it has disconnected
            self.shutdown_request(request)
            return
        self._lingering[request] = time.monotonic() + _LINGER_S
        if len(self._lingering) > _LINGERING:
            self._close_lingering(next(iter(self._lingering)))

    def _read_lingering(self, now_s: float) -> None:
        """Read what refused clients still send, and close their connections once they end.

        A connection that is closed with unread bytes is reset, and its client loses the response.
        """
        for request, ends_s in list(self._lingering.items()):
            try:
                if now_s > ends_s or not request.recv(_CHUNK):
                    self._close_lingering(request)
            except BlockingIOError:
                continue
            except OSError:
                self._close_lingering(request)

    def _close_lingering(self, request: Any) -> None:
        del self._lingering[request]
        self.shutdown_request(request)

    def server_close(self) -> None:
        """Close the server and its refused connections."""
        for request in list(self._lingering):
            self._close_lingering(request)
        super().server_close()

    def shutdown_request(self, request: Any) -> None:
        """Close a connection and free its place."""
        with self._lock:
            self._guests.pop(request, None)
        super().shutdown_request(request)

    def mark_complete(self, request: Any) -> None:
        """Note that a request is complete."""
        with self._lock:
            if request in self._guests:
                self._guests[request].complete = True

    def count_bytes(self, request: Any, count: int) -> None:
        """Count arrived bytes of an image."""
        with self._lock:
            if request in self._guests:
                self._guests[request].arrived_bytes += count

    def service_actions(self) -> None:
        """Call ``check``, and close connections that send too slowly. The loop calls this several times a second."""
        self._check()
        now_s = time.monotonic()
        self._read_lingering(now_s)
        with self._lock:
            for request in [request for request, guest in self._guests.items() if guest.is_late(self.limits, now_s)]:
                self._cut_off(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that disconnects; report any other error, and continue."""
        error = sys.exception()
        if not isinstance(error, OSError):
            self.tell(f"edgecnn: a request failed: {type(error).__name__}: {error}")

    def _admit(self, request: Any, client: str) -> bool:
        """Give the connection a free place, or the place of a slow client. Return whether it has a place."""
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
        """Close the socket, so that its thread ends. The caller holds the lock, so the socket still belongs to the connection."""
        del self._guests[request]
        with suppress(OSError):  # it has disconnected
            request.shutdown(socket.SHUT_RDWR)

    def _authority(self, host: str) -> str:
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def _listening_error(place: Place, error: OSError | UnicodeError, bundle: str) -> EdgecnnError:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return PORT_IN_USE(host=place.host, port=place.port, bundle=bundle)
    because = "no such address" if isinstance(error, (socket.gaierror, UnicodeError)) else system_reason(error)
    return ADDRESS_UNUSABLE(host=place.host, port=place.port, because=_UNBOUND.get(number or 0, because), bundle=bundle)


class Terminated(BaseException):
    """Raised in the main thread on SIGTERM, so that unpacked files are removed."""


_EXCEPTIONS: Final[Mapping[int, type[BaseException]]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


@dataclass(frozen=True)
class ServeRequest:
    """A bundle to serve, and where."""

    bundle: Path
    """The folder of a build or a bundle, or a zip."""
    candidate: str | None = None
    """Name of the candidate that classifies (default: the chosen candidate)."""
    place: Place = field(default_factory=Place)
    limits: Limits = field(default_factory=Limits)
    trust: Trust = field(default_factory=Trust)
    """Requirements on the bundle before any of its files is opened."""


@contextmanager
def photo_server(
    request: ServeRequest, page_of: Callable[[Served, Limits], Page], tell: Progress, complain: Callable[[str], None]
) -> Iterator[tuple[PhotoServer, Served]]:
    """Yield a listening server, which answers once ``serve_until`` is called.

    Args:
        request: the bundle, and the address to listen on.
        page_of: makes the page.
        tell: shows the progress of the verification.
        complain: receives a sentence for each failure of the server.

    Raises:
        EdgecnnError: an error of ``verify`` or ``opened_kit``.
        PORT_IN_USE, ADDRESS_UNUSABLE: the server cannot listen there.
    """
    bundle = verify(request.bundle, request.trust, tell)
    with opened_kit(bundle, request.candidate) as kit:
        answering = Answering(kit.process, request.limits)
        answering.warm_up()
        served = Served(
            bundle=str(request.bundle), name=kit.manifest.name, version=kit.manifest.version,
            candidate=kit.candidate, classes=answering.classes, confinement=kit.confinement,
            unlearned=bundle.contents.unlearned.get(kit.candidate), warnings=bundle.facts.warnings,
        )  # fmt: skip
        server = PhotoServer(request.place, page_of(served, request.limits), answering, request.limits, complain)
        try:
            yield server, served
        finally:
            server.server_close()
            answering.finish()


class EndSignals:
    """A signal that ends the process, raised as an exception: by the handler before the first ``check``, by ``check`` afterwards.

    Python drops an exception that a handler raises during a weak reference's callback. These callbacks run whenever a request's
    thread is freed: four of 16,000 interruptions after an answer were lost. ``socketserver`` also takes an exception for a
    failure of the accepted request. Its loop therefore calls ``check``, and nothing is raised inside the loop.
    """

    def __init__(self) -> None:
        self._requested: type[BaseException] | None = None
        self._polled = False

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        self._requested = _EXCEPTIONS[number]
        if not self._polled:
            raise self._requested

    def check(self) -> None:
        """Raise the exception of the received signal, if there is one. The handler raises at a second signal."""
        self._polled = self._requested is None
        if self._requested is not None:
            raise self._requested


@contextmanager
def raise_end_signals() -> Iterator[EndSignals]:
    """Raise KeyboardInterrupt on Ctrl-C and Terminated on SIGTERM inside the block; for the main thread only.

    Signals that the process was started to ignore, such as Ctrl-C in a background job, stay ignored.
    """
    endings = EndSignals()
    signals = [number for number in _EXCEPTIONS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, endings.handle) for number in signals}
    try:
        yield endings
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
