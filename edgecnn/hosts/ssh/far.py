"""The board's side of a link: one file, sent to the board and run by its Python 3.8 or later.

It stores contents by SHA-256, makes kit folders from them, runs kits and returns results. A request on standard input is eight
hexadecimal digits (the length of the JSON that follows), the JSON, and any content. The last line of output is an object with
``ok``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import getpass
import hashlib
import json
import os
import shutil
import stat
import sys
import tarfile
import time
from pathlib import Path
from typing import Any, BinaryIO, Callable, Dict

OBJECTS, KITS, RESULTS = "objects", "kits", "results"
STALE_S = 7 * 24 * 3600.0
"""Results that no one fetched, and objects without a kit, are removed if they have this age in two sweeps."""
BLOCK = 1 << 20


class Refused(Exception):
    """A refusal, with facts for the other side."""

    def __init__(self, ref: str, **facts: Any) -> None:
        super().__init__(ref)
        self.facts = dict(facts, ref=ref)


def main() -> int:
    """Read one request and answer it."""
    folder = Path(sys.argv[1]).expanduser().absolute()
    try:
        request = json.loads(_read_exactly(int(_read_exactly(8), 16)))
        _say(dict(COMMANDS[request["command"]](Place(folder), request, sys.stdin.buffer), ok=True))
        return 0
    except Refused as refused:
        facts = refused.facts
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        facts = {"ref": "board-disk-full" if full else "board-failed", "because": str(error), "free_bytes": _free_bytes(folder)}
    _say({"ok": False, "error": dict(facts, far=True)})
    return 1


class Place:
    """The private folder. Other users cannot read it, and everything in it can be sent again."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise Refused("board-failed", because="{} belongs to another user".format(folder))
        folder.chmod(0o700)
        self.folder = folder

    def object(self, sha256: str) -> Path:
        """Return the path of a content."""
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise Refused("board-failed", because="{!r} is not a SHA-256".format(sha256))
        return self.folder / OBJECTS / sha256[:2] / sha256

    def inside(self, name: str) -> Path:
        """Return the path of a folder or file for kits or results."""
        if name.startswith("/") or ".." in Path(name).parts or Path(name).parts[:1] not in ((KITS,), (RESULTS,)):
            raise Refused("board-failed", because="{!r} is not a folder for kits or results".format(name))
        return self.folder / name


def hello(place: Place, request: Dict[str, Any], stream: BinaryIO) -> Dict[str, Any]:
    """Answer with Python's version, the private folder and its free bytes."""
    return {"python": list(sys.version_info[:3]), "folder": str(place.folder), "free_bytes": _free_bytes(place.folder)}


def hold(place: Place, request: Dict[str, Any], stream: BinaryIO) -> Dict[str, Any]:
    """Lock the board for one user until standard input ends. Remove stale files first, since nothing runs now."""
    lock = _lock(Path(request["lock"]), 0.0)
    _remove_stale(place)
    up_s = time.clock_gettime(time.CLOCK_BOOTTIME)  # independent of the set time; no lock outlives a boot
    about = {"owner": getpass.getuser(), "what": request["what"], "since_s": up_s, "pid": os.getpid()}
    lock.truncate(0)
    lock.write(json.dumps(about).encode("utf-8"))
    _say({"held": True, "ok": True})
    while stream.read(BLOCK):
        pass
    return {"held": False}


def have(place: Place, request: Dict[str, Any], stream: BinaryIO) -> Dict[str, Any]:
    """Answer with the missing contents and the free bytes."""
    missing = [sha256 for sha256 in request["sha256"] if not place.object(sha256).is_file()]
    for sha256 in set(request["sha256"]) - set(missing):
        _mark_used(place.object(sha256))
    return {"missing": missing, "free_bytes": _free_bytes(place.folder)}


