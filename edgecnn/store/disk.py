"""Write files and folders so that they appear completely or not at all, resume downloads, and read JSON and TOML files."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import json
import lzma
import os
import re
import shutil
import stat
import struct
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, TypeVar

from edgecnn.errors.base import system_reason
from edgecnn.errors.recipes import FILE_UNREADABLE, not_toml
from edgecnn.errors.store import NAME_NOT_PLAIN
from edgecnn.errors.usage import WRONG_BYTES
from edgecnn.errors.weights import DOWNLOAD_FAILED
from edgecnn.runner.causes import cause_in, cause_of_file
from edgecnn.runner.files import UnfitFile, bounded_content, open_regular
from edgecnn.values.artifact import FileFact
from edgecnn.values.base import plain_name_fault
from edgecnn.values.stage import Progress
from edgecnn.values.toml import parsed

_Name = TypeVar("_Name")
Stamp = tuple[int, int, int, int]
"""(size in bytes, mtime in ns, inode, ctime in ns). While they stay the same, the bytes count as unchanged.

Programs can set mtime back but not ctime, so an edit in place is noticed. chmod and a new hard link also change ctime, which
costs another look at the bytes. docs/concepts/the-store.md lists the file systems without it.
"""
DOCUMENT_BYTES_MAX: Final = 256 << 20
"""The largest JSON file that is read from a folder of results."""
TOML_BYTES_MAX: Final = 1 << 20
"""The largest TOML file that is read. Larger files are something else, such as a model that was passed by mistake."""
DAMAGED_ZIP: Final = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError, ValueError, MemoryError,
)  # fmt: skip
"""Exceptions of zipfile and its decompressors for unreadable bytes. bz2 raises OSError; RuntimeError means encryption, or, as
NotImplementedError, an unknown compression."""
_SYNCED_AT_ONCE: Final = 32
"""Number of files that are synced at once. On ext4, 2,048 files of 50 kB take 7 s one by one, 0.7 s by eight and 0.5 s by 32."""
BLOCK_BYTES = 1 << 18
STALLED_AFTER_S = 30.0
"""A server that sends nothing for this long counts as stalled."""
_READER_WAIT_S = 2.0
"""A shell starts a pipe's reader and writer at about the same time."""


def user_path(named: str | Path) -> Path:
    """Return the path with its ``~`` expanded; ``~NAME`` stays if there is no such user."""
    return Path(os.path.expanduser(named))  # noqa: PTH111 - pathlib's raises RuntimeError where no user has that name


def lacks_home(path: Path) -> bool:
    """Whether ``user_path`` could not expand the ``~``."""
    return path.parts[:1] != () and path.parts[0].startswith("~")


def stamp_from(facts: os.stat_result) -> Stamp:
    """Return the stamp of a file from its stat."""
    return (facts.st_size, facts.st_mtime_ns, facts.st_ino, facts.st_ctime_ns)


def stamp_of(path: Path) -> Stamp | None:
    """Return the stamp of a regular file; None if it is missing, a folder or a link."""
    try:
        facts = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return stamp_from(facts) if stat.S_ISREG(facts.st_mode) else None


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def umask_mode(mode: int) -> int:
    """Return the permissions of ``mode`` that the umask leaves."""
    with contextlib.suppress(OSError):  # reading the umask elsewhere changes it for all threads
        status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
        if (umask := re.search(r"^Umask:\s*([0-7]+)$", status, re.MULTILINE)) is not None:
            return mode & ~int(umask[1], 8)
    umask_before = os.umask(0o077)
    os.umask(umask_before)
    return mode & ~umask_before


def share_by_umask(path: Path) -> None:
    """Give a file or a folder the permissions that the umask gives a new one. Some libraries write only for their own user."""
    facts = path.lstat()
    if stat.S_ISLNK(facts.st_mode) or facts.st_uid != os.geteuid():
        return
    is_folder, mode = stat.S_ISDIR(facts.st_mode), stat.S_IMODE(facts.st_mode)
    wanted = umask_mode(0o777 if is_folder or mode & 0o100 else 0o666) | mode & ~0o777
    if mode != wanted:
        path.chmod(wanted)


