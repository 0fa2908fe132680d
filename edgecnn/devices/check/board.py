"""Examine one machine, this one or a board, and refuse a board on which kits cannot run, with the fix.

This machine and a board are examined in the same way. A board is checked before anything is copied to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from packaging.specifiers import SpecifierSet

from edgecnn.devices.check.findings import (
    Needs,
    PackageStatus,
    findings_on,
    installed_runtime_version,
    is_in_range,
    needs_of,
    package_status,
    require_none,
    stopping_findings,
)
from edgecnn.devices.check.reading import HERE, facts_of, record_board, record_here
from edgecnn.devices.emulated_machine import emulated_python
from edgecnn.devices.files import device_named, known_devices
from edgecnn.devices.this_machine import match_closeness, matches
from edgecnn.errors.hosts import CARRY_WITHOUT_HOST, RecordingUnusable, WheelsNotFound, board_is_another_device
from edgecnn.errors.wording import counted
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
    """A machine, its facts and its connection. Without a link, the machine is this one or emulated on it."""

    name: str
    facts: BoardFacts
    link: Link | None
    python: str

    def examined_with(self, python: str) -> ReachedBoard:
        """Examine the same board again with another of its Pythons."""
        if self.link is None:
            return self
        return self._replace(facts=facts_of(record_board(self.link, python), self.name), python=python)


def board_over(link: Link, python: str | None = None) -> ReachedBoard:
    """Examine the board of a link. ``python``: the Python on the board; None: ``python3``.

    Raises RecordingUnusable, LINK_LOST: see ``record_board``. AnswerUnusable: see ``facts_of``.
    """
    return ReachedBoard(link.board, facts_of(record_board(link, python or PYTHON), link.board), link, python or PYTHON)


@contextmanager
def machine_at(request: HostRequest | None, tell: Progress) -> Iterator[ReachedBoard]:
    """Examine a board, the emulated machine, or, with None, this machine with the Python that runs edgecnn.

    ``tell``: progress of making the emulated machine, with the errors of ``emulated_python``.

    Raises RecordingUnusable: see ``recording_of``. AnswerUnusable: see ``facts_of``. BadAddress, SSH_ABSENT,
    BOARD_UNREACHABLE, BOARD_UNKNOWN, BOARD_KEY_CHANGED, LOGIN_REFUSED, LINK_LOST: of the link.
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


def check_machine(reached: ReachedBoard, device: Device | None, file: Path | None = None) -> BoardCheck:
    """Check the machine, and compare it with a device if one is named. ``file``: the user's own file of that device."""
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
    """Install the packages that a board lacks from wheels fetched here; its Python is then that of a virtual environment.

    An optional runtime without a wheel for the board is noted and skipped.

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
            download_wheels((option,), platform, _wheel_folder(platform))
            packages = (*packages, option)
        except WheelsNotFound as error:
            tell.note(f"{error.what}: its kits are skipped on this board")
    if not packages:
        return reached
    parcel = Parcel(packages, platform, _wheel_folder(platform))
    return reached.examined_with(carry_wheels(reached.link, reached.python, parcel, tell))


def _wheel_folder(platform: WheelPlatform) -> Path:
    version, glibc = ("".join(map(str, numbers)) for numbers in (platform.python, platform.glibc))
    return default_root() / "wheels" / f"cp{version}-{platform.machine}-glibc{glibc}"


_KEPT_BY_THE_KERNEL = 0.85
"""Least share of a board's nominal memory that Linux reports: firmware, GPU and kernel keep the rest."""


def recognised_as(facts: BoardFacts, device: Device | None = None) -> tuple[str, ...]:
    """Return the names of all known devices, including ``device``, whose ``[match]`` fits the machine."""
    devices = known_devices().devices
    if device is not None and device.name not in {listed.name for listed in devices}:
        devices = (device, *devices)
    return tuple(listed.name for listed in devices if matches(listed, facts) and not listed.is_a_browser)


def differences(device: Device, facts: BoardFacts) -> tuple[str, ...]:
    """Return a sentence for each difference between a device file and the machine."""
    return (*hardware_differences(device, facts), *_differing_runtimes(device, facts))


def hardware_differences(device: Device, facts: LocalFacts) -> Iterator[str]:
    """Yield the differences that do not depend on installed software."""
    processor = device.processor
    if processor.architecture == "any":
        return
    if processor.architecture != facts.architecture:
        yield f"the file says {processor.architecture}; the machine is {facts.architecture}"
        return
    stated = device.match.model_is or device.match.model_contains
    names = (*facts.models, *((facts.cpu_model,) if facts.cpu_model else ()))
    if not matches(device, facts):
        chips = " or ".join(device.match.compatible + device.match.cpu_part)
        identity = repr(stated) if stated else chips or "its [match]"
        yield f"the file identifies its board by {identity}; the machine is {', '.join(names) or 'unnamed'}"
    lacking = [flag for flag in processor.isa if flag not in facts.isa]
    if lacking:
        yield f"the file says {' '.join(lacking)}; not every core here has it"
    if processor.cores is not None and facts.cores != processor.cores:
        yield f"the file says {counted(processor.cores, 'core')}; a process may use {facts.cores} here"
    stated_mib = device.memory.mib if device.memory is not None else None
    if stated_mib and facts.memory_mib and not _KEPT_BY_THE_KERNEL * stated_mib <= facts.memory_mib <= stated_mib:
        yield f"the file says {stated_mib:,} MiB of memory; the machine has {facts.memory_mib:,} MiB"


