"""Requests and clients that mean no good: each is refused, and whoever asks beside them is answered."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from edgecnn.bundle.serving import PhotoServer
from tests.serving.asking import ask, said_to
from tests.serving.conftest import Serve
from tests.serving.test_photographs import scanned


def head(server: PhotoServer, *lines: str, length: int) -> bytes:
    """Of a photograph; ``lines`` after those that belong there."""
    every = ["POST /predict HTTP/1.1", f"Host: 127.0.0.1:{server.port}", f"Content-Length: {length}", *lines, "", ""]
    return "\r\n".join(every).encode("latin-1")


@pytest.mark.parametrize(
    "hidden",
    [
        "no header\r\nOrigin: http://evil.example",
        "Two Words: x\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding : chunked",
        "\rOrigin: http://evil.example",
        "X: \x00",
    ],
)
def test_a_header_that_the_parser_would_not_see_is_no_way_in(serve: Serve, photo: bytes, hidden: str) -> None:
    server = serve()
    assert said_to(server, head(server, "X: y", length=len(photo)) + photo).startswith(b"HTTP/1.1 200 ")
    found = said_to(server, head(server, hidden, length=len(photo)) + photo)
    assert found.startswith(b"HTTP/1.1 400 ")
    assert b"bad-request" in found


def test_each_origin_that_is_named_must_be_the_page_s_own(serve: Serve, photo: bytes) -> None:
    server = serve()
    own = f"127.0.0.1:{server.port}"
    for lines in ([f"Origin: http://{own}", "Origin: http://evil.example"], [f"Origin: evil://{own}"]):
        assert b"foreign-origin" in said_to(server, head(server, *lines, length=len(photo)) + photo)


def test_a_request_of_1991_gets_headers_with_its_refusal(serve: Serve) -> None:
    server = serve()
    found = said_to(server, f"GET /\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
    assert found.startswith(b"HTTP/1.1 400 ")
    assert b"nosniff" in found


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "multipart/form-data", 'multipart/mixed; boundary="\x7f'])
def test_a_form_is_told_how_a_photograph_is_sent(serve: Serve, photo: bytes, kind: str) -> None:
    server = serve()
    form = b'--x\r\nContent-Disposition: form-data; filename="\x00\x1b[2J/../a.jpg"\r\n\r\n' + photo + b"\r\n--x--\r\n"
    reply = ask(server, "POST", "/predict", form, **{"Content-Type": kind})
    assert (reply.status, reply.ref) == (415, "form")
    assert reply.said["error"]["what"].endswith(f"curl --data-binary @photo.jpg {server.url}predict")


@pytest.mark.parametrize(
    ("body", "headers", "ref"),
    [
        (gzip.compress(b"photo"), {"Content-Encoding": "gzip"}, "compressed"),
        (gzip.compress(b"photo"), {}, "compressed"),
        (b'{"image": "aGVsbG8="}', {"Content-Type": "application/json"}, "json"),
        (b' [1, 2]', {}, "json"),
        (b"image=aGVsbG8%3D", {"Content-Type": "application/x-www-form-urlencoded"}, "form"),
        (b"aGVsbG8=", {"Content-Type": "text/plain; charset=utf-8"}, "text"),
        (b"data:image/png;base64,aGVsbG8=", {}, "text"),
    ],
)  # fmt: skip
def test_another_body_than_an_image_is_told_how_an_image_is_sent(
    serve: Serve, body: bytes, headers: dict[str, str], ref: str
) -> None:
    server = serve()
    reply = ask(server, "POST", "/predict", body, **headers)
    assert (reply.status, reply.ref) == (415, ref)
    assert reply.said["error"]["what"].endswith(f"curl --data-binary @photo.jpg {server.url}predict")


def test_an_image_is_classified_whatever_type_is_stated(serve: Serve, photo: bytes) -> None:
    server = serve()
    for kind in ("application/x-www-form-urlencoded", "application/json", "text/plain", "image/jpeg"):
        assert ask(server, "POST", "/predict", photo, **{"Content-Type": kind}).status == 200


def test_a_flood_of_headers_is_refused_where_its_sender_can_read_it(serve: Serve) -> None:
    server = serve()
    assert said_to(server, head(server, *["X: y"] * 1_000_000, length=5)).startswith(b"HTTP/1.1 431 ")


def test_hours_of_decoding_are_not_begun(serve: Serve, photo: bytes) -> None:
    server = serve(scanned_pixels=1 << 20)
    reply = ask(server, "POST", "/predict", scanned(100_000))
    assert (reply.status, reply.ref) == (422, "unreadable-image")
    assert "more than 256 scans of 64 x 64 pixels" in reply.said["error"]["what"]
    assert ask(server, "POST", "/predict", photo).status == 200


@pytest.fixture
def crowd() -> Iterator[ExitStack]:
    """Connections that are closed at the end."""
    with ExitStack() as held:
        yield held


def connected(crowd: ExitStack, server: PhotoServer, count: int, sends: bytes = b"") -> list[socket.socket]:
    found = [crowd.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20)) for _ in range(count)]
    for each in found[:8]:  # the others have been refused
        each.sendall(sends)
    return found


@pytest.mark.parametrize(("count", "sends"), [(200, b""), (10, b"POST /predict HT"), (10, b"whole head")])
def test_many_that_are_silent_or_slow_hold_nobody_up(
    serve: Serve, photo: bytes, crowd: ExitStack, count: int, sends: bytes
) -> None:
    server = serve()
    connected(crowd, server, count, head(server, length=10_000_000) if sends == b"whole head" else sends)
    time.sleep(server.limits.settling_s * 1.5)
    for _ in range(10):
        assert ask(server, "POST", "/predict", photo).status == 200


def test_who_sends_a_photograph_at_a_fair_rate_keeps_the_place(serve: Serve, photo: bytes, crowd: ExitStack) -> None:
    server = serve(connections_per_client=1, settling_s=0.1, slowest_bytes_per_s=100)
    (sender,) = connected(crowd, server, 1)
    sender.sendall(head(server, length=len(photo)) + photo[:-1])
    time.sleep(0.5)
    assert said_to(server, b"").startswith(b"HTTP/1.1 503 ")
    sender.sendall(photo[-1:])
    assert sender.recv(12) == b"HTTP/1.1 200"


def test_of_many_clients_the_slow_one_that_came_first_makes_room(serve: Serve, photo: bytes, crowd: ExitStack) -> None:
    server = serve(connections=3, settling_s=0.1)
    first, second, _ = connected(crowd, server, 3)
    time.sleep(0.3)
    assert ask(server, "POST", "/predict", photo).status == 200
    assert first.recv(1) == b""
    second.sendall(head(server, length=len(photo)) + photo)
    assert second.recv(12) == b"HTTP/1.1 200"