def sync_and_digest(path: Path) -> FileFact:
    """Sync a file to the disk, with the umask's permissions, and return its facts."""
    share_by_umask(path)
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return FileFact(sha256=hashlib.file_digest(file, "sha256").hexdigest(), bytes=os.fstat(file.fileno()).st_size)


def sync_all(files: Mapping[_Name, Path]) -> dict[_Name, FileFact]:
    """Call ``sync_and_digest`` for many files at once; the file system's journal groups files that wait together."""
    with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
        return dict(zip(files, pool.map(sync_and_digest, files.values()), strict=True))


def sync_tree(folder: Path) -> None:
    """Sync all files and names below ``folder`` without reading them."""
    with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
        list(pool.map(sync_file, (path for _, path in files_under(folder))))
    sync_folders(folder)


def sync_file(path: Path) -> None:
    """Sync a file, with the umask's permissions."""
    share_by_umask(path)
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folders(*folders: Path) -> None:
    """Sync the names in these folders and all folders below, with the umask's permissions."""
    paths = [Path(path) for folder in folders for path, _, _ in os.walk(folder)]
    for path in paths:
        share_by_umask(path)
    with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
        list(pool.map(fsync_folder, paths))


def fsync_folder(folder: Path) -> None:
    """Sync the names in one folder."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_synced(path: Path, text: str) -> None:
    """Write a file and sync it."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def publish(work: Path, entry: Path) -> bool:
    """Rename a finished folder to its final place. Return False, and leave ``work`` unchanged, if an entry exists."""
    if not rename_if_absent(work, entry):
        return False
    fsync_folder(entry.parent)
    return True


def rename_if_absent(work: Path, entry: Path) -> bool:
    """Rename a finished folder like ``publish``, without syncing the new name."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    try:
        work.rename(entry)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def discard(folder: Path, trash: Path) -> Path | None:
    """Rename a folder into the trash. Return its path in the trash, or None if there was no such folder."""
    trash.mkdir(parents=True, exist_ok=True)
    target = trash / f"{folder.parent.name}-{folder.name[:16]}-{time.time_ns()}"
    try:
        return folder.rename(target)
    except FileNotFoundError:
        return None


def remove(path: Path) -> None:
    """Delete a file, or a folder with its contents. A missing path is ignored."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        return


def files_under(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the relative name, with slashes, and the path of each file under ``folder``. A link to a folder counts as a file."""
    for root, folders, names in os.walk(folder):
        here = Path(root)
        for name in [*names, *(inner for inner in folders if (here / inner).is_symlink())]:
            yield (here / name).relative_to(folder).as_posix(), here / name


def bytes_of(files: Mapping[str, FileFact]) -> int:
    """Return the total size of recorded files."""
    return sum(fact.bytes for fact in files.values())


def write_text_atomically(path: Path, text: str) -> None:
    """Replace a file by one rename, so that readers never see half of it."""
    write_bytes_atomically(path, text.encode("utf-8"))


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Replace a file like ``write_text_atomically``. A device or a pipe is written to directly.

    Raises OSError: no space, no permission, no such folder, or a pipe without a reader. The old file is unchanged.
    """
    if path.exists() and not path.is_file():
        with _open_unbuffered(path) as stream:
            stream.write(content)
        return
    handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name[:40]}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(name).chmod(umask_mode(0o666))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _open_unbuffered(path: Path) -> BinaryIO:
    """Open a device or a pipe; opening a pipe without a reader would block."""
    until = time.monotonic() + _READER_WAIT_S
    while True:
        try:
            handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > until:
                raise UnfitFile(errno.ENXIO, "it is a pipe that no process reads", str(path)) from error
        time.sleep(0.01)
    os.set_blocking(handle, True)
    return os.fdopen(handle, "wb")