def _differing_runtimes(device: Device, facts: BoardFacts) -> Iterator[str]:
    python = ".".join(map(str, facts.python.version))
    for runtime, stated in device.runtimes.items():
        if not stated.by_default:
            continue
        if python not in SpecifierSet(stated.python):
            yield f"the file says Python {stated.python} for {runtime.value}; the machine has {python}"
        version = installed_runtime_version(facts, runtime)
        if version is not None and not is_in_range(version, stated.versions):
            yield f"the file says {runtime.value} {stated.versions}; the machine has {version}"


_CARRIED_AWAY = ("packages-missing", "venv-missing")
"""Findings that ``--carry-wheels`` fixes: its environment is made without pip."""
_FURNISHED_DISK_MIB = 64
"""Required disk space if no package is missing. Each file is compared with the free space before it is sent."""


@dataclass(frozen=True)
class BoardUse:
    """A device that a board must be, and the use of the board."""

    device: Device | None
    """None: any device."""
    what: str
    """The command, which other users of the board see while it is locked."""
    runtimes: frozenset[Runtime] | None = None
    """Runtimes of the kits; None: all of the device."""

    @property
    def needs(self) -> Needs:
        """Requirements of the kits."""
        return needs_of(self.device, self.runtimes)


def runtimes_of(candidates: Iterable[Candidate]) -> frozenset[Runtime]:
    """Return the runtimes of these candidates, with ONNX Runtime if engines are evaluated by their twins."""
    runtimes = set[Runtime]()
    for candidate in candidates:
        runtimes |= {candidate.runtime, Runtime.ONNXRUNTIME} if candidate.needs_engine else {candidate.runtime}
    return frozenset(runtimes)


def runtimes_for(device: Device, named: TargetRuntime | None) -> frozenset[Runtime] | None:
    """Return the runtimes of a target's kits, with ONNX Runtime, whose fp32 kit is the reference.

    None if the target names no runtime. The kits then use every runtime of the device that the machine has.
    """
    return None if named is None else frozenset((*device.built_for(named), Runtime.ONNXRUNTIME))


class FitBoard(NamedTuple):
    """A board, and the results of one examination."""

    reached: ReachedBoard
    packages: PackageStatus
    findings: tuple[Finding, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each finding that distorts measurements."""
        distorting = (finding for finding in self.findings if finding.weight is Weight.DISTORTS)
        return tuple(" — ".join(filter(None, (finding.what, finding.remedy))) for finding in distorting)


def fit_board(link: Link, request: HostRequest, use: BoardUse) -> FitBoard:
    """Examine a board with the Python that its kits will use; ``furnish_board`` may still install packages.

    If no Python is named and the usual one lacks packages, the environment of an earlier ``--carry-wheels`` is used.

    Raises:
        RecordingUnusable, LINK_LOST: the board cannot be examined.
        BOARD_IS_ANOTHER_DEVICE: it is another device.
        BOARD_NOT_READY: kits cannot run there as it is.
    """
    reached, needs = board_over(link, request.python), use.needs
    require_device(reached, use.device)
    packages = package_status(reached.facts, needs)
    if request.python is None and (packages.missing or packages.options):
        with suppress(RecordingUnusable):  # no environment was carried there
            carried = reached.examined_with(CARRIED)
            carried_packages = package_status(carried.facts, needs)
            if _missing_counts(carried_packages) < _missing_counts(packages):
                reached, packages = carried, carried_packages
    return _require_ready(reached, needs, packages, put_off=_CARRIED_AWAY if request.carry_wheels else ())


def require_device(reached: ReachedBoard, device: Device | None) -> None:
    """Raise BOARD_IS_ANOTHER_DEVICE if the machine is not the device."""
    facts = reached.facts
    if device is not None and not matches(device, facts):
        fitting = sorted((device_named(name) for name in recognised_as(facts)), key=match_closeness, reverse=True)
        matching = [known.name for known in fitting if known.facts_only is None]
        raise board_is_another_device(board=reached.name, machine=facts.describe(), device=device.title, matching=matching)


def furnish_board(board: FitBoard, use: BoardUse, tell: Progress) -> FitBoard:
    """Install the packages that a board lacks (``--carry-wheels``). Call it while the board is locked.

    Raises WheelsNotFound, WHEELS_NOT_UNPACKED, LINK_LOST: they could not be installed. BOARD_NOT_READY: another finding stops
    kits.
    """
    carried, needs = carry_missing_packages(board.reached, board.packages, tell), use.needs
    packages = board.packages if carried is board.reached else package_status(carried.facts, needs)
    return _require_ready(carried, needs, packages)


def _missing_counts(packages: PackageStatus) -> tuple[int, int]:
    """Return the number of missing packages, and of missing optional ones."""
    return len(packages.missing), len(packages.options)


def _require_ready(reached: ReachedBoard, needs: Needs, packages: PackageStatus, *, put_off: Iterable[str] = ()) -> FitBoard:
    if not packages.missing:
        needs = needs._replace(disk_mib=_FURNISHED_DISK_MIB)
    findings = findings_on(reached.facts, needs, packages)
    require_none(reached.name, [finding for finding in stopping_findings(findings) if finding.ref not in put_off])
    return FitBoard(reached, packages, findings)
