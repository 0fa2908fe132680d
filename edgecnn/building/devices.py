"""Devices are files, and this is the one place that reads them: shipped ones by name, a user's own by name or by path."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from edgecnn.building.own_devices import own_file, own_names
from edgecnn.building.target_text import is_path, split_target
from edgecnn.building.toml_file import checked, read_table
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.devices import (
    DeviceFactsOnly,
    DeviceFileInvalid,
    DeviceNameShipped,
    DeviceNameTaken,
    RuntimeNotOnDevice,
    RuntimesContradict,
    UnknownDevice,
    UnknownRuntime,
)
from edgecnn.resources import resource_folder
from edgecnn.values.base import Value
from edgecnn.values.candidate import Runtime
from edgecnn.values.device import Device, Match, Memory
from edgecnn.values.recipe import TargetChoice

ISA_FLAGS = ("avx2", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimddp", "asimdhp", "i8mm", "bf16")
"""The CPU flags, in Linux's spelling, that decide a quantization scheme or whether a precision is really computed in."""


class Target(NamedTuple):
    """``DEVICE[:RUNTIME]``; without a runtime all that the device has are meant."""

    device: Device
    runtime: Runtime | None


class LocalFacts(Value):
    """What this machine says of itself, as far as devices are told apart and schemes chosen by it."""

    architecture: str
    """``platform.machine()``: x86_64, aarch64, …"""
    cpu_vendor: str | None
    """``vendor_id`` of /proc/cpuinfo (GenuineIntel, AuthenticAMD), or ``CPU implementer`` (0x41) on ARM."""
    models: tuple[str, ...]
    """The board's name from its device tree, and the names of NVIDIA GPUs that the driver lists."""
    isa: tuple[str, ...]
    """Those of ``ISA_FLAGS`` that every core has."""
    cores: int
    """Cores that this process may use."""
    memory_mib: int | None
    cpu_model: str | None = None
    """``model name`` of /proc/cpuinfo, which tells x86 processors apart; it is no board's."""

    def describe(self) -> str:
        """The machine in a few words, as a sentence may contain them."""
        processor = " ".join(part for part in (self.cpu_vendor, self.architecture) if part)
        return ", ".join((f"{processor} with {self.cores} {'core' if self.cores == 1 else 'cores'}", *self.models))


@cache
def load_devices() -> Mapping[str, Device]:
    """Every shipped device by its name, in alphabetical order.

    Raises:
        DeviceFileInvalid: a shipped file is no device.
        DeviceNameTaken: two files answer to one name or alias.
    """
    devices = [load_device_file(path) for path in sorted(resource_folder("devices").glob("*.toml"), key=lambda file: file.stem)]
    owner: dict[str, str] = {}
    for device in devices:
        for name in (device.name, *device.aliases):
            if name in owner:
                raise DeviceNameTaken(name=name, first=owner[name], second=device.name)
            owner[name] = device.name
    return {device.name: device for device in devices}


class KnownDevices(NamedTuple):
    """What a target may name."""

    devices: tuple[Device, ...]
    """The user's own, then the shipped ones, each in alphabetical order; own ones have the names by which a target finds them."""
    damaged: Mapping[str, EdgecnnError]
    """What is wrong with those of the user's files that are no device, by name."""


def known_devices() -> KnownDevices:
    """Every device that has a name here; a file of the user's that is none stops nothing.

    Raises:
        DeviceFileInvalid, DeviceNameTaken: of a shipped file, as ``load_devices``.
    """
    shipped, own = _by_name(), []
    damaged: dict[str, EdgecnnError] = {}
    for name in own_names():
        path = own_file(name)
        if path is None or name in shipped:  # a target of that name is the shipped device
            continue
        try:
            own.append(own_device(path).model_copy(update={"name": name, "aliases": ()}))
        except EdgecnnError as error:
            damaged[name] = error
    return KnownDevices((*own, *load_devices().values()), damaged)


