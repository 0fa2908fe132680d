"""Unpack archives of images once into the store. No entry may leave the target folder, and the unpacked size is limited.

A zip or a tar is read like the folder that was packed. Several archives next to each other are one class or one split each. A tar
of image and class pairs (WebDataset) becomes a list.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, Final

from edgecnn.data.files import ListingProgress, read_json, stamp_of, stamps_in, write_json
from edgecnn.data.formats.members import CHUNK, FILES_MAX, RATIO_MAX, Member, bytes_allowed, faults_of, members_of
from edgecnn.data.formats.sample_pairs import PAIRS, has_pairs, write_pairs
from edgecnn.data.layout import unwrapped
from edgecnn.errors.base import ROWS, EdgecnnError
from edgecnn.errors.data import ARCHIVE_UNUSABLE
from edgecnn.runner.causes.left_behind import is_skipped
from edgecnn.store.disk import refuse_known_cause
from edgecnn.store.failures import named_failures
from edgecnn.store.layout import ARCHIVES, UNPACKING, Layout, proof_of
from edgecnn.store.locks import Locks
from edgecnn.values.stage import Progress

_REVISION: Final = 2
"""Raise by hand when the same archives would be unpacked differently. They are then unpacked again."""
PATH_BYTES_MAX: Final = 1024
"""Longest path of an entry. Linux allows 4,096 bytes including the path of the store (limits.h, PATH_MAX)."""


@contextmanager
def name_archive_in_errors(archive: Path, folder: Path) -> Iterator[None]:
    """Name the archive in errors, instead of its folder in the store."""
    try:
        yield
    except EdgecnnError as error:
        if archive == folder:
            raise
        row = ROWS.get(error.ref)
        if row is None or not error.fields:
            raise
        raise row(**{name: _named(value, folder, archive) for name, value in error.fields.items()}) from error


def _named(value: Any, folder: Path, archive: Path) -> Any:
    """Return a field of an error, with the archive's name in place of its unpacked folder."""
    if isinstance(value, str | Path):
        return type(value)(str(value).replace(str(folder), str(archive)))
    if isinstance(value, Mapping):
        return {name: _named(inner, folder, archive) for name, inner in value.items()}
    return tuple(_named(inner, folder, archive) for inner in value) if isinstance(value, list | tuple) else value


def unpacked(archives: Mapping[str, Path], cache: Path, tell: Progress) -> Path:
    """Return the folder of an archive's images in ``cache/archives``, unpacking it if necessary.

    A single folder around all others is entered. A lock lets one process at a time unpack an archive and record its use, which
    ``store gc`` reads.

    Args:
        archives: by the folder into which each is unpacked; empty for a single archive.
        cache: the store's root.
        tell: receives progress.

    Raises:
        ARCHIVE_UNUSABLE: not an archive, unreadable, damaged, encrypted, too large, or with an entry that cannot be written.
        StoreFull: no space.
        StoreUnusable: no permission.
        WRONG_BYTES: see ``refuse_known_cause``.
    """
    for archive in archives.values():
        refuse_known_cause(archive)
    folder = kept_folder(_name_of(archives), cache, lambda fresh: _unpack(archives, fresh, tell), tell)
    return unwrapped(folder, ListingProgress(tell)) if "" in archives else folder


def kept_folder(name: str, cache: Path, fill: Callable[[Path], None], tell: Progress) -> Path:
    """Return the folder ``cache/archives/name``, filled by ``fill`` unless it is already complete.

    Raises StoreFull: no space. StoreUnusable: no permission.
    """
    folder = cache / ARCHIVES / name
    with Locks(Layout(cache)).held(ARCHIVES, folder.name, tell):
        if not (folder.is_dir() and read_json(proof_of(folder)) == _proof(folder, tell)):
            _make(fill, folder, tell)
        with suppress(OSError):  # a read-only store can still be read
            os.utime(proof_of(folder))
    return folder


def _name_of(archives: Mapping[str, Path]) -> str:
    stamps = [str(_REVISION)]
    for place, archive in archives.items():
        with faults_of(archive):
            stamp = stamp_of(os.path.realpath(archive), archive.stat())
        stamps.append(f"{place}/{stamp}" if place else stamp)
    return hashlib.sha256(os.fsencode("\n".join(stamps))).hexdigest()[:32]


