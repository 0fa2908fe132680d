"""Writes the device file of a machine into the user's folder, where a target finds it by its name."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from edgecnn.building.devices import load_devices
from edgecnn.building.own_devices import NAME, own_folder
from edgecnn.building.preflight.check import stopping
from edgecnn.building.preflight.device_file import device_of, device_toml
from edgecnn.building.preflight.look import Seen
from edgecnn.errors.base import system_reason
from edgecnn.errors.outputs import OutputUnwritable
from edgecnn.errors.preflight import BoardNotReady, DeviceFileThere, DeviceNameBad
from edgecnn.store.whole_file import write_text_atomically
from edgecnn.values.board import Finding
from edgecnn.values.device import Device

_NO_DEVICE = ("userland-32-bit", "architecture-unknown")
"""Findings with which nothing can be built for a machine."""


def check_name(name: str, force: bool) -> Path:
    """The file that a device of this name will be, before any machine is asked.

    Raises:
        DeviceNameBad: it cannot be a device's name.
        DeviceFileThere: a shipped device answers to it, or, without ``force``, the user has such a file.
    """
    if not NAME.fullmatch(name):
        raise DeviceNameBad(name=name, suggestion=re.sub("[^a-z0-9]+", "-", name.lower()).strip("-") or "my-board")
    for device in load_devices().values():
        if name in (device.name, *device.aliases):
            raise DeviceFileThere(name=name, title=device.title, file=None)
    path = own_folder() / f"{name}.toml"
    if path.exists() and not force:
        raise DeviceFileThere(name=name, title="", file=path)
    return path


def add_device(path: Path, seen: Seen, findings: tuple[Finding, ...]) -> Device:
    """Write the file of this machine, and return what is in it.

    Raises:
        BoardNotReady: nothing can be built for its processor or its programs.
        OutputUnwritable: the folder does not take it.
    """
    hopeless = [finding for finding in stopping(findings) if finding.ref in _NO_DEVICE]
    if hopeless:
        hints = [finding.remedy for finding in hopeless if finding.remedy is not None]
        raise BoardNotReady(board=seen.name, whats=[finding.what for finding in hopeless], hints=hints)
    device = device_of(path.stem, seen.facts, seen.link is None, datetime.now(UTC).date().isoformat())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, device_toml(device))
    except OSError as error:
        raise OutputUnwritable(path=path, because=system_reason(error)) from error
    return device
