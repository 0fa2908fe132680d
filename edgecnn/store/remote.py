"""The store afar: finished entries in a folder, a bucket or on a server, as fsspec reaches it.

Files lie there under the SHA-256 of their bytes and are written before the list that names them, and a list appears whole or not
at all, so that writers at the same time write the same and a half upload is no entry. Nothing here depends on clocks or deletes
an entry; ``remote_gc`` alone does. A list is replaced only where nobody could have fetched what it names.
What comes back is an entry only after every byte was compared with that list and the list with the entry's own record.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from time import monotonic, sleep
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from edgecnn.errors.store import RemoteUnusable
from edgecnn.store.disk import files_under, fsync_folder, publish, remove, sha256_of, stamp_of, sync_all
from edgecnn.store.entry import Damage, file_damage, read_folder, remember_stamps, trusted_entry
from edgecnn.store.failures import named_failures
from edgecnn.store.layout import FILES, RECORD, Layout
from edgecnn.store.place import Place
from edgecnn.store.profiles import FACTS, StoredProfile, read_profile
from edgecnn.values.artifact import Artifact, FileFact
from edgecnn.values.base import Value, another_schema
from edgecnn.values.stage import digest_of

ENTRIES, BLOBS = "entries", "blobs"
_SCHEMA: Final = "edgecnn.remote-entry/1"
_LIST_BYTES_MAX: Final = 16 << 20
PATIENCE_S: Final = 10.0
"""For which a file that another writer began may stay as long as it is."""
_LOOK_S: Final = 0.5
_NAME: Final = re.compile(r"(artifacts/[a-z]+/[0-9a-f]{64}|profiles/[\w][\w.-]*/[\w][\w.-]*/[\w][\w.-]*)", re.ASCII)


class RemoteEntry(Value):
    """The list of one entry afar."""

    schema_: Literal["edgecnn.remote-entry/1"] = Field(default=_SCHEMA, alias="schema")
    files: Mapping[str, FileFact]
    """Path inside the entry's folder to its bytes' size and digest."""

    def lacking(self, there: Container[tuple[str, int]]) -> str | None:
        """Why nobody can fetch it; None where all its files are ``there``, by digest and bytes."""
        lacking = (path for path, fact in self.files.items() if (fact.sha256, fact.bytes) not in there)
        return next((f"its {path} is not there, or only in part" for path in lacking), None)


class ForeignList(Damage):
    """A list of another edgecnn's schema: it is not this one's to replace."""


class Remote(Place):
    """The entries of one place."""

    def names(self) -> set[str]:
        """Of every entry there, such as ``artifacts/train/<key>``. Raises RemoteUnusable: it cannot be listed."""
        return set(self.lists())

    def lists(self) -> dict[str, int]:
        """Bytes of the list of every entry there, by the entry's name. Raises RemoteUnusable: it cannot be listed."""
        with self.reached("listing it"):
            try:
                found = self._fs.find(self._at(ENTRIES), detail=True)
            except FileNotFoundError:
                return {}
        below = {path.partition(f"{self._at(ENTRIES)}/")[2].removesuffix(".json"): info for path, info in found.items()}
        return {name: int(info["size"]) for name, info in below.items() if is_name(name)}

    def sizes(self, digests: Iterable[str]) -> dict[str, int]:
        """Bytes of those files that are there, by digest. Raises RemoteUnusable."""
        wanted = set(digests)
        with self.reached("looking what it has"), ThreadPoolExecutor(self.at_once) as pool:
            listed = pool.map(self._blobs_in, sorted({digest[:2] for digest in wanted}))
            found = {PurePosixPath(each["name"]).name: int(each["size"]) for folder in listed for each in folder}
        return {digest: size for digest, size in found.items() if digest in wanted}

    def _blobs_in(self, folder: str) -> list[Any]:
        try:
            return list(self._fs.ls(self._at(f"{BLOBS}/{folder}"), detail=True))
        except FileNotFoundError:
            return []

    def upload(self, files: Mapping[str, Path], entries: Mapping[str, RemoteEntry]) -> set[str]:
        """Put those files there, by digest, that it lacks, then the lists of entries; digests of what was sent.

        After the lists it looks once more: a file that was there may have been taken away by a collection that had read the
        lists before (see ``remote_gc``). Raises RemoteUnusable.
        """
        facts = {fact.sha256: fact.bytes for entry in entries.values() for fact in entry.files.values()}
        sent = self._sent(files, facts)
        lists = {f"{ENTRIES}/{name}.json": entry.model_dump_json(by_alias=True).encode() for name, entry in entries.items()}
        with ThreadPoolExecutor(self.at_once) as pool:
            list(pool.map(self.write, lists, lists.values()))
        return sent | self._sent(files, facts)

    def entry(self, name: str, size: int | None = None) -> RemoteEntry | Damage | None:
        """The list of an entry; None where there is none. ``size``: of it, where a listing told. Raises RemoteUnusable."""
        with self.reached("reading from it"):
            try:
                if (int(self._fs.info(self._list(name))["size"]) if size is None else size) > _LIST_BYTES_MAX:
                    return Damage("its list of files is too large")
                content = self._fs.cat_file(self._list(name))
            except FileNotFoundError:
                return None
        try:
            entry = RemoteEntry.model_validate_json(content)
        except ValidationError:
            damage = Damage if another_schema(content, _SCHEMA) is None else ForeignList
            return damage("its list of files is damaged")
        if any(not _is_inside(path) or not re.fullmatch("[0-9a-f]{64}", fact.sha256) for path, fact in entry.files.items()):
            return Damage("its list of files names what lies outside it")
        return entry

    def entries(self, lists: Mapping[str, int | None]) -> dict[str, RemoteEntry | Damage]:
        """Those of these lists that are there, read together. ``lists``: see ``lists()``; None where the bytes are not known.

        Raises RemoteUnusable.
        """
        with ThreadPoolExecutor(self.at_once) as pool:
            found = dict(zip(lists, pool.map(self.entry, lists, lists.values()), strict=True))
        return {name: each for name, each in found.items() if each is not None}

    def examined(self, lists: Mapping[str, int | None]) -> dict[str, RemoteEntry | Damage]:
        """The same, and whether the files that each names are there in full; their bytes are not read. Raises RemoteUnusable."""
        found = self.entries(lists)
        understood = {name: each for name, each in found.items() if isinstance(each, RemoteEntry)}
        sizes = self.sizes(fact.sha256 for each in understood.values() for fact in each.files.values()).items()
        return found | {name: Damage(why) for name, each in understood.items() if (why := each.lacking(sizes)) is not None}

    def download(self, entry: RemoteEntry, into: Path) -> Damage | None:
        """Bring an entry's files into a folder, those left out that an interrupted call left there whole; each is compared with
        its digest. Raises RemoteUnusable, OSError."""
        lacking = {path: fact for path, fact in entry.files.items() if not _is_whole(into / path, fact)}
        sizes = self.sizes({fact.sha256 for fact in lacking.values()})
        for path, fact in lacking.items():
            if sizes.get(fact.sha256) != fact.bytes:
                return Damage(f"{path} has {sizes.get(fact.sha256, 0):,} bytes there instead of {fact.bytes:,}")
            (into / path).parent.mkdir(parents=True, exist_ok=True)
        with self.reached("reading from it"):
            if lacking:
                self._fs.get([self._blob(fact.sha256) for fact in lacking.values()], [str(into / path) for path in lacking])
        wrong = [path for path, fact in sync_all({path: into / path for path in lacking}).items() if fact != lacking[path]]
        for path in wrong:
            remove(into / path)
        return Damage(f"{wrong[0]} has other bytes there than when it was stored") if wrong else None

    def _sent(self, files: Mapping[str, Path], facts: Mapping[str, int]) -> set[str]:
        sent = set[str]()
        while True:
            there = self.sizes(facts)
            lacking = [digest for digest, size in facts.items() if there.get(digest) != size]
            if not lacking:
                return sent
            if short := {digest: there.get(digest, 0) for digest in lacking if digest in sent}:
                if self._still_written(short):
                    continue
                digest, arrived = next(iter(short.items()))
                raise RemoteUnusable(url=self.url, because=f"of a file of {facts[digest]:,} bytes {arrived:,} arrived")
            with self.reached("writing to it"):
                self._fs.put([str(files[digest]) for digest in lacking], [self._blob(digest) for digest in lacking])
            sent.update(lacking)

    def _still_written(self, short: Mapping[str, int]) -> bool:
        """Whether somebody else, who sends the same files, is at one of them: on a server's disk the last one begins it anew."""
        give_up_at = monotonic() + PATIENCE_S
        while monotonic() < give_up_at:
            sleep(_LOOK_S)
            now = self.sizes(short)
            if any(now.get(digest, 0) != size for digest, size in short.items()):
                return True
        return False

    def _blob(self, digest: str) -> str:
        return self._at(blob_at(digest))

    def _list(self, name: str) -> str:
        return self._at(f"{ENTRIES}/{name}.json")


