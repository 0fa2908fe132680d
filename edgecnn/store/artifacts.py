"""Find an artifact or make it. A stored key is never made again.

An artifact is made in ``work/<kind>/<key>/files``, described next to it, synced to the disk and published by one rename. A
killed process leaves a complete entry or none.
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
    FILES,
    RECORD,
    STARTED,
    Damage,
    Layout,
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
from edgecnn.store.locks import Locks
from edgecnn.store.remote import Remote, RemoteEntry, fetch
from edgecnn.store.remote_files import redacted
from edgecnn.values.artifact import Artifact, Cached, FoundInput, Miss, Ran, Record
from edgecnn.values.stage import Key, Plotting, Progress, Role, Stage

_BYTE_CODE = "__pycache__"
Maker = Callable[[Mapping[Role, Path], Path, Progress], None]


class NoteTaker:
    """Pass progress on, and keep the notes for the record."""

    def __init__(self, tell: Progress) -> None:
        self._tell = tell
        self.notes: list[str] = []

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Pass the step on."""
        self._tell.step(what, done, total, unit)

    def note(self, text: str) -> None:
        """Keep the note and pass it on."""
        self.notes.append(text)
        self._tell.note(text)

    def begin(self, step_id: str) -> None:
        """Pass the name of the step on."""
        if isinstance(self._tell, Plotting):
            self._tell.begin(step_id)

    def plot(self, phase: str, epoch: int, figures: Mapping[str, float]) -> None:
        """Pass the figures on."""
        if isinstance(self._tell, Plotting):
            self._tell.plot(phase, epoch, figures)


@dataclass(frozen=True)
class Making:
    """An artifact to be made, under its lock."""

    layout: Layout
    wanted: Wanted
    resumable: bool
    environment: Mapping[str, str]

    def make(self, maker: Maker, input_paths: Mapping[Role, Path], tell: Progress) -> Artifact:
        """Run the maker and publish its result.

        Raises:
            StoreFull, StoreUnusable: the store cannot take it. Work that cannot be resumed is removed.
            TemporaryFolderFull: the temporary folder has no space.
            STAGE_UNFINISHED: the maker left nothing, or a link.
            Exception: anything else that the maker raises, unchanged.
        """
        notes = NoteTaker(tell)
        started = time.perf_counter()
        try:
            with named_failures(self.layout.root, f"starting {self.wanted.name}"):
                finished = self._finished_record()
                if finished is not None:
                    return self._publish(finished)
                out = self._open_output()
            with makers_failures(self.layout.root, f"making {self.wanted.name}"):
                maker(input_paths, out, notes)
            seconds = time.perf_counter() - started
            with named_failures(self.layout.root, f"storing {self.wanted.name}"):
                return self._publish(self._describe(seconds, tuple(notes.notes)))
        except BaseException:
            if not self.resumable:  # also after Ctrl-C; what can be resumed waits for the next call or for gc
                shutil.rmtree(self._work_folder, ignore_errors=True)
            raise

    @property
    def _work_folder(self) -> Path:
        return self.layout.work(self.wanted.kind, self.wanted.key)

    def _finished_record(self) -> Record | None:
        """Return the record of work that was killed just before its publication, if every file matches it."""
        entry = read_folder(self._work_folder, self.wanted.kind, self.wanted.key)
        if not isinstance(entry, Artifact) or entry.record.inputs != self.wanted.inputs:
            return None
        damaged = any(file_damage(entry.folder, name, fact) for name, fact in entry.record.files.items())
        return None if damaged else entry.record

    def _open_output(self) -> Path:
        """Return the ``out`` folder. It is empty unless interrupted work can be resumed."""
        began = json.dumps({role: fact.content for role, fact in sorted(self.wanted.inputs.items())}, indent=1)
        marker = self._work_folder / STARTED
        out = self._work_folder / FILES
        if self.resumable and out.is_dir() and marker.is_file() and marker.read_text(encoding="utf-8") == began:
            return out
        remove(self._work_folder)
        out.mkdir(parents=True)
        marker.write_text(began, encoding="utf-8")
        return out

    def _describe(self, seconds: float, notes: tuple[str, ...]) -> Record:
        """Sync every file, then write the record, which marks the work as finished.

        Dot files at the top and byte code are for the stage itself, and are not stored.
        """
        inside = sorted(files_under(self._work_folder / FILES))
        files = {name: path for name, path in inside if not name.startswith(".") and _BYTE_CODE not in name.split("/")}
        if strange := [name for name, path in files.items() if stamp_of(path) is None]:
            raise STAGE_UNFINISHED(kind=self.wanted.kind, because=f"{strange[0]} is not a regular file")
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
        write_synced(self._work_folder / RECORD, record.model_dump_json(indent=1, by_alias=True) + "\n")
        return record

    def _publish(self, record: Record) -> Artifact:
        """Rename into place. If another process published the same inputs first, its entry stays."""
        kind, key = self.wanted.kind, self.wanted.key
        entry = self.layout.entry(kind, key)
        remove(self._work_folder / STARTED)
        out = self._work_folder / FILES
        for path in [*out.glob(".*"), *sorted(out.rglob(_BYTE_CODE))]:
            remove(path)
        sync_folders(self._work_folder)
        if not publish(self._work_folder, entry):
            theirs = trusted_entry(self.layout, kind, key)
            if isinstance(theirs, Artifact) and theirs.record.inputs == record.inputs:
                remove(self._work_folder)
                return theirs
            discard(entry, self.layout.trash)
            publish(self._work_folder, entry)
        artifact = Artifact(kind=kind, key=key, folder=entry / FILES, record=record)
        remember_stamps(self.layout, artifact)
        return artifact


