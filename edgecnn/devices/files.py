"""Read device files: shipped devices by name, the user's own by name or path."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.devices import (
    DEVICE_FACTS_ONLY,
    DEVICE_FILE_INVALID,
    DEVICE_NAME_SHIPPED,
    DEVICE_NAME_TAKEN,
    RUNTIMES_CONTRADICT,
    runtime_not_on_device,
    unknown_device,
    unknown_runtime,
)
from edgecnn.installed import resource_folder
from edgecnn.runtimes.registry import offers
from edgecnn.store.disk import read_table, user_path
from edgecnn.values.candidate import ALL_RUNTIMES, Candidate, Runtime, TargetRuntime
from edgecnn.values.device import Device, is_path, split_target
from edgecnn.values.recipe import Recipe, TargetChoice
from edgecnn.values.toml import checked


class Target(NamedTuple):
    """``DEVICE[:RUNTIME]``. Without a runtime, the default runtimes of the device's file are built."""

    device: Device
    runtime: TargetRuntime | None


@cache
def load_devices() -> Mapping[str, Device]:
    """Return every shipped device by its name, in alphabetical order.

    Raises DEVICE_FILE_INVALID: a shipped file is not valid. DEVICE_NAME_TAKEN: two files have the same name or alias.
    """
    devices = [load_device_file(path) for path in sorted(resource_folder("devices").glob("*.toml"), key=lambda file: file.stem)]
    owner: dict[str, str] = {}
    for device in devices:
        for name in (device.name, *device.aliases):
            if name in owner:
                raise DEVICE_NAME_TAKEN(name=name, first=owner[name], second=device.name)
            owner[name] = device.name
    return {device.name: device for device in devices}


class KnownDevices(NamedTuple):
    """Devices that a target can name."""

    devices: tuple[Device, ...]
    """The user's own, then the shipped ones, each in alphabetical order. Own devices have the names of their files."""
    damaged: Mapping[str, EdgecnnError]
    """Errors of the user's files that are not valid, by name."""


def known_devices() -> KnownDevices:
    """Return every device that has a name here. An invalid file of the user's is listed as damaged.

    Raises DEVICE_FILE_INVALID, DEVICE_NAME_TAKEN: of a shipped file, as ``load_devices``.
    """
    shipped, own = _shipped_names(), []
    damaged: dict[str, EdgecnnError] = {}
    for name in own_names():
        path = own_file(name)
        if path is None or name in shipped:  # a target with that name means the shipped device
            continue
        try:
            own.append(own_device(path).model_copy(update={"name": name, "aliases": ()}))
        except EdgecnnError as error:
            damaged[name] = error
    return KnownDevices((*own, *load_devices().values()), damaged)


def device_named(name: str) -> Device:
    """Return the shipped device with this name or alias, or the user's own.

    Raises UnknownDevice: there is neither; the error names the nearest. FILE_UNREADABLE, NOT_TOML, DEVICE_FILE_INVALID,
    DEVICE_NAME_SHIPPED: of the user's file.
    """
    by_name = _shipped_names()
    if name in by_name:
        return by_name[name]
    path = own_file(name)
    if path is None:
        raise unknown_device(name=name, known=sorted({*by_name, *own_names()}))
    return own_device(path)


def device_or_none(name: str) -> Device | None:
    """Return the same device as ``device_named``, or None if there is none or its file is not valid."""
    try:
        return device_named(name)
    except EdgecnnError:
        return None


def load_device_file(path: Path) -> Device:
    """Read a device from a TOML file.

    Raises:
        FILE_UNREADABLE: the file cannot be opened.
        NOT_TOML: the file is not valid TOML.
        DEVICE_FILE_INVALID: the file is not a valid device; the error names every problem with its key.
    """
    table = read_table(path)
    device = checked(Device, table, lambda problems: DEVICE_FILE_INVALID(path=path, problems=problems))
    idle = [name.value for name, facts in device.runtimes.items() if set(facts.precisions.values()) <= {"none"}]
    problems = [f"runtimes.{name}.precisions must be native or slow for at least one precision" for name in idle]
    if problems or not (device.runtimes or device.facts_only):
        raise DEVICE_FILE_INVALID(path=path, problems=problems or ["runtimes must list at least one runtime"])
    return device


def own_device(path: Path) -> Device:
    """Read a user's device from a file; a leading ``~`` is expanded.

    A copy of a shipped file is the shipped device; a changed copy needs another name.

    Raises DEVICE_NAME_SHIPPED: the file states other facts under a shipped device's name or alias. FILE_UNREADABLE, NOT_TOML,
    DEVICE_FILE_INVALID: as ``load_device_file``.
    """
    path = user_path(path)
    device = load_device_file(path)
    shipped = _shipped_names()
    if device.name in shipped and device != shipped[device.name]:
        stem = re.sub("[^a-z0-9]+", "-", path.stem.lower()).strip("-")
        suggestion = stem if stem and stem not in shipped else f"my-{device.name}"
        raise DEVICE_NAME_SHIPPED(path=path, name=device.name, suggestion=suggestion)
    return device


def file_of(text: str, device: Device) -> Path | None:
    """Return the absolute path of the file that a target names; None for a shipped device."""
    name, _ = split_target(text)
    if device.name in load_devices():
        return None
    if not is_path(name):
        return own_file(name)
    return user_path(name).resolve()


