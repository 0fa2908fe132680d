"""Where a build writes, and whether what is stored is still what was stored."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Literal

from edgecnn.devices.doctor.facts import DiskFact, State, StoreFact
from edgecnn.errors.base import DISK_FULL, system_reason
from edgecnn.errors.store import StoreFull, StoreUnusable
from edgecnn.store.disk import bytes_of, nearest_existing, temporary_folder
from edgecnn.store.entry import Damage, trusted_entry
from edgecnn.store.failures import named_failures
from edgecnn.store.profiles import read_profile
from edgecnn.store.store import Store, default_root
from edgecnn.values.artifact import Artifact
from edgecnn.values.stage import Progress

MIB = 1024 * 1024
PROBE_BYTES = MIB
"""Written, forced onto the disk and gone again: what is free on paper may be beyond a quota."""
_VERIFY = "`edgecnn store verify` reads every byte"
_HINTS = {
    "store": "run `edgecnn store gc`, or set EDGECNN_STORE=FOLDER to a folder on another disk",
    "results": "make room there, or build with --out FOLDER on another disk",
    "temporary": "make room there, or set TMPDIR=FOLDER to a folder on another disk",
}


def disk_facts() -> tuple[DiskFact, ...]:
    """The store's place, the folder that results go to, and that of temporary files."""
    store = default_root()
    return (disk_fact("store", store), disk_fact("results", Path.cwd()), disk_fact("temporary", temporary_folder()))


def disk_fact(use: Literal["store", "results", "temporary"], path: Path) -> DiskFact:
    """Free space at a place, or where it would be made, and whether a file can really be written there; none is left."""
    free, total, state = 0, 0, State.BROKEN
    hint: str | None = _HINTS[use]
    try:
        place = nearest_existing(path)
        usage = shutil.disk_usage(place)
        free, total = usage.free, usage.total
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"\0" * PROBE_BYTES)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        why = system_reason(error)
        full = error.errno in DISK_FULL
        found = f"{PROBE_BYTES // MIB} MiB could not be written: {why}" if full else f"nothing can be written: {why}"
    else:
        state, found, hint = State.WORKS, "takes files", None
    return DiskFact(
        use=use,
        path=str(path),
        state=state,
        free_mib=round(free / MIB, 1),
        total_mib=round(total / MIB, 1),
        found=found,
        hint=hint,
    )


def store_fact(tell: Progress) -> StoreFact:
    """Every entry, checked as a build checks it: by stat where the index knows it, else by its bytes."""
    root = default_root()
    try:
        return _examined(Store.open(), tell)
    except (StoreUnusable, StoreFull) as error:
        nothing = StoreFact(root=str(root), state=State.BROKEN, artifacts=0, profiles=0, mib=0, damaged=(), found=error.what)
        return nothing.model_copy(update={"found": error.because or error.what, "hint": error.hint})


def _examined(store: Store, tell: Progress) -> StoreFact:
    with named_failures(store.root, "examining it"):
        names, folders = list(store.artifacts.names()), list(store.profiles.folders())
        damaged, size = [], 0
        for done, (kind, key) in enumerate(names, start=1):
            found = trusted_entry(store.layout, kind, key)
            if isinstance(found, Damage):
                damaged.append(f"artifacts/{kind}/{key}: {found.why}")
            elif isinstance(found, Artifact):
                size += bytes_of(found.record.files)
            tell.step("read the store", done, len(names), "entries")
        for folder in folders:
            read = read_profile(folder)
            if isinstance(read, Damage):
                damaged.append(f"{folder.relative_to(store.root).as_posix()}: {read.why}")
    said = f"no damage; {_VERIFY}" if names or folders else "nothing is stored yet"
    return StoreFact(
        root=str(store.root),
        state=State.BROKEN if damaged else State.WORKS,
        artifacts=len(names),
        profiles=len(folders),
        mib=round(size / MIB, 1),
        damaged=tuple(damaged),
        found=f"{len(damaged)} damaged, the first is {damaged[0]}" if damaged else said,
        hint="edgecnn store verify --repair" if damaged else None,
    )