def device_named(name: str) -> Device:
    """The shipped device of this name or alias, else the user's own.

    Raises:
        UnknownDevice: there is neither; names the nearest.
        FileUnreadable, NotToml, DeviceFileInvalid, DeviceNameShipped: of the user's file.
    """
    by_name = _by_name()
    if name in by_name:
        return by_name[name]
    path = own_file(name)
    if path is None:
        raise UnknownDevice(name=name, known=sorted({*by_name, *own_names()}))
    return own_device(path)


def load_device_file(path: Path) -> Device:
    """A device from a TOML file.

    Raises:
        FileUnreadable: the file cannot be opened.
        NotToml: it breaks TOML's grammar.
        DeviceFileInvalid: it is no device; names every problem with its key.
    """
    table = read_table(path)
    device = checked(Device, table, lambda problems: DeviceFileInvalid(path=path, problems=problems))
    idle = [name.value for name, facts in device.runtimes.items() if set(facts.precisions.values()) <= {"none"}]
    problems = [f"runtimes.{name}.precisions must say native or slow of at least one precision" for name in idle]
    if problems or not (device.runtimes or device.facts_only):
        raise DeviceFileInvalid(path=path, problems=problems or ["runtimes must list at least one runtime"])
    return device


def own_device(path: Path) -> Device:
    """A user's device from a file, a ``~`` at its head filled in.

    A copy of a shipped file is the shipped device; one that was changed has its own name.

    Raises:
        DeviceNameShipped: it states other facts under a shipped device's name or alias.
        FileUnreadable, NotToml, DeviceFileInvalid: as ``load_device_file``.
    """
    path = Path(os.path.expanduser(path))  # noqa: PTH111 - pathlib's raises where nobody has the name after the ~
    device = load_device_file(path)
    shipped = _by_name()
    if device.name in shipped and device != shipped[device.name]:
        stem = re.sub("[^a-z0-9]+", "-", path.stem.lower()).strip("-")
        suggestion = stem if stem and stem not in shipped else f"my-{device.name}"
        raise DeviceNameShipped(path=path, name=device.name, suggestion=suggestion)
    return device


def file_of(text: str, device: Device) -> Path | None:
    """The absolute path of the file that a target names; None where the device is a shipped one, which its name finds."""
    name, _ = split_target(text)
    if device.name in load_devices():
        return None
    if not is_path(name):
        return own_file(name)
    return Path(os.path.expanduser(name)).resolve()  # noqa: PTH111 - as own_device


def parse_target(text: str) -> Target:
    """``intel-cpu``, ``jetson:tensorrt``, ``~/my-board.toml`` or ``./my-board.toml:openvino``.

    Raises:
        UnknownDevice: the device is neither a shipped name nor a path.
        DeviceFactsOnly: nothing is ever built for it; says why, and what to do instead.
        UnknownRuntime: what follows the colon is no runtime.
        RuntimeNotOnDevice: the device file does not list that runtime.
        FileUnreadable, NotToml, DeviceFileInvalid, DeviceNameShipped: of a device file given by its path.
    """
    name, runtime = split_target(text)
    device = own_device(Path(name)) if is_path(name) else device_named(name)
    if device.facts_only is not None:
        raise DeviceFactsOnly(device=device.name, why=device.facts_only.why, instead=device.facts_only.instead)
    return Target(device, None if runtime is None else runtime_of(device, runtime, target=name))


def settled_target(choice: TargetChoice, asked: str | None) -> Target:
    """The device and runtime of a call: what it asks on its own, else what the recipe says.

    Raises:
        RuntimesContradict: the recipe's device names one runtime and its ``runtime`` another.
        UnknownDevice, DeviceFactsOnly, UnknownRuntime, RuntimeNotOnDevice: as ``parse_target``.
    """
    if asked is not None:
        return parse_target(asked)
    device, named = parse_target(choice.device)
    if choice.runtime is None:
        return Target(device, named)
    if named is not None and named is not choice.runtime:
        raise RuntimesContradict(target=choice.device, runtime=choice.runtime.value)
    return Target(device, runtime_of(device, choice.runtime.value, target=choice.device))


