"""A link that is cut at a random byte of each request: one line says so, nothing is left behind, and the same call goes on."""

from __future__ import annotations

import os
import random
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from edgecnn.errors.hosts import BoardError
from edgecnn.hosts.protocol import Schedule, Task
from edgecnn.hosts.ssh.board import Board
from edgecnn.hosts.ssh.host import SshHost
from edgecnn.hosts.ssh.link import COMMAND, Address
from tests.hosts.sshd import Loopback, loopback, needs_sshd
from tests.hosts.test_local import Heard
from tests.runner.processes import processes_about, wait_until

pytestmark = [pytest.mark.full, pytest.mark.slow, needs_sshd]  # a hundred calls that are cut, and as many that go on
CUTS = int(os.environ.get("EDGECNN_CUTS", "10"))
"""Of each request."""
PHASES = ("the login", "hello", "hold", "have", "put", "lay", "run", "list", "get")
RUNNER = """
import json, sys, threading, os
from pathlib import Path
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(3)), daemon=True).start()
out = Path(sys.argv[-1])
out.mkdir(parents=True, exist_ok=True)
for number in range(3):
    path = out / f"run-{number:05d}.json"
    if not path.exists():
        path.with_suffix(".partial").write_text("[" + "7, " * 3000 + "7]")
        path.with_suffix(".partial").rename(path)
    print(json.dumps({"progress": {"what": "bench", "done": number + 1, "total": 3, "unit": "runs"}}), flush=True)
print(json.dumps({"ok": True, "bench": {"items": 3}}), flush=True)
os._exit(0)  # else Python waits a second for the lock of the thread that reads
"""


class Cutter:
    """Passes bytes on between a client and the server, and ends everything after so many of both directions together."""

    def __init__(self, port: int) -> None:
        self._server, self._to = socket.create_server(("127.0.0.1", 0)), port
        self.port = int(self._server.getsockname()[1])
        self.passed, self.after = 0, sys.maxsize
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, after: int) -> None:
        self.passed, self.after = 0, after

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, far = self._server.accept()[0], socket.create_connection(("127.0.0.1", self._to))
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while block := one.recv(512):
                block = block[: max(0, self.after - self.passed)]
                self.passed += len(block)
                other.sendall(block)
                if self.passed >= self.after:
                    break
        for each in (one, other):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    """With a home of its own: each of thousands of requests would run the start-up files of a shell."""
    folder = tmp_path_factory.mktemp("cut")
    with loopback(folder / "sshd", f"SetEnv HOME={folder}") as server:
        yield server


@pytest.fixture(scope="module")
def cutter(server: Loopback) -> Iterator[Cutter]:
    cutter = Cutter(server.port)
    yield cutter
    cutter.close()


@pytest.fixture
def client(server: Loopback, cutter: Cutter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration of a client that goes through the cutter; temporary files are the test's own."""
    config, known = tmp_path / "client", tmp_path / "known"
    known.write_text(f"board {' '.join((server.folder / 'host.pub').read_text().split()[:2])}\n")
    text = (server.folder / "client").read_text().replace(f"Port {server.port}", f"Port {cutter.port}\n  HostKeyAlias board")
    config.write_text(text.replace(str(server.folder / "known"), str(known)))
    monkeypatch.setenv(COMMAND, f"ssh -F {config}")
    (tmp_path / "t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    return config


def call(place: Path, out: Path) -> Any:
    """Everything that a race asks of a board."""
    kit = place.parent / "kit"
    (kit / "runner").mkdir(parents=True, exist_ok=True)
    (kit / "runner/__main__.py").write_text(RUNNER)
    (kit / "weights").write_bytes(random.Random(1).randbytes(40_000))
    address, lock = Address.of("loopback"), str(place.parent / "lock")
    with SshHost.open(address, what="a test", python=sys.executable, folder=str(place), lock=lock) as host:
        schedule = Schedule(({"kit": str(kit)},), 60.0)
        return host.run(Task(kit, "bench", out=out, schedule=schedule, made_here=True), lease_s=60, tell=Heard())


@pytest.fixture
def spans(client: Path, cutter: Cutter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, int]]:
    """Between which bytes of a whole call each request lies, the first of its kind."""
    begun: list[tuple[str, int]] = [("the login", 0)]
    start, command_of = Board.start, Board.command

    def watched(board: Board, command: str, **request: Any) -> Any:
        begun.append((command, cutter.passed))
        return start(board, command, **request)

    def run_begins(board: Board) -> list[str]:
        begun.append(("run", cutter.passed))
        return command_of(board)

    with monkeypatch.context() as patched:
        patched.setattr(Board, "start", watched)
        patched.setattr(Board, "command", run_begins)
        cutter.set(sys.maxsize)
        assert call(tmp_path / "whole" / "far", tmp_path / "whole" / "out") == {"bench": {"items": 3}}
    ends = [at for _, at in begun[1:]] + [cutter.passed]
    return {name: (at, end) for (name, at), end in reversed(list(zip(begun, ends, strict=True)))}


@pytest.mark.parametrize("phase", PHASES)
def test_a_link_that_is_cut_anywhere_is_one_line_and_the_next_call_goes_on(
    phase: str,
    spans: dict[str, tuple[int, int]],
    client: Path,
    cutter: Cutter,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    assert set(spans) == set(PHASES)
    ended = 0
    for at in random.Random(phase).sample(range(*spans[phase]), CUTS):
        place = tmp_path / str(at)
        cutter.set(at)
        try:
            call(place / "far", place / "out")
        except BoardError as error:
            assert "loopback" in error.line() and "\n" not in error.line(), f"{phase}, cut at {at}"
            ended += 1
        assert wait_until(lambda where=place: not processes_about(str(where)), 20), (
            f"{phase}, cut at {at}: something goes on there"
        )
        assert not processes_about(str(client)), f"{phase}, cut at {at}: a client goes on here"
        assert list((tmp_path / "t").iterdir()) == [], f"{phase}, cut at {at}: a folder of the connection is left"
        assert not list(place.glob("out/**/*.partial")), f"{phase}, cut at {at}: half a result is left"
        cutter.set(sys.maxsize)
        assert call(place / "far", place / "out") == {"bench": {"items": 3}}, f"{phase}, cut at {at}"
        assert len(list((place / "out").glob("run-*.json"))) == 3
        assert not [path for path in (place / "far").rglob("*part*") if path.is_file()], f"{phase}, cut at {at}: halves are left"
    record_property("figure", f"link to a board cut at {CUTS} random bytes while it does {phase}: {ended} calls ended by it")
    assert ended > CUTS / 2, f"{phase}: else little was cut"
