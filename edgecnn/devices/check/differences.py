"""What a device file says otherwise than the machine that it is held against."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from edgecnn.devices.check.facts import as_local
from edgecnn.devices.check.python import installed
from edgecnn.devices.files import known_devices
from edgecnn.devices.this_machine import matches
from edgecnn.values.board import BoardFacts
from edgecnn.values.device import Device

_KEPT_BY_THE_KERNEL = 0.85
"""Of a board's nominal memory, what Linux shows at least: firmware, GPU and kernel keep the rest."""


def recognised_as(facts: BoardFacts, device: Device | None = None) -> tuple[str, ...]:
    """Names of known devices, and of this one, whose ``[match]`` holds."""
    known, here = known_devices().devices, as_local(facts)
    others = [] if device is None or device.name in {each.name for each in known} else [device]
    return tuple(each.name for each in (*others, *known) if matches(each, here))


def differences(device: Device, facts: BoardFacts) -> tuple[str, ...]:
    """One sentence each; none where the machine is what the file says."""
    return (*_hardware(device, facts), *_runtimes(device, facts))


def _hardware(device: Device, facts: BoardFacts) -> Iterator[str]:
    processor = device.processor
    if processor.architecture == "any":
        return
    if processor.architecture != facts.architecture:
        yield f"the file says {processor.architecture}, the machine is {facts.architecture}"
        return
    stated = device.match.model_is or device.match.model_contains
    names = (*facts.models, *((facts.cpu_model,) if facts.cpu_model else ()))
    if not matches(device, as_local(facts)):
        what = f"{stated!r}" if stated else "its [match]"
        yield f"the file knows its board by {what}, and the machine is {', '.join(names) or 'nameless'}"
    lacking = [flag for flag in processor.isa if flag not in facts.isa]
    if lacking:
        yield f"the file says {' '.join(lacking)}, which not every core here has"
    if processor.cores is not None and facts.cores != processor.cores:
        yield f"the file says {processor.cores} cores, a process may use {facts.cores} here"
    stated_mib = device.memory.mib if device.memory is not None else None
    if stated_mib and facts.memory_mib and not _KEPT_BY_THE_KERNEL * stated_mib <= facts.memory_mib <= stated_mib:
        yield f"the file says {stated_mib:,} MiB of memory, the machine has {facts.memory_mib:,}"


def _runtimes(device: Device, facts: BoardFacts) -> Iterator[str]:
    python = ".".join(map(str, facts.python.version))
    for runtime, stated in device.runtimes.items():
        if not stated.by_default:
            continue
        if python not in SpecifierSet(stated.python):
            yield f"the file says Python {stated.python} for {runtime.value}, the machine's is {python}"
        version = installed(facts, runtime)
        if version is not None and not _inside(version, stated.versions):
            yield f"the file says {runtime.value} {stated.versions}, the machine has {version}"


def _inside(version: str, wanted: str) -> bool:
    try:
        return SpecifierSet(wanted).contains(Version(version.partition(".nv")[0]), prereleases=True)
    except InvalidVersion:
        return False
