"""Under which names a server answers: a page of another site may have turned its own name to this machine's address."""

from __future__ import annotations

import pytest

from edgecnn.bundle.serving import HostNames, Place
from tests.serving.asking import ask, said_to
from tests.serving.conftest import Serve

EVERYWHERE = "0.0.0.0"
REBOUND = ("evil.example", "evil.example:{port}", "localhost.evil.example", "10.0.0.5.evil.example", "2130706433", "0x7f.1")


@pytest.fixture(autouse=True)
def board(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine is called board, and board.lab.example in full."""
    monkeypatch.setattr("socket.gethostname", lambda: "Board")
    monkeypatch.setattr("socket.getfqdn", lambda *_: "board.lab.example")


@pytest.mark.parametrize("name", REBOUND)
def test_a_name_turned_to_this_machine_s_address_is_refused_beyond_it_too(serve: Serve, photo: bytes, name: str) -> None:
    server = serve(place=Place(EVERYWHERE))
    assert not server.is_local
    host = name.format(port=server.port)
    for method, path, body in (("GET", "/", None), ("POST", "/predict", photo)):
        reply = ask(server, method, path, body, Host=host, Origin=f"http://{host}")
        assert (reply.status, reply.ref) == (403, "foreign-host")
        assert reply.said["error"]["what"] == (
            "this page has only its machine's addresses and names, since another name may belong to another site; "
            "add a name with edgecnn bundle serve --allow-host NAME"
        )


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:{port}",
        "127.0.0.1:9000",  # a container's port that has another number outside
        "192.168.1.20",
        "[::1]:{port}",
        "[2001:db8::1]",
        "localhost:{port}",
        "board:{port}",
        "BOARD.local:{port}",
        "board.local.:{port}",
        "board.lab.example",
        "photos.example:443",
    ],
)
def test_addresses_the_machine_s_own_names_and_allowed_ones_pass(serve: Serve, photo: bytes, host: str) -> None:
    server = serve(place=Place(EVERYWHERE, allowed=("Photos.Example",)))
    own = host.format(port=server.port)
    assert ask(server, "GET", "/", Host=own).status == 200
    assert ask(server, "POST", "/predict", photo, Host=own, Origin=f"http://{own.lower()}").status == 200
    for origin in ("http://evil.example", "null"):
        assert ask(server, "POST", "/predict", photo, Host=own, Origin=origin).ref == "foreign-origin"


@pytest.mark.parametrize(
    "host", ["", ".", ":80", "[", "[board]:80", "::1", "board:x", "board:80:80", "board/", "user@board", "*"]
)
def test_what_names_no_host_is_refused(host: str) -> None:
    assert not HostNames(("photos.example",), reached=True).contain(host)


def test_a_host_is_named_once(serve: Serve) -> None:
    server = serve(place=Place(EVERYWHERE))
    assert said_to(server, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert said_to(server, b"GET / HTTP/1.1\r\nHost: board\r\nHost: evil.example\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_on_this_machine_alone_an_allowed_name_is_one_more_and_the_machine_s_own_are_none(serve: Serve) -> None:
    server = serve(place=Place(allowed=("photos.example",)))
    assert server.is_local
    for host in (f"127.0.0.1:{server.port}", "photos.example", "photos.example:443"):
        assert ask(server, "GET", "/", Host=host).status == 200, host
    for host in ("board.local", f"board:{server.port}", f"127.0.0.1:{server.port + 1}", "10.0.0.5", "evil.example"):
        assert (reply := ask(server, "GET", "/", Host=host)).ref == "foreign-host", host
        assert reply.said["error"]["what"] == (
            f"this page is only at {server.url}, since another name may belong to another site; "
            "add a name with edgecnn bundle serve --allow-host NAME"
        )


def test_the_name_that_it_was_told_to_listen_on_is_its_own(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(2, 1, 6, "", (EVERYWHERE, 0))]
    with monkeypatch.context() as patched:
        patched.setattr("socket.getaddrinfo", lambda *_, **__: found)
        server = serve(place=Place("Camera.Example"))
    assert ask(server, "GET", "/", Host=f"camera.example:{server.port}").status == 200


def test_the_network_is_asked_for_the_full_name_once_and_only_where_no_other_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    lookups: list[str] = []
    monkeypatch.setattr("socket.getfqdn", lambda *_: lookups.append("asked") or "board.lab.example")
    names = HostNames((), reached=True)
    assert names.contain("board:80") and names.contain("10.0.0.5") and lookups == []
    assert not names.contain("evil.example") and not names.contain("evil.example") and names.contain("board.lab.example")
    assert lookups == ["asked"]
