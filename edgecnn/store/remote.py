"""The store afar: finished entries in a folder, a bucket or on a server, as fsspec reaches it.

Files lie there under the SHA-256 of their bytes and are written before the list that names them, so that writers at the same time
write the same, a half upload is no entry, and nothing has to be renamed. Nothing depends on clocks, and nothing is ever deleted.
What comes back is an entry only after every byte was compared with that list and the list with the entry's own record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from edgecnn.errors.store import RemoteNeedsPackage, RemoteUnusable
from edgecnn.store.disk import files_under, fsync_folder, named_failures, publish, remove, sha256_of, stamp_of, sync_all
from edgecnn.store.entry import Damage, read_folder, remember_stamps, trusted_entry
from edgecnn.store.layout import FILES, RECORD, Layout
from edgecnn.store.profiles import FACTS, StoredProfile, read_profile
from edgecnn.values.artifact import Artifact, FileFact
from edgecnn.values.base import Value
from edgecnn.values.stage import digest_of

ENTRIES, BLOBS = "entries", "blobs"
_LIST_BYTES_MAX: Final = 16 << 20
_NAME: Final = re.compile(r"(artifacts/[a-z]+/[0-9a-f]{64}|profiles/[\w][\w.-]*/[\w][\w.-]*/[\w][\w.-]*)", re.ASCII)
_PACKAGES: Final = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "gs": ("gcsfs", None), "gcs": ("gcsfs", None),
                    "sftp": ("paramiko", None), "ssh": ("paramiko", None)}  # fmt: skip
"""Scheme to the package that reaches it, and the extra of edgecnn that brings it."""


class RemoteEntry(Value):
    """The list of one entry afar."""

    schema_: Literal["edgecnn.remote-entry/1"] = Field(default="edgecnn.remote-entry/1", alias="schema")
    files: Mapping[str, FileFact]
    """Path inside the entry's folder to its bytes' size and digest."""


class Remote:
    """One place afar. Credentials are those that its client finds by itself; none is ever written down."""

    def __init__(self, url: str) -> None:
        """Raises RemoteNeedsPackage: nothing that is installed reaches such a place. RemoteUnusable: it is no URL of one."""
        self.url = re.sub(r"//[^/@]*@", "//…@", url)
        try:  # an extra: a store without a place afar is opened without it
            import fsspec
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise RemoteNeedsPackage(url=self.url, package="fsspec", extra="remote") from error
        scheme = url.partition("://")[0] if "://" in url else "file"
        try:
            own = {"auto_mkdir": True} if scheme in ("file", "local") else {}
            self._fs, self._root = url_to_fs(url, use_listings_cache=False, skip_instance_cache=True, **own)
        except (ImportError, ValueError) as error:
            package, extra = _PACKAGES.get(scheme, (None, None))
            if package is None:
                known = ", ".join(sorted({"file", *_PACKAGES} & set(fsspec.available_protocols())))
                because = f"{scheme} is no kind of place that is known, as {known} are"
                raise RemoteUnusable(url=self.url, because=because) from error
            raise RemoteNeedsPackage(url=self.url, package=package, extra=extra) from error

    def names(self) -> set[str]:
        """Of every entry there, such as ``artifacts/train/<key>``. Raises RemoteUnusable: it cannot be listed."""
        with self.reached("listing it"):
            try:
                found = self._fs.find(self._at(ENTRIES))
            except FileNotFoundError:
                return set()
        below = [path.partition(f"{self._at(ENTRIES)}/")[2].removesuffix(".json") for path in found]
        return {name for name in below if _NAME.fullmatch(name)}

    def sizes(self, digests: Iterable[str]) -> dict[str, int]:
        """Bytes of those files that are there, by digest. Raises RemoteUnusable."""
        wanted = set(digests)
        found = dict[str, int]()
        with self.reached("looking what it has"):
            for folder in sorted({digest[:2] for digest in wanted}):
                try:
                    listed = self._fs.ls(self._at(f"{BLOBS}/{folder}"), detail=True)
                except FileNotFoundError:
                    continue
                found |= {PurePosixPath(each["name"]).name: int(each["size"]) for each in listed}
        return {digest: size for digest, size in found.items() if digest in wanted}

    def upload(self, files: Mapping[str, Path], entries: Mapping[str, RemoteEntry]) -> None:
        """Put files there by digest, look whether all of each arrived, then the lists. Raises RemoteUnusable."""
        facts = {fact.sha256: fact.bytes for entry in entries.values() for fact in entry.files.values()}
        with self.reached("writing to it"):
            if files:
                self._fs.put([str(path) for path in files.values()], [self._blob(digest) for digest in files])
        arrived = self.sizes(facts)
        if short := next((digest for digest, size in facts.items() if arrived.get(digest) != size), None):
            because = f"of a file of {facts[short]:,} bytes {arrived.get(short, 0):,} arrived"
            raise RemoteUnusable(url=self.url, because=because)
        with self.reached("writing to it"):
            for name, entry in entries.items():
                self._fs.makedirs(self._at(f"{ENTRIES}/{name}").rpartition("/")[0], exist_ok=True)
                self._fs.pipe_file(self._list(name), entry.model_dump_json(by_alias=True).encode())

    def entry(self, name: str) -> RemoteEntry | Damage | None:
        """The list of an entry; None where there is none. Raises RemoteUnusable."""
        with self.reached("reading from it"):
            try:
                if int(self._fs.info(self._list(name))["size"]) > _LIST_BYTES_MAX:
                    return Damage("its list of files is too large")
                content = self._fs.cat_file(self._list(name))
            except FileNotFoundError:
                return None
        try:
            entry = RemoteEntry.model_validate_json(content)
        except ValidationError:
            return Damage("its list of files is damaged")
        if any(not _is_inside(path) or not re.fullmatch("[0-9a-f]{64}", fact.sha256) for path, fact in entry.files.items()):
            return Damage("its list of files names what lies outside it")
        return entry

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

    @contextmanager
    def reached(self, doing: str) -> Iterator[None]:
        """Around whatever a client does: its failures, which share no class, in its own words. Raises RemoteUnusable."""
        try:
            yield
        except Exception as error:
            said = str(error).strip().partition("\n")[0] or type(error).__name__
            raise RemoteUnusable(url=self.url, because=f"{doing}: {said}") from error

    def _at(self, below: str) -> str:
        return f"{self._root.rstrip('/')}/{below}"

    def _blob(self, digest: str) -> str:
        return self._at(f"{BLOBS}/{digest[:2]}/{digest}")

    def _list(self, name: str) -> str:
        return self._at(f"{ENTRIES}/{name}.json")


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
            found = trusted_entry(layout, folder.parent.name, folder.name)
            if not isinstance(found, Artifact):
                return None
            listed = {f"{FILES}/{path}": fact for path, fact in found.record.files.items()}
            own = RECORD
        else:
            profile = read_profile(folder)
            if not isinstance(profile, StoredProfile):
                return None
            listed, own = dict(profile.files), FACTS
        size = (folder / own).stat().st_size
        return folder, RemoteEntry(files={**listed, own: FileFact(sha256=sha256_of(folder / own), bytes=size)})


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
        found = _as_entry(work, name)
        if isinstance(found, Damage):
            remove(work)
            return found
        fsync_folder(work)
        if not publish(work, layout.root / name):
            remove(work)
    if isinstance(found, Artifact):
        remember_stamps(layout, found)
    return entry


def _as_entry(work: Path, name: str) -> Artifact | StoredProfile | Damage:
    """What lies there, if it is the entry of that name, whole."""
    folder = Path(name)
    if name.startswith("artifacts/"):
        found: Any = read_folder(work, folder.parent.name, folder.name)
        if isinstance(found, Artifact):
            there = {each for each, _ in files_under(work / FILES)}
            return found if there == set(found.record.files) else Damage("it lacks files that its record names")
    else:
        found = read_profile(work)
        if isinstance(found, StoredProfile) and f"{found.profile.subject}" != folder.parent.parent.name:
            return Damage("its profile is of another subject")
    return found if found is not None else Damage(f"{RECORD} is missing")
