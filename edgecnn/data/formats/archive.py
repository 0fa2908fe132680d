"""Unpack archives of images once into the store. No entry may leave the target folder, and the unpacked size is limited.

A zip or a tar is read like the folder that was packed. Several archives next to each other are one class or one split each. A
tar of image and class pairs (WebDataset) becomes a list.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import lzma
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, NamedTuple, cast

from edgecnn.data.files import ListingProgress, read_json, stamp_of, stamps_in, write_json
from edgecnn.data.formats.label_text import cell_text
from edgecnn.data.layout import innermost_folder
from edgecnn.data.split_names import Part, split_name
from edgecnn.errors.base import ROWS, EdgecnnError, system_reason
from edgecnn.errors.data import ARCHIVE_UNUSABLE
from edgecnn.errors.labels import SHARDS_WITHOUT_SPLIT
from edgecnn.hosts.sandbox import Allowed, call_sandboxed
from edgecnn.runner.causes import is_image_name, is_skipped
from edgecnn.runner.files import bounded_content, open_regular
from edgecnn.store.disk import bounded_zip, refuse_known_cause, share_by_umask
from edgecnn.store.entry import ARCHIVES, UNPACKING, Layout, proof_of
from edgecnn.store.failures import named_failures
from edgecnn.store.locks import Locks
from edgecnn.values.stage import Progress

_REVISION: Final = 2
"""Raise by hand when the same archives would be unpacked differently. They are then unpacked again."""
PATH_BYTES_MAX: Final = 1024
"""Longest path of an entry. Linux allows 4,096 bytes including the path of the store (limits.h, PATH_MAX)."""
ZIP: Final = ".zip"
TARS: Final = (".tar", ".tar.gz", ".tgz")
RATIO_MAX: Final = 100
"""Images are already compressed. Deflate itself reaches a ratio of about a thousand (zlib's "Technical Details")."""
ALLOWED_BYTES: Final = 1 << 30
"""Bytes that an archive may unpack to at any ratio."""
FILES_MAX: Final = 5_000_000
CHUNK: Final = 1 << 20
_HEADER_MAX: Final = 1 << 16
"""Longest header of a tar's entry. Paths have at most ``PATH_BYTES_MAX``, and extended headers a few more fields."""
_UNPACKING_S: Final = 12 * 3600.0
"""Time-out of unpacking; a terabyte from a slow disk takes half of it."""
_REASON_MAX: Final = 300
_DAMAGED: Final = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError, ValueError,
)  # fmt: skip
"""Exceptions of zipfile, tarfile and their decompressors for damaged bytes; bz2 raises an OSError."""
_UTF8: Final = 0x800
"""The flag of an entry whose name is UTF-8 (PKWARE APPNOTE, 4.4.4); without it, a name is of code page 437."""
PAIRS: Final = "edgecnn-samples.csv"
"""The list of unpacked samples. Archives may not contain a file with this name, so edgecnn always wrote it."""
_CLASS: Final = ".cls"
_RECORD: Final = ".json"
_KEYS: Final = ("label", "cls", "class", "class_name")
_CLASS_BYTES_MAX: Final = 1 << 12
_RECORD_BYTES_MAX: Final = 1 << 20


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
        raise row(**{name: _with_archive_name(value, folder, archive) for name, value in error.fields.items()}) from error


def _with_archive_name(value: Any, folder: Path, archive: Path) -> Any:
    """Return a field of an error, with the archive's name in place of its unpacked folder."""
    if isinstance(value, str | Path):
        return type(value)(str(value).replace(str(folder), str(archive)))
    if isinstance(value, Mapping):
        return {name: _with_archive_name(inner, folder, archive) for name, inner in value.items()}
    return tuple(_with_archive_name(inner, folder, archive) for inner in value) if isinstance(value, list | tuple) else value


def unpacked_folder(archives: Mapping[str, Path], cache: Path, tell: Progress) -> Path:
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
    folder = cached_folder(_cache_name(archives), cache, lambda fresh: _unpack_in_sandbox(archives, fresh, tell), tell)
    return innermost_folder(folder, ListingProgress(tell)) if "" in archives else folder


