"""Where a build's kits run: this machine, or a board at the other end of a link. Everything else of a build happens here."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgecnn.building.devices import LocalFacts, known_devices, local_facts, matches
from edgecnn.building.request import HostAsked
from edgecnn.errors.board import BoardFailed, BoardIsAnotherDevice
from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.protocol import Host
from edgecnn.hosts.ssh.address import Address
from edgecnn.hosts.ssh.board import FOLDER
from edgecnn.hosts.ssh.host import LOCK, SshHost
from edgecnn.hosts.ssh.link import Link
from edgecnn.measure.lab import Lab
from edgecnn.store.store import Store
from edgecnn.values.device import Device
from edgecnn.values.key import digest_of
from edgecnn.values.profile import Environment
from edgecnn.values.stage import Progress

THIS_MACHINE = "this machine"
"""What profiles are filed under where the machine is not the device."""
_FACTS = ("/proc/cpuinfo", "/proc/meminfo", "/proc/device-tree/model")
_GPUS = "/proc/driver/nvidia/gpus"
_MARK = "==edgecnn=="


@dataclass(frozen=True)
class Station:
    """A machine on which kits run, and what it is."""

    host: Host
    facts: LocalFacts
    environment: Environment
    board: str | None = None
    """As the user named it; None: this machine."""

    def lab(self, store: Store, tell: Progress, device: str = THIS_MACHINE) -> Lab:
        """Where this station's kits are measured."""
        lane = "" if self.board is None else f"-{digest_of(self.board)[:8]}"
        return Lab(
            host=self.host,
            store=store,
            tell=tell,
            device=device,
            machine=self.facts.describe(),
            environment=self.environment,
            lane=lane,
        )


def station_here() -> Station:
    """This machine."""
    host = LocalHost()
    return Station(host, local_facts(), host.identify())


@contextmanager
def station_of(asked: HostAsked | None, device: Device, what: str) -> Iterator[Station]:
    """The machine that was asked for, held while the block runs.

    Args:
        asked: a board; None: this machine.
        device: what the board has to be.
        what: shown to whoever else wants the board meanwhile.

    Raises:
        EdgecnnError: of ``errors.board``, among them that the board is another device.
    """
    if asked is None:
        yield station_here()
        return
    with SshHost.open(Address.of(asked.address), what=what, python=asked.python, folder=FOLDER, lock=LOCK) as host:
        facts = facts_there(host.board.link)
        if not matches(device, facts):
            known = tuple(each.name for each in known_devices().devices if each.facts_only is None and matches(each, facts))
            raise BoardIsAnotherDevice(board=asked.address, machine=facts.describe(), device=device.title, matching=known)
        yield Station(host, facts, host.identify(), asked.address)
        if asked.clean:
            host.clean()


def facts_there(link: Link) -> LocalFacts:
    """What the board's kernel says of itself, read as this machine's facts are.

    Raises:
        BoardFailed: it does not answer as a Linux does.
    """
    script = f"uname -m; nproc; for f in {' '.join(_FACTS)} {_GPUS}/*/information; do "
    script += f'[ -r "$f" ] && printf "\\n{_MARK}%s\\n" "$f" && cat "$f"; done; true'
    said = link.ask(f"exec sh -c {shlex.quote(script)}", doing="asking what it is").stdout.decode("utf-8", "replace")
    head, *files = said.split(f"\n{_MARK}")
    words = head.split()
    if len(words) != 2 or not words[1].isdigit():  # noqa: PLR2004 - the answers of uname and nproc
        raise BoardFailed(board=link.board, doing="asking what it is", said=[head.strip()[-200:]])
    with tempfile.TemporaryDirectory(prefix="edgecnn-facts-") as place:
        for each in files:
            name, _, text = each.partition("\n")
            path = Path(place) / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return local_facts(Path(place), architecture=words[0], cores=int(words[1]))
