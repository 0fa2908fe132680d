"""A remote store (a folder, a bucket or a server), and the transfer of entries.

A remote file is named by the SHA-256 of its bytes. It is written before the list that names it, and a list appears completely
or not at all. So simultaneous writers write the same bytes, and half an upload is not an entry.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Container, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from time import monotonic, sleep
from typing import Any, Final, Literal, NamedTuple

from pydantic import Field, ValidationError

from edgecnn.errors.store import REMOTE_UNUSABLE, RemoteUnusable
from edgecnn.errors.wording import counted
from edgecnn.store.disk import (
    discard,
    files_under,
    fsync_folder,
    remove,
    rename_if_absent,
    sha256_of,
    stamp_of,
    sync_all,
    sync_and_digest,
    sync_folders,
)
from edgecnn.store.entry import FILES, RECORD, Damage, Layout, file_damage, read_folder, remember_stamps, trusted_entry
from edgecnn.store.failures import NO_SPACE, named_failures
from edgecnn.store.profiles import FACTS, StoredProfile, read_profile
from edgecnn.store.remote_files import RemoteFiles
from edgecnn.values.artifact import Artifact, FileFact
from edgecnn.values.base import Value, another_schema
from edgecnn.values.stage import digest_of

ENTRIES, BLOBS = "entries", "blobs"
_SCHEMA: Final = "edgecnn.remote-entry/1"
_LIST_BYTES_MAX: Final = 16 << 20
_NAME_BYTES_MAX: Final = 255
"""Longest name that file systems take."""
_PATH_BYTES_MAX: Final = 1024
"""Longest path inside an entry. Linux opens no path over 4,096 bytes, including the folder of the store."""
_ENTRY_BYTES_MAX: Final = 200
"""Longest name of an entry, which also names its lock."""
PATIENCE_S: Final = 10.0
"""Seconds that a file of another writer may stay unchanged before it counts as abandoned."""
_GIVE_UP_AFTER: Final = 3
"""Number of unreadable entries in a row after which the remote store counts as lost."""
_LOOK_S: Final = 0.5
_ASKED_SINGLY: Final = 2
"""Largest number of files per folder that are looked up one by one. A listing returns all files, 1,000 per answer."""
_NAME: Final = re.compile(r"(artifacts/[a-z]+/[0-9a-f]{64}|profiles/[\w][\w.-]*/[\w][\w.-]*/[\w][\w.-]*)", re.ASCII)


class RemoteEntry(Value):
    """The list of a remote entry."""

    schema_: Literal["edgecnn.remote-entry/1"] = Field(default=_SCHEMA, alias="schema")
    files: Mapping[str, FileFact]
    """Path inside the entry's folder, with size and digest."""

    def lacking(self, there: Container[tuple[str, int]]) -> str | None:
        """Return why the entry cannot be fetched; None if all its files are ``there``, by digest and bytes."""
        lacking = (path for path, fact in self.files.items() if (fact.sha256, fact.bytes) not in there)
        return next((f"its {path} is missing or incomplete" for path in lacking), None)


class ForeignList(Damage):
    """A list of another edgecnn's schema, which this edgecnn must not replace."""


