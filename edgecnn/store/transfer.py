"""Push and pull: copy missing entries to and from a remote store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Final, TypeVar

from edgecnn.errors.store import RemoteNeedsPackage, RemoteUnusable
from edgecnn.store.disk import bytes_of
from edgecnn.store.entry import Damage
from edgecnn.store.remote import ENTRIES, ForeignList, Remote, RemoteEntry, fetch_all, local_entry
from edgecnn.store.store import Store
from edgecnn.values.base import Value
from edgecnn.values.stage import Progress

_Answer = TypeVar("_Answer")
_TOGETHER: Final = (128, 512, 64 << 20)
"""Entries, files and bytes per batch. Clients move several files at once, and a disk syncs many files about as fast as one."""


class Transferred(Value):
    """Result of one direction."""

    entries: int
    bytes: int
    """Size of the copied files."""
    there: int
    """Entries that both stores had. Only sizes were compared."""
    left: tuple[str, ...] = ()
    """Entries that were not copied, with the reason: damaged, or deleted meanwhile."""


def local_names(store: Store) -> list[str]:
    """Return every entry of this store, artifacts before profiles. Raises StoreUnusable."""
    artifacts = [f"artifacts/{kind}/{key}" for kind, key in store.artifacts.names()]
    return artifacts + [folder.relative_to(store.root).as_posix() for folder in store.profiles.folders()]


def remote_names(store: Store, tell: Progress) -> frozenset[str]:
    """Return the entries of the remote store that builds ask, if one is set. An unusable one is reported and counts as empty."""
    return frozenset(_ask_remote(store, tell, Remote.names) or ())


def report_if_unusable(store: Store, tell: Progress) -> None:
    """Report the remote store that builds ask if it is unusable. Only its top folder is listed."""
    _ask_remote(store, tell, lambda remote: remote.has_any((ENTRIES,)))


def _ask_remote(store: Store, tell: Progress, request: Callable[[Remote], _Answer]) -> _Answer | None:
    if store.remote is None:
        return None
    try:
        return request(Remote(store.remote))
    except (RemoteUnusable, RemoteNeedsPackage) as error:
        tell.note(f"missing entries are rebuilt here: {error.line()}")
        return None


def push(store: Store, remote: Remote, tell: Progress, only: Sequence[str] | None = None) -> Transferred:
    """Send entries that the remote store lacks, or whose list or files are damaged there.

    All lists of entries that are here are read, and files are looked up by size. ``only``: names of entries; None: all. Raises
    RemoteUnusable, StoreUnusable.
    """
    here = local_names(store) if only is None else only
    lists = remote.lists() if only is None else dict[str, int | None].fromkeys(only)
    lists_there = remote.entries({name: lists[name] for name in here if name in lists})
    known = remote.sizes() if only is None else None
    there = _complete_entries(remote, lists_there, known)
    foreign = [name for name, entry in lists_there.items() if isinstance(entry, ForeignList)]
    left = [f"{name}: another edgecnn wrote its list there" for name in foreign]
    lacking = [name for name in here if name not in there.union(foreign)]
    sent, size = 0, 0
    for batch in _batches(_read_local(store, lacking, left)):
        facts = {fact.sha256: fact.bytes for entry in batch.values() for fact in entry.files.values()}
        blobs = {fact.sha256: store.root / name / path for name, entry in batch.items() for path, fact in entry.files.items()}
        new = {digest: facts[digest] for digest in remote.upload(blobs, batch, known)}
        if known is not None:
            known.update(new)
        sent, size = sent + len(batch), size + sum(new.values())
        tell.step("push", sent, len(lacking), "entries")
    return Transferred(entries=sent, bytes=size, there=len(there), left=tuple(left))


def _complete_entries(remote: Remote, lists: Mapping[str, RemoteEntry | Damage], known: Mapping[str, int] | None) -> set[str]:
    """Return the entries whose files are all there. Their bytes are not read."""
    understood = {name: entry for name, entry in lists.items() if isinstance(entry, RemoteEntry)}
    if known is None:
        known = remote.sizes({fact.sha256 for entry in understood.values() for fact in entry.files.values()})
    return {name for name, entry in understood.items() if entry.lacking(known.items()) is None}


def _read_local(store: Store, names: Sequence[str], left: list[str]) -> Iterator[tuple[str, RemoteEntry]]:
    """Yield the entries, each read just before it is sent, because entries may change meanwhile."""
    for name in names:
        if (entry := local_entry(store.layout, name)) is not None:
            yield name, entry
        else:
            left.append(f"{name}: damaged here; `edgecnn store verify` lists the damage")


def _batches(entries: Iterable[tuple[str, RemoteEntry]]) -> Iterator[dict[str, RemoteEntry]]:
    batch, files, size = dict[str, RemoteEntry](), 0, 0
    for name, entry in entries:
        batch[name] = entry
        files, size = files + len(entry.files), size + bytes_of(entry.files)
        if any(has >= most for has, most in zip((len(batch), files, size), _TOGETHER, strict=True)):
            yield batch
            batch, files, size = {}, 0, 0
    if batch:
        yield batch


def pull(store: Store, remote: Remote, tell: Progress) -> Transferred:
    """Fetch what this store lacks. Raises RemoteUnusable, StoreFull, StoreUnusable."""
    here, lists = set(local_names(store)), remote.lists()
    lacking = sorted(lists.keys() - here)
    pulling = _Pulling(store, remote, lists, tell, len(lacking))
    elsewhere = pulling.bring(lacking)
    while elsewhere:
        with store.locks.held(*_lock_of(elsewhere[0]), tell):
            pass  # the process that held it has finished
        elsewhere = pulling.bring(elsewhere)
    return Transferred(
        entries=pulling.entries,
        bytes=pulling.bytes,
        there=len(here & lists.keys()) + pulling.there,
        left=tuple(f"{name}: {why}" for name, why in sorted(pulling.left.items())),
    )


class _Pulling:
    def __init__(self, store: Store, remote: Remote, lists: Mapping[str, int], tell: Progress, total: int) -> None:
        self.store, self.remote, self.lists, self.tell, self.total = store, remote, lists, tell, total
        self.entries, self.bytes, self.there = 0, 0, 0
        self.left = dict[str, str]()

    def bring(self, names: Sequence[str]) -> list[str]:
        """Return entries whose lock another process holds. Waiting for one lock while holding others could deadlock."""
        elsewhere = list[str]()
        for batch in _batches(self._read_lists(names)):
            with ExitStack() as held:
                ours = {name for name in batch if held.enter_context(self.store.locks.held_if_free(*_lock_of(name)))}
                new = {name: batch[name] for name in ours if not (self.store.root / name).exists()}
                outcomes, size = fetch_all(self.remote, self.store.layout, new)
            elsewhere += [name for name in batch if name not in ours]
            damaged = {name: outcome.why for name, outcome in outcomes.items() if isinstance(outcome, Damage)}
            self.left |= damaged
            self.entries, self.there = self.entries + len(new) - len(damaged), self.there + len(ours) - len(new)
            self.bytes += size
            self.tell.step("pull", self.entries + self.there + len(self.left), self.total, "entries")
        return elsewhere

    def _read_lists(self, names: Sequence[str]) -> Iterator[tuple[str, RemoteEntry]]:
        """Yield the entries whose lists are valid. Many lists are read at once."""
        for first in range(0, len(names), _TOGETHER[0]):
            some = {name: self.lists[name] for name in names[first : first + _TOGETHER[0]]}
            for name, entry in self.remote.entries(some).items():
                if isinstance(entry, RemoteEntry):
                    yield name, entry
                else:
                    self.left[name] = entry.why


def _lock_of(name: str) -> tuple[str, str]:
    kind, _, key = name.removeprefix("artifacts/").partition("/")
    return (kind, key) if name.startswith("artifacts/") else ("pull", key.replace("/", "-"))
