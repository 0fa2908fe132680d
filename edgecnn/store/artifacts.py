"""Make an artifact, or find it: one key a question, and a key that is stored is never made again.

An artifact is made in ``work/<kind>/<key>/files``, described next to it, forced onto the disk and published by one rename. A
process that is killed leaves a whole entry or none.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edgecnn.errors.store import (
    STAGE_UNFINISHED,
    RemoteNeedsPackage,
    RemoteUnusable,
    StoreFull,
    StoreUnusable,
)
from edgecnn.store.disk import discard, files_under, publish, remove, stamp_of, sync_all, sync_folders, write_synced
from edgecnn.store.entry import (
    Damage,
    StageInputs,
    Wanted,
    explain_miss,
    file_damage,
    read_entry,
    read_folder,
    remember_stamps,
    stored_payloads,
    trusted_entry,
)
from edgecnn.store.failures import makers_failures, named_failures
from edgecnn.store.layout import FILES, RECORD, STARTED, Layout
from edgecnn.store.locks import Locks
from edgecnn.store.place import redacted
from edgecnn.store.remote import Remote, RemoteEntry, fetch
from edgecnn.values.artifact import Artifact, Cached, FoundInput, Miss, Ran, Record
from edgecnn.values.stage import Key, Plotting, Progress, Role, Stage

_BYTE_CODE = "__pycache__"
Maker = Callable[[Mapping[Role, Path], Path, Progress], None]


class NoteTaker:
    """Progress that passes everything on and keeps the notes for the record."""

    def __init__(self, tell: Progress) -> None:
        self._tell = tell
        self.notes: list[str] = []

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Pass on."""
        self._tell.step(what, done, total, unit)

    def note(self, text: str) -> None:
        """Keep and pass on."""
        self.notes.append(text)
        self._tell.note(text)

    def begin(self, step_id: str) -> None:
        """Pass on."""
        if isinstance(self._tell, Plotting):
            self._tell.begin(step_id)

    def plot(self, phase: str, epoch: int, figures: Mapping[str, float]) -> None:
        """Pass on."""
        if isinstance(self._tell, Plotting):
            self._tell.plot(phase, epoch, figures)