class Remote(RemoteFiles):
    """Entries of a remote store."""

    def names(self) -> set[str]:
        """Return the names of all entries, such as ``artifacts/train/<key>``. Raises RemoteUnusable: they cannot be listed."""
        return set(self.lists())

    def lists(self) -> dict[str, int]:
        """Return the size of every entry's list by name. Raises RemoteUnusable: they cannot be listed."""
        below = {path.removesuffix(".json"): size for path, size in self._files_in(ENTRIES).items()}
        return {name: size for name, size in below.items() if is_name(name)}

    def _files_in(self, folder: str) -> dict[str, int]:
        """Return the size of every file below, by path."""
        with self.reached("listing it"):
            try:
                listing = self._fs.find(self._remote_path(folder), detail=True)
            except FileNotFoundError:
                return {}
        return {path.partition(f"{self._remote_path(folder)}/")[2]: int(info["size"]) for path, info in listing.items()}

    def sizes(self, digests: Iterable[str] | None = None) -> dict[str, int]:
        """Return the sizes of these files, or of all, by digest. Raises RemoteUnusable."""
        if digests is None:
            return {path.rpartition("/")[2]: size for path, size in self._files_in(BLOBS).items()}
        wanted = set(digests)
        folders = {digest[:2] for digest in wanted}
        with self.reached("listing its files"), ThreadPoolExecutor(self.at_once) as pool:
            if len(wanted) <= _ASKED_SINGLY * len(folders):
                bytes_of = dict(zip(wanted, pool.map(self._blob_bytes, wanted), strict=True))
                return {digest: size for digest, size in bytes_of.items() if size is not None}
            listed = pool.map(self._blobs_in, sorted(folders))
            sizes = {PurePosixPath(info["name"]).name: int(info["size"]) for folder in listed for info in folder}
        return {digest: size for digest, size in sizes.items() if digest in wanted}

    def _blob_bytes(self, digest: str) -> int | None:
        try:
            return int(self._fs.info(self._blob_path(digest))["size"])
        except FileNotFoundError:
            return None

    def _blobs_in(self, folder: str) -> list[Any]:
        try:
            return list(self._fs.ls(self._remote_path(f"{BLOBS}/{folder}"), detail=True))
        except FileNotFoundError:
            return []

    def upload(self, files: Mapping[str, Path], entries: Mapping[str, RemoteEntry], known: Mapping[str, int] | None) -> set[str]:
        """Upload missing files by digest, then the lists of entries. Return the digests that were sent.

        ``known``: sizes of files that were listed recently, by digest; None: list them now.
        Files are checked again after the lists, because a collection that read older lists may have removed some (see
        ``store/gc.py``). Raises RemoteUnusable.
        """
        facts = {fact.sha256: fact.bytes for entry in entries.values() for fact in entry.files.values()}
        there = self.sizes(facts) if known is None else {digest: known[digest] for digest in facts.keys() & known.keys()}
        sent = self._send(files, facts, there)
        lists = {f"{ENTRIES}/{name}.json": entry.model_dump_json(by_alias=True).encode() for name, entry in entries.items()}
        with ThreadPoolExecutor(self.at_once) as pool:
            list(pool.map(self.write, lists, lists.values()))
        return sent | self._send(files, facts, self.sizes(facts))

    def entry(self, name: str, size: int | None = None) -> RemoteEntry | Damage | None:
        """Return the list of an entry, or None. ``size``: from a listing, if known. Raises RemoteUnusable.

        Pipes and devices have no size and are not opened.
        """
        with self.reached("reading from it"):
            try:
                size = int(self._fs.info(self._list_path(name))["size"]) if size is None else size
                if size > _LIST_BYTES_MAX:
                    return Damage("its list of files is too large")
                content = self._fs.cat_file(self._list_path(name), start=0, end=_LIST_BYTES_MAX + 1) if size else b""
            except FileNotFoundError:
                return None
        try:
            entry = RemoteEntry.model_validate_json(content)
        except ValidationError:
            damage = Damage if another_schema(content, _SCHEMA) is None else ForeignList
            return damage("its list of files is damaged")
        if (length := max((len(path.encode(errors="replace")) for path in entry.files), default=0)) > _PATH_BYTES_MAX:
            return Damage(f"its list of files names a path of {length:,} bytes, more than {_PATH_BYTES_MAX:,}")
        if any(not _is_stored_form(path) or not re.fullmatch("[0-9a-f]{64}", fact.sha256) for path, fact in entry.files.items()):
            return Damage("its list of files names a file outside the entry")
        if any(f"{above}" in entry.files for path in entry.files for above in PurePosixPath(path).parents):
            return Damage("its list of files names a file that is also a folder")
        return entry

    def entries(self, lists: Mapping[str, int | None]) -> dict[str, RemoteEntry | Damage]:
        """Return those of these lists that exist, read together. ``lists``: see ``lists()``; None if sizes are unknown.

        Raises RemoteUnusable.
        """
        with ThreadPoolExecutor(self.at_once) as pool:
            read = dict(zip(lists, pool.map(self.entry, lists, lists.values()), strict=True))
        return {name: entry for name, entry in read.items() if entry is not None}

    def download(self, files: Mapping[Path, FileFact]) -> tuple[dict[Path, str], int]:
        """Download and sync files. Files that an interrupted call left complete are skipped.

        Return why each missing file did not arrive, as the rest of a sentence, and the number of bytes read. Shared bytes are
        read once, and all digests are compared. Raises RemoteUnusable, OSError.
        """
        lacking = {path: fact for path, fact in files.items() if not _is_complete(path, fact)}
        there = self.sizes({fact.sha256 for fact in lacking.values()})
        reasons = dict[Path, str]()
        for path, fact in lacking.items():
            if (arrived := there.get(fact.sha256, 0)) != fact.bytes or fact.sha256 not in there:
                reasons[path] = f"has {arrived:,} bytes there instead of {fact.bytes:,}"
        wanted = {path: fact for path, fact in lacking.items() if path not in reasons}
        read = self._download_files(wanted)
        for path, arrived_fact in sync_all({path: path for path in wanted}).items():
            if arrived_fact != wanted[path]:
                remove(path)
                reasons[path] = "changed there after it was stored"
        return reasons, read

    def _download_files(self, wanted: Mapping[Path, FileFact]) -> int:
        for folder in {path.parent for path in wanted}:
            folder.mkdir(parents=True, exist_ok=True)
        for path in (path for path, fact in wanted.items() if not fact.bytes):
            path.write_bytes(b"")  # not downloaded, because a pipe or a device has no size either
        first = {fact.sha256: path for path, fact in wanted.items() if fact.bytes}
        with self.reached("reading from it", passing=NO_SPACE):
            if first:
                self._fs.get([self._blob_path(digest) for digest in first], [str(path) for path in first.values()])
        for path, fact in wanted.items():
            if (source := first.get(fact.sha256, path)) != path:
                shutil.copyfile(source, path)
        return sum(wanted[path].bytes for path in first.values())

    def _send(self, files: Mapping[str, Path], facts: Mapping[str, int], there: Mapping[str, int]) -> set[str]:
        sent = set[str]()
        while True:
            lacking = [digest for digest, size in facts.items() if there.get(digest) != size]
            if not lacking:
                return sent
            if short := {digest: there.get(digest, 0) for digest in lacking if digest in sent}:
                if self._still_written(short):
                    there = self.sizes(facts)
                    continue
                digest, arrived = next(iter(short.items()))
                raise REMOTE_UNUSABLE(url=self.url, because=f"{arrived:,} of {facts[digest]:,} bytes of a file arrived")
            with self.reached("writing to it"):
                self._fs.put([str(files[digest]) for digest in lacking], [self._blob_path(digest) for digest in lacking])
            sent.update(lacking)
            there = {digest: size for digest, size in there.items() if digest not in lacking} | self.sizes(lacking)

    def _still_written(self, short: Mapping[str, int]) -> bool:
        """Whether another sender is writing one of these files. On a server's disk, the last sender starts a file again."""
        give_up_at = monotonic() + PATIENCE_S
        while monotonic() < give_up_at:
            sleep(_LOOK_S)
            now = self.sizes(short)
            if any(now.get(digest, 0) != size for digest, size in short.items()):
                return True
        return False

    def _blob_path(self, digest: str) -> str:
        return self._remote_path(blob_at(digest))

    def _list_path(self, name: str) -> str:
        return self._remote_path(f"{ENTRIES}/{name}.json")


