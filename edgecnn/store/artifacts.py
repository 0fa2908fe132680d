"""Made things, each under the key of what was asked for. A key that is stored is never made again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from edgecnn.errors.store import RemoteNeedsPackage, RemoteUnusable, StoreFull, StoreUnusable
from edgecnn.store.disk import discard
from edgecnn.store.entry import Damage, read_entry, trusted_entry
from edgecnn.store.failures import named_failures
from edgecnn.store.fetch import fetch
from edgecnn.store.layout import RECORD, Layout
from edgecnn.store.locks import Locks
from edgecnn.store.making import Maker, Making
from edgecnn.store.place import without_credentials
from edgecnn.store.remote import Remote, RemoteEntry
from edgecnn.store.wanted import StageInputs, Wanted, explain_miss, stored_payloads
from edgecnn.values.artifact import Artifact, Cached, FoundInput, Miss, Ran
from edgecnn.values.stage import Key, Progress, Role, Stage


class Artifacts:
    """The finished artifacts of one store."""

    def __init__(self, layout: Layout, locks: Locks, remote: str | None = None) -> None:
        """``remote``: URL of a store afar, which is asked for what is missing here before it is made."""
        self._layout = layout
        self._locks = locks
        self._remote = remote

    def find(self, stage: Stage, versions: Mapping[str, str], given: Mapping[Role, FoundInput]) -> Artifact | Miss:
        """Look without changing anything: for planning, and before making.

        ``versions``: of each distribution that the stage names in ``tools``. ``given``: the inputs found so far; bytes of a
        role that is left out are not compared, as when planning.

        Raises StoreUnusable: the store cannot be read.
        """
        return self._looked_up(Wanted.of(stage, versions, given))

    def obtain(
        self, stage: Stage, under: StageInputs, tell: Progress, maker: Maker | None = None
    ) -> tuple[Artifact, Ran | Cached]:
        """The stored artifact, or one made now, by one process at a time.

        Args:
            stage: what is wanted; ``stage.make`` makes it unless ``maker`` is given.
            under: tool versions, inputs and environment.
            tell: hears the maker's progress, and of waiting for another process after 2 s.
            maker: called instead of ``stage.make``, for stages that run through a host.

        Raises:
            StoreFull, StoreUnusable: the store cannot take the result.
            StageUnfinished: the maker left nothing that can be stored.
            ValueError: ``given`` lacks an input.
            Exception: whatever the maker raises; nothing is stored then.
        """
        if lacking := sorted(set(stage.inputs) - set(under.given)):
            raise ValueError(f"{stage.kind}: inputs not given: {', '.join(lacking)}")
        wanted = Wanted.of(stage, under.versions, under.given)
        found = self._looked_up(wanted)
        if isinstance(found, Artifact) and self._used_undisturbed(found):
            return found, Cached()
        with self._locks.held(wanted.kind, wanted.key, tell):
            found = self._looked_up(wanted, discard_damaged=True)  # another process may have made it while this one waited
            if isinstance(found, Artifact):
                self._used(found)
                return found, Cached()
            if self._fetched(wanted.kind, wanted.key, tell):
                here = self._looked_up(wanted, discard_damaged=True)
                if isinstance(here, Artifact):
                    return here, Cached()
                found = here
            making = Making(self._layout, wanted, resumable=stage.resumable, environment=under.environment)
            artifact = making.made(maker or stage.make, {role: found.path for role, found in under.given.items()}, tell)
        return artifact, Ran(seconds=artifact.record.seconds, why=found.why)

    def of_key(self, kind: str, key: Key, tell: Progress) -> Artifact | None:
        """The artifact of a key, fetched where only the store afar has it; None where neither has it whole.

        Raises StoreFull, StoreUnusable: it cannot be read, or not be put here.
        """
        found = trusted_entry(self._layout, kind, key)
        if isinstance(found, Artifact) and self._used_undisturbed(found):
            return found
        with self._locks.held(kind, key, tell):  # of another call that brings it or dates it, or of gc
            found = trusted_entry(self._layout, kind, key)
            if not isinstance(found, Artifact):
                self._fetched(kind, key, tell)
                found = trusted_entry(self._layout, kind, key)
            return found if isinstance(found, Artifact) and self._used(found) else None

    def use(self, artifact: Artifact) -> bool:
        """Date an entry that was found by its record, so that ``gc`` leaves it to the running build; False where gc has it."""
        return self._used_undisturbed(artifact)

    def entries(self) -> Iterator[Artifact]:
        """Every artifact with a readable record, files unchecked, by kind and key. ``verify`` reports the others."""
        for kind, key in self.names():
            found = read_entry(self._layout, kind, key)
            if isinstance(found, Artifact):
                yield found

    def names(self) -> Iterator[tuple[str, str]]:
        """(kind, key) of every entry, damaged ones too, sorted."""
        with named_failures(self._layout.root, "listing artifacts"):
            folder = self._layout.artifacts
            kinds = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
            found = [(kind, path.name) for kind in kinds for path in sorted((folder / kind).iterdir())]
        yield from found

    def _looked_up(self, wanted: Wanted, *, discard_damaged: bool = False) -> Artifact | Miss:
        with named_failures(self._layout.root, f"looking for {wanted.name}"):
            found = trusted_entry(self._layout, wanted.kind, wanted.key)
            if isinstance(found, Damage):
                if discard_damaged:  # only under the lock: else this could be the entry that another just rebuilt
                    discard(self._layout.entry(wanted.kind, wanted.key), self._layout.trash)
                return Miss(why=(f"stored entry is damaged: {found.why}; rebuilding",))
            if found is None:
                return Miss(why=explain_miss(stored_payloads(self._layout.artifacts / wanted.kind), wanted.payload))
        changed = wanted.changed_inputs(found)
        return Miss(why=changed) if changed else found

    def _fetched(self, kind: str, key: Key, tell: Progress) -> bool:
        """Whether the store afar had an entry of this key, which is here now. A place that fails is no reason not to make it."""
        if self._remote is None:
            return False
        name = f"{kind} {key[:12]}"
        try:
            found = fetch(Remote(self._remote), self._layout, f"artifacts/{kind}/{key}")
        except (RemoteUnusable, RemoteNeedsPackage) as error:
            tell.note(f"{name} is made here: {error.line()}")
            return False
        if isinstance(found, Damage):
            tell.note(f"{name} is made here: in {without_credentials(self._remote)} {found.why}")
        return isinstance(found, RemoteEntry)

    def _used_undisturbed(self, artifact: Artifact) -> bool:
        """Date it as used under its lock, which gc holds from its look at that date until the entry is away.

        False where another holds the lock or gc took the entry since it was found: it is then looked for again.
        """
        try:
            with self._locks.held_if_free(artifact.kind, artifact.key) as free:
                return free and self._used(artifact)
        except (StoreUnusable, StoreFull):  # a store that takes no lock is still read
            return self._used(artifact)

    def _used(self, artifact: Artifact) -> bool:
        """Date the last use, by which gc goes, on the record's mtime. False where gc took it since it was found."""
        try:
            os.utime(artifact.folder.parent / RECORD)
        except FileNotFoundError:
            return False
        except OSError:
            pass  # a store that is only read goes undated
        return True