@dataclass(frozen=True)
class Making:
    """One artifact about to be made, under its lock."""

    layout: Layout
    wanted: Wanted
    resumable: bool
    environment: Mapping[str, str]

    def made(self, maker: Maker, input_paths: Mapping[Role, Path], tell: Progress) -> Artifact:
        """Run the maker and publish what it left.

        Raises:
            StoreFull, StoreUnusable: the store could not take it. Work that cannot be resumed is removed.
            TemporaryFolderFull: its maker's temporary files found no room.
            STAGE_UNFINISHED: the maker left nothing, or a link.
            Exception: whatever else the maker raised, unchanged.
        """
        notes = NoteTaker(tell)
        started = time.perf_counter()
        try:
            with named_failures(self.layout.root, f"starting {self.wanted.name}"):
                finished = self._finished()
                if finished is not None:
                    return self._published(finished)
                out = self._opened()
            self._run(maker, input_paths, out, notes)
            seconds = time.perf_counter() - started
            with named_failures(self.layout.root, f"storing {self.wanted.name}"):
                return self._published(self._described(seconds, tuple(notes.notes)))
        except BaseException:
            if not self.resumable:  # also after Ctrl-C; what can be resumed waits for the next call or for gc
                shutil.rmtree(self._work, ignore_errors=True)
            raise

    @property
    def _work(self) -> Path:
        return self.layout.work(self.wanted.kind, self.wanted.key)

    def _run(self, maker: Maker, input_paths: Mapping[Role, Path], out: Path, notes: NoteTaker) -> None:
        with makers_failures(self.layout.root, f"making {self.wanted.name}"):
            maker(input_paths, out, notes)

    def _finished(self) -> Record | None:
        """The record of work that was killed between its last byte and its publication, where every file is as recorded."""
        entry = read_folder(self._work, self.wanted.kind, self.wanted.key)
        if not isinstance(entry, Artifact) or entry.record.inputs != self.wanted.inputs:
            return None
        damaged = any(file_damage(entry.folder, name, fact) for name, fact in entry.record.files.items())
        return None if damaged else entry.record

    def _opened(self) -> Path:
        """The ``out`` folder: what an interrupted call left where that may be resumed, else empty."""
        began = json.dumps({role: fact.content for role, fact in sorted(self.wanted.inputs.items())}, indent=1)
        marker = self._work / STARTED
        out = self._work / FILES
        if self.resumable and out.is_dir() and marker.is_file() and marker.read_text(encoding="utf-8") == began:
            return out
        remove(self._work)
        out.mkdir(parents=True)
        marker.write_text(began, encoding="utf-8")
        return out

    def _described(self, seconds: float, notes: tuple[str, ...]) -> Record:
        """Force every file onto the disk, then write the record beside them: where that stands, the work is finished."""
        files = {name: path for name, path in sorted(files_under(self._work / FILES)) if not _is_leftover(name)}
        if strange := [name for name, path in files.items() if stamp_of(path) is None]:
            raise STAGE_UNFINISHED(kind=self.wanted.kind, because=f"{strange[0]} is a link or no regular file")
        if not files:
            raise STAGE_UNFINISHED(kind=self.wanted.kind, because="its folder is empty")
        record = Record(
            key=self.wanted.key,
            payload=self.wanted.payload,
            inputs=self.wanted.inputs,
            files=sync_all(files),
            environment=self.environment,
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(seconds, 3),
            notes=notes,
        )
        write_synced(self._work / RECORD, record.model_dump_json(indent=1, by_alias=True) + "\n")
        return record

    def _published(self, record: Record) -> Artifact:
        """Rename into place. Where another got there first with the same inputs, theirs stays and ours is dropped."""
        kind, key = self.wanted.kind, self.wanted.key
        entry = self.layout.entry(kind, key)
        self._cleaned()
        if not publish(self._work, entry):
            theirs = trusted_entry(self.layout, kind, key)
            if isinstance(theirs, Artifact) and theirs.record.inputs == record.inputs:
                remove(self._work)
                return theirs
            discard(entry, self.layout.trash)
            publish(self._work, entry)
        artifact = Artifact(kind=kind, key=key, folder=entry / FILES, record=record)
        remember_stamps(self.layout, artifact)
        return artifact

    def _cleaned(self) -> None:
        remove(self._work / STARTED)
        out = self._work / FILES
        for path in [*out.glob(".*"), *sorted(out.rglob(_BYTE_CODE))]:
            remove(path)
        sync_folders(self._work)


def _is_leftover(name: str) -> bool:
    """What a stage keeps only for itself: names that begin with a dot at the top, and byte-code caches anywhere."""
    return name.startswith(".") or _BYTE_CODE in name.split("/")


