"""Looks at a board before anything is copied to it, and refuses one on which kits cannot run, with what mends it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from edgecnn.devices.check.board import ReachedBoard, board_over, recognised_as, with_packages
from edgecnn.devices.check.needs import Needs, PackagesThere, needs_of, packages_there
from edgecnn.devices.check.system import findings_on, require_none, stopping
from edgecnn.devices.files import device_named
from edgecnn.devices.this_machine import how_closely, matches
from edgecnn.errors.hosts.board import BoardIsAnotherDevice
from edgecnn.errors.hosts.process import RecordingUnusable
from edgecnn.hosts.ssh.link import Link
from edgecnn.hosts.wheels import PYTHON as CARRIED
from edgecnn.values.board import BoardFacts, Finding, HostRequest, Weight
from edgecnn.values.candidate import Candidate, Runtime, TargetRuntime
from edgecnn.values.device import Device
from edgecnn.values.stage import Progress

_CARRIED_AWAY = ("packages-missing", "venv-missing")
"""Findings that ``--carry-wheels`` mends: its environment is made without pip."""
_FURNISHED_DISK_MIB = 64
"""Where every package is there already, what is sent is known to the byte, and is held against the room before it is sent."""


@dataclass(frozen=True)
class Wanted:
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
    found = tuple(candidates)
    twins = {Runtime.ONNXRUNTIME} if any(each.needs_engine for each in found) else set[Runtime]()
    return frozenset({each.runtime for each in found} | twins)


def runtimes_for(device: Device, named: TargetRuntime | None) -> frozenset[Runtime] | None:
    """What kits of a target need, by the runtime that it names; fp32 in ONNX Runtime is what everything is held against.

    None where it names none: every runtime of the device, as far as the machine has it.
    """
    return None if named is None else frozenset((*device.built_for(named), Runtime.ONNXRUNTIME))


class FitBoard(NamedTuple):
    """A board, and what one look at it gave."""

    reached: ReachedBoard
    packages: PackagesThere
    findings: tuple[Finding, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each finding with which kits run, and what is measured is not what the board can do."""
        distorting = (finding for finding in self.findings if finding.weight is Weight.DISTORTS)
        return tuple(" — ".join(filter(None, (finding.what, finding.remedy))) for finding in distorting)


def fit_board(link: Link, asked: HostRequest, wanted: Wanted) -> FitBoard:
    """The board, seen by the Python that its kits will run with; ``furnished`` may still have to bring packages.

    Where no Python was named and the usual one lacks packages, the environment of an earlier ``--carry-wheels`` serves.

    Raises:
        RecordingUnusable, LinkLost: it cannot be asked.
        BoardIsAnotherDevice: it is not what was wanted.
        BoardNotReady: kits cannot run there as it is.
    """
    seen, needs = board_over(link, asked.python), wanted.needs
    require_device(seen, wanted.device)
    packages = packages_there(seen.facts, needs)
    if asked.python is None and (packages.missing or packages.options):
        with suppress(RecordingUnusable):  # nothing was carried there
            carried = seen.again(CARRIED)
            of_carried = packages_there(carried.facts, needs)
            if _count(of_carried) < _count(packages):
                seen, packages = carried, of_carried
    return _require_ready(seen, needs, packages, put_off=_CARRIED_AWAY if asked.carry_wheels else ())


def require_device(seen: ReachedBoard, device: Device | None) -> None:
    """Raises BoardIsAnotherDevice: the machine is not what was wanted."""
    facts = seen.facts
    if device is not None and not matches(device, facts):
        raise BoardIsAnotherDevice(board=seen.name, machine=facts.describe(), device=device.title, matching=_recognised(facts))


def _recognised(facts: BoardFacts) -> Sequence[str]:
    """The known devices that are built for and are such a machine, the one whose file says most about it first."""
    fitting = (device_named(name) for name in recognised_as(facts))
    return [each.name for each in sorted(fitting, key=how_closely, reverse=True) if each.facts_only is None]


def furnished(seen: FitBoard, wanted: Wanted, tell: Progress) -> FitBoard:
    """The board with the packages that it lacked, for ``--carry-wheels``; call it while the board is held.

    Raises WheelsNotFound, WheelsNotUnpacked, LinkLost: they could not be brought. BoardNotReady: something else is amiss.
    """
    carried, needs = with_packages(seen.reached, seen.packages, tell), wanted.needs
    packages = seen.packages if carried is seen.reached else packages_there(carried.facts, needs)
    return _require_ready(carried, needs, packages)


def _count(packages: PackagesThere) -> tuple[int, int]:
    """How many packages keep kits from running, and how many leave some out."""
    return len(packages.missing), len(packages.options)


def _require_ready(seen: ReachedBoard, needs: Needs, packages: PackagesThere, *, put_off: Iterable[str] = ()) -> FitBoard:
    if not packages.missing:
        needs = needs._replace(disk_mib=_FURNISHED_DISK_MIB)
    findings = findings_on(seen.facts, needs, packages)
    require_none(seen.name, [finding for finding in stopping(findings) if finding.ref not in put_off])
    return FitBoard(seen, packages, findings)