def parse_target(text: str) -> Target:
    """Parse ``intel-cpu``, ``jetson:tensorrt``, ``raspberry-pi-5:all``, ``~/my-board.toml`` or ``./my-board.toml:openvino``.

    Raises:
        UnknownDevice: the device is neither a shipped name nor a path.
        DEVICE_FACTS_ONLY: nothing can be built for the device.
        UNKNOWN_RUNTIME: the text after the colon is not a runtime.
        RUNTIME_NOT_ON_DEVICE: the device file does not list that runtime.
        FILE_UNREADABLE, NOT_TOML, DEVICE_FILE_INVALID, DEVICE_NAME_SHIPPED: of a device file that is given by its path.
    """
    name, runtime = split_target(text)
    device = own_device(Path(name)) if is_path(name) else device_named(name)
    if device.facts_only is not None:
        raise DEVICE_FACTS_ONLY(device=device.name, why=device.facts_only.why, instead=device.facts_only.instead)
    return Target(device, None if runtime is None else runtime_of(device, runtime, target=name))


def target_of(choice: TargetChoice, text: str | None) -> Target:
    """Return the device and runtime of a call. ``text``: the target of the call; None: the recipe's.

    Raises RUNTIMES_CONTRADICT: the recipe's device names one runtime and its ``runtime`` another. UnknownDevice,
    DEVICE_FACTS_ONLY, UNKNOWN_RUNTIME, RUNTIME_NOT_ON_DEVICE: as ``parse_target``.
    """
    if text is not None:
        return parse_target(text)
    device, named = parse_target(choice.device)
    if choice.runtime is None:
        return Target(device, named)
    if named is not None and named != choice.runtime:
        raise RUNTIMES_CONTRADICT(target=choice.device, runtime=str(choice.runtime))
    return Target(device, runtime_of(device, str(choice.runtime), target=choice.device))


def runtime_of(device: Device, name: str, target: str | None = None) -> TargetRuntime:
    """Return the runtime with this name, if the device has it, or ``all``.

    ``target``: the device as the user wrote it, a path or a name.

    Raises UNKNOWN_RUNTIME: edgecnn has no such runtime. RUNTIME_NOT_ON_DEVICE: the device file does not list it.
    """
    has = [runtime.value for runtime in device.runtimes]
    runtime = known_runtime(name, target or device.name, on_device=has)
    if runtime != ALL_RUNTIMES and runtime.value not in has:
        raise runtime_not_on_device(device=device.name, runtime=name, has=has, target=target or device.name)
    return runtime


def known_runtime(name: str, target: str, on_device: Sequence[str]) -> TargetRuntime:
    """Return the runtime with this name, or ``all``. Raises UNKNOWN_RUNTIME: edgecnn has no such runtime.

    ``target``: the device as the user wrote it; ``on_device``: the runtimes that an example may name.
    """
    known = [runtime.value for runtime in Runtime if runtime.ships]
    if name == ALL_RUNTIMES:
        return ALL_RUNTIMES
    if name not in known:
        raise unknown_runtime(name=name, device=target, known=[*known, ALL_RUNTIMES], on_device=on_device)
    return Runtime(name)


def _shipped_names() -> dict[str, Device]:
    return {name: device for device in load_devices().values() for name in (device.name, *device.aliases)}


def build_targets(device: Device) -> tuple[str, ...]:
    """Return the targets with which a build for the device has candidates: the plain name, then single runtimes.

    Empty if nothing can be built.
    """
    if device.facts_only is not None:
        return ()
    answers = {runtime: offers(runtime, device) for runtime in device.runtimes}
    building = [runtime for runtime, entries in answers.items() if any(isinstance(entry, Candidate) for entry in entries)]
    plain = [device.name] if any(device.runtimes[runtime].by_default for runtime in building) else []
    named = [f"{device.name}:{runtime.value}" for runtime in building if not device.runtimes[runtime].by_default]
    return (*plain, *named)


NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""The same pattern as ``Device.name``."""


def own_folder() -> Path:
    """Return ``edgecnn/devices`` in $XDG_CONFIG_HOME, or in ~/.config. A relative $XDG_CONFIG_HOME is ignored, as XDG demands."""
    config = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    base = config if config.is_absolute() else Path(os.path.expanduser("~/.config"))  # noqa: PTH111 - Path.home raises without a home folder
    return base / "edgecnn" / "devices"


def own_file(name: str) -> Path | None:
    """Return the user's file of this name, or None."""
    path = own_folder() / f"{name}.toml"
    return path if name in own_names() and path.is_file() else None


def own_names() -> tuple[str, ...]:
    """Return the names of the user's files, in alphabetical order, without reading the files."""
    return tuple(sorted(path.stem for path in own_folder().glob("*.toml") if NAME.fullmatch(path.stem)))


class SettledTarget(NamedTuple):
    """A recipe with a settled target, the device, and the path of a user's own device file."""

    recipe: Recipe
    device: Device
    file: Path | None


def settle_target(recipe: Recipe, text: str | None = None) -> SettledTarget:
    """Return the recipe with its target settled.

    ``text``: the target of the call; None: the recipe's. Raises as ``target_of``.
    """
    device, runtime = target_of(recipe.target, text)
    target = recipe.target.model_copy(update={"device": device.name, "runtime": runtime})
    file = file_of(text or recipe.target.device, device)
    return SettledTarget(recipe.model_copy(update={"target": target}), device, file)