class Artifacts:
    """The finished artifacts of one store."""

    def __init__(self, layout: Layout, locks: Locks, remote: str | None = None) -> None:
        """``remote``: URL of a store afar, which is asked for what is missing here before it is made."""
        self._layout = layout
        self._locks = locks
        self._remote = remote

    def find(self, stage: Stage, versions: Mapping[str, str], inputs: Mapping[Role, FoundInput]) -> Artifact | Miss:
        """Look without changing anything: for planning, and before making.

        ``versions``: of each distribution that the stage names in ``tools``. ``inputs``: the inputs found so far; bytes of a
        role that is left out are not compared, as when planning.

        Raises StoreUnusable: the store cannot be read.
        """
        return self._looked_up(Wanted.of(stage, versions, inputs))

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
            STAGE_UNFINISHED: the maker left nothing that can be stored.
            ValueError: ``under.inputs`` lacks an input.
            Exception: whatever the maker raises; nothing is stored then.
        """
        if lacking := sorted(set(stage.inputs) - set(under.inputs)):
            raise ValueError(f"{stage.kind}: missing inputs: {', '.join(lacking)}")
        wanted = Wanted.of(stage, under.versions, under.inputs)
        entry = self._looked_up(wanted)
        if isinstance(entry, Artifact) and self._used_undisturbed(entry):
            return entry, Cached()
        with self._locks.held(wanted.kind, wanted.key, tell):
            entry = self._looked_up(wanted, discard_damaged=True)  # another process may have made it while this one waited
            if isinstance(entry, Artifact):
                self._used(entry)
                return entry, Cached()
            if self._fetched(wanted.kind, wanted.key, tell):
                here = self._looked_up(wanted, discard_damaged=True)
                if isinstance(here, Artifact):
                    return here, Cached()
                entry = here
            making = Making(self._layout, wanted, resumable=stage.resumable, environment=under.environment)
            artifact = making.made(maker or stage.make, {role: stored.path for role, stored in under.inputs.items()}, tell)
        return artifact, Ran(seconds=artifact.record.seconds, why=entry.why)

    def retrieve(self, kind: str, key: Key, tell: Progress) -> Artifact | None:
        """The artifact of a key, fetched where only the store afar has it; None where neither has it whole.

        Raises StoreFull, StoreUnusable: it cannot be read, or not be put here.
        """
        entry = trusted_entry(self._layout, kind, key)
        if isinstance(entry, Artifact) and self._used_undisturbed(entry):
            return entry
        with self._locks.held(kind, key, tell):  # of another call that brings it or dates it, or of gc
            entry = trusted_entry(self._layout, kind, key)
            if not isinstance(entry, Artifact):
                self._fetched(kind, key, tell)
                entry = trusted_entry(self._layout, kind, key)
            return entry if isinstance(entry, Artifact) and self._used(entry) else None

    def use(self, artifact: Artifact) -> bool:
        """Date an entry that was found by its record, so that ``gc`` leaves it to the running build; False where gc has it."""
        return self._used_undisturbed(artifact)

    def entries(self) -> Iterator[Artifact]:
        """Every artifact with a readable record, files unchecked, by kind and key. ``verify`` reports the others."""
        for kind, key in self.names():
            entry = read_entry(self._layout, kind, key)
            if isinstance(entry, Artifact):
                yield entry

    def names(self) -> Iterator[tuple[str, str]]:
        """(kind, key) of every entry, damaged ones too, sorted."""
        with named_failures(self._layout.root, "listing artifacts"):
            folder = self._layout.artifacts
            kinds = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
            names = [(kind, path.name) for kind in kinds for path in sorted((folder / kind).iterdir())]
        yield from names

    def _looked_up(self, wanted: Wanted, *, discard_damaged: bool = False) -> Artifact | Miss:
        with named_failures(self._layout.root, f"looking for {wanted.name}"):
            entry = trusted_entry(self._layout, wanted.kind, wanted.key)
            if isinstance(entry, Damage):
                if discard_damaged:  # only under the lock: else this could be the entry that another just rebuilt
                    discard(self._layout.entry(wanted.kind, wanted.key), self._layout.trash)
                return Miss(why=(f"stored entry is damaged: {entry.why}; rebuilding",))
            if entry is None:
                return Miss(why=explain_miss(stored_payloads(self._layout.artifacts / wanted.kind), wanted.payload))
        changed = wanted.changed_inputs(entry)
        return Miss(why=changed) if changed else entry

    def _fetched(self, kind: str, key: Key, tell: Progress) -> bool:
        """Whether the store afar had an entry of this key, which is here now. A place that fails is no reason not to make it."""
        if self._remote is None:
            return False
        name = f"{kind} {key[:12]}"
        try:
            fetched = fetch(Remote(self._remote), self._layout, f"artifacts/{kind}/{key}")
        except (RemoteUnusable, RemoteNeedsPackage) as error:
            tell.note(f"{name} is made here: {error.line()}")
            return False
        if isinstance(fetched, Damage):
            tell.note(f"{name} is made here: in {redacted(self._remote)} {fetched.why}")
        return isinstance(fetched, RemoteEntry)

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
