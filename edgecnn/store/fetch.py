"""Entries between this store and a remote one: what one here is made of, and how those of there are brought and published."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from edgecnn.errors.store import RemoteUnusable
from edgecnn.errors.wording import counted
from edgecnn.store.disk import discard, files_under, fsync_folder, remove, renamed, sha256_of, sync_folders
from edgecnn.store.entry import Damage, file_damage, read_folder, remember_stamps, trusted_entry
from edgecnn.store.failures import named_failures
from edgecnn.store.layout import FILES, RECORD, Layout
from edgecnn.store.profiles import FACTS, StoredProfile, read_profile
from edgecnn.store.remote import Remote, RemoteEntry
from edgecnn.values.artifact import Artifact, FileFact
from edgecnn.values.stage import digest_of

_GIVE_UP_AFTER: Final = 3
"""Entries that cannot be read, one after another: the place is away."""


def entry_here(layout: Layout, name: str) -> RemoteEntry | None:
    """The files of a finished entry of this store; None where it is damaged or gone. Raises StoreUnusable."""
    folder = layout.root / name
    with named_failures(layout.root, f"reading {name[:40]}"):
        if name.startswith("artifacts/"):
            found: Artifact | StoredProfile | Damage | None = trusted_entry(layout, folder.parent.name, folder.name)
        else:
            found = read_profile(folder)
        if found is None or isinstance(found, Damage):
            return None
        if isinstance(found, StoredProfile) and any(file_damage(folder, *each) for each in found.files.items()):
            return None  # reading it compared sizes
        own = _own_record(name)
        size = (folder / own).stat().st_size
        return RemoteEntry(files={**_recorded(found), own: FileFact(sha256=sha256_of(folder / own), bytes=size)})


class Fetched(NamedTuple):
    """What came of a remote store."""

    outcomes: dict[str, RemoteEntry | Damage]
    """By name: the list of an entry that is here now, or why it is not."""
    bytes: int = 0
    """That were read there."""


def fetch(remote: Remote, layout: Layout, name: str) -> RemoteEntry | Damage | None:
    """Bring one entry here and publish it; its list where it is here now, None where it is not there.

    An artifact's lock is the caller's to hold. Raises RemoteUnusable, StoreFull, StoreUnusable.
    """
    entry = remote.entry(name)
    return fetch_all(remote, layout, {name: entry}).outcomes[name] if isinstance(entry, RemoteEntry) else entry


def fetch_all(remote: Remote, layout: Layout, entries: Mapping[str, RemoteEntry]) -> Fetched:
    """Bring entries whose lists were read: their files come, and are forced onto the disk, together.

    One that cannot be read there leaves the others. The artifacts' locks are the caller's to hold. Raises RemoteUnusable: the
    only one cannot be read, or several one after another. StoreFull, StoreUnusable.
    """
    try:
        return _together(remote, layout, entries)
    except RemoteUnusable:
        if len(entries) == 1:
            raise
    outcomes, size, failed = dict[str, RemoteEntry | Damage](), 0, 0
    for name, entry in entries.items():
        try:
            found = _together(remote, layout, {name: entry})
        except RemoteUnusable as error:
            if (failed := failed + 1) == _GIVE_UP_AFTER:
                raise
            outcomes[name] = Damage(f"{error.because}")
        else:
            outcomes, size, failed = outcomes | found.outcomes, size + found.bytes, 0
    return Fetched(outcomes, size)


def _together(remote: Remote, layout: Layout, entries: Mapping[str, RemoteEntry]) -> Fetched:
    works = {name: layout.work("pull", digest_of(name)) for name in entries}
    with named_failures(layout.root, f"fetching {counted(len(entries), 'entry', 'entries')}"):
        for name, entry in entries.items():
            _cleared(works[name], entry)
        files = {works[name] / path: (name, path) for name, entry in entries.items() for path in entry.files}
        missing, size = remote.download({file: entries[name].files[path] for file, (name, path) in files.items()})
        outcomes = dict[str, RemoteEntry | Damage](entries)
        for file, why in missing.items():
            name, path = files[file]
            outcomes[name] = Damage(f"{path} {why}")
        whole = [name for name, each in outcomes.items() if isinstance(each, RemoteEntry)]
        read = {name: _as_entry(works[name], name, entries[name]) for name in whole}
        outcomes |= {name: each for name, each in read.items() if isinstance(each, Damage)}
        _published(layout, works, read)
    return Fetched(outcomes, size)


def _cleared(work: Path, entry: RemoteEntry) -> None:
    """Leave in the folder only what the list names, such as what an interrupted call brought, and date it for ``gc``."""
    work.mkdir(parents=True, exist_ok=True)
    os.utime(work)
    for stray, path in list(files_under(work)):
        if stray not in entry.files:
            remove(path)


def _published(layout: Layout, works: Mapping[str, Path], read: Mapping[str, Artifact | StoredProfile | Damage]) -> None:
    """Rename each that is an entry to where it is found. What is damaged there makes way; beside a whole one ours goes."""
    good = [name for name, each in read.items() if not isinstance(each, Damage)]
    sync_folders(*(works[name] for name in good))
    new = {name for name in good if _renamed(layout, works[name], name)}
    for parent in {(layout.root / name).parent for name in new}:
        fsync_folder(parent)
    for name in read.keys() - new:
        remove(works[name])
    for name in new:
        if isinstance(found := read[name], Artifact):
            remember_stamps(layout, found)


def _renamed(layout: Layout, work: Path, name: str) -> bool:
    if renamed(work, layout.root / name):
        return True
    if entry_here(layout, name) is not None:
        return False
    discard(layout.root / name, layout.trash)
    return renamed(work, layout.root / name)


def _as_entry(work: Path, name: str, entry: RemoteEntry) -> Artifact | StoredProfile | Damage:
    """What lies there as its list has it, if it is the entry of that name and its own record says the same."""
    folder, own = Path(name), _own_record(name)
    if own == RECORD:
        found: Artifact | StoredProfile | Damage | None = read_folder(work, folder.parent.name, folder.name)
    else:
        found = read_profile(work)
        if isinstance(found, StoredProfile) and f"{found.profile.subject}" != folder.parent.parent.name:
            return Damage("its profile is of another subject")
    if found is None or isinstance(found, Damage):
        return found or Damage(f"{own} is missing")
    listed, recorded = {path: fact for path, fact in entry.files.items() if path != own}, _recorded(found)
    if listed.keys() != recorded.keys():
        return Damage("it lacks files that its record names")
    other = next((path for path, fact in recorded.items() if listed[path] != fact), None)
    return found if other is None else Damage(f"{other} is not the file that {own} names")


def _own_record(name: str) -> str:
    """The file of an entry that names all its others."""
    return RECORD if name.startswith("artifacts/") else FACTS


def _recorded(found: Artifact | StoredProfile) -> Mapping[str, FileFact]:
    """What an entry's own record says of its files, by path inside the entry's folder."""
    if isinstance(found, Artifact):
        return {f"{FILES}/{path}": fact for path, fact in found.record.files.items()}
    return found.files
