"""Looks at one machine, near or far: the same question, the same findings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from packaging.specifiers import SpecifierSet

from edgecnn.devices.check.needs import PackagesThere, fits, installed, needs_of
from edgecnn.devices.check.reading import HERE, facts_of, record_board, record_here
from edgecnn.devices.check.system import findings_on
from edgecnn.devices.emulated_machine import emulated_python
from edgecnn.devices.files import known_devices
from edgecnn.devices.this_machine import matches
from edgecnn.errors.hosts.board import CarryWithoutHost
from edgecnn.errors.hosts.process import WheelsNotFound
from edgecnn.hosts.ssh.board import PYTHON
from edgecnn.hosts.ssh.link import Address, Link
from edgecnn.hosts.wheels import Parcel, WheelPlatform, carry_wheels, download_wheels
from edgecnn.store.store import default_root
from edgecnn.values.board import BoardCheck, BoardFacts, HostRequest, LocalFacts
from edgecnn.values.device import Device
from edgecnn.values.stage import Progress


class ReachedBoard(NamedTuple):
    """A machine, and how it was reached. Without a link it is this one, or emulated on it."""

    name: str
    facts: BoardFacts
    link: Link | None
    python: str

    def again(self, python: str) -> ReachedBoard:
        """With another of its Pythons."""
        if self.link is None:
            return self
        return self._replace(facts=facts_of(record_board(self.link, python), self.name), python=python)


def board_over(link: Link, python: str | None = None) -> ReachedBoard:
    """The board at the other end of a link, asked by this Python of its; None: the usual one.

    Raises RecordingUnusable, LinkLost: see ``record_board``. AnswerUnusable: see ``facts_of``.
    """
    return ReachedBoard(link.board, facts_of(record_board(link, python or PYTHON), link.board), link, python or PYTHON)


@contextmanager
def machine_at(asked: HostRequest | None, tell: Progress) -> Iterator[ReachedBoard]:
    """A board, or the emulated machine; None: this one, with the Python that runs edgecnn.

    ``tell``: of making the emulated machine, which raises what ``emulated_python`` does.

    Raises RecordingUnusable: see ``recording_of``. AnswerUnusable: see ``facts_of``. BadAddress, SshAbsent, BoardUnreachable,
    BoardUnknown, BoardKeyChanged, LoginRefused, LinkLost: of the link.
    """
    if asked is None:
        yield ReachedBoard(HERE, facts_of(record_here()), None, PYTHON)
        return
    if asked.emulated:
        own = str(emulated_python(tell))
        yield ReachedBoard(asked.address, facts_of(record_here(own, asked.address), asked.address), None, own)
        return
    with Link.open(Address.of(asked.address)) as link:
        yield board_over(link, asked.python)


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


def with_packages(seen: ReachedBoard, there: PackagesThere, tell: Progress) -> ReachedBoard:
    """The machine with the packages that it lacked, which were fetched here; its Python is then that of an environment.

    An optional runtime without a wheel for the machine is told and left out.

    Raises CarryWithoutHost: it is this machine. WheelsNotFound, WheelsNotUnpacked, LinkLost: see ``carry_wheels``.
    """
    if seen.link is None:
        raise CarryWithoutHost
    python = seen.facts.python
    packages, options = there.missing, there.options
    if not packages and not options:
        return seen
    platform = WheelPlatform(python.version[:2], seen.facts.architecture, python.glibc or (0, 0))
    for option in options:
        try:
            download_wheels((option,), platform, _wheels(platform))
            packages = (*packages, option)
        except WheelsNotFound as error:
            tell.note(f"{error.what}: kits of it are skipped on this board")
    if not packages:
        return seen
    return seen.again(carry_wheels(seen.link, seen.python, Parcel(packages, platform, _wheels(platform)), tell))


def _wheels(platform: WheelPlatform) -> Path:
    version, glibc = ("".join(map(str, numbers)) for numbers in (platform.python, platform.glibc))
    return default_root() / "wheels" / f"cp{version}-{platform.machine}-glibc{glibc}"


_KEPT_BY_THE_KERNEL = 0.85
"""Of a board's nominal memory, what Linux shows at least: firmware, GPU and kernel keep the rest."""


def recognised_as(facts: BoardFacts, device: Device | None = None) -> tuple[str, ...]:
    """Names of known devices, and of this one, whose ``[match]`` holds."""
    known = known_devices().devices
    others = [] if device is None or device.name in {each.name for each in known} else [device]
    return tuple(each.name for each in (*others, *known) if matches(each, facts) and not each.is_a_browser)


def differences(device: Device, facts: BoardFacts) -> tuple[str, ...]:
    """One sentence each; none where the machine is what the file says."""
    return (*hardware_differences(device, facts), *_differing_runtimes(device, facts))


def hardware_differences(device: Device, facts: LocalFacts) -> Iterator[str]:
    """Those that no software makes."""
    processor = device.processor
    if processor.architecture == "any":
        return
    if processor.architecture != facts.architecture:
        yield f"the file says {processor.architecture}, the machine is {facts.architecture}"
        return
    stated = device.match.model_is or device.match.model_contains
    names = (*facts.models, *((facts.cpu_model,) if facts.cpu_model else ()))
    if not matches(device, facts):
        chips = " or ".join(device.match.compatible + device.match.cpu_part)
        what = repr(stated) if stated else chips or "its [match]"
        yield f"the file knows its board by {what}, and the machine is {', '.join(names) or 'nameless'}"
    lacking = [flag for flag in processor.isa if flag not in facts.isa]
    if lacking:
        yield f"the file says {' '.join(lacking)}, which not every core here has"
    if processor.cores is not None and facts.cores != processor.cores:
        yield f"the file says {processor.cores} cores, a process may use {facts.cores} here"
    stated_mib = device.memory.mib if device.memory is not None else None
    if stated_mib and facts.memory_mib and not _KEPT_BY_THE_KERNEL * stated_mib <= facts.memory_mib <= stated_mib:
        yield f"the file says {stated_mib:,} MiB of memory, the machine has {facts.memory_mib:,}"


def _differing_runtimes(device: Device, facts: BoardFacts) -> Iterator[str]:
    python = ".".join(map(str, facts.python.version))
    for runtime, stated in device.runtimes.items():
        if not stated.by_default:
            continue
        if python not in SpecifierSet(stated.python):
            yield f"the file says Python {stated.python} for {runtime.value}, the machine's is {python}"
        version = installed(facts, runtime)
        if version is not None and not fits(version, stated.versions):
            yield f"the file says {runtime.value} {stated.versions}, the machine has {version}"
