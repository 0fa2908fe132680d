"""Making room in a store afar: nothing that another sends meanwhile is lost, and no clock but the place's own is asked.

Ages are differences of times of change that the place itself gave: "now" is that of a small file that is written there, read
back and deleted, so that a place where nothing can be written, dated or deleted fails before anything else is touched.

Lists go first, those left out that changed since they were dated: a push mends what nobody could fetch. (One that is mended in
the moment between that look and its deletion goes; the next push sends it.) Then files go that no list names. Between reading the
lists and taking a file away another may find that file there, leave it unsent and write a list that names it, and no place
deletes "only if not named". So a file is first moved to ``trash/``, under a name that no other call uses, then every list is read
again, and what is named by now is moved back; only the rest is deleted. And `push`, after it wrote its lists, looks once more and
sends what is no longer there. A list written before the second reading is seen by it; one written later was written after the
move, and its writer sees that the file is gone. This holds however long either is held up; the grace spares what is being sent,
and calls that fetch. A call that is killed leaves files in
``trash/`` at worst; the next one sorts them in the same way.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from edgecnn.errors.store import NothingAfar, NothingCollected
from edgecnn.store.entry import Damage
from edgecnn.store.gc import GcReport, Removal
from edgecnn.store.place import FileAfar, is_part
from edgecnn.store.remote import BLOBS, ENTRIES, Remote, RemoteEntry, blob_at, is_name

TRASH: Final = "trash"
GRACE_S: Final = 24 * 3600.0
_CLOCK: Final = re.compile(rf"{TRASH}/[0-9a-f]{{16}}-clock")
_BLOB: Final = re.compile(rf"(?:{BLOBS}/[0-9a-f]{{2}}/|{TRASH}/[0-9a-f]+-)([0-9a-f]{{64}})")


def collect_afar(
    remote: Remote, *, older_than_s: float | None = None, grace_s: float = GRACE_S, dry_run: bool = False
) -> GcReport:
    """Take out entries that were sent so long ago, entries whose files are not all there, and files that no entry names.

    ``older_than_s``: None: no entry goes for its age. ``grace_s``: whatever is younger stays.
    Raises NothingAfar, NothingCollected, RemoteUnusable; what went until then is no part of any entry that stays.
    """
    if not remote.has_any((ENTRIES, BLOBS)):  # no store, whatever else it is
        raise NothingAfar(url=remote.url)
    call = secrets.token_hex(8)
    files, age_s = _dated(remote, f"{TRASH}/{call}-clock")
    old = {path for path, age in age_s.items() if age >= grace_s}
    aged = {path for path in old if _is_entry(path) and older_than_s is not None and age_s[path] >= older_than_s}
    lists = _lists(remote, [path for path in files if path not in aged])
    digests = {path: digest for path in files if (digest := _digest(path))}  # in the trash of a killed call, too
    there = {(digest, files[path].bytes) for path, digest in digests.items()}
    broken = {path: why for path in old & lists.keys() if _is_entry(path) and (why := lists[path].lacking(there))}
    named = {digest for digest, _ in _named(each for path, each in lists.items() if path not in broken)}
    unnamed = {path: files[path].bytes for path in old & digests.keys() if digests[path] not in named}
    whys = {path: f"sent {age_s[path] / 86400:.1f} days ago" for path in aged} | broken
    if not dry_run:
        now = remote.found((ENTRIES,)) if whys else {}
        whys = {path: why for path, why in whys.items() if now.get(path) == files[path]}  # not what a push mended meanwhile
        _each(remote, remote.remove, [*whys, *(path for path in old if _CLOCK.fullmatch(path) or is_part(path))])
        moved = [path for path in unnamed if path.startswith(f"{BLOBS}/")]
        _each(remote, lambda path: remote.move(path, f"{TRASH}/{call}-{_digest(path)}"), moved)
        unnamed = _emptied(remote)
    removed = [Removal(what="entry", name=path, bytes=files[path].bytes, why=why) for path, why in sorted(whys.items())]
    gone = {blob_at(f"{_digest(path)}"): size for path, size in unnamed.items()}
    removed += [Removal(what="blob", name=path, bytes=size, why="no entry names it") for path, size in sorted(gone.items())]
    return GcReport(
        dry_run=dry_run,
        removed=tuple(removed),
        busy=(),
        freed_bytes=sum(each.bytes for each in removed),
        kept_bytes=sum(file.bytes for path, file in files.items() if path.startswith(f"{BLOBS}/") and path not in gone),
    )


def _dated(remote: Remote, clock: str) -> tuple[dict[str, FileAfar], dict[str, float]]:
    """Every file there, and its age in seconds by the place's own clock."""
    remote.write(clock, b"")
    try:
        files = remote.found((ENTRIES, BLOBS, TRASH))
    finally:
        remote.remove(clock)
    if clock not in files:
        hint = "try again; a place that does not show at once what is written to it cannot be cleared"
        raise NothingCollected(url=remote.url, because="a file that was just written is not listed", hint=hint)
    now = files.pop(clock).changed
    return files, {path: now - file.changed for path, file in files.items()}


