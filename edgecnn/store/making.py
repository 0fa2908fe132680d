"""From a stage to a finished entry: the one place where artifacts come into being.

Made in ``work/<kind>/<key>/files``, described beside it, forced onto the disk, and published by one rename: whatever is killed
when, there is either a whole entry or none.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edgecnn.errors.store import StageUnfinished
from edgecnn.store.disk import discard, files_under, publish, remove, stamp_of, sync_all, sync_folders, write_synced
from edgecnn.store.entry import file_damage, read_folder, remember_stamps, trusted_entry
from edgecnn.store.failures import makers_failures, named_failures
from edgecnn.store.layout import FILES, RECORD, STARTED, Layout
from edgecnn.store.wanted import Wanted
from edgecnn.values.artifact import Artifact, Record
from edgecnn.values.stage import Plotting, Progress, Role

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

    def made(self, maker: Maker, given: Mapping[Role, Path], tell: Progress) -> Artifact:
        """Run the maker and publish what it left.

        Raises:
            StoreFull, StoreUnusable: the store could not take it. Work that cannot be resumed is removed.
            TemporaryFolderFull: its maker's temporary files found no room.
            StageUnfinished: the maker left nothing, or a link.
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
            self._run(maker, given, out, notes)
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

    def _run(self, maker: Maker, given: Mapping[Role, Path], out: Path, notes: NoteTaker) -> None:
        with makers_failures(self.layout.root, f"making {self.wanted.name}"):
            maker(given, out, notes)

    def _finished(self) -> Record | None:
        """The record of work that was killed between its last byte and its publication, where every file is as recorded."""
        found = read_folder(self._work, self.wanted.kind, self.wanted.key)
        if not isinstance(found, Artifact) or found.record.inputs != self.wanted.inputs:
            return None
        damaged = any(file_damage(found.folder, name, fact) for name, fact in found.record.files.items())
        return None if damaged else found.record

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
        found = {name: path for name, path in sorted(files_under(self._work / FILES)) if not _is_leftover(name)}
        if strange := [name for name, path in found.items() if stamp_of(path) is None]:
            raise StageUnfinished(kind=self.wanted.kind, because=f"{strange[0]} is a link or no regular file")
        if not found:
            raise StageUnfinished(kind=self.wanted.kind, because="its folder is empty")
        record = Record(
            key=self.wanted.key,
            payload=self.wanted.payload,
            inputs=self.wanted.inputs,
            files=sync_all(found),
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
