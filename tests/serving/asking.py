"""Requests over real sockets, also such as no library would send."""

from __future__ import annotations

import http.client
import json
import socket
from subprocess import Popen
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from edgecnn.bundle.serving import PhotoServer


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    content: bytes

    @property
    def said(self) -> Any:
        return json.loads(self.content)

    @property
    def ref(self) -> str:
        return str(self.said["error"]["ref"])


def ask(server: PhotoServer, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
    return ask_at(f"127.0.0.1:{server.port}", method, path, body, **headers)


def predicted(url: str, photo: bytes) -> Any:
    """What a server in another process answers; ``urllib`` would send it through a proxy where one is configured."""
    return ask_at(urlsplit(url).netloc, "POST", "/predict", photo).said


def announced(process: Popen[str]) -> Any:
    """The JSON that ``serve --json`` prints once it listens."""
    assert process.stdout is not None
    lines = []
    while (line := process.stdout.readline()) not in ("}\n", ""):
        lines.append(line)
    return json.loads("".join([*lines, "}"]))


def ask_at(place: str, method: str, path: str, body: bytes | None, **headers: str) -> Reply:
    connection = http.client.HTTPConnection(place, timeout=20)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return Reply(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def said_to(server: PhotoServer, text: bytes) -> bytes:
    """All that comes back for bytes as they are, until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(text)
        found = b""
        while chunk := connection.recv(65536):
            found += chunk
        return found
