from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgecnn.hosts.ssh.link import COMMAND
from tests.hosts.sshd import Loopback, loopback


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    with loopback(tmp_path_factory.mktemp("sshd") / "server") as running:
        yield running


@pytest.fixture
def board(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Loopback:
    """The server, with the client told how to reach it as ``loopback``."""
    monkeypatch.setenv(COMMAND, server.client)
    return server
