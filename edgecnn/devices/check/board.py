"""Look at one machine, near or far, and refuse a board on which kits cannot run, with what would change that.

The same questions and the same findings serve both. A board is checked before anything is copied to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from packaging.specifiers import SpecifierSet

from edgecnn.devices.check.findings import (
    Needs,
    PackageStatus,
    findings_on,
    fits,
    installed,
    needs_of,
    package_status,
    require_none,
    stopping,
)
from edgecnn.devices.check.reading import HERE, facts_of, record_board, record_here
from edgecnn.devices.emulated_machine import emulated_python
from edgecnn.devices.files import device_named, known_devices
from edgecnn.devices.this_machine import how_closely, matches
from edgecnn.errors.hosts.board import CARRY_WITHOUT_HOST, board_is_another_device
from edgecnn.errors.hosts.process import RecordingUnusable, WheelsNotFound
from edgecnn.hosts.ssh.board import PYTHON
from edgecnn.hosts.ssh.link import Address, Link
from edgecnn.hosts.wheels import PYTHON as CARRIED
from edgecnn.hosts.wheels import Parcel, WheelPlatform, carry_wheels, download_wheels
from edgecnn.store.store import default_root
from edgecnn.values.board import BoardCheck, BoardFacts, Finding, HostRequest, LocalFacts, Weight
from edgecnn.values.candidate import Candidate, Runtime, TargetRuntime
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

    Raises RecordingUnusable, LINK_LOST: see ``record_board``. AnswerUnusable: see ``facts_of``.
    """
    return ReachedBoard(link.board, facts_of(record_board(link, python or PYTHON), link.board), link, python or PYTHON)


@contextmanager
def machine_at(request: HostRequest | None, tell: Progress) -> Iterator[ReachedBoard]:
    """A board, or the emulated machine; None: this one, with the Python that runs edgecnn.

    ``tell``: of making the emulated machine, which raises what ``emulated_python`` does.

    Raises RecordingUnusable: see ``recording_of``. AnswerUnusable: see ``facts_of``. BadAddress, SSH_ABSENT, BOARD_UNREACHABLE,
    BOARD_UNKNOWN, BOARD_KEY_CHANGED, LOGIN_REFUSED, LINK_LOST: of the link.
    """
    if request is None:
        yield ReachedBoard(HERE, facts_of(record_here()), None, PYTHON)
        return
    if request.emulated:
        own = str(emulated_python(tell))
        yield ReachedBoard(request.address, facts_of(record_here(own, request.address), request.address), None, own)
        return
    with Link.open(Address.of(request.address)) as link:
        yield board_over(link, request.python)


def checked(reached: ReachedBoard, device: Device | None, file: Path | None = None) -> BoardCheck:
    """The machine, held against a device where one is named; ``file`` is of one that is the user's own."""
    return BoardCheck(
        board=reached.name,
        facts=reached.facts,
        findings=findings_on(reached.facts, needs_of(device)),
        device=None if device is None else device.name,
        file=None if file is None else str(file),
        recognised_as=recognised_as(reached.facts, device),
        differences=() if device is None else differences(device, reached.facts),
    )


def carry_missing_packages(reached: ReachedBoard, packages_lacking: PackageStatus, tell: Progress) -> ReachedBoard:
    """The machine with the packages that it lacked, which were fetched here; its Python is then that of an environment.

    An optional runtime without a wheel for the machine is told and left out.

    Raises CARRY_WITHOUT_HOST: it is this machine. WheelsNotFound, WHEELS_NOT_UNPACKED, LINK_LOST: see ``carry_wheels``.
    """
    if reached.link is None:
        raise CARRY_WITHOUT_HOST()
    python = reached.facts.python
    packages, options = packages_lacking.missing, packages_lacking.options
    if not packages and not options:
        return reached
    platform = WheelPlatform(python.version[:2], reached.facts.architecture, python.glibc or (0, 0))
    for option in options:
        try:
            download_wheels((option,), platform, _wheels(platform))
            packages = (*packages, option)
        except WheelsNotFound as error:
            tell.note(f"{error.what}: kits of it are skipped on this board")
    if not packages:
        return reached
    return reached.again(carry_wheels(reached.link, reached.python, Parcel(packages, platform, _wheels(platform)), tell))


def _wheels(platform: WheelPlatform) -> Path:
    version, glibc = ("".join(map(str, numbers)) for numbers in (platform.python, platform.glibc))
    return default_root() / "wheels" / f"cp{version}-{platform.machine}-glibc{glibc}"


_KEPT_BY_THE_KERNEL = 0.85
"""Of a board's nominal memory, what Linux shows at least: firmware, GPU and kernel keep the rest."""


def recognised_as(facts: BoardFacts, device: Device | None = None) -> tuple[str, ...]:
    """Names of known devices, and of this one, whose ``[match]`` holds."""
    devices = known_devices().devices
    if device is not None and device.name not in {listed.name for listed in devices}:
        devices = (device, *devices)
    return tuple(listed.name for listed in devices if matches(listed, facts) and not listed.is_a_browser)


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
        identity = repr(stated) if stated else chips or "its [match]"
        yield f"the file knows its board by {identity}, and the machine is {', '.join(names) or 'nameless'}"
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


