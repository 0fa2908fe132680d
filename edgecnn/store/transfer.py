"""Push and pull: what one store has and the other lacks, entry by entry, in either direction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from edgecnn.errors.store import RemoteNeedsPackage, RemoteUnusable
from edgecnn.store.disk import bytes_of
from edgecnn.store.entry import Damage
from edgecnn.store.remote import ENTRIES, ForeignList, Remote, RemoteEntry, entry_here, fetch
from edgecnn.store.store import Store
from edgecnn.values.base import Value
from edgecnn.values.stage import Progress

_Answer = TypeVar("_Answer")
_TOGETHER_FILES: Final = 64
_TOGETHER_BYTES: Final = 256 << 20
"""Of entries that are sent together: clients send several files at once."""


class Transferred(Value):
    """What one direction did."""

    entries: int
    bytes: int
    """Of files that were sent; what was there already is not."""
    there: int
    """Entries that both had, whole as far as sizes tell."""
    left: tuple[str, ...] = ()
    """Entries that were left where they are, with the reason: damaged there, or gone meanwhile."""


class _Sent(NamedTuple):
    name: str
    folder: Path
    entry: RemoteEntry


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
    sent, size, left = 0, 0, [f"{name}: its list there is of another edgecnn" for name in foreign]
    lacking = [name for name in here if name not in there.union(foreign)]
    for batch in _batches(store, lacking, left):
        blobs = {fact.sha256: each.folder / path for each in batch for path, fact in each.entry.files.items()}
        facts = {fact.sha256: fact.bytes for each in batch for fact in each.entry.files.values()}
        new = remote.upload(blobs, {each.name: each.entry for each in batch})
        sent, size = sent + len(batch), size + sum(facts[digest] for digest in new)
        tell.step("push", sent, len(lacking), "entries")
    return Transferred(entries=sent, bytes=size, there=len(there), left=tuple(left))


def _batches(store: Store, names: Sequence[str], left: list[str]) -> Iterator[list[_Sent]]:
    batch, files, size = list[_Sent](), 0, 0
    for name in names:
        found = entry_here(store.layout, name)
        if found is None:
            left.append(f"{name}: damaged here; `edgecnn store verify` says how")
            continue
        batch.append(_Sent(name, *found))
        files, size = files + len(found[1].files), size + bytes_of(found[1].files)
        if files >= _TOGETHER_FILES or size >= _TOGETHER_BYTES:
            yield batch
            batch, files, size = [], 0, 0
    if batch:
        yield batch


def pull(store: Store, remote: Remote, tell: Progress) -> Transferred:
    """Fetch what this store lacks, several entries at once. Raises RemoteUnusable, StoreFull, StoreUnusable."""
    here = set(names_here(store))
    there = remote.names()
    lacking = sorted(there - here)
    fetched, size, left = 0, 0, list[str]()

    def one(name: str) -> RemoteEntry | Damage | None:
        kind, _, key = name.removeprefix("artifacts/").partition("/")
        lock = (kind, key) if name.startswith("artifacts/") else ("pull", key.replace("/", "-"))
        with store.locks.held(*lock, tell):
            return fetch(remote, store.layout, name)

    with ThreadPoolExecutor(remote.at_once) as pool:
        for done, (name, found) in enumerate(zip(lacking, pool.map(one, lacking), strict=True), start=1):
            if isinstance(found, Damage):
                left.append(f"{name}: {found.why}")
            elif found is not None:
                fetched, size = fetched + 1, size + bytes_of(found.files)
            tell.step("pull", done, len(lacking), "entries")
    return Transferred(entries=fetched, bytes=size, there=len(here & there), left=tuple(left))
