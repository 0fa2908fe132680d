"""Delete unused entries, here and in a remote store, without removing what a running build uses.

Locked entries stay. Entries used since the oldest running build began also stay, because a build reads artifacts long after it
found them, and so do entries used within the last hour. Looking at a profile does not count as use. In a remote store, ages
come from the store's own times, so no clock of this machine matters.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from edgecnn.errors.store import NOTHING_AFAR, NOTHING_COLLECTED, NothingCollected
from edgecnn.store.disk import bytes_of, discard, files_under, remove, stamp_of
from edgecnn.store.entry import ARCHIVES, RECORD, UNPACKING, Damage, proof_of
from edgecnn.store.failures import named_failures
from edgecnn.store.remote import BLOBS, ENTRIES, Remote, RemoteEntry, blob_at, is_name
from edgecnn.store.remote_files import RemoteFile, is_part
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact
from edgecnn.values.base import Value
from edgecnn.values.stage import Key

MIB = 1024 * 1024
TRASH: Final = "trash"
GRACE_S: Final = 24 * 3600.0
_CLOCK: Final = re.compile(rf"{TRASH}/[0-9a-f]{{16}}-clock")
_BLOB: Final = re.compile(rf"(?:{BLOBS}/[0-9a-f]{{2}}/|{TRASH}/[0-9a-f]+-)([0-9a-f]{{64}})")
_What = Literal["artifact", "profile", "work", "trash", "archive", "entry", "blob"]


class GcPolicy(Value):
    """Rules for what may be deleted. Trash is always deleted, artifacts only by these rules."""

    keep: tuple[Key, ...] = ()
    """Artifacts that are kept, with all their inputs."""
    unreachable: bool = False
    """Delete every artifact that ``keep`` does not reach."""
    unused_for_s: float | None = None
    """Delete artifacts and unpacked archives that were not used for this long. Archives can be unpacked again."""
    max_bytes: int | None = None
    """Delete the least recently used artifacts until the others fit."""
    profiles_older_than_s: float | None = None
    """Delete profiles that are older than this. None keeps all, because profiles are the history."""
    work_older_than_s: float = 24 * 3600.0
    """Delete unfinished work that no process holds and that did not change for this long."""
    grace_s: float = 3600.0
    """Artifacts that were used within this time are kept, whatever the other rules say."""


class Removal(Value):
    """One deletion, or a planned one in a dry run."""

    what: _What
    name: str
    """Path below the root of the store, local or remote."""
    bytes: int
    why: str


class GcReport(Value):
    """Deleted and kept entries."""

    dry_run: bool
    removed: tuple[Removal, ...]
    busy: tuple[str, ...]
    """Entries that a rule would delete, but that a process uses."""
    freed_bytes: int
    kept_bytes: int
    """Size of the kept artifacts, or of the kept remote files."""
    recent: int = 0
    """Artifacts that stay because they were used within the grace time."""


def collect(store: Store, policy: GcPolicy, *, dry_run: bool = False) -> GcReport:
    """Delete what the policy names. Raises StoreUnusable: something cannot be read or moved."""
    removed: list[Removal] = []
    busy: list[str] = []
    with named_failures(store.root, "collecting garbage"):
        if not dry_run:
            store.in_use.forget_dead()
        since = store.in_use.since()
        artifacts = list(store.artifacts.entries())
        for removal in _planned_removals(store, artifacts, policy):
            if not _may_be_read(store, removal, since) and (dry_run or _remove_unused(store, removal, policy)):
                removed.append(removal)
            else:
                busy.append(removal.name)
    total = sum(bytes_of(artifact.record.files) for artifact in artifacts)
    return GcReport(
        dry_run=dry_run,
        removed=tuple(removed),
        busy=tuple(busy),
        freed_bytes=sum(removal.bytes for removal in removed),
        kept_bytes=total - sum(removal.bytes for removal in removed if removal.what == "artifact"),
        recent=sum(time.time() - _last_use(artifact) < policy.grace_s for artifact in artifacts),
    )


def _may_be_read(store: Store, removal: Removal, since: float) -> bool:
    """Whether a build that runs since ``since`` may still read the entry."""
    if removal.what in ("profile", "archive"):
        return since < float("inf")
    return removal.what == "artifact" and _last_change(store.root / removal.name / RECORD) >= since


def _planned_removals(store: Store, artifacts: Sequence[Artifact], policy: GcPolicy) -> Iterator[Removal]:
    for path in _children(store.layout.trash):
        yield _removal(store, "trash", path, "damaged, replaced or removed before")
    for path in (work for kind in _children(store.layout.works) for work in _children(kind)):
        if (idle := time.time() - _last_change(path)) > policy.work_older_than_s:
            yield _removal(store, "work", path, f"left unfinished {_duration_text(idle)} ago")
    yield from _unused_archives(store, policy)
    if policy.profiles_older_than_s is not None:
        for path in store.profiles.folders():
            if (age := time.time() - _last_change(path)) > policy.profiles_older_than_s:
                yield _removal(store, "profile", path, f"filed {_duration_text(age)} ago")
    yield from _unused_artifacts(store, artifacts, policy)


def _unused_archives(store: Store, policy: GcPolicy) -> Iterator[Removal]:
    """Yield archives that were not used for long. An archive that is half unpacked counts as unfinished work."""
    unused_for_s = float("inf") if policy.unused_for_s is None else policy.unused_for_s
    for path in _children(store.root / ARCHIVES):
        if path.name.startswith(UNPACKING):
            if (idle := time.time() - _last_change(path)) > policy.work_older_than_s:
                yield _removal(store, "work", path, f"left unfinished {_duration_text(idle)} ago")
        elif path.is_dir() and (idle := time.time() - _archive_last_use(path)) > max(policy.grace_s, unused_for_s):
            yield _removal(store, "archive", path, f"not used for {_duration_text(idle)}")


def _unused_artifacts(store: Store, artifacts: Sequence[Artifact], policy: GcPolicy) -> Iterator[Removal]:
    """Yield unused artifacts, the least recently used first, so that ``max_bytes`` keeps those that were used last."""
    reached = _reachable_keys(artifacts, policy.keep)
    idle = {artifact.key: time.time() - _last_use(artifact) for artifact in artifacts}
    left = sum(bytes_of(artifact.record.files) for artifact in artifacts)
    for artifact in sorted(artifacts, key=lambda artifact: -idle[artifact.key]):
        unused_s = idle[artifact.key]
        why = None
        if artifact.key in reached or unused_s < policy.grace_s:
            continue
        if policy.unreachable:
            why = "not used by kept entries"
        elif policy.unused_for_s is not None and unused_s > policy.unused_for_s:
            why = f"not used for {_duration_text(unused_s)}"
        elif policy.max_bytes is not None and left > policy.max_bytes:
            why = f"the least recently used above {policy.max_bytes / MIB:,.1f} MiB"
        if why is not None:
            left -= bytes_of(artifact.record.files)
            yield _removal(store, "artifact", artifact.folder.parent, why, bytes_of(artifact.record.files))


def _reachable_keys(artifacts: Sequence[Artifact], keep: Sequence[Key]) -> set[str]:
    inputs = {artifact.key: [fact.key for fact in artifact.record.inputs.values()] for artifact in artifacts}
    reached: set[str] = set()
    ahead = list(keep)
    while ahead:
        key = ahead.pop()
        if key not in reached:
            reached.add(key)
            ahead.extend(inputs.get(key, ()))
    return reached


def _remove_unused(store: Store, removal: Removal, policy: GcPolicy) -> bool:
    """Remove an entry, or return False if a process uses it."""
    path = store.root / removal.name
    if removal.what == "trash":
        remove(path)
        return True
    if removal.what == "profile":  # profiles have no lock, because they never change
        if _may_be_read(store, removal, store.in_use.since()):  # a build may have begun meanwhile
            return False
        _dispose(store, path)
        return True
    with store.locks.held_if_free(path.parent.name, path.name) as free:
        if not free:
            return False
        if removal.what == "work":
            _dispose(store, path)
        elif removal.what == "archive":
            if _archive_last_use(path) >= time.time() - policy.grace_s or _may_be_read(store, removal, store.in_use.since()):
                return False
            remove(proof_of(path))  # first: a folder without it counts as damaged, and is unpacked again
            _dispose(store, path)
        elif _last_change(path / RECORD) >= min(time.time() - policy.grace_s, store.in_use.since()):
            return False  # a build marked it as used, which needs the lock
        else:
            _dispose(store, path)
    if removal.what == "artifact":
        remove(store.layout.stamps(path.parent.name, path.name))
    return True


def _dispose(store: Store, path: Path) -> None:
    """Move a folder to the trash, then delete it."""
    hidden = discard(path, store.layout.trash)
    if hidden is not None:
        remove(hidden)


def _removal(store: Store, what: _What, path: Path, why: str, size: int | None = None) -> Removal:
    if size is None:
        size = sum(stamp[0] for _, inner in files_under(path) if (stamp := stamp_of(inner)) is not None)
    return Removal(what=what, name=path.relative_to(store.root).as_posix(), bytes=size, why=why)


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _last_change(path: Path) -> float:
    """Return the last change at or below ``path`` in seconds since 1970; 0 if it is gone."""
    moments = [0.0]
    for place in (path, *(inner for _, inner in files_under(path))):
        with suppress(FileNotFoundError):  # its owner may be finishing just now
            moments.append(place.lstat().st_mtime)
    return max(moments)


def _archive_last_use(folder: Path) -> float:
    """Return the last use of an archive, which dates its proof. An unfinished archive has no proof."""
    return _last_change(proof_of(folder)) or _last_change(folder)


def _last_use(artifact: Artifact) -> float:
    return _last_change(artifact.folder.parent / RECORD)


def _duration_text(seconds: float) -> str:
    return f"{seconds / 86400:.1f} days" if seconds >= 86400 else f"{seconds / 3600:.1f} hours"


def collect_remote(
    remote: Remote, *, older_than_s: float | None = None, grace_s: float = GRACE_S, dry_run: bool = False
) -> GcReport:
    """Delete old entries, incomplete entries and unnamed files of the remote store.

    ``older_than_s``: None keeps entries of any age. ``grace_s``: younger files stay.
    Raises NOTHING_AFAR, NothingCollected, RemoteUnusable. Deletions until then leave all other entries complete.
    """
    if not remote.has_any((ENTRIES, BLOBS)):  # it is not a store
        raise NOTHING_AFAR(url=remote.url)
    call = secrets.token_hex(8)
    files, age_s = _files_and_ages(remote, f"{TRASH}/{call}-clock")
    old = {path for path, age in age_s.items() if age >= grace_s}
    aged = {path for path in old if _is_entry(path) and older_than_s is not None and age_s[path] >= older_than_s}
    lists = _entry_lists(remote, [path for path in files if path not in aged])
    digests = {path: digest for path in files if (digest := _blob_digest(path))}  # in the trash of a killed call, too
    there = {(digest, files[path].bytes) for path, digest in digests.items()}
    broken = {path: why for path in old & lists.keys() if _is_entry(path) and (why := lists[path].lacking(there))}
    named = {digest for digest, _ in _named_files(entry for path, entry in lists.items() if path not in broken)}
    unnamed = {path: files[path].bytes for path in old & digests.keys() if digests[path] not in named}
    reasons = {path: f"sent {age_s[path] / 86400:.1f} days ago" for path in aged} | broken
    if not dry_run:
        now = remote.list_files((ENTRIES,)) if reasons else {}
        reasons = {path: why for path, why in reasons.items() if now.get(path) == files[path]}  # a push may have repaired some
        _run_for_all(remote, remote.remove, [*reasons, *(path for path in old if _CLOCK.fullmatch(path) or is_part(path))])
        moved = [path for path in unnamed if path.startswith(f"{BLOBS}/")]
        _run_for_all(remote, lambda path: remote.move(path, f"{TRASH}/{call}-{_blob_digest(path)}"), moved)
        unnamed = _empty_trash(remote)
    removed = [Removal(what="entry", name=path, bytes=files[path].bytes, why=why) for path, why in sorted(reasons.items())]
    gone = {blob_at(f"{_blob_digest(path)}"): size for path, size in unnamed.items()}
    removed += [Removal(what="blob", name=path, bytes=size, why="no entry names it") for path, size in sorted(gone.items())]
    return GcReport(
        dry_run=dry_run,
        removed=tuple(removed),
        busy=(),
        freed_bytes=sum(removal.bytes for removal in removed),
        kept_bytes=sum(file.bytes for path, file in files.items() if path.startswith(f"{BLOBS}/") and path not in gone),
    )


def _files_and_ages(remote: Remote, clock: str) -> tuple[dict[str, RemoteFile], dict[str, float]]:
    """Return the age of each remote file in seconds, by the clock of the remote store."""
    remote.write(clock, b"")
    try:
        files = remote.list_files((ENTRIES, BLOBS, TRASH))
    finally:
        remote.remove(clock)
    if clock not in files:
        hint = "try again; gc needs a place that lists new files at once"
        raise NOTHING_COLLECTED(url=remote.url, because="a file that was just written is not listed", hint=hint)
    now = files.pop(clock).changed
    return files, {path: now - file.changed for path, file in files.items()}


def _empty_trash(remote: Remote) -> dict[str, int]:
    """Restore files that an entry names again, delete the rest, and return the size of each deleted file by path."""
    there = {
        path: file.bytes for path, file in remote.list_files((TRASH,)).items() if _blob_digest(path)
    }  # before lists are read
    try:
        named = _named_files(_entry_lists(remote, remote.list_files((ENTRIES,))).values()) if there else set()
    except NothingCollected:
        _restore(remote, there)
        raise
    back = _restore(remote, {path: size for path, size in there.items() if (_blob_digest(path), size) in named})
    _run_for_all(remote, remote.remove, there.keys() - back)
    return {path: size for path, size in there.items() if (_blob_digest(path), size) not in named}


def _restore(remote: Remote, trash: Mapping[str, int]) -> set[str]:
    """Restore files that are missing or incomplete, and return their paths. A push may have sent some of them again."""
    now = remote.sizes(f"{_blob_digest(path)}" for path in trash)
    lacking = {path for path, size in trash.items() if now.get(f"{_blob_digest(path)}", -1) < size}
    _run_for_all(remote, lambda path: remote.move(path, blob_at(f"{_blob_digest(path)}")), lacking)
    return lacking


def _entry_lists(remote: Remote, paths: Iterable[str]) -> dict[str, RemoteEntry]:
    """Return the lists among the files. Raises NothingCollected: a list cannot be parsed."""
    path_of = {_entry_name(path): path for path in paths if path.startswith(f"{ENTRIES}/") and path.endswith(".json")}
    lists = {path_of[name]: entry for name, entry in remote.entries(dict.fromkeys(path_of)).items()}
    for path, entry in lists.items():
        if isinstance(entry, Damage):
            hint = f"update edgecnn; if that does not help, delete {path} there, and the next push sends its entry again"
            raise NOTHING_COLLECTED(url=remote.url, because=f"the files that {path} names are unknown: {entry.why}", hint=hint)
    return {path: entry for path, entry in lists.items() if isinstance(entry, RemoteEntry)}


def _named_files(entries: Iterable[RemoteEntry]) -> set[tuple[str, int]]:
    return {(fact.sha256, fact.bytes) for entry in entries for fact in entry.files.values()}


def _entry_name(path: str) -> str:
    return path.removeprefix(f"{ENTRIES}/").removesuffix(".json")


def _is_entry(path: str) -> bool:
    return path.startswith(f"{ENTRIES}/") and path.endswith(".json") and is_name(_entry_name(path))


def _blob_digest(path: str) -> str | None:
    match = _BLOB.fullmatch(path)
    return match and match[1]


def _run_for_all(remote: Remote, do: Callable[[str], None], paths: Iterable[str]) -> None:
    with ThreadPoolExecutor(remote.at_once) as pool:
        list(pool.map(do, paths))
