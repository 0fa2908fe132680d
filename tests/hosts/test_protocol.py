"""Every kind of machine is a Host, with all that measuring asks of one."""

from __future__ import annotations

import pytest

from edgecnn.hosts.local import EmulatedHost, LocalHost
from edgecnn.hosts.protocol import Host
from edgecnn.hosts.ssh.host import SshHost

KINDS: tuple[type[Host], ...] = (LocalHost, EmulatedHost, SshHost)
"""The types' own check is that this can be assigned."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_host_has_all_that_measuring_asks_of_one(kind: type[Host]) -> None:
    asked = {name for name in vars(Host) if not name.startswith("_")}
    assert "part_bytes" in asked
    assert asked <= set(dir(kind))
