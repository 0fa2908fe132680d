"""Whatever is sent to a real ``edgecnn bundle serve``: one well-formed answer at most, no hang, no traceback.

Most requests are right ones with a slip or two, since those come furthest.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from subprocess import Popen
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.bundle.sealed import KIT_FOLDER, published
from tests.house.child import child
from tests.house.source_tree import ROOT
from tests.serving.asking import announced, ask_at
from tests.serving.test_photographs import png_head, scanned

OWN = "OWN"
"""Stands for the address that the server listens on, which no strategy knows."""
ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) [ -~]+\r\n")
NO_ANSWER_S = 60.0


@dataclass(frozen=True)
class Request:
    """A right one, but for what is said otherwise."""

    method: bytes = b"POST"
    path: bytes = b"/predict"
    version: bytes = b" HTTP/1.1"
    hosts: tuple[str, ...] = (OWN,)
    origins: tuple[str, ...] = ()
    length: tuple[str, ...] = ("{}",)
    others: tuple[bytes, ...] = ()
    body: str = "photo.jpg"
    end: str = "whole"
    flips: tuple[tuple[float, int], ...] = ()
    """Bytes of all of it that become others: where, as a share of it, and into which."""

    @property
    def is_right(self) -> bool:
        return self == Request(body=self.body) and self.body in ("photo.jpg", "card.png")

    @property
    def is_foreign(self) -> bool:
        return not self.flips and (self.hosts != (OWN,) or any(OWN not in each for each in self.origins))

    def text(self, own: str, bodies: dict[str, bytes]) -> bytes:
        content = bodies[self.body]
        lines = [self.method + b" " + self.path + self.version]
        lines += [f"Host: {each}".encode() for each in self.hosts] + [f"Origin: {each}".encode() for each in self.origins]
        lines += [b"Content-Length: " + each.format(len(content)).encode() for each in self.length]
        whole = bytearray(b"\r\n".join([*lines, *self.others, b"", b""]).replace(OWN.encode(), own.encode()) + content)
        for share, value in self.flips:
            whole[min(int(share * len(whole)), len(whole) - 1)] = value
        return bytes(whole)


OTHERS = (
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding : chunked", b"Transfer-Encoding: identity, chunked", b"TE: trailers"),
    *(b"Connection: keep-alive", b"Connection: Upgrade\r\nUpgrade: websocket", b"Expect: 100-continue", b"Expect: x"),
    *(
        b"Content-Type: multipart/form-data",
        b'Content-Type: multipart/form-data; boundary="x\x00',
        b"Content-Type: message/rfc822",
    ),
    *(b"Content-Encoding: gzip", b"Content-Type: \xff\xfe", b"no header", b" folded", b"X: a\x00b", b"X: a\rY: b", b"\r", b": x"),
    *(b"X: " + b"y" * 70_000, b"\r\n".join([b"X: y"] * 150), b"X-Forwarded-For: 127.0.0.1", b"Cookie: " + b"a=b; " * 500),
)
SLIPS = st.one_of(
    *(
        st.tuples(st.just(name), values)
        for name, values in {
            "method": st.sampled_from(
                [b"GET", b"HEAD", b"PUT", b"OPTIONS", b"post", b"", b"P\x00ST", b"\x16\x03\x01", b"CONNECT"]
            ),
            "path": st.sampled_from(
                [b"/", b"//predict", b"/predict?a=b", b"/../etc/passwd", b"*", b"http://evil/", b"", b"/\x00%00"]
            )
            | st.binary(max_size=20),
            "version": st.sampled_from(
                [b"", b" HTTP/0.9", b" HTTP/1.0", b" HTTP/2.0", b" HTTP/1.1 x", b" HTTP/1.\xb2", b" ICY", b"\t"]
            ),
            "hosts": st.sampled_from([(), ("evil.example",), (OWN, OWN), (OWN, "evil"), (f"{OWN}.evil",), ("localhost",), ("",)]),
            "origins": st.sampled_from(
                [(f"http://{OWN}",), ("null",), ("http://evil",), (f"http://{OWN}", "http://evil"), ("",)]
            ),
            "length": st.sampled_from(
                [
                    (),
                    ("-1",),
                    ("0",),
                    ("5",),
                    ("9" * 15,),
                    ("9" * 40,),
                    ("0x5",),
                    ("1e3",),
                    ("{}", "{}"),
                    ("{}", "5"),
                    ("1{}",),
                    (" {}",),
                ]
            ),
            "others": st.lists(st.sampled_from(OTHERS) | st.binary(max_size=30), min_size=1, max_size=3).map(tuple),
            "body": st.sampled_from(["card.png", "nothing", "text", "cut", "bomb", "scans", "form", "many", "zeros"]),
            "end": st.sampled_from(["reset", "unread"]) | st.floats(0, 1).map(str),
            "flips": st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4).map(tuple),
        }.items()
    )
)
REQUESTS = st.lists(SLIPS, max_size=3).map(lambda slips: replace(Request(), **dict(slips)))


@dataclass
class Served:
    process: Popen[str]
    place: str
    bodies: dict[str, bytes]
    expected: dict[str, Any]
    beside: list[str] = field(default_factory=list)
    """What a client that does everything right got meanwhile."""

    def sent(self, request: Request) -> bytes | None:
        """All that came back; None where nobody waited for it."""
        text = request.text(self.place, self.bodies)
        host, _, port = self.place.partition(":")
        with socket.create_connection((host, int(port)), timeout=NO_ANSWER_S) as connection:
            try:
                connection.sendall(text if request.end in ("whole", "unread") else text[: self._cut(request, len(text))])
                if request.end == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if request.end in ("reset", "unread"):
                    return None
                connection.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: connection.recv(1 << 16), b""))
            except TimeoutError:
                pytest.fail(f"no end after {NO_ANSWER_S} s: {request}")
            except OSError:
                return None  # it was refused before it had said everything

    def _cut(self, request: Request, length: int) -> int:
        return length // 2 if request.end == "reset" else int(float(request.end) * length)

    def ask_on(self, stop: threading.Event) -> None:
        while not stop.wait(0.05):
            for name, expected in self.expected.items():
                reply = ask_at(self.place, "POST", "/predict", self.bodies[name])
                self.beside.append("right" if reply.status == 200 and reply.said["labels"] == expected else str(reply))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    bundle = published(tmp_path_factory.mktemp("fuzzed") / "flowers")
    photo = (bundle / KIT_FOLDER / "golden/photo.jpg").read_bytes()
    bodies = {
        "photo.jpg": photo, "card.png": (bundle / KIT_FOLDER / "golden/card.png").read_bytes(), "nothing": b"", "text": b"hello",
        "cut": photo[: len(photo) // 2], "bomb": png_head(60_000, 60_000), "scans": scanned(500), "zeros": bytes(1000),
        "form": b'--x\r\nContent-Disposition: form-data; filename="\x00/../a"\r\n\r\n' + photo + b"\r\n--x", "many": photo * 2,
    }  # fmt: skip
    command = [sys.executable, "-m", "edgecnn", "bundle", "serve", str(bundle), "--json", "--per-minute", "1000000"]
    with child(command, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        place = urlsplit(announced(process)["url"]).netloc
        expected = {name: ask_at(place, "POST", "/predict", bodies[name]).said["labels"] for name in ("photo.jpg", "card.png")}
        yield Served(process, place, bodies, expected)
        process.send_signal(signal.SIGTERM)
        _, talk = process.communicate(timeout=30)
        assert (process.returncode, talk.count("\n")) == (0, 1), talk
        assert talk.startswith("edgecnn: warning: the bundle is not signed")


def is_answer(found: bytes) -> int:
    """The status of what is one whole answer and no more; 0 of nothing."""
    if not found:
        return 0
    found = found.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    began = ANSWER.match(found)
    assert began, found[:200]
    headers = http.client.parse_headers(io.BytesIO(found[began.end() :]))
    content = found.partition(b"\r\n\r\n")[2]
    status = int(began[1])
    assert (headers["X-Content-Type-Options"], headers["Connection"]) == ("nosniff", "close")
    assert len(content) in (int(headers["Content-Length"]), 0), "a HEAD request's has none"
    if content and headers["Content-Type"] == "application/json; charset=utf-8":
        assert set(json.loads(content)) in ({"labels", "decode_ms", "inference_ms"}, {"error"})
    assert status in (200, 400, 403, 404, 405, 408, 411, 413, 414, 415, 422, 431, 503, 505), found[:200]
    return status


def fuzzed(served: Served, requests: int) -> None:
    """So many of ``REQUESTS``, while somebody asks beside."""

    @settings(max_examples=requests, deadline=None, suppress_health_check=list(HealthCheck))
    @given(request=REQUESTS)
    @example(request=Request())
    @example(request=Request(body="card.png"))
    @example(request=Request(hosts=("evil.example",)))
    @example(request=Request(origins=("null",)))
    @example(request=Request(origins=(f"http://{OWN}", "http://evil.example")))
    @example(request=Request(version=b"", method=b"GET", path=b"/"))
    @example(request=Request(length=("{}", "5")))
    @example(request=Request(others=(b"no header", b"Transfer-Encoding: chunked")))
    @example(request=Request(others=(b"\r\n".join([b"X: y"] * 150),)))
    @example(request=Request(body="bomb"))
    @example(request=Request(body="scans"))
    def sends(request: Request) -> None:
        found = served.sent(request)
        status = is_answer(found or b"")
        assert not (request.is_foreign and status == 200), request
        if request.is_right:
            assert status == 200, found
            assert json.loads((found or b"").partition(b"\r\n\r\n")[2])["labels"] == served.expected[request.body]

    stop = threading.Event()
    beside = threading.Thread(target=served.ask_on, args=(stop,))
    beside.start()
    try:
        sends()
    finally:
        stop.set()
        beside.join()
    assert set(served.beside) == {"right"}, sorted(set(served.beside) - {"right"})[:3]
    assert served.process.poll() is None


def test_a_hundred_requests(served: Served) -> None:
    fuzzed(served, 100)


@pytest.mark.slow  # a minute or two
def test_ten_thousand_requests(served: Served, record_property: Callable[[str, object], None]) -> None:
    record_property("figure", "serve: 10,000 changed HTTP requests, with right answers beside them")
    fuzzed(served, 10_000)
