"""Looks at one machine, near or far: the same question, the same findings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from edgecnn.devices.check.differences import differences, recognised_as
from edgecnn.devices.check.facts import facts_of
from edgecnn.devices.check.findings import findings_on
from edgecnn.devices.check.needs import Needs, needs_of
from edgecnn.devices.check.python import missing_packages
from edgecnn.errors.preflight import CarryWithoutHost
from edgecnn.hosts.carrying import Parcel, carry_wheels
from edgecnn.hosts.recording import HERE, record_board, record_here
from edgecnn.hosts.ssh.address import Address
from edgecnn.hosts.ssh.board import PYTHON
from edgecnn.hosts.ssh.link import Link
from edgecnn.hosts.wheels import WheelPlatform
from edgecnn.store.store import default_root
from edgecnn.values.board import BoardCheck, BoardFacts
from edgecnn.values.device import Device
from edgecnn.values.stage import Progress


class ReachedBoard(NamedTuple):
    """A machine, and how it was reached. Without a link it is this one."""

    name: str
    facts: BoardFacts
    link: Link | None
    python: str

    def again(self, python: str) -> ReachedBoard:
        """With another of its Pythons."""
        if self.link is None:
            return self
        return self._replace(facts=facts_of(record_board(self.link, python)), python=python)


def board_over(link: Link, python: str | None = None) -> ReachedBoard:
    """The board at the other end of a link, asked by this Python of its; None: the usual one.

    Raises:
        RecordingUnusable, LinkLost: see ``record_board``.
    """
    return ReachedBoard(link.board, facts_of(record_board(link, python or PYTHON)), link, python or PYTHON)


@contextmanager
def machine_at(host: str | None, python: str | None = None) -> Iterator[ReachedBoard]:
    """The machine at ``host``, as OpenSSH understands it; None: this one, with the Python that runs edgecnn.

    Raises:
        RecordingUnusable: see ``record``.
        BadAddress, SshAbsent, BoardUnreachable, BoardUnknown, BoardKeyChanged, LoginRefused, LinkLost: of the link.
    """
    if host is None:
        yield ReachedBoard(HERE, facts_of(record_here()), None, PYTHON)
        return
    with Link.open(Address.of(host)) as link:
        yield board_over(link, python)


def checked(seen: ReachedBoard, device: Device | None, file: Path | None = None) -> BoardCheck:
    """The machine, held against a device where one is named; ``file`` is of one that is the user's own."""
    return BoardCheck(
        board=seen.name,
        facts=seen.facts,
        findings=findings_on(seen.facts, needs_of(device)),
        device=None if device is None else device.name,
        file=None if file is None else str(file),
        recognised_as=recognised_as(seen.facts, device),
        differences=() if device is None else differences(device, seen.facts),
    )


def with_packages(seen: ReachedBoard, needs: Needs, tell: Progress) -> ReachedBoard:
    """The machine with the packages that it lacked, which were fetched here; its Python is then that of an environment.

    Raises:
        CarryWithoutHost: it is this machine.
        WheelsNotFound, WheelsNotUnpacked, LinkLost: see ``carry_wheels``.
    """
    if seen.link is None:
        raise CarryWithoutHost
    packages, python = missing_packages(seen.facts, needs), seen.facts.python
    if not packages:
        return seen
    platform = WheelPlatform(python.version[:2], seen.facts.architecture, python.glibc or (0, 0))
    return seen.again(carry_wheels(seen.link, seen.python, Parcel(packages, platform, _wheels(platform)), tell))


def _wheels(platform: WheelPlatform) -> Path:
    version, glibc = ("".join(map(str, numbers)) for numbers in (platform.python, platform.glibc))
    return default_root() / "wheels" / f"cp{version}-{platform.machine}-glibc{glibc}"
