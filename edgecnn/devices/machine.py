"""The machine on which a build's kits run: this one, or a board. All other steps of a build run here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgecnn.devices.check.board import BoardUse, fit_board, furnish_board, machine_at, require_device
from edgecnn.devices.this_machine import local_facts
from edgecnn.errors.hosts import BoardDiskFull
from edgecnn.hosts.local import EmulatedHost, LocalHost
from edgecnn.hosts.protocol import Host
from edgecnn.hosts.ssh.board import FOLDER
from edgecnn.hosts.ssh.host import LOCK, SshHost
from edgecnn.hosts.ssh.link import Address, Link
from edgecnn.measure.lab import Lab
from edgecnn.store.store import Store
from edgecnn.values.board import HostRequest, LocalFacts
from edgecnn.values.profile import Environment
from edgecnn.values.stage import Progress, digest_of

THIS_MACHINE = "this machine"
"""The name under which profiles are stored if the machine is not the device."""


@dataclass(frozen=True)
class Machine:
    """A machine on which kits run, and its facts."""

    host: Host
    facts: LocalFacts
    environment: Environment
    board: str | None = None
    """The board as the user named it; None: this machine."""
    warnings: tuple[str, ...] = ()
    """A sentence for each finding that distorts measurements."""

    def lab(self, store: Store, tell: Progress, device: str = THIS_MACHINE) -> Lab:
        """Return the lab in which this machine's kits are measured."""
        lane = "" if self.board is None else f"-{digest_of(self.board)[:8]}"
        return Lab(
            host=self.host,
            store=store,
            tell=tell,
            device=device,
            machine=self.facts.describe(),
            environment=self.environment,
            lane=lane,
            warnings=self.warnings,
        )


def this_machine() -> Machine:
    """Return this machine."""
    host = LocalHost()
    return Machine(host, local_facts(), host.identify())


@contextmanager
def machine_for(request: HostRequest | None, use: BoardUse, tell: Progress) -> Iterator[Machine]:
    """Yield the requested machine, locked for the block.

    A board is examined before anything is copied to it. A finding that stops kits is an error. A finding that distorts
    measurements is noted and recorded.

    ``request``: a board, or the emulated machine; None: this machine.

    Raises EdgecnnError: an error of ``errors.hosts``, for example because the board is another device.
    """
    if request is None:
        yield this_machine()
        return
    if request.emulated:
        with machine_at(request, tell) as reached:
            require_device(reached, use.device)
            emulated = EmulatedHost(Path(reached.python))
            yield Machine(emulated, reached.facts, emulated.identify(), request.address)
        return
    link = Link.open(Address.of(request.address))
    try:
        board = fit_board(link, request, use)
    except BaseException:
        link.close()
        raise
    with SshHost.over(link, what=use.what, python=board.reached.python, folder=FOLDER, lock=LOCK) as host:
        if request.carry_wheels:
            board = furnish_board(board, use, tell)
            host.board.python = board.reached.python
        warnings = tuple(f"{request.address}: {sentence}" for sentence in board.warnings)
        for warning in warnings:
            tell.note(warning)
        try:
            yield Machine(host, board.reached.facts, host.identify(), request.address, warnings)
        except BoardDiskFull:
            if request.clean:  # finished results are here, and the next call finds free space
                host.clean()
            raise
        if request.clean:
            host.clean()


def local_lab(store: Store, tell: Progress) -> Lab:
    """Return the lab of this machine, for kits of any device."""
    return this_machine().lab(store, tell)
