"""Where measuring happens: a host, what it is, where results are filed, and who is told."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.hosts.protocol import Host
from edgecnn.store.store import Store
from edgecnn.values.profile import Environment
from edgecnn.values.stage import Progress


@dataclass(frozen=True)
class Lab:
    """Everything that stays the same from one measurement of a build to the next."""

    host: Host
    store: Store
    tell: Progress
    device: str
    """The device file that the host matches, or ``this machine``."""
    machine: str
    """The concrete machine, for people."""
    environment: Environment