def cached_folder(name: str, cache: Path, fill: Callable[[Path], None], tell: Progress) -> Path:
    """Return the folder ``cache/archives/name``, filled by ``fill`` unless it is already complete.

    Raises StoreFull: no space. StoreUnusable: no permission.
    """
    folder = cache / ARCHIVES / name
    with Locks(Layout(cache)).held(ARCHIVES, folder.name, tell):
        if not (folder.is_dir() and read_json(proof_of(folder)) == _digest_of_unpacked(folder, tell)):
            _fill_folder(fill, folder, tell)
        with suppress(OSError):  # a read-only store can still be read
            os.utime(proof_of(folder))
    return folder


def _cache_name(archives: Mapping[str, Path]) -> str:
    stamps = [str(_REVISION)]
    for prefix, archive in archives.items():
        with archive_faults(archive):
            stamp = stamp_of(os.path.realpath(archive), archive.stat())
        stamps.append(f"{prefix}/{stamp}" if prefix else stamp)
    return hashlib.sha256(os.fsencode("\n".join(stamps))).hexdigest()[:32]


def _fill_folder(fill: Callable[[Path], None], folder: Path, tell: Progress) -> None:
    with named_failures(folder.parent, "unpacking the images"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=UNPACKING, dir=folder.parent))
        try:
            fill(fresh)
            shutil.rmtree(folder, ignore_errors=True)
            for place, _, names in os.walk(fresh):
                for path in (Path(place), *(Path(place, name) for name in names)):
                    share_by_umask(path)
            fresh.replace(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    write_json(proof_of(folder), _digest_of_unpacked(folder, tell))


def _digest_of_unpacked(folder: Path, tell: Progress) -> str:
    """Return a digest of names, sizes and times, which shows that the unpacked files are unchanged."""
    return hashlib.sha256(json.dumps(stamps_in(folder, ListingProgress(tell))).encode("utf-8", "surrogatepass")).hexdigest()


def _unpack_in_sandbox(archives: Mapping[str, Path], out: Path, tell: Progress) -> None:
    largest = max(map(bytes_allowed, archives.values()))
    allowed = Allowed(read=tuple(archives.values()), write=(out,), file_bytes=largest, limit_s=_UNPACKING_S)
    arguments = {"archives": {prefix: str(archive) for prefix, archive in archives.items()}, "out": str(out)}

    def fault(because: str) -> EdgecnnError:
        return ARCHIVE_UNUSABLE(file=next(iter(archives.values())), because=f"unpacking it ended its process: {because}")

    call_sandboxed(f"{__name__}:unpack", arguments, allowed, fault, tell)


def unpack(archives: Mapping[str, str], out: str, tell: Progress) -> None:
    """Unpack archives into a folder, in the sandbox. Raises ARCHIVE_UNUSABLE, SHARDS_WITHOUT_SPLIT: see ``unpacked_folder``."""
    _unpack({prefix: Path(archive) for prefix, archive in archives.items()}, Path(out), tell)


def _unpack(archives: Mapping[str, Path], out: Path, tell: Progress) -> None:
    samples = dict[str, Path]()
    for prefix, archive in archives.items():
        with ExitStack() as stack:
            members = members_of(archive, stack)
            _check_members(archive, members)
            top, pairs = out / prefix, has_pairs(archive, [member.name for member in members])
            if pairs:
                top = out / prefix / archive.name
                samples[f"{prefix}/{archive.name}".removeprefix("/")] = archive
            shared = "" if pairs or not prefix else _shared_folder(members)
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
    """Return the folder that contains all files, with a slash; empty if there is no such folder."""
    names = [member.name for member in members]
    tops = {name.partition("/")[0] for name in names if not is_skipped(name.partition("/")[0])}
    top = f"{tops.pop()}/" if len(tops) == 1 else ""
    return top if top and any(name.startswith(top) for name in names) else ""


def _chunks(archive: Path, member: Member) -> Iterator[bytes]:
    """Yield the bytes of a file. The caller writes them outside ``archive_faults``: a full store is no fault of the archive."""
    with ExitStack() as stack:
        with archive_faults(archive):
            source = stack.enter_context(member.stream())
        left = member.size
        while True:
            with archive_faults(archive):
                chunk = source.read(CHUNK)
                left -= len(chunk)
                if left < 0 or (left and not chunk):
                    raise ValueError(f"its entry {ascii(member.name)[:200]} does not have its stated size")
            if not chunk:
                return
            yield chunk


def _check_members(archive: Path, members: Sequence[Member]) -> None:
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
        if why := _name_fault(member, taken) or ("is both a file and a folder" if member.name in folders else ""):
            raise ARCHIVE_UNUSABLE(file=archive, because=f"its entry {ascii(member.name)[:200]} {why}")
        taken.add(member.name)


def _name_fault(member: Member, taken: set[str]) -> str:
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


class Member(NamedTuple):
    """A file in an archive."""

    name: str
    size: int
    """Size in bytes."""
    fault: str
    """Reason why the file cannot be unpacked; empty if it can."""
    stream: Callable[[], IO[bytes]]
    """Opens it for reading."""


def is_archive(path: Path) -> bool:
    """Whether a data path is a zip or a tar, not a folder."""
    return is_archive_name(path.name) and path.is_file()


def is_archive_name(name: str) -> bool:
    """Whether a file has the suffix of a zip or a tar."""
    return name.lower().endswith((ZIP, *TARS))


def bare_name(archive: Path) -> str:
    """Return the name without the suffix of an archive."""
    suffix = next(suffix for suffix in (ZIP, *TARS) if archive.name.lower().endswith(suffix))
    return archive.name[: -len(suffix)]


@contextmanager
def archive_faults(archive: Path) -> Iterator[None]:
    """Turn exceptions of reading an archive into ARCHIVE_UNUSABLE. Faults of the store stay outside the block."""
    try:
        yield
    except _DAMAGED as error:
        words = system_reason(error)
        raise ARCHIVE_UNUSABLE(file=archive, because=words if len(words) <= _REASON_MAX else f"{words[:_REASON_MAX]}…") from error


def bytes_allowed(archive: Path) -> int:
    """Return the number of bytes that an archive may unpack to."""
    return max(ALLOWED_BYTES, RATIO_MAX * archive.stat().st_size)


def members_of(archive: Path, stack: ExitStack) -> list[Member]:
    """Return the files of an archive, which stays open as long as ``stack``. Raises ARCHIVE_UNUSABLE: it is damaged."""
    with archive_faults(archive):
        if not archive.name.lower().endswith(ZIP):
            return _members_of_tar(archive, stack)
        file = stack.enter_context(bounded_zip(stack.enter_context(open_regular(archive)), FILES_MAX))
        entries = (entry for entry in file.infolist() if not entry.filename.endswith("/"))
        return [Member(_member_name(entry), entry.file_size, _type_fault(entry), partial(file.open, entry)) for entry in entries]


def _member_name(entry: zipfile.ZipInfo) -> str:
    """Return the name of an entry. Valid UTF-8 is decoded even without the UTF-8 flag, which many tools omit."""
    if entry.flag_bits & _UTF8 or entry.filename.isascii():
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


def _type_fault(entry: zipfile.ZipInfo) -> str:
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
        return "is a link or a device"
    return "is encrypted" if entry.flag_bits & 1 else ""


class _BoundedReads:
    """A stream that refuses to read a tar header larger than any real one. ``longest``: of one read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.longest = stream, _HEADER_MAX
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self.longest:
            raise tarfile.ReadError(f"a header has more than {self.longest:,} bytes")
        return self._stream.read(size)


def _members_of_tar(archive: Path, stack: ExitStack) -> list[Member]:
    """Stop reading once the stated sizes exceed the allowed bytes; ``archive._check_members`` then refuses the archive."""
    plain = stack.enter_context(open_regular(archive))
    packed = not archive.name.lower().endswith(TARS[0])
    stream = stack.enter_context(cast("IO[bytes]", gzip.GzipFile(fileobj=plain))) if packed else plain
    bounded = _BoundedReads(stream)
    file = stack.enter_context(tarfile.open(fileobj=cast("Any", bounded), mode="r:"))  # noqa: SIM115
    members, left = list[Member](), bytes_allowed(archive)
    for number, entry in enumerate(iter(file.next, None), start=1):
        cast("Any", file).members.clear()  # tarfile keeps every entry in memory, and each its extended header
        entry.pax_headers, file.pax_headers = {}, {}
        if entry.size < 0:  # tarfile would reread this entry in an endless loop
            raise tarfile.ReadError(f"its entry {ascii(entry.name)[:200]} has a negative size")
        left -= entry.size
        if number > FILES_MAX:
            raise tarfile.ReadError(f"more than {FILES_MAX:,} files")
        if not entry.isdir():
            is_file = entry.isreg() and not entry.issparse()
            fault = "" if is_file else "is a link or a device"
            members.append(Member(entry.name.removeprefix("./"), entry.size, fault, partial(_open_member, file, entry)))
        if left < 0:
            break
    bounded.longest = CHUNK  # of contents
    return members


def _open_member(file: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    stream = file.extractfile(entry)
    assert stream is not None, "only regular files are opened"
    return stream


def has_pairs(archive: Path, names: Sequence[str]) -> bool:
    """Whether a tar contains samples: one has a class, or images have records next to them and there is no folder."""
    if archive.suffix.lower() == ".zip":
        return False
    known = set(names)
    has_records = any(f"{_sample_key(name)}{_RECORD}" in known for name in names if is_image_name(name) and "/" not in name)
    return has_records or any(name.lower().endswith(_CLASS) for name in names)


def write_pairs(out: Path, archives: Mapping[str, Path]) -> None:
    """Write the list of the unpacked samples. ``archives``: by the folder in ``out`` that contains their files.

    Raises ARCHIVE_UNUSABLE: an image has no class, or there is no image. SHARDS_WITHOUT_SPLIT: the names of some archives mean a
    split, and others do not.
    """
    part_of: dict[str, Part | None] = {}
    for prefix in archives:  # such as train/0000.tar or train-0000.tar
        splits = (split_name(word) for word in prefix.split("/"))
        part_of[prefix] = next((split.part for split in splits if split is not None), None)
    parts = set(part_of.values())
    if None in parts and parts - {None, "train"}:
        named = [archive for prefix, archive in archives.items() if part_of[prefix] is not None]
        unnamed = [archive for prefix, archive in archives.items() if part_of[prefix] is None]
        raise SHARDS_WITHOUT_SPLIT(folder=unnamed[0].parent, names=[archive.name for archive in unnamed], example=named[0].name)
    rows = [(*row, part_of[prefix]) for prefix, archive in archives.items() for row in _labelled_samples(out, prefix, archive)]
    with (out / PAIRS).open("x", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        has_splits = None not in parts and len(parts) > 1
        writer.writerow(("path", "label", "split") if has_splits else ("path", "label"))
        writer.writerows(row if has_splits else row[:2] for row in rows)


def _labelled_samples(out: Path, prefix: str, archive: Path) -> Iterator[tuple[str, str]]:
    images = 0
    for path in sorted((out / prefix).rglob("*")):
        if is_image_name(path.name) and path.is_file():
            images += 1
            yield path.relative_to(out).as_posix(), _sample_label(path, archive)
    if not images:
        raise ARCHIVE_UNUSABLE(file=archive, because="its samples have no image file")


def _sample_label(image: Path, archive: Path) -> str:
    key = image.with_name(_sample_key(image.name))
    try:
        if (file := key.with_name(f"{key.name}{_CLASS}")).is_file():
            return bounded_content(file, _CLASS_BYTES_MAX).decode("utf-8").strip()
        record = json.loads(bounded_content(key.with_name(f"{key.name}{_RECORD}"), _RECORD_BYTES_MAX))
        label = next(cell_text(record[name]) for name in _KEYS if isinstance(record.get(name), str | int | float))
        label.encode("utf-8")  # half a character, such as "\\ud800", is not a name
        return label
    except (OSError, ValueError, RecursionError, TypeError, StopIteration) as error:
        because = f"its image {image.name!r} has no class: no {key.name}{_CLASS}, and no {key.name}{_RECORD} with a label"
        raise ARCHIVE_UNUSABLE(file=archive, because=because) from error


def _sample_key(name: str) -> str:
    folder, slash, file = name.rpartition("/")
    return f"{folder}{slash}{file.partition('.')[0]}"
