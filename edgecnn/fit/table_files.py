"""Where latency tables lie, and when one speaks for a machine: beside the user's device files, and shipped ones beside ours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from edgecnn.devices.files import own_folder
from edgecnn.errors.base import system_reason
from edgecnn.errors.fit import TableOfAnother, TableUnreadable, TableUnwritable
from edgecnn.errors.wording import shortened
from edgecnn.measure.lab import Lab, first_difference
from edgecnn.resources import resource_folder
from edgecnn.runner.files import bounded_content
from edgecnn.store.disk import write_text_atomically
from edgecnn.values.fit import LatencyTable

_BYTES_MAX: Final = 16 << 20
"""The largest table that is read; one of 40 networks in eight candidates has half a MiB."""


def own_table(device: str) -> Path:
    """Where a table that is measured here goes: ``tables/DEVICE.json`` in the folder of the user's own devices."""
    return own_folder() / "tables" / f"{device}.json"


def table_file(device: str) -> Path | None:
    """The user's table of a device, else a shipped one; None where nobody measured any."""
    places = (own_table(device), resource_folder("devices") / "tables" / f"{device}.json")
    return next((path for path in places if path.is_file()), None)


def require_file(path: Path) -> None:
    """Raises TableUnwritable: nothing could be written there once it is measured."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TableUnwritable(path=path, because=system_reason(error)) from error
    if path.is_dir():
        raise TableUnwritable(path=path, because="it is a folder")
    if not os.access(path.parent, os.W_OK):
        raise TableUnwritable(path=path, because="its folder may not be written")


def write_table(table: LatencyTable, path: Path) -> None:
    """Write a table whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, table.model_dump_json(indent=1, by_alias=True) + "\n")


def read_table_file(path: Path) -> LatencyTable:
    """Raises TableUnreadable: it cannot be read, or is no table."""
    try:
        return LatencyTable.model_validate_json(bounded_content(path, _BYTES_MAX))
    except OSError as error:
        raise TableUnreadable(path=path, problems=[system_reason(error)]) from error
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        problems = [f"{shortened('.'.join(map(str, each['loc']))) or 'the file'}: {each['msg']}" for each in faults]
        raise TableUnreadable(path=path, problems=problems) from error


def require_same_machine(table: LatencyTable, path: Path, lab: Lab) -> None:
    """Hold a table to this machine as it is now. Raises TableOfAnother: naming what differs."""
    difference = first_difference(table.environment, lab.environment)
    for runtime, then in table.runtimes.items():
        now = lab.host.runtime_version(runtime)
        if difference is None and now != then:
            difference = f"{runtime}: then {then}, now {now or 'absent'}"
    if difference is not None:
        raise TableOfAnother(path=path, difference=difference, device=table.device)
