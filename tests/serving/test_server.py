"""What whoever sends requests gets: the answers of `predict`, and a sentence for everything else."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecnn.bundle.classifying import Classified, KitProcess
from edgecnn.bundle.predicting import predict_photos
from edgecnn.bundle.serving import Place, ServeRequest, photo_server
from edgecnn.bundle.verify import Trust, verify
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.bundle import BUNDLE_FILE_CHANGED
from edgecnn.errors.usage import ADDRESS_UNUSABLE, PORT_IN_USE
from edgecnn.render.page.served import served_page
from edgecnn.render.progress import Quiet
from tests.bundle.sealed import KIT_FOLDER, copied
from tests.serving.asking import ask, said_to
from tests.serving.conftest import HOSTILE, Serve


def pictures(folder: Path, count: int) -> list[Path]:
    """Different pictures, one of them turned by EXIF, one transparent."""
    random = np.random.default_rng(3)
    turned = Image.Exif()
    turned[0x0112] = 6
    for index in range(count):
        channels = 4 if index == 1 else 3
        picture = Image.fromarray(random.integers(0, 256, (30 + index, 50, channels), dtype=np.uint8))
        if index == 0:
            picture.save(folder / "0.jpg", exif=turned)
        else:
            picture.save(folder / f"{index}.png")
    return sorted(folder.iterdir())


def test_many_at_once_get_what_predict_says_of_each(serve: Serve, whole: Path, tmp_path: Path) -> None:
    files = pictures(tmp_path, 8)
    expected = predict_photos(verify(whole, Trust(), Quiet()), files, None, 5, Quiet()).model_dump(mode="json")["predictions"]
    server = serve(queue_length=8)
    with ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(lambda file: ask(server, "POST", "/predict", file.read_bytes()), files))
    assert [reply.status for reply in replies] == [200] * 8
    assert [reply.said["labels"] for reply in replies] == [each["labels"] for each in expected]
    assert all(reply.said["decode_ms"] > 0 and reply.said["inference_ms"] > 0 for reply in replies)


def test_the_page_lets_nothing_but_its_own_script_and_style_work_and_nobody_frame_it(serve: Serve) -> None:
    reply = ask(serve(), "GET", "/")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = reply.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Server"] == "edgecnn"


@pytest.mark.parametrize(
    ("method", "path", "status", "ref"),
    [
        ("GET", "/favicon.ico", 404, "no-such-page"),
        ("GET", "/../../etc/passwd", 404, "no-such-page"),
        ("POST", "/", 405, "wrong-method"),
        ("GET", "/predict", 405, "wrong-method"),
        ("PUT", "/predict", 405, "wrong-method"),
        ("OPTIONS", "/predict", 405, "wrong-method"),
        ("BREW", "/", 405, "wrong-method"),
        ("DELETE", "/x", 404, "no-such-page"),
    ],
)
def test_nothing_else_is_there(serve: Serve, method: str, path: str, status: int, ref: str) -> None:
    reply = ask(serve(), method, path)
    assert (reply.status, reply.ref, reply.headers["X-Content-Type-Options"]) == (status, ref, "nosniff")
    assert reply.headers["Allow"] == ({"/": "GET, HEAD", "/predict": "POST"}[path] if status == 405 else None)


def test_a_head_request_gets_the_headers_of_the_page(serve: Serve) -> None:
    server = serve()
    page, head = ask(server, "GET", "/"), ask(server, "HEAD", "/")
    assert (head.status, head.content, head.headers["Content-Length"]) == (200, b"", str(len(page.content)))
    assert ask(server, "HEAD", "/predict").status == 405


def test_a_head_request_gets_no_body(serve: Serve) -> None:
    head, _, body = said_to(serve(), b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 4")
    assert body == b""


def test_what_is_no_photograph_is_told_why(serve: Serve, photo: bytes, tmp_path: Path) -> None:
    server = serve()
    Image.new("RGB", (1, 150_000)).save(tmp_path / "narrow.png")
    found = {
        name: ask(server, "POST", "/predict", content).said["error"]
        for name, content in {
            "text": b"hello",
            "cut": photo[:300],
            "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (r) file\n",
            "narrow": (tmp_path / "narrow.png").read_bytes(),
        }.items()
    }
    assert {each["ref"] for each in found.values()} == {"unreadable-image"}
    assert found["text"]["what"].startswith(
        "This file cannot be read as an image: unsupported image format (supported: JPEG, PNG, "
    )
    assert "unsupported image format" in found["postscript"]["what"]
    assert "truncated" in found["cut"]["what"].lower()
    assert ask(server, "POST", "/predict", b"").ref == "empty"


def test_a_file_over_the_limit_is_refused_unread_and_one_at_the_limit_is_taken(serve: Serve, photo: bytes) -> None:
    server = serve(body_bytes=len(photo))
    assert ask(server, "POST", "/predict", photo).status == 200
    reply = ask(server, "POST", "/predict", bytes(30 << 20))
    assert (reply.status, reply.ref) == (413, "too-large")
    assert reply.said["error"]["what"].startswith("This file has 30.0 MiB; the limit is ")


def test_whoever_asks_first_whether_to_send_is_told_no_before_sending(serve: Serve) -> None:
    server = serve(body_bytes=10)
    head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nExpect: 100-continue\r\nContent-Length: "
    assert said_to(server, f"{head}11\r\n\r\n".encode()).startswith(b"HTTP/1.1 413 ")
    assert said_to(server, f"{head}2\r\n\r\nxy".encode()).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 422 ")


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ("", 411),
        ("Transfer-Encoding: chunked", 411),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", 411),
        ("Content-Length: 5\r\nContent-Length: 6", 411),
        ("Content-Length: -1", 411),
        ("Content-Length: +5", 411),
        ("Content-Length: ٥", 411),
        (f"Content-Length: {'9' * 15}", 413),
    ],
)
def test_a_length_that_cannot_be_believed_is_refused(serve: Serve, lines: str, status: int) -> None:
    server = serve()
    request = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{lines}\r\n\r\n".replace("\r\n\r\n\r\n", "\r\n\r\n")
    assert said_to(server, request.encode()).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize("request_", [b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / " + b"x" * 70000])
def test_what_is_no_request_gets_an_answer_and_harms_nobody(
    serve: Serve, request_: bytes, photo: bytes, complaints: list[str]
) -> None:
    server = serve()
    found = said_to(server, request_)
    assert found.startswith(b"HTTP/1.1 4") or found.startswith(b"HTTP/1.1 505 ")
    assert b"bad-request" in found
    assert ask(server, "POST", "/predict", photo).status == 200
    assert complaints == []


def test_another_name_for_this_machine_and_another_site_s_page_are_refused(serve: Serve, photo: bytes) -> None:
    server = serve()
    own = f"127.0.0.1:{server.port}"
    for host in (own, f"localhost:{server.port}", f"LOCALHOST:{server.port}"):
        assert ask(server, "GET", "/", Host=host).status == 200
    for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1", f"127.0.0.1:{server.port + 1}", ""):
        assert (reply := ask(server, "POST", "/predict", photo, Host=host)).ref == "foreign-host", host
        assert reply.status == 403
    assert said_to(server, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert ask(server, "POST", "/predict", photo, Origin=f"http://{own}").status == 200
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{server.port + 1}"):
        assert ask(server, "POST", "/predict", photo, Origin=origin).ref == "foreign-origin"


def test_beyond_this_machine_the_address_for_a_browser_here_is_said(serve: Serve) -> None:
    server = serve(place=Place("0.0.0.0"))
    assert not server.is_local
    assert server.url == f"http://127.0.0.1:{server.port}/"


def test_too_many_in_a_short_time_are_told_when_to_come_back(serve: Serve, photo: bytes) -> None:
    server = serve(per_minute=10)
    replies = [ask(server, "POST", "/predict", photo) for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert replies[2].ref == "too-many-requests"
    assert 1 <= int(replies[2].headers["Retry-After"]) <= 6
    assert ask(server, "GET", "/").status == 200, "the page itself is still there"


def test_where_as_many_wait_as_may_the_next_is_told_so(serve: Serve, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    real = KitProcess.classify

    def slow(self: KitProcess, *image_and_limits: Any) -> Classified:
        begun.set()
        assert go_on.wait(20)
        return real(self, *image_and_limits)

    server = serve(queue_length=0)
    monkeypatch.setattr(KitProcess, "classify", slow)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(ask, server, "POST", "/predict", photo)
        assert begun.wait(20)
        second = ask(server, "POST", "/predict", photo)
        go_on.set()
        assert first.result().status == 200
    assert (second.status, second.ref, second.headers["Retry-After"]) == (503, "busy", "1")


def test_a_failing_runtime_is_told_on_the_terminal_and_the_next_is_served(
    serve: Serve, photo: bytes, complaints: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    with monkeypatch.context() as patched:
        patched.setattr(KitProcess, "classify", lambda *_: (_ for _ in ()).throw(MemoryError("4 GiB")))
        reply = ask(server, "POST", "/predict", photo)
    assert (reply.status, reply.ref) == (500, "not-answered")
    assert complaints == ["edgecnn: an image was not classified: MemoryError: 4 GiB"]
    assert ask(server, "POST", "/predict", photo).status == 200


def test_whoever_sends_nothing_or_too_slowly_is_cut_off(serve: Serve, photo: bytes) -> None:
    server = serve(idle_s=0.2, request_s=0.5)
    head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: {len(photo)}\r\n\r\n".encode()
    assert said_to(server, head + photo[:50]).startswith(b"HTTP/1.1 408 "), "silent in the middle"
    assert said_to(server, b"GET") == b"", "silent from the beginning"
    drops = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    with drops, pytest.raises(OSError):  # every byte comes in time, the request does not
        for index in range(200):
            drops.sendall((head + photo)[index : index + 1])
            time.sleep(0.05)
    assert ask(server, "POST", "/predict", photo).status == 200


def test_an_overloaded_server_delivers_its_503_to_a_client_that_is_still_sending(serve: Serve) -> None:
    server = serve(connections_per_client=2, settling_s=60)
    idle = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(2)]
    head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 300000\r\n\r\n".encode()
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(head + bytes(100_000))
            time.sleep(0.2)
            with suppress(BrokenPipeError):
                connection.sendall(bytes(200_000))
            assert connection.recv(100).startswith(b"HTTP/1.1 503 ")
    for connection in idle:
        connection.close()


def test_one_client_cannot_hold_every_connection(serve: Serve) -> None:
    server = serve(connections_per_client=2)
    idle = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(2)]
    assert said_to(server, b"").startswith(b"HTTP/1.1 503 ")
    for each in idle:
        each.close()
    deadline = time.monotonic() + 20
    while (status := ask(server, "GET", "/").status) == 503:
        assert time.monotonic() < deadline
    assert status == 200


def test_hostile_class_names_are_data_and_never_in_the_page(serve: Serve, hostile: Path, photo: bytes) -> None:
    server = serve(hostile)
    reply = ask(server, "POST", "/predict", photo)
    assert {each["label"] for each in reply.said["labels"]} == set(HOSTILE)
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    reply.content.decode("ascii")
    assert b"window.broken" not in ask(server, "GET", "/").content


def test_a_bundle_that_does_not_verify_opens_no_port(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = copied(whole, tmp_path / "bundle")
    model = bundle / KIT_FOLDER / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    monkeypatch.setattr("edgecnn.bundle.serving.PhotoServer", lambda *_: pytest.fail("a port was opened"))
    with (
        pytest.raises(EdgecnnError, check=BUNDLE_FILE_CHANGED.made),
        photo_server(ServeRequest(bundle), served_page, Quiet(), print),
    ):
        pass


def test_a_port_that_is_taken_and_an_address_that_is_not_ours_are_named(serve: Serve, whole: Path) -> None:
    port = serve().port
    with pytest.raises(EdgecnnError, check=PORT_IN_USE.made) as taken:
        serve(place=Place(port=port))
    assert taken.value.ref == "port-in-use"
    for host in ("192.0.2.1", "no.such.invalid", "x" * 300):
        with pytest.raises(EdgecnnError, check=ADDRESS_UNUSABLE.made) as refused:
            serve(place=Place(host))
        assert refused.value.line().startswith(f"cannot listen on {host}, port 0: ")
