"""Push and pull: what one store has and the other lacks, entry by entry, in either direction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Final, TypeVar

from edgecnn.errors.store import RemoteNeedsPackage, RemoteUnusable
from edgecnn.store.disk import bytes_of
from edgecnn.store.entry import Damage
from edgecnn.store.fetch import entry_here, fetch, fetch_all
from edgecnn.store.remote import ENTRIES, ForeignList, Remote, RemoteEntry
from edgecnn.store.store import Store
from edgecnn.values.base import Value
from edgecnn.values.stage import Progress

_Answer = TypeVar("_Answer")
_TOGETHER: Final = (128, 512, 64 << 20)
"""Entries, files and bytes that go together: clients move several files at once, and a disk syncs many about as fast as one."""


class Transferred(Value):
    """What one direction did."""

    entries: int
    bytes: int
    """Of files that were sent; what was there already is not."""
    there: int
    """Entries that both had, whole as far as sizes tell."""
    left: tuple[str, ...] = ()
    """Entries that were left where they are, with the reason: damaged there, or gone meanwhile."""


def names_here(store: Store) -> list[str]:
    """Every entry of this store, artifacts before profiles. Raises StoreUnusable."""
    artifacts = [f"artifacts/{kind}/{key}" for kind, key in store.artifacts.names()]
    return artifacts + [folder.relative_to(store.root).as_posix() for folder in store.profiles.folders()]


def names_afar(store: Store, tell: Progress) -> frozenset[str]:
    """Entries of the remote store that builds ask, if one is named; one that cannot be used is said, and has none."""
    return frozenset(_of_remote(store, tell, Remote.names) or ())


def say_if_unusable(store: Store, tell: Progress) -> None:
    """Of the remote store that builds ask, if one is named. Only its top is listed."""
    _of_remote(store, tell, lambda remote: remote.has_any((ENTRIES,)))


def _of_remote(store: Store, tell: Progress, asked: Callable[[Remote], _Answer]) -> _Answer | None:
    if store.remote is None:
        return None
    try:
        return asked(Remote(store.remote))
    except (RemoteUnusable, RemoteNeedsPackage) as error:
        tell.note(f"what is missing is made here: {error.line()}")
        return None


def push(store: Store, remote: Remote, tell: Progress, only: Sequence[str] | None = None) -> Transferred:
    """Send what the remote lacks, or has so that nobody can fetch it: its list is damaged, or files that it names are not there.

    Every list of an entry that is here is read for that, and files are looked up by their sizes. ``only``: names of these
    entries; None: all. Raises RemoteUnusable, StoreUnusable.
    """
    here = names_here(store) if only is None else only
    lists = remote.lists() if only is None else dict[str, int | None].fromkeys(only)
    found = remote.examined({name: lists[name] for name in here if name in lists})
    there = {name for name, each in found.items() if isinstance(each, RemoteEntry)}
    foreign = [name for name, each in found.items() if isinstance(each, ForeignList)]
    left = [f"{name}: its list there is of another edgecnn" for name in foreign]
    lacking = {name: entry for name in here if name not in there.union(foreign) and (entry := _whole(store, name, left))}
    known = remote.sizes({fact.sha256 for entry in lacking.values() for fact in entry.files.values()})
    sent, size = 0, 0
    for batch in _batches(lacking.items()):
        facts = {fact.sha256: fact.bytes for entry in batch.values() for fact in entry.files.values()}
        blobs = {fact.sha256: store.root / name / path for name, entry in batch.items() for path, fact in entry.files.items()}
        new = remote.upload(blobs, batch, known)
        known |= {digest: facts[digest] for digest in new}
        sent, size = sent + len(batch), size + sum(facts[digest] for digest in new)
        tell.step("push", sent, len(lacking), "entries")
    return Transferred(entries=sent, bytes=size, there=len(there), left=tuple(left))


def _whole(store: Store, name: str, left: list[str]) -> RemoteEntry | None:
    if (entry := entry_here(store.layout, name)) is None:
        left.append(f"{name}: damaged here; `edgecnn store verify` says how")
    return entry


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
    here, lists = set(names_here(store)), remote.lists()
    lacking = sorted(lists.keys() - here)
    outcomes = dict[str, RemoteEntry | Damage]()
    for batch in _batches(_listed(remote, lists, lacking, outcomes)):
        outcomes |= _fetched(store, remote, batch)
        tell.step("pull", len(outcomes), len(lacking), "entries")
    for name in lacking:
        if name not in outcomes:  # somebody else was at it
            with store.locks.held(*_lock(name), tell):
                found = None if (store.root / name).exists() else fetch(remote, store.layout, name)
            outcomes |= {} if found is None else {name: found}
    fetched = [each for each in outcomes.values() if isinstance(each, RemoteEntry)]
    return Transferred(
        entries=len(fetched),
        bytes=sum(bytes_of(each.files) for each in fetched),
        there=len(here & lists.keys()),
        left=tuple(f"{name}: {each.why}" for name, each in sorted(outcomes.items()) if isinstance(each, Damage)),
    )


def _listed(
    remote: Remote, lists: Mapping[str, int], names: Sequence[str], damaged: dict[str, RemoteEntry | Damage]
) -> Iterator[tuple[str, RemoteEntry]]:
    """Read lists, many at once and none long before it is needed; those that are damaged are put down."""
    for first in range(0, len(names), _TOGETHER[0]):
        for name, entry in remote.entries({name: lists[name] for name in names[first : first + _TOGETHER[0]]}).items():
            if isinstance(entry, RemoteEntry):
                yield name, entry
            else:
                damaged[name] = entry


def _fetched(store: Store, remote: Remote, batch: Mapping[str, RemoteEntry]) -> dict[str, RemoteEntry | Damage]:
    """Those of which no lock is held elsewhere: to wait for one while others are held could be for ever."""
    with ExitStack() as held:
        ours = [name for name in batch if held.enter_context(store.locks.held_if_free(*_lock(name)))]
        return fetch_all(remote, store.layout, {name: batch[name] for name in ours})


def _lock(name: str) -> tuple[str, str]:
    kind, _, key = name.removeprefix("artifacts/").partition("/")
    return (kind, key) if name.startswith("artifacts/") else ("pull", key.replace("/", "-"))