class Artifacts:
    """The finished artifacts of a store."""

    def __init__(self, layout: Layout, locks: Locks, remote: str | None = None) -> None:
        """``remote``: URL of a remote store, which is asked before an artifact is made."""
        self._layout = layout
        self._locks = locks
        self._remote = remote

    def find(self, stage: Stage, versions: Mapping[str, str], inputs: Mapping[Role, FoundInput]) -> Artifact | Miss:
        """Look up an artifact without changing anything.

        ``versions``: of each distribution that the stage names in ``tools``. ``inputs``: the inputs found so far; bytes of
        missing roles are not compared.

        Raises StoreUnusable: the store cannot be read.
        """
        return self._look_up(Wanted.of(stage, versions, inputs))

    def obtain(
        self, stage: Stage, under: StageInputs, tell: Progress, maker: Maker | None = None
    ) -> tuple[Artifact, Ran | Cached]:
        """Return the stored artifact, or make it now, in one process at a time.

        Args:
            stage: the stage to make; ``stage.make`` makes it unless ``maker`` is given.
            under: tool versions, inputs and environment.
            tell: receives the maker's progress and, after 2 s, a note that another process is making the artifact.
            maker: called instead of ``stage.make``, for stages that run through a host.

        Raises:
            StoreFull, StoreUnusable: the store cannot take the result.
            STAGE_UNFINISHED: the maker left nothing that can be stored.
            ValueError: ``under.inputs`` lacks an input.
            Exception: anything that the maker raises; nothing is stored then.
        """
        if lacking := sorted(set(stage.inputs) - set(under.inputs)):
            raise ValueError(f"{stage.kind}: missing inputs: {', '.join(lacking)}")
        wanted = Wanted.of(stage, under.versions, under.inputs)
        entry = self._look_up(wanted)
        if isinstance(entry, Artifact) and self.use(entry):
            return entry, Cached()
        with self._locks.held(wanted.kind, wanted.key, tell):
            entry = self._look_up(wanted, discard_damaged=True)  # another process may have made it while this one waited
            if isinstance(entry, Artifact):
                self._mark_used(entry)
                return entry, Cached()
            if self._fetch(wanted.kind, wanted.key, tell):
                here = self._look_up(wanted, discard_damaged=True)
                if isinstance(here, Artifact):
                    return here, Cached()
                entry = here
            making = Making(self._layout, wanted, resumable=stage.resumable, environment=under.environment)
            artifact = making.make(maker or stage.make, {role: stored.path for role, stored in under.inputs.items()}, tell)
        return artifact, Ran(seconds=artifact.record.seconds, why=entry.why)

    def retrieve(self, kind: str, key: Key, tell: Progress) -> Artifact | None:
        """Return the artifact of a key, fetched from the remote store if it is missing here; None if neither store has it
        complete.

        Raises StoreFull, StoreUnusable: it cannot be read or stored.
        """
        entry = trusted_entry(self._layout, kind, key)
        if isinstance(entry, Artifact) and self.use(entry):
            return entry
        with self._locks.held(kind, key, tell):  # another call may be fetching or marking it, or gc removing it
            entry = trusted_entry(self._layout, kind, key)
            if not isinstance(entry, Artifact):
                self._fetch(kind, key, tell)
                entry = trusted_entry(self._layout, kind, key)
            return entry if isinstance(entry, Artifact) and self._mark_used(entry) else None

    def use(self, artifact: Artifact) -> bool:
        """Mark an entry as used, under the lock that ``gc`` holds while it removes an entry.

        Return False if another process holds the lock or ``gc`` has removed the entry; the caller then looks again.
        """
        try:
            with self._locks.held_if_free(artifact.kind, artifact.key) as free:
                return free and self._mark_used(artifact)
        except (StoreUnusable, StoreFull):  # a store without locks can still be read
            return self._mark_used(artifact)

    def entries(self) -> Iterator[Artifact]:
        """Yield every artifact with a readable record, by kind and key. Files are not checked; ``verify`` does that."""
        for kind, key in self.names():
            entry = read_entry(self._layout, kind, key)
            if isinstance(entry, Artifact):
                yield entry

    def names(self) -> Iterator[tuple[str, str]]:
        """Return (kind, key) of every entry, including damaged ones, sorted."""
        with named_failures(self._layout.root, "listing artifacts"):
            folder = self._layout.artifacts
            kinds = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
            names = [(kind, path.name) for kind in kinds for path in sorted((folder / kind).iterdir())]
        yield from names

    def _look_up(self, wanted: Wanted, *, discard_damaged: bool = False) -> Artifact | Miss:
        with named_failures(self._layout.root, f"looking for {wanted.name}"):
            entry = trusted_entry(self._layout, wanted.kind, wanted.key)
            if isinstance(entry, Damage):
                if discard_damaged:  # only under the lock, because another process may have just rebuilt the entry
                    discard(self._layout.entry(wanted.kind, wanted.key), self._layout.trash)
                return Miss(why=(f"stored entry is damaged: {entry.why}; rebuilding",))
            if entry is None:
                return Miss(why=explain_miss(stored_payloads(self._layout.artifacts / wanted.kind), wanted.payload))
        changed = wanted.changed_inputs(entry)
        return Miss(why=changed) if changed else entry

    def _fetch(self, kind: str, key: Key, tell: Progress) -> bool:
        """Fetch the entry of a key from the remote store. If the remote store fails, the artifact is made here."""
        if self._remote is None:
            return False
        name = f"{kind} {key[:12]}"
        try:
            fetched = fetch(Remote(self._remote), self._layout, f"artifacts/{kind}/{key}")
        except (RemoteUnusable, RemoteNeedsPackage) as error:
            tell.note(f"{name} is rebuilt here: {error.line()}")
            return False
        if isinstance(fetched, Damage):
            tell.note(f"{name} is rebuilt here: in {redacted(self._remote)} {fetched.why}")
        return isinstance(fetched, RemoteEntry)

    def _mark_used(self, artifact: Artifact) -> bool:
        """Store the time of the last use as the record's mtime, for ``gc``. Return False if ``gc`` has removed the entry."""
        try:
            os.utime(artifact.folder.parent / RECORD)
        except FileNotFoundError:
            return False
        except OSError:
            pass  # a read-only store keeps no times of use
        return True