def blob_at(digest: str) -> str:
    """Return the path of a file below the remote root."""
    return f"{BLOBS}/{digest[:2]}/{digest}"


def is_name(text: str) -> bool:
    """Whether the text is the name of an entry, such as ``artifacts/train/<key>``."""
    return len(text) <= _ENTRY_BYTES_MAX and _NAME.fullmatch(text) is not None


def _is_stored_form(path: str) -> bool:
    """Whether a path is in the form in which it is stored, so that no two paths mean the same file."""
    parts = PurePosixPath(path).parts
    plain = path == "/".join(parts) and not path.startswith("/") and ".." not in parts
    fits = all(len(part.encode(errors="replace")) <= _NAME_BYTES_MAX for part in parts)
    return bool(parts) and plain and fits and "\\" not in path and "\0" not in path


def _is_complete(path: Path, fact: FileFact) -> bool:
    """Whether the file is complete on the disk; a killed call may not have synced it."""
    stamp = stamp_of(path)
    return stamp is not None and stamp[0] == fact.bytes and sync_and_digest(path) == fact


def local_entry(layout: Layout, name: str) -> RemoteEntry | None:
    """Return the files of a finished entry of this store; None if it is damaged or gone. Raises StoreUnusable."""
    folder = layout.root / name
    with named_failures(layout.root, f"reading {name[:40]}"):
        if name.startswith("artifacts/"):
            stored: Artifact | StoredProfile | Damage | None = trusted_entry(layout, folder.parent.name, folder.name)
        else:
            stored = read_profile(folder)
        if stored is None or isinstance(stored, Damage):
            return None
        if isinstance(stored, StoredProfile) and any(file_damage(folder, path, fact) for path, fact in stored.files.items()):
            return None  # only sizes were compared before
        own = _own_record(name)
        size = (folder / own).stat().st_size
        return RemoteEntry(files={**_recorded_files(stored), own: FileFact(sha256=sha256_of(folder / own), bytes=size)})


class Fetched(NamedTuple):
    """Result of a fetch."""

    outcomes: dict[str, RemoteEntry | Damage]
    """Each entry's list if it is here now, or why it is not."""
    bytes: int = 0
    """Bytes that were read from the remote store."""


def fetch(remote: Remote, layout: Layout, name: str) -> RemoteEntry | Damage | None:
    """Fetch an entry and publish it. Return its list, or None if it is not there.

    The caller holds an artifact's lock. Raises RemoteUnusable, StoreFull, StoreUnusable.
    """
    entry = remote.entry(name)
    return fetch_all(remote, layout, {name: entry}).outcomes[name] if isinstance(entry, RemoteEntry) else entry