def _make(fill: Callable[[Path], None], folder: Path, tell: Progress) -> None:
    with named_failures(folder.parent, "unpacking the images"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=UNPACKING, dir=folder.parent))
        try:
            fill(fresh)
            shutil.rmtree(folder, ignore_errors=True)
            fresh.replace(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    write_json(proof_of(folder), _proof(folder, tell))


def _proof(folder: Path, tell: Progress) -> str:
    """Return a digest of names, sizes and times, which shows that the unpacked files are unchanged."""
    return hashlib.sha256(json.dumps(stamps_in(folder, ListingProgress(tell))).encode("utf-8", "surrogatepass")).hexdigest()


def _unpack(archives: Mapping[str, Path], out: Path, tell: Progress) -> None:
    samples = dict[str, Path]()
    for place, archive in archives.items():
        with ExitStack() as stack:
            members = members_of(archive, stack)
            _check(archive, members)
            top, pairs = out / place, has_pairs(archive, [member.name for member in members])
            if pairs:
                top = out / place / archive.name
                samples[f"{place}/{archive.name}".removeprefix("/")] = archive
            shared = "" if pairs or not place else _shared_folder(members)
            # others are skipped because of their names
            members = [member for member in members if member.name.startswith(shared)]
            for done, member in enumerate(members, start=1):
                target = top / member.name.removeprefix(shared)
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as stream:
                    for chunk in _chunks(archive, member):
                        stream.write(chunk)
                tell.step("unpacking", done, len(members), "files")
    if samples:
        write_pairs(out, samples)


def _shared_folder(members: Sequence[Member]) -> str:
    """Return the one folder that contains all files, with a slash; empty if there is none."""
    names = [member.name for member in members]
    tops = {name.partition("/")[0] for name in names if not is_skipped(name.partition("/")[0])}
    top = f"{tops.pop()}/" if len(tops) == 1 else ""
    return top if top and any(name.startswith(top) for name in names) else ""


def _chunks(archive: Path, member: Member) -> Iterator[bytes]:
    """Yield the bytes of a file. The caller writes them outside ``faults_of``, since a full store is not the archive's fault."""
    with ExitStack() as stack:
        with faults_of(archive):
            source = stack.enter_context(member.stream())
        left = member.size
        while True:
            with faults_of(archive):
                chunk = source.read(CHUNK)
                left -= len(chunk)
                if left < 0 or (left and not chunk):
                    raise ValueError(f"its entry {ascii(member.name)[:200]} does not have its stated size")
            if not chunk:
                return
            yield chunk


def _check(archive: Path, members: Sequence[Member]) -> None:
    """Check all entries before anything is written. Reading stops at an entry's stated size."""
    if len(members) > FILES_MAX:
        raise ARCHIVE_UNUSABLE(file=archive, because=f"it holds more than {FILES_MAX:,} files")
    total, packed = sum(member.size for member in members), archive.stat().st_size
    if total > bytes_allowed(archive):
        raise ARCHIVE_UNUSABLE(
            file=archive, because=f"{packed:,} bytes would unpack to {total:,}, more than {RATIO_MAX} times as many"
        )
    taken: set[str] = set()
    folders = {str(parent) for member in members for parent in PurePosixPath(member.name[:PATH_BYTES_MAX]).parents}
    for member in members:
        if why := _fault(member, taken) or ("is both a file and a folder" if member.name in folders else ""):
            raise ARCHIVE_UNUSABLE(file=archive, because=f"its entry {ascii(member.name)[:200]} {why}")
        taken.add(member.name)


def _fault(member: Member, taken: set[str]) -> str:
    name = member.name
    parts = name.split("/")
    if PurePosixPath(name).is_absolute() or "\\" in name or ":" in parts[0] or any(part in ("", ".", "..") for part in parts):
        return "would leave its folder"
    if member.fault:
        return member.fault
    if "\0" in name:
        return "has a name with a NUL character"
    if parts[-1] == PAIRS:
        return "has the name of edgecnn's own list"
    if len(os.fsencode(name)) > PATH_BYTES_MAX:
        return f"has a path longer than {PATH_BYTES_MAX:,} bytes"
    if any(len(os.fsencode(part)) > 255 for part in parts):
        return "has a name longer than 255 bytes"
    return "is there twice" if name in taken else ""