def runtime_of(device: Device, name: str, target: str | None = None) -> Runtime:
    """The runtime of this name, if the device has it; ``target`` is how the user wrote the device, a file's path or its name.

    Raises:
        UnknownRuntime: edgecnn has no such runtime.
        RuntimeNotOnDevice: the device file does not list it.
    """
    has = [runtime.value for runtime in device.runtimes]
    known = [runtime.value for runtime in Runtime if runtime.ships]
    if name not in known:
        raise UnknownRuntime(name=name, device=target or device.name, known=known, on_device=has)
    if name not in has:
        raise RuntimeNotOnDevice(device=device.name, runtime=name, has=has, target=target or device.name)
    return Runtime(name)


def matches(device: Device, facts: LocalFacts) -> bool:
    """True when a machine with these facts is this device: every field that the device's ``[match]`` states holds."""
    match = device.match
    if device.processor.architecture != "any" and match == Match():
        return False  # a file that does not say how its board is recognised is recognised nowhere
    models = facts.models if facts.cpu_model is None else (*facts.models, facts.cpu_model)
    return (
        (match.architecture is None or match.architecture == facts.architecture)
        and (match.cpu_vendor is None or match.cpu_vendor == facts.cpu_vendor)
        and (match.model_contains is None or any(match.model_contains in model for model in models))
        and (match.model_is is None or match.model_is in models)
        and set(match.isa) <= set(facts.isa)
        and not set(match.lacks_isa) & set(facts.isa)
    )


def with_local_facts(device: Device, facts: LocalFacts) -> Device:
    """The device with what its file leaves to the machine filled in from the machine, and nothing else changed.

    A file leaves it to the machine by ``architecture = "any"``; the ISA flags, cores and memory then come from ``facts``.
    """
    if device.processor.architecture != "any" or facts.architecture not in ("x86_64", "aarch64"):
        return device
    source = "read from this machine: /proc/cpuinfo, /proc/meminfo"
    processor = device.processor.model_copy(
        update={"architecture": facts.architecture, "isa": facts.isa, "cores": facts.cores, "source": source}
    )
    memory = Memory(mib=facts.memory_mib, source=source) if facts.memory_mib else device.memory
    return device.model_copy(update={"processor": processor, "memory": memory})


def local_facts(root: Path = Path("/"), *, architecture: str | None = None, cores: int | None = None) -> LocalFacts:
    """Read this machine's facts, or another's whose files lie in ``root``; what cannot be read there is absent, never guessed.

    Args:
        root: where ``proc`` lies.
        architecture: as ``uname -m`` names it; None: this machine's.
        cores: that a process may use; None: here.
    """
    described = _cores_of(_text(root / "proc/cpuinfo"))
    flags = [set((core.get("flags") or core.get("Features") or "").split()) for core in described]
    common = set.intersection(*flags) if flags else set()
    first = described[0] if described else {}
    return LocalFacts(
        architecture=architecture or platform.machine(),
        cpu_vendor=first.get("vendor_id") or first.get("CPU implementer"),
        models=_models(root),
        isa=tuple(flag for flag in ISA_FLAGS if flag in common),
        cores=cores or _cores_here(),
        memory_mib=_memory_mib(_text(root / "proc/meminfo")),
        cpu_model=first.get("model name"),
    )


def _cores_here() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _by_name() -> dict[str, Device]:
    return {name: device for device in load_devices().values() for name in (device.name, *device.aliases)}


def _cores_of(cpuinfo: str) -> list[dict[str, str]]:
    """One table a core; blocks without flags (ARM's trailing board lines) are no cores."""
    blocks = [
        {name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in block.splitlines()) if colon}
        for block in cpuinfo.split("\n\n")
    ]
    return [block for block in blocks if "flags" in block or "Features" in block]


def _models(root: Path) -> tuple[str, ...]:
    board = _text(root / "proc/device-tree/model").rstrip("\0").strip()
    gpus = []
    for information in sorted((root / "proc/driver/nvidia/gpus").glob("*/information")):
        gpus += [line.partition(":")[2].strip() for line in _text(information).splitlines() if line.startswith("Model:")]
    return (*([board] if board else []), *gpus)


def _memory_mib(meminfo: str) -> int | None:
    found = (int(line.split()[1]) // 1024 for line in meminfo.splitlines() if line.startswith("MemTotal:"))
    return next(found, None)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # absent on this kind of machine, which is itself the fact
        return ""
