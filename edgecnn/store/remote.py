"""The store afar: finished entries in a folder, a bucket or on a server, as fsspec reaches it.

Files lie there under the SHA-256 of their bytes and are written before the list that names them, and a list appears whole or not
at all, so that writers at the same time write the same and a half upload is no entry. Nothing here depends on clocks or deletes
an entry; ``remote_gc`` alone does. A list is replaced only where nobody could have fetched what it names.
What comes back is an entry only after every byte was compared with that list and the list with the entry's own record.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Container, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from time import monotonic, sleep
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from edgecnn.errors.store import RemoteUnusable
from edgecnn.store.disk import remove, stamp_of, sync_all, synced
from edgecnn.store.entry import Damage
from edgecnn.store.failures import NO_SPACE
from edgecnn.store.place import Place
from edgecnn.values.artifact import FileFact
from edgecnn.values.base import Value, another_schema

ENTRIES, BLOBS = "entries", "blobs"
_SCHEMA: Final = "edgecnn.remote-entry/1"
_LIST_BYTES_MAX: Final = 16 << 20
_NAME_BYTES_MAX: Final = 255
"""What file systems take of one name."""
_PATH_BYTES_MAX: Final = 1024
"""Inside an entry. Linux opens no path over 4,096, of which the folder of this store is a part."""
_ENTRY_BYTES_MAX: Final = 200
"""Of an entry's name, which names its lock too."""
PATIENCE_S: Final = 10.0
"""For which a file that another writer began may stay as long as it is."""
_LOOK_S: Final = 0.5
_ASKED_SINGLY: Final = 2
"""Files of one folder that are asked for one by one: its listing tells of all that it has, up to a thousand in an answer."""
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
        below = {path.removesuffix(".json"): size for path, size in self._files_in(ENTRIES).items()}
        return {name: size for name, size in below.items() if is_name(name)}

    def _files_in(self, folder: str) -> dict[str, int]:
        """Bytes of every file below, by its path from there."""
        with self.reached("listing it"):
            try:
                found = self._fs.find(self._at(folder), detail=True)
            except FileNotFoundError:
                return {}
        return {path.partition(f"{self._at(folder)}/")[2]: int(info["size"]) for path, info in found.items()}

    def sizes(self, digests: Iterable[str] | None = None) -> dict[str, int]:
        """Bytes of those files that are there, or of all, by digest. Raises RemoteUnusable."""
        if digests is None:
            return {path.rpartition("/")[2]: size for path, size in self._files_in(BLOBS).items()}
        wanted = set(digests)
        folders = {digest[:2] for digest in wanted}
        with self.reached("looking what it has"), ThreadPoolExecutor(self.at_once) as pool:
            if len(wanted) <= _ASKED_SINGLY * len(folders):
                found = dict(zip(wanted, pool.map(self._blob_bytes, wanted), strict=True))
                return {digest: size for digest, size in found.items() if size is not None}
            listed = pool.map(self._blobs_in, sorted(folders))
            sizes = {PurePosixPath(each["name"]).name: int(each["size"]) for folder in listed for each in folder}
        return {digest: size for digest, size in sizes.items() if digest in wanted}

    def _blob_bytes(self, digest: str) -> int | None:
        try:
            return int(self._fs.info(self._blob(digest))["size"])
        except FileNotFoundError:
            return None

    def _blobs_in(self, folder: str) -> list[Any]:
        try:
            return list(self._fs.ls(self._at(f"{BLOBS}/{folder}"), detail=True))
        except FileNotFoundError:
            return []

    def upload(self, files: Mapping[str, Path], entries: Mapping[str, RemoteEntry], known: Mapping[str, int] | None) -> set[str]:
        """Put those files there, by digest, that it lacks, then the lists of entries; digests of what was sent.

        ``known``: bytes of the files that were there lately, by digest; None: it is looked.

        After the lists it looks once more: a file that was there may have been taken away by a collection that had read the
        lists before (see ``remote_gc``). Raises RemoteUnusable.
        """
        facts = {fact.sha256: fact.bytes for entry in entries.values() for fact in entry.files.values()}
        there = self.sizes(facts) if known is None else {each: known[each] for each in facts.keys() & known.keys()}
        sent = self._sent(files, facts, there)
        lists = {f"{ENTRIES}/{name}.json": entry.model_dump_json(by_alias=True).encode() for name, entry in entries.items()}
        with ThreadPoolExecutor(self.at_once) as pool:
            list(pool.map(self.write, lists, lists.values()))
        return sent | self._sent(files, facts, self.sizes(facts))

    def entry(self, name: str, size: int | None = None) -> RemoteEntry | Damage | None:
        """The list of an entry; None where there is none. ``size``: of it, where a listing told. Raises RemoteUnusable.

        A pipe and a device have no size, and are not opened.
        """
        with self.reached("reading from it"):
            try:
                size = int(self._fs.info(self._list(name))["size"]) if size is None else size
                if size > _LIST_BYTES_MAX:
                    return Damage("its list of files is too large")
                content = self._fs.cat_file(self._list(name), start=0, end=_LIST_BYTES_MAX + 1) if size else b""
            except FileNotFoundError:
                return None
        try:
            entry = RemoteEntry.model_validate_json(content)
        except ValidationError:
            damage = Damage if another_schema(content, _SCHEMA) is None else ForeignList
            return damage("its list of files is damaged")
        if (length := max((len(path.encode(errors="replace")) for path in entry.files), default=0)) > _PATH_BYTES_MAX:
            return Damage(f"its list of files names a path of {length:,} bytes, more than {_PATH_BYTES_MAX:,}")
        if any(not _is_inside(path) or not re.fullmatch("[0-9a-f]{64}", fact.sha256) for path, fact in entry.files.items()):
            return Damage("its list of files names what lies outside it")
        if any(f"{above}" in entry.files for path in entry.files for above in PurePosixPath(path).parents):
            return Damage("its list of files names a file that is also a folder")
        return entry

    def entries(self, lists: Mapping[str, int | None]) -> dict[str, RemoteEntry | Damage]:
        """Those of these lists that are there, read together. ``lists``: see ``lists()``; None where the bytes are not known.

        Raises RemoteUnusable.
        """
        with ThreadPoolExecutor(self.at_once) as pool:
            found = dict(zip(lists, pool.map(self.entry, lists, lists.values()), strict=True))
        return {name: each for name, each in found.items() if each is not None}

    def download(self, files: Mapping[Path, FileFact]) -> tuple[dict[Path, str], int]:
        """Bring files here, those left out that an interrupted call left there whole, and force them onto the disk.

        Why of each that did not come, as the rest of a sentence, and the bytes that were read there: what several files have in
        common is read once. All are compared with their digests. Raises RemoteUnusable, OSError.
        """
        lacking = {path: fact for path, fact in files.items() if not _is_whole(path, fact)}
        there = self.sizes({fact.sha256 for fact in lacking.values()})
        whys = dict[Path, str]()
        for path, fact in lacking.items():
            if (arrived := there.get(fact.sha256, 0)) != fact.bytes or fact.sha256 not in there:
                whys[path] = f"has {arrived:,} bytes there instead of {fact.bytes:,}"
        wanted = {path: fact for path, fact in lacking.items() if path not in whys}
        read = self._get(wanted)
        for path, found in sync_all({path: path for path in wanted}).items():
            if found != wanted[path]:
                remove(path)
                whys[path] = "has other bytes there than when it was stored"
        return whys, read

    def _get(self, wanted: Mapping[Path, FileFact]) -> int:
        for folder in {path.parent for path in wanted}:
            folder.mkdir(parents=True, exist_ok=True)
        for path in (path for path, fact in wanted.items() if not fact.bytes):
            path.write_bytes(b"")  # so that a pipe or a device, which has no size either, is not read for it
        first = {fact.sha256: path for path, fact in wanted.items() if fact.bytes}
        with self.reached("reading from it", passing=NO_SPACE):
            if first:
                self._fs.get([self._blob(digest) for digest in first], [str(path) for path in first.values()])
        for path, fact in wanted.items():
            if (source := first.get(fact.sha256, path)) != path:
                shutil.copyfile(source, path)
        return sum(wanted[path].bytes for path in first.values())

    def _sent(self, files: Mapping[str, Path], facts: Mapping[str, int], there: Mapping[str, int]) -> set[str]:
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
                raise RemoteUnusable(url=self.url, because=f"of a file of {facts[digest]:,} bytes {arrived:,} arrived")
            with self.reached("writing to it"):
                self._fs.put([str(files[digest]) for digest in lacking], [self._blob(digest) for digest in lacking])
            sent.update(lacking)
            there = {digest: size for digest, size in there.items() if digest not in lacking} | self.sizes(lacking)

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
    return len(text) <= _ENTRY_BYTES_MAX and _NAME.fullmatch(text) is not None


def _is_inside(path: str) -> bool:
    """Spelt as it will lie there, so that no two name one file."""
    parts = PurePosixPath(path).parts
    plain = path == "/".join(parts) and not path.startswith("/") and ".." not in parts
    fits = all(len(part.encode(errors="replace")) <= _NAME_BYTES_MAX for part in parts)
    return bool(parts) and plain and fits and "\\" not in path and "\0" not in path


def _is_whole(path: Path, fact: FileFact) -> bool:
    """On the disk too: the call that brought it may have been killed before it forced it there."""
    stamp = stamp_of(path)
    return stamp is not None and stamp[0] == fact.bytes and synced(path) == fact