_CARRIED_AWAY = ("packages-missing", "venv-missing")
"""Findings that ``--carry-wheels`` mends: its environment is made without pip."""
_FURNISHED_DISK_MIB = 64
"""Where every package is there already, what is sent is known to the byte, and is held against the room before it is sent."""


@dataclass(frozen=True)
class BoardUse:
    """What a board is to be, and what for."""

    device: Device | None
    """None: whatever it is."""
    what: str
    """Shown to whoever else wants the board meanwhile."""
    runtimes: frozenset[Runtime] | None = None
    """Those of the kits; None: every one of the device."""

    @property
    def needs(self) -> Needs:
        """What the kits ask of it."""
        return needs_of(self.device, self.runtimes)


def runtimes_of(candidates: Iterable[Candidate]) -> frozenset[Runtime]:
    """What runs these, and what answers for engines."""
    runtimes = set[Runtime]()
    for candidate in candidates:
        runtimes |= {candidate.runtime, Runtime.ONNXRUNTIME} if candidate.needs_engine else {candidate.runtime}
    return frozenset(runtimes)


def runtimes_for(device: Device, named: TargetRuntime | None) -> frozenset[Runtime] | None:
    """What kits of a target need, by the runtime that it names; fp32 in ONNX Runtime is what everything is held against.

    None where it names none: every runtime of the device, as far as the machine has it.
    """
    return None if named is None else frozenset((*device.built_for(named), Runtime.ONNXRUNTIME))


class FitBoard(NamedTuple):
    """A board, and what one look at it gave."""

    reached: ReachedBoard
    packages: PackageStatus
    findings: tuple[Finding, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each finding with which kits run, and what is measured is not what the board can do."""
        distorting = (finding for finding in self.findings if finding.weight is Weight.DISTORTS)
        return tuple(" — ".join(filter(None, (finding.what, finding.remedy))) for finding in distorting)


def fit_board(link: Link, request: HostRequest, wanted: BoardUse) -> FitBoard:
    """The board, seen by the Python that its kits will run with; ``furnished`` may still have to bring packages.

    Where no Python was named and the usual one lacks packages, the environment of an earlier ``--carry-wheels`` serves.

    Raises:
        RecordingUnusable, LINK_LOST: it cannot be asked.
        BOARD_IS_ANOTHER_DEVICE: it is not what was wanted.
        BOARD_NOT_READY: kits cannot run there as it is.
    """
    reached, needs = board_over(link, request.python), wanted.needs
    require_device(reached, wanted.device)
    packages = package_status(reached.facts, needs)
    if request.python is None and (packages.missing or packages.options):
        with suppress(RecordingUnusable):  # nothing was carried there
            carried = reached.again(CARRIED)
            carried_packages = package_status(carried.facts, needs)
            if _count(carried_packages) < _count(packages):
                reached, packages = carried, carried_packages
    return _require_ready(reached, needs, packages, put_off=_CARRIED_AWAY if request.carry_wheels else ())


def require_device(reached: ReachedBoard, device: Device | None) -> None:
    """Raises BOARD_IS_ANOTHER_DEVICE: the machine is not what was wanted."""
    facts = reached.facts
    if device is not None and not matches(device, facts):
        raise board_is_another_device(
            board=reached.name, machine=facts.describe(), device=device.title, matching=_recognised(facts)
        )


def _recognised(facts: BoardFacts) -> Sequence[str]:
    """The known devices that are built for and are such a machine, the one whose file says most about it first."""
    fitting = (device_named(name) for name in recognised_as(facts))
    return [device.name for device in sorted(fitting, key=how_closely, reverse=True) if device.facts_only is None]


def furnished(board: FitBoard, wanted: BoardUse, tell: Progress) -> FitBoard:
    """The board with the packages that it lacked, for ``--carry-wheels``; call it while the board is held.

    Raises WheelsNotFound, WHEELS_NOT_UNPACKED, LINK_LOST: they could not be brought. BOARD_NOT_READY: something else is amiss.
    """
    carried, needs = carry_missing_packages(board.reached, board.packages, tell), wanted.needs
    packages = board.packages if carried is board.reached else package_status(carried.facts, needs)
    return _require_ready(carried, needs, packages)


def _count(packages: PackageStatus) -> tuple[int, int]:
    """How many packages keep kits from running, and how many leave some out."""
    return len(packages.missing), len(packages.options)


def _require_ready(reached: ReachedBoard, needs: Needs, packages: PackageStatus, *, put_off: Iterable[str] = ()) -> FitBoard:
    if not packages.missing:
        needs = needs._replace(disk_mib=_FURNISHED_DISK_MIB)
    findings = findings_on(reached.facts, needs, packages)
    require_none(reached.name, [finding for finding in stopping(findings) if finding.ref not in put_off])
    return FitBoard(reached, packages, findings)