def fetch_all(remote: Remote, layout: Layout, entries: Mapping[str, RemoteEntry]) -> Fetched:
    """Fetch entries whose lists are known. Their files are downloaded and synced together.

    An unreadable entry does not stop the others. The caller holds the artifacts' locks. Raises RemoteUnusable: the only entry,
    or several in a row, cannot be read. StoreFull, StoreUnusable.
    """
    try:
        return _fetch_together(remote, layout, entries)
    except RemoteUnusable:
        if len(entries) == 1:
            raise
    outcomes, size, failed = dict[str, RemoteEntry | Damage](), 0, 0
    for name, entry in entries.items():
        try:
            fetched = _fetch_together(remote, layout, {name: entry})
        except RemoteUnusable as error:
            if (failed := failed + 1) == _GIVE_UP_AFTER:
                raise
            outcomes[name] = Damage(f"{error.because}")
        else:
            outcomes, size, failed = outcomes | fetched.outcomes, size + fetched.bytes, 0
    return Fetched(outcomes, size)


def _fetch_together(remote: Remote, layout: Layout, entries: Mapping[str, RemoteEntry]) -> Fetched:
    works = {name: layout.work("pull", digest_of(name)) for name in entries}
    with named_failures(layout.root, f"fetching {counted(len(entries), 'entry', 'entries')}"):
        for name, entry in entries.items():
            _prepare_work(works[name], entry)
        files = {works[name] / path: (name, path) for name, entry in entries.items() for path in entry.files}
        missing, size = remote.download({file: entries[name].files[path] for file, (name, path) in files.items()})
        outcomes = dict[str, RemoteEntry | Damage](entries)
        for file, why in missing.items():
            name, path = files[file]
            outcomes[name] = Damage(f"{path} {why}")
        whole = [name for name, outcome in outcomes.items() if isinstance(outcome, RemoteEntry)]
        read = {name: _checked_entry(works[name], name, entries[name]) for name in whole}
        outcomes |= {name: stored for name, stored in read.items() if isinstance(stored, Damage)}
        _publish_entries(layout, works, read)
    return Fetched(outcomes, size)


def _prepare_work(work: Path, entry: RemoteEntry) -> None:
    """Remove files that the list does not name, for example of an interrupted call, and date the folder for ``gc``."""
    work.mkdir(parents=True, exist_ok=True)
    os.utime(work)
    for stray, path in list(files_under(work)):
        if stray not in entry.files:
            remove(path)


def _publish_entries(layout: Layout, works: Mapping[str, Path], read: Mapping[str, Artifact | StoredProfile | Damage]) -> None:
    """Rename valid entries into place. They replace damaged entries and give way to intact ones."""
    good = [name for name, entry in read.items() if not isinstance(entry, Damage)]
    sync_folders(*(works[name] for name in good))
    new = {name for name in good if _publish_entry(layout, works[name], name)}
    for parent in {(layout.root / name).parent for name in new}:
        fsync_folder(parent)
    for name in read.keys() - new:
        remove(works[name])
    for name in new:
        if isinstance(entry := read[name], Artifact):
            remember_stamps(layout, entry)


def _publish_entry(layout: Layout, work: Path, name: str) -> bool:
    if rename_if_absent(work, layout.root / name):
        return True
    if local_entry(layout, name) is not None:
        return False
    discard(layout.root / name, layout.trash)
    return rename_if_absent(work, layout.root / name)


def _checked_entry(work: Path, name: str, entry: RemoteEntry) -> Artifact | StoredProfile | Damage:
    """Return the downloaded entry if its name, its list and its own record agree."""
    folder, own = Path(name), _own_record(name)
    if own == RECORD:
        stored: Artifact | StoredProfile | Damage | None = read_folder(work, folder.parent.name, folder.name)
    else:
        stored = read_profile(work)
        if isinstance(stored, StoredProfile) and f"{stored.profile.subject}" != folder.parent.parent.name:
            return Damage("its profile is of another subject")
    if stored is None or isinstance(stored, Damage):
        return stored or Damage(f"{own} is missing")
    listed, recorded = {path: fact for path, fact in entry.files.items() if path != own}, _recorded_files(stored)
    if listed.keys() != recorded.keys():
        return Damage("it lacks files that its record names")
    other = next((path for path, fact in recorded.items() if listed[path] != fact), None)
    return stored if other is None else Damage(f"{other} is not the file that {own} names")


def _own_record(name: str) -> str:
    """Return the name of the file that lists all other files of an entry."""
    return RECORD if name.startswith("artifacts/") else FACTS


def _recorded_files(entry: Artifact | StoredProfile) -> Mapping[str, FileFact]:
    """Return the files in an entry's own record, by path."""
    if isinstance(entry, Artifact):
        return {f"{FILES}/{path}": fact for path, fact in entry.record.files.items()}
    return entry.files
