"""One request: GET / is the page, POST /predict a photograph; everything else is refused in a sentence, as JSON.

A body is read only after its size, its sender's rate and its origin were found in order, and nothing of it is written anywhere.
"""

from __future__ import annotations

import json
import math
import re
import socket
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Final

from edgecnn.runner.failure import RunnerError
from edgecnn.serving.answering import Busy, NotAPhotograph

if TYPE_CHECKING:
    from edgecnn.serving.server import PhotoServer

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
        return f"{own} another name may be another site's: edgecnn serve --allow-host NAME adds one"

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
        said = self.headers.get_all("Content-Length") or []
        if len(said) != 1 or "Transfer-Encoding" in self.headers or not _LENGTH.fullmatch(said[0].strip()):
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "length-required", "a photograph is sent whole, with its length")
        length, limit = int(said[0]), self.server.limits.body_bytes
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