def blob_at(digest: str) -> str:
    """Where a file lies below the place."""
    return f"{BLOBS}/{digest[:2]}/{digest}"


def is_name(text: str) -> bool:
    """Whether it is the name of an entry, such as ``artifacts/train/<key>``."""
    return _NAME.fullmatch(text) is not None


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\\" not in path and "\0" not in path


def _is_whole(path: Path, fact: FileFact) -> bool:
    stamp = stamp_of(path)
    return stamp is not None and stamp[0] == fact.bytes and sha256_of(path) == fact.sha256


def entry_here(layout: Layout, name: str) -> tuple[Path, RemoteEntry] | None:
    """The folder and the files of a finished entry of this store; None where it is damaged or gone. Raises StoreUnusable."""
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
        return folder, RemoteEntry(files={**_recorded(found), own: FileFact(sha256=sha256_of(folder / own), bytes=size)})


def fetch(remote: Remote, layout: Layout, name: str) -> RemoteEntry | Damage | None:
    """Bring one entry here and publish it; its list where it is here now, None where it is not there.

    An artifact's lock is the caller's to hold. Raises RemoteUnusable, StoreFull, StoreUnusable.
    """
    entry = remote.entry(name)
    if entry is None or isinstance(entry, Damage):
        return entry
    work = layout.work("pull", digest_of(name))
    with named_failures(layout.root, f"fetching {name[:40]}"):
        work.mkdir(parents=True, exist_ok=True)
        for stray, path in list(files_under(work)):
            if stray not in entry.files:
                remove(path)
        if (damage := remote.download(entry, work)) is not None:
            return damage
        found = _as_entry(work, name, entry)
        if isinstance(found, Damage):
            remove(work)
            return found
        fsync_folder(work)
        if not publish(work, layout.root / name):
            remove(work)
    if isinstance(found, Artifact):
        remember_stamps(layout, found)
    return entry


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
