"""Serve a kit's folder over HTTP to this machine, and a queue of work for its page.

Pages are isolated from other origins: otherwise no browser gives WebAssembly threads or a clock finer than 0.1 ms, see
https://developer.mozilla.org/en-US/docs/Web/API/Window/crossOriginIsolated. A message is the length of a JSON head in four
bytes, the head, and raw numbers. The address of the queue contains a secret that only the page knows.
"""

from __future__ import annotations

import json
import queue
import secrets
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Dict, Iterable, Tuple

Message = Tuple[Dict[str, Any], bytes]
ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".png": "image/png",
    ".wasm": "application/wasm",
}
_POLL_S = 5.0
"""A request for work returns empty after this time, and the page asks again."""


def packed(head: Dict[str, Any], body: bytes = b"") -> bytes:
    """Return a message as bytes."""
    text = json.dumps(head).encode("utf-8")
    return struct.pack("<I", len(text)) + text + body


def unpacked(data: bytes) -> Message:
    """Return the message in bytes. Raises ValueError: they are not a message."""
    if len(data) < 4:
        raise ValueError("it is too short")
    (length,) = struct.unpack("<I", data[:4])
    head = json.loads(data[4 : 4 + length].decode("utf-8"))
    if not isinstance(head, dict):
        raise ValueError("its head is not an object")
    return head, data[4 + length :]


class KitServer:
    """A server of some files of a folder, until it is closed."""

    def __init__(self, folder: Path, names: Iterable[str], port: int = 0) -> None:
        """``port``: 0 for any free port. Raises OSError: the port is taken."""
        self.work: queue.Queue[bytes] = queue.Queue()
        self.answers: queue.Queue[Message] = queue.Queue()
        self.secret = secrets.token_urlsafe(16)
        self.folder, self.names, self.place = folder, frozenset(names), "/work/" + self.secret
        self._server = _Listener(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def address(self, name: str) -> str:
        """Return the address of a file."""
        return "http://127.0.0.1:{}/{}".format(self._server.server_address[1], name)

    def wait(self) -> None:
        """Wait until the user interrupts."""
        while self._thread.is_alive():
            self._thread.join(1.0)

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, line: KitServer, port: int) -> None:
        self.line = line
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore pages that closed their connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def do_GET(self) -> None:
        line = self.server.line
        name = self.path.split("?", 1)[0].lstrip("/") or "index.html"
        if not self._is_ours():
            self._answer(403)
        elif self.path == line.place:
            self._give()
        elif name in line.names:
            self._answer(200, line.folder.joinpath(*name.split("/")).read_bytes(), name)
        else:
            self._answer(404)

    def do_POST(self) -> None:
        line, length = self.server.line, self.headers.get("Content-Length") or ""
        if not self._is_ours() or self.path != line.place or not length.isdigit():
            self.close_connection = True  # the body is not read
            self._answer(404)
            return
        data = self.rfile.read(int(length))
        if len(data) < int(length):
            return
        try:
            line.answers.put(unpacked(data))
        except ValueError as error:
            line.answers.put(({"error": "its answer cannot be read: {}".format(error)}, b""))
        self._answer(204)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def _is_ours(self) -> bool:
        """Whether the request's host is this machine: a foreign domain may resolve to 127.0.0.1."""
        return (self.headers.get("Host") or "").partition(":")[0] in ("127.0.0.1", "localhost")

    def _give(self) -> None:
        waiting = self.server.line.work
        try:
            work = waiting.get(timeout=_POLL_S)
        except queue.Empty:
            self._answer(204)
            return
        try:
            self._answer(200, work)
        except OSError:
            waiting.put(work)  # for the next page
            raise

    def _answer(self, status: int, body: bytes = b"", name: str = "") -> None:
        self.send_response(status)
        for header, value in ISOLATED.items():
            self.send_header(header, value)
        self.send_header("Content-Type", _TYPES.get(Path(name).suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