def _emptied(remote: Remote) -> dict[str, int]:
    """Put back what is named by now and delete the rest; path and bytes of each that no entry names."""
    there = {path: file.bytes for path, file in remote.found((TRASH,)).items() if _digest(path)}  # before lists are read
    try:
        named = _named(_lists(remote, remote.found((ENTRIES,))).values()) if there else set()
    except NothingCollected:
        _put_back(remote, there)
        raise
    back = _put_back(remote, {path: size for path, size in there.items() if (_digest(path), size) in named})
    _each(remote, remote.remove, there.keys() - back)
    return {path: size for path, size in there.items() if (_digest(path), size) not in named}


def _put_back(remote: Remote, trash: Mapping[str, int]) -> set[str]:
    """Those of which no more is there already: a push may have sent it anew, and half an upload replaces nothing."""
    now = remote.sizes(f"{_digest(path)}" for path in trash)
    lacking = {path for path, size in trash.items() if now.get(f"{_digest(path)}", -1) < size}
    _each(remote, lambda path: remote.move(path, blob_at(f"{_digest(path)}")), lacking)
    return lacking


def _lists(remote: Remote, paths: Iterable[str]) -> dict[str, RemoteEntry]:
    """The lists among files, those left out that are gone meanwhile. Raises NothingCollected: one cannot be understood."""
    wanted = {_name(path): path for path in paths if path.startswith(f"{ENTRIES}/") and path.endswith(".json")}
    found = {wanted[name]: each for name, each in remote.entries(dict.fromkeys(wanted)).items()}
    for path, each in found.items():
        if isinstance(each, Damage):
            hint = f"update edgecnn; where that does not help, delete {path} there: the next push sends its entry again"
            raise NothingCollected(url=remote.url, because=f"which files {path} names is not known: {each.why}", hint=hint)
    return {path: each for path, each in found.items() if isinstance(each, RemoteEntry)}


def _named(entries: Iterable[RemoteEntry]) -> set[tuple[str, int]]:
    return {(fact.sha256, fact.bytes) for each in entries for fact in each.files.values()}


def _name(path: str) -> str:
    return path.removeprefix(f"{ENTRIES}/").removesuffix(".json")


def _is_entry(path: str) -> bool:
    return path.startswith(f"{ENTRIES}/") and path.endswith(".json") and is_name(_name(path))


def _digest(path: str) -> str | None:
    found = _BLOB.fullmatch(path)
    return found and found[1]


def _each(remote: Remote, do: Callable[[str], None], paths: Iterable[str]) -> None:
    with ThreadPoolExecutor(remote.at_once) as pool:
        list(pool.map(do, paths))