def json_document(path: Path) -> Any:
    """Return the JSON in a file of a folder of results.

    Raises OSError: see ``bounded_content``. ValueError: it is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(bounded_content(path, DOCUMENT_BYTES_MAX))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def json_object(path: Path) -> Mapping[str, Any] | None:
    """Return a JSON object, or None if it cannot be read. Callers use it for explanations only."""
    try:
        document = json_document(path)
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def read_table(path: Path) -> dict[str, Any]:
    """Read the table of a TOML file. A byte order mark is ignored.

    Raises FILE_UNREADABLE: the file is missing, a folder, not permitted, too large, or not valid UTF-8. NOT_TOML: names the
    line that breaks TOML's grammar. WRONG_BYTES: see ``refuse_known_cause``.
    """
    try:
        data = bounded_content(path, TOML_BYTES_MAX)
    except OSError as error:
        raise FILE_UNREADABLE(path=path, reason=system_reason(error)) from error
    refuse_known_cause(path, data)
    try:
        return parsed(_utf8(path, data))
    except ValueError as error:
        line = re.search(r"at line (\d+)", str(error))
        reason = re.sub(r"\s*\(at (line \d+, column \d+|end of document)\)$", "", str(error))
        raise not_toml(path=path, line=int(line[1]) if line else None, reason=reason) from error


_UTF16_SHARE: Final = 0.25


def encoding_of(head: bytes) -> tuple[str, str]:
    """Return the probable encoding of text that is not UTF-8, and the command's name of it for ``iconv``."""
    pairs = head[: len(head) // 2 * 2]
    fewer, more = sorted((pairs[::2].count(0), pairs[1::2].count(0)))
    alternates = more > _UTF16_SHARE * len(pairs) and 2 * fewer < more  # a sparse file holds only NULs
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or alternates:
        return "UTF-16", "UTF-16"
    return "in another encoding than UTF-8, probably Windows-1252", "WINDOWS-1252"


def _utf8(path: Path, data: bytes) -> str:
    if encoding_of(data)[1] == "UTF-16":
        raise FILE_UNREADABLE(path=path, reason="it is UTF-16; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FILE_UNREADABLE(path=path, reason=f"byte {error.start} is not valid UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def refuse_known_cause(path: Path, content: bytes | None = None) -> None:
    """Refuse a file whose bytes show why it is unusable, before its format is examined. ``content``: its bytes, if known.

    Raises WRONG_BYTES: it is a Git LFS pointer, or its line endings were converted.
    """
    cause = cause_of_file(path) if content is None else cause_in(content, path)
    if cause is not None:
        raise WRONG_BYTES(file=path, because=cause.why, hint=cause.fix)


_ZIP_END: Final = struct.Struct("<4s4H2LH")
_ZIP64_LOCATOR: Final = struct.Struct("<4sLQL")
_ZIP64_END: Final = struct.Struct("<4sQ2H2L4Q")
"""The end records of a zip (PKWARE APPNOTE 6.3.10, 4.3.14 to 4.3.16)."""
_ZIP_ENTRY_BYTES: Final = 46
"""An entry of a zip's directory without its name, extra data and comment (4.3.12)."""
ZIP_ENTRIES_MAX: Final = 100_000
"""Entries of a zip that is a model, weights, or a file of another tool; these have one entry for each tensor."""


def bounded_zip(stream: IO[bytes], most_entries: int = ZIP_ENTRIES_MAX) -> zipfile.ZipFile:
    """Open a zip unless its directory is too large. zipfile reads the whole directory at once, 15,000 entries a second.

    Raises zipfile.BadZipFile: too many entries, or no zip. Others of ``DAMAGED_ZIP``.
    """
    size = stream.seek(0, os.SEEK_END)
    tail_bytes = min(size, _ZIP_END.size + (1 << 16))  # a comment follows the record
    stream.seek(size - tail_bytes)
    tail = stream.read(tail_bytes)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _ZIP_END.size:
        raise zipfile.BadZipFile("File is not a zip file")
    entries, length = _ZIP_END.unpack_from(tail, at)[4:6]
    locator = at - _ZIP64_LOCATOR.size
    if locator >= 0 and tail[locator : locator + 4] == b"PK\6\7":
        stream.seek(_ZIP64_LOCATOR.unpack_from(tail, locator)[2])
        record = stream.read(_ZIP64_END.size)
        if len(record) == _ZIP64_END.size and record.startswith(b"PK\6\6"):
            entries, length = _ZIP64_END.unpack(record)[7:9]
    if max(entries, length // (_ZIP_ENTRY_BYTES + (1 << 10))) > most_entries:
        raise zipfile.BadZipFile(f"it has more than {most_entries:,} entries")
    stream.seek(0)
    return zipfile.ZipFile(stream)


def inside(folder: Path, *names: str, links: bool = False) -> Path:
    """Return a path below a folder, by names that may be from a record.

    ``links``: whether links may be on the way, as in a store that is spread over disks. Raises NAME_NOT_PLAIN: a name is a path,
    or a link is on the way.
    """
    path = folder
    for name in names:
        if fault := plain_name_fault(name):
            raise NAME_NOT_PLAIN(name=name, folder=folder, because=fault)
        path = path / name
        if not links and path.is_symlink():
            raise NAME_NOT_PLAIN(name=name, folder=folder, because="is a link")
    return path


def free_bytes(root: Path) -> int:
    """Return the free bytes on the file system of ``root``; 0 if they are unknown. ``root`` need not exist."""
    try:
        return shutil.disk_usage(nearest_existing(root)).free
    except OSError:
        return 0


def nearest_existing(path: Path) -> Path:
    """Return ``path`` or its closest existing parent."""
    return next((parent for parent in (path, *path.parents) if os.path.lexists(parent)), Path("/"))


def same_disk(first: Path, second: Path) -> bool:
    """Whether one file system holds both paths, which need not exist; True if that is unknown."""
    try:
        return nearest_existing(first).stat().st_dev == nearest_existing(second).stat().st_dev
    except OSError:
        return True


def temporary_folder() -> Path:
    """Return the folder for temporary files. If no folder works, return the first candidate, which ``tempfile`` does not name."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        return Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 - named, never written to


def download(url: str, into: Path, what: str, tell: Progress | None = None) -> None:
    """Download ``url`` into the file ``into``, and resume a partial file if the server can.

    ``what``: named in the progress.

    Raises DownloadFailed: unreachable, refused, stalled or cut off. The partial file stays.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    have = into.stat().st_size if into.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=STALLED_AFTER_S) as answer:  # noqa: S310
            _receive(answer, into, have if answer.status == http.HTTPStatus.PARTIAL_CONTENT else 0, what, tell)
    except urllib.error.HTTPError as problem:
        if problem.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # the file was complete already; the digest decides
        raise DOWNLOAD_FAILED(url=url, reason=f"the server answered {problem.code} {problem.reason}", received=have) from problem
    except (OSError, http.client.HTTPException) as problem:
        received = into.stat().st_size if into.exists() else 0
        raise DOWNLOAD_FAILED(url=url, reason=str(getattr(problem, "reason", problem)), received=received) from problem


def _receive(answer: http.client.HTTPResponse, into: Path, have: int, what: str, tell: Progress | None) -> None:
    length = answer.headers.get("Content-Length")
    total = have + int(length) if length else None
    with into.open("ab" if have else "wb") as file:
        while block := answer.read(BLOCK_BYTES):
            file.write(block)
            have += len(block)
            if tell is not None:
                tell.step(f"download {what}", have, total, "bytes")
    if total is not None and have < total:
        raise http.client.IncompleteRead(b"", total - have)
