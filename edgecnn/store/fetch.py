"""Entries between this store and a remote one: what one here is made of, and how those of there are brought and published."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgecnn.store.disk import files_under, fsync_folder, remove, renamed, sha256_of, sync_folders
from edgecnn.store.entry import Damage, file_damage, read_folder, remember_stamps, trusted_entry
from edgecnn.store.failures import named_failures
from edgecnn.store.layout import FILES, RECORD, Layout
from edgecnn.store.profiles import FACTS, StoredProfile, read_profile
from edgecnn.store.remote import Remote, RemoteEntry
from edgecnn.values.artifact import Artifact, FileFact
from edgecnn.values.stage import digest_of

_SYNCED_AT_ONCE = 8


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


def fetch(remote: Remote, layout: Layout, name: str) -> RemoteEntry | Damage | None:
    """Bring one entry here and publish it; its list where it is here now, None where it is not there.

    An artifact's lock is the caller's to hold. Raises RemoteUnusable, StoreFull, StoreUnusable.
    """
    entry = remote.entry(name)
    return fetch_all(remote, layout, {name: entry})[name] if isinstance(entry, RemoteEntry) else entry


def fetch_all(remote: Remote, layout: Layout, entries: Mapping[str, RemoteEntry]) -> dict[str, RemoteEntry | Damage]:
    """The same for entries whose lists were read: their files come, and are forced onto the disk, together."""
    works = {name: layout.work("pull", digest_of(name)) for name in entries}
    with named_failures(layout.root, f"fetching {next(iter(entries), '')[:40]}"):
        for name, entry in entries.items():
            _cleared(works[name], entry)
        named = {works[name] / path: (name, path) for name, entry in entries.items() for path in entry.files}
        missing = remote.download({place: entries[name].files[path] for place, (name, path) in named.items()})
        whys = {named[place][0]: f"{named[place][1]} {why}" for place, why in missing.items()}
        whole = {name: work for name, work in works.items() if name not in whys}
        read = {name: _as_entry(work, name, entries[name]) for name, work in whole.items()}
        _published(layout, whole, read)
    outcomes = {name: each if isinstance(each, Damage) else entries[name] for name, each in read.items()}
    return {name: Damage(whys[name]) if name in whys else outcomes[name] for name in entries}


def _cleared(work: Path, entry: RemoteEntry) -> None:
    """Leave in the folder only what the list names, such as what an interrupted call brought."""
    work.mkdir(parents=True, exist_ok=True)
    for stray, path in list(files_under(work)):
        if stray not in entry.files:
            remove(path)


def _published(layout: Layout, works: Mapping[str, Path], read: Mapping[str, Artifact | StoredProfile | Damage]) -> None:
    """Rename what is an entry to where it is found; the rest, and what stands there already, goes."""
    good = {name: work for name, work in works.items() if not isinstance(read[name], Damage)}
    with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
        list(pool.map(sync_folders, good.values()))
    new = {name for name, work in good.items() if renamed(work, layout.root / name)}
    for parent in {(layout.root / name).parent for name in new}:
        fsync_folder(parent)
    for name in works.keys() - new:
        remove(works[name])
    for found in read.values():
        if isinstance(found, Artifact):
            remember_stamps(layout, found)


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