def put(place: Place, request: Dict[str, Any], stream: BinaryIO) -> Dict[str, Any]:
    """Store contents from a tar stream, named by their SHA-256. Complete contents are kept even if the stream breaks off."""
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is None:
                    raise Refused("board-failed", because="{!r} is not a file".format(member.name))
                _store(place.object(member.name), content)
            return {"put": len(archive.getmembers())}
    except tarfile.TarError as error:
        raise Refused("board-failed", because="the content was not received completely: {}".format(error)) from error


def lay(place: Place, request: Dict[str, Any], stream: BinaryIO) -> Dict[str, Any]:
    """Make a folder from stored contents. A ``fresh`` folder appears complete; otherwise files are added to it."""
    target = place.inside(request["folder"])
    if request["fresh"] and target.is_dir():
        _mark_used(target)
        return {"path": str(target)}
    partial = target.with_name("{}.{}".format(target.name, os.getpid())) if request["fresh"] else target
    for name, sha256 in request["files"].items():
        path = partial / name
        if ".." in path.parts or partial not in path.parents:
            raise Refused("board-failed", because="{!r} leaves its folder".format(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _link_or_copy(place.object(sha256), path)
    partial.mkdir(parents=True, exist_ok=True)
    if partial != target and not target.is_dir():
        partial.rename(target)
    _mark_used(target)
    return {"path": str(target)}


def listing(place: Place, request: Dict[str, Any], stream: BinaryIO) -> Dict[str, Any]:
    """Answer with the finished files of a folder: SHA-256, size, and age by this machine's clock."""
    root = place.inside(request["folder"])
    if root.is_dir():
        _mark_used(root)
    now, files = time.time(), {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.suffix != ".partial":
            facts, name = path.stat(), str(path.relative_to(root))
            files[name] = {"sha256": _sha256(path), "bytes": facts.st_size, "age_s": now - facts.st_mtime}
    return {"files": files}


def get(place: Place, request: Dict[str, Any], stream: BinaryIO) -> Dict[str, Any]:
    """Send files of a folder in the requested order, after a line that announces them; ``list`` has their sizes."""
    root = place.inside(request["folder"])
    _say({"sends": len(request["names"])})
    for name in request["names"]:
        with (root / name).open("rb") as content:
            shutil.copyfileobj(content, sys.stdout.buffer, BLOCK)
    sys.stdout.buffer.flush()
    os._exit(0)  # without a final line


def run(place: Place, request: Dict[str, Any], stream: BinaryIO) -> Dict[str, Any]:
    """Become a kit's runner, which has a lease on standard input and leads a process group."""
    folder = place.inside(request["kit"])
    locks = [_lock(Path(path), wait_s) for path, wait_s in request["locks"]]
    for lock in locks:
        os.set_inheritable(lock.fileno(), True)
    with contextlib.suppress(OSError):  # it already leads a group
        os.setsid()
    os.chdir(str(folder))
    variables = {there: os.environ[here] for here, there in request["variables"].items() if here in os.environ}
    environment = dict(variables, PYTHONPATH=str(folder), PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1")
    words = ["-m", "runner"] + request["argv"]
    if request["sandbox"] is None:
        os.execve(sys.executable, [sys.executable] + words, environment)
    with_folder = _private_variables(place, environment)
    allowed = dict(request["sandbox"]["allowed"], write=request["sandbox"]["allowed"]["write"] + [with_folder["HOME"]])
    os.execve(sys.executable, [sys.executable, request["sandbox"]["program"], json.dumps(allowed)] + words, with_folder)


def _private_variables(place: Place, environment: Dict[str, str]) -> Dict[str, str]:
    """Return the variables with a folder for temporary files that only sandboxed runners use, which is also the home folder."""
    folder = place.folder / "sandbox"
    shutil.rmtree(str(folder), ignore_errors=True)  # of an earlier runner; the lock lets one run at a time
    folder.mkdir(mode=0o700, exist_ok=True)
    return dict(environment, **dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME"), str(folder)))


def clean(place: Place, request: Dict[str, Any], stream: BinaryIO) -> Dict[str, Any]:
    """Remove the private folder."""
    shutil.rmtree(str(place.folder))
    return {"removed": str(place.folder)}


COMMANDS: Dict[str, Callable[[Place, Dict[str, Any], BinaryIO], Dict[str, Any]]] = {
    **{command.__name__: command for command in (hello, hold, have, put, lay, get, run, clean)},
    "list": listing,
}


def _say(value: Dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, sort_keys=True) + "\n")
    sys.stdout.flush()


def _read_exactly(count: int) -> bytes:
    """Read this number of bytes of standard input and no more, since the rest may belong to a runner."""
    content = b""
    while len(content) < count:
        if not (more := os.read(0, count - len(content))):
            raise Refused("board-failed", because="the request was not received completely")
        content += more
    return content


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(str(next(parent for parent in (folder, *folder.parents) if parent.exists()))).free


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as content:
        for block in iter(lambda: content.read(BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def _store(path: Path, content: Any) -> None:
    """Write a temporary file, flush it to the disk, compare its SHA-256, and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name("{}.{}.partial".format(path.name, os.getpid()))
    try:
        with partial.open("wb") as target:
            shutil.copyfileobj(content, target, BLOCK)
            target.flush()
            os.fsync(target.fileno())
        if _sha256(partial) != path.name:
            raise Refused("board-failed", because="{} was changed on the way".format(path.name[:12]))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _link_or_copy(content: Path, path: Path) -> None:
    try:
        os.link(str(content), str(path))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.ENOENT):
            raise
        shutil.copyfile(str(content), str(path))  # a file system without hard links


def _lock(path: Path, timeout_s: float) -> BinaryIO:
    """Lock a file that every user may open, or refuse with the lock's owner."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:  # without creating first: in a sticky folder the kernel may refuse to create over another user's file
        number = os.open(str(path), flags)
    except FileNotFoundError:
        number = os.open(str(path), flags | os.O_CREAT, 0o666)
        os.fchmod(number, 0o666)
    stream = os.fdopen(number, "r+b", buffering=0)
    give_up_at = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            return stream
        except BlockingIOError:
            if time.monotonic() >= give_up_at:
                raise Refused("board-busy", lock=str(path), **_lock_owner(stream)) from None
            time.sleep(0.1)


def _lock_owner(stream: BinaryIO) -> Dict[str, Any]:
    stream.seek(0)
    about: Dict[str, Any] = {}
    with contextlib.suppress(ValueError):
        about = json.loads(stream.read(4096) or b"{}")
    since = about.get("since_s")
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - since if isinstance(since, (int, float)) else None
    return {"owner": str(about.get("owner", "somebody")), "what": str(about.get("what", "")), "since_s": age}


def _remove_stale(place: Place) -> None:
    """Remove old results, kits and partial files, and old contents that are in no kit."""
    for path in [path for name in (RESULTS, KITS) for path in (place.folder / name).glob("*")]:
        if _is_stale(path):
            shutil.rmtree(str(path), ignore_errors=True)
    for path in [*(place.folder / OBJECTS).glob("??/*"), *place.folder.glob("*.part.*")]:
        if path.stat().st_nlink == 1 and _is_stale(path):
            path.unlink()


def _is_stale(path: Path) -> bool:
    """Whether a path was old in two sweeps, since a clock that is set forward makes every file old.

    The first sweep sets a bit of its mode, which needs no disk space.
    """
    facts = path.stat()
    if facts.st_mtime >= time.time() - STALE_S:
        return False
    if facts.st_mode & stat.S_ISVTX:
        return True
    path.chmod(stat.S_IMODE(facts.st_mode) | stat.S_ISVTX)
    os.utime(str(path))
    return False


def _mark_used(path: Path) -> None:
    """Update the date of a requested file, and clear the bit that an earlier sweep set."""
    path.chmod(stat.S_IMODE(path.stat().st_mode) & ~stat.S_ISVTX)
    os.utime(str(path))


if __name__ == "__main__":
    sys.exit(main())
