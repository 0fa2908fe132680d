"""List the store's contents, and verify every stored byte. Lookups trust a file's stat; ``verify`` trusts nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any, NamedTuple

from edgecnn.store.disk import bytes_of, discard, files_under, stamp_of
from edgecnn.store.entry import ARCHIVES, RECORD, UNPACKING, Damage, file_damage, proof_of, read_entry
from edgecnn.store.failures import named_failures
from edgecnn.store.profiles import FACTS, PROFILE, read_profile
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact, FileFact
from edgecnn.values.base import Value, utc_moment
from edgecnn.values.stage import Progress, Stage

_TENTHS = 10
_FEW = 3
"""Fewest records of a kind and network. With fewer, all networks of the kind count."""


class ListingRow(Value):
    """A stored artifact."""

    kind: str
    key: str
    bytes: int
    made_at: str
    """ISO 8601, UTC."""
    used_at: str
    """The last time that a build made or found it, for ``gc``; ISO 8601, UTC."""
    age_s: float
    """Seconds since it was made."""
    unused_s: float
    """Seconds since its last use."""
    seconds: float
    """Seconds that making it took."""
    inputs: Mapping[str, str]
    """Key of the input of each role."""
    settings: Mapping[str, Any]
    """All settings of its stage, from its record."""


class ArchiveRow(Value):
    """An unpacked archive of images."""

    name: str
    """Name of its folder in ``archives/``."""
    bytes: int
    used_at: str | None
    """The last time that its images were read, for ``gc``; ISO 8601, UTC. None if it is half unpacked."""


def archives(store: Store) -> tuple[ArchiveRow, ...]:
    """Return all unpacked archives by name, including half unpacked ones. Raises StoreUnusable: the store cannot be read."""
    place = store.root / ARCHIVES
    with named_failures(store.root, "listing the unpacked archives"):
        rows = []
        for folder in sorted(path for path in place.iterdir() if path.is_dir()) if place.is_dir() else []:
            used_at = None
            if not folder.name.startswith(UNPACKING) and (stamp := stamp_of(proof_of(folder))) is not None:
                used_at = datetime.fromtimestamp(stamp[1] / 1e9, UTC).isoformat(timespec="seconds")
            size = sum(stamp[0] for _, path in files_under(folder) if (stamp := stamp_of(path)) is not None)
            rows.append(ArchiveRow(name=folder.name, bytes=size, used_at=used_at))
        return tuple(rows)


def listing(store: Store, kind: str | None = None) -> tuple[ListingRow, ...]:
    """Return every artifact with a readable record, newest first; only those of ``kind`` if it is given.

    Raises StoreUnusable: the store cannot be read.
    """
    now = datetime.now(UTC)
    rows = [_listing_row(artifact, now) for artifact in store.artifacts.entries() if kind in (None, artifact.kind)]
    return tuple(sorted(rows, key=lambda row: (row.age_s, row.kind, row.key)))


def _listing_row(artifact: Artifact, now: datetime) -> ListingRow:
    record = artifact.record
    made = utc_moment(record.made_at)
    used = made
    with suppress(FileNotFoundError):  # being removed just now
        used = datetime.fromtimestamp((artifact.folder.parent / RECORD).stat().st_mtime, UTC)
    return ListingRow(
        kind=artifact.kind,
        key=artifact.key,
        bytes=bytes_of(record.files),
        made_at=made.isoformat(timespec="seconds"),
        used_at=used.isoformat(timespec="seconds"),
        age_s=max(0.0, (now - made).total_seconds()),
        unused_s=max(0.0, (now - used).total_seconds()),
        seconds=record.seconds,
        inputs={role: fact.key for role, fact in record.inputs.items()},
        settings=record.payload.get("settings", {}),
    )


class DamagedEntry(Value):
    """A damaged artifact or profile."""

    name: str
    """Path below the store's root, such as ``artifacts/train/<key>``."""
    why: str
    moved_to_trash: bool


class VerifyReport(Value):
    """Result of ``verify``."""

    artifacts: int
    profiles: int
    bytes: int
    """Total size of the intact entries."""
    damaged: tuple[DamagedEntry, ...]
    strays: tuple[str, ...]
    """Files inside entries that no record lists. They are harmless and never used as content of an artifact."""

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damaged


def verify(store: Store, tell: Progress, *, repair: bool = False) -> VerifyReport:
    """Hash every file of every artifact and profile, and compare it with its record.

    Args:
        store: the store to verify.
        tell: receives one step per entry.
        repair: move damaged entries to the trash; the next build makes them again. Entries in progress are not moved.

    Raises:
        StoreUnusable: something cannot be read or, with ``repair``, moved.
    """
    artifacts = [store.layout.entry(kind, key) for kind, key in store.artifacts.names()]
    profiles = list(store.profiles.folders())
    damaged: list[DamagedEntry] = []
    strays: list[str] = []
    size = 0
    for done, folder in enumerate([*artifacts, *profiles], start=1):
        with named_failures(store.root, f"verifying {folder.name[:12]}"):
            facts = _verified_facts(store, folder)
            if isinstance(facts, Damage):
                moved = repair and _move_to_trash(store, folder)
                damaged.append(DamagedEntry(name=_entry_name(store, folder), why=facts.why, moved_to_trash=moved))
            elif facts is not None:
                size += bytes_of(facts)
                known = {*facts, RECORD, PROFILE, FACTS}
                strays += [f"{_entry_name(store, folder)}/{name}" for name, _ in files_under(folder) if name not in known]
        tell.step("verify the store", done, len(artifacts) + len(profiles), "entries")
    return VerifyReport(
        artifacts=len(artifacts), profiles=len(profiles), bytes=size, damaged=tuple(damaged), strays=tuple(strays)
    )


def _verified_facts(store: Store, folder: Path) -> dict[str, FileFact] | Damage | None:
    """Return the recorded facts of all files in the folder by path, if every byte agrees; None if the folder is gone."""
    if folder.is_relative_to(store.layout.artifacts):
        entry = read_entry(store.layout, folder.parent.name, folder.name)
        if not isinstance(entry, Artifact):
            return entry
        place, files = entry.folder, entry.record.files
    else:
        profile = read_profile(folder)
        if profile is None or isinstance(profile, Damage):
            return profile
        place, files = profile.folder, profile.files
    for name, fact in files.items():
        damage = file_damage(place, name, fact)
        if damage is not None:
            return damage if folder.exists() else None
    return {(place / name).relative_to(folder).as_posix(): fact for name, fact in files.items()}


def _move_to_trash(store: Store, folder: Path) -> bool:
    with store.locks.held_if_free(folder.parent.name, folder.name) as free:
        if free and isinstance(_verified_facts(store, folder), Damage):
            discard(folder, store.layout.trash)
            return True
    return False


def _entry_name(store: Store, folder: Path) -> str:
    return folder.relative_to(store.root).as_posix()


class Seconds(NamedTuple):
    """The range that holds nine of ten records; with few records, the shortest and the longest."""

    low: float
    high: float

    def __add__(self, other: object) -> Seconds:
        if not isinstance(other, Seconds):
            return NotImplemented
        return Seconds(self.low + other.low, self.high + other.high)


class Durations:
    """Durations of stages by kind, and by kind and network."""

    def __init__(self, store: Store) -> None:
        self._of = defaultdict[tuple[str, str | None], list[float]](list)
        for row in listing(store):
            arch = row.settings.get("arch")
            for name in {None, arch if isinstance(arch, str) else None}:
                self._of[row.kind, name].append(row.seconds)

    def of(self, stage: Stage) -> Seconds | None:
        """Return the usual duration of a stage; None if the store has no stage of its kind."""
        arch = getattr(stage, "arch", None)
        own = self._of.get((stage.kind, arch if isinstance(arch, str) else None), [])
        return usual_range(own if len(own) >= _FEW else self._of.get((stage.kind, None), []))


def usual_range(seconds: Sequence[float]) -> Seconds | None:
    """Return the shortest and longest of a few records, or the 10th and 90th percentile of ten or more; None without records."""
    if not seconds:
        return None
    if len(seconds) < _TENTHS:
        return Seconds(min(seconds), max(seconds))
    cut = quantiles(seconds, n=_TENTHS, method="inclusive")
    return Seconds(cut[0], cut[-1])


def total_duration(seconds: Iterable[Seconds | None]) -> tuple[Seconds, int]:
    """Return the sum of the known durations and the number of unknown ones."""
    estimates = list(seconds)
    known = [estimate for estimate in estimates if estimate is not None]
    return sum(known, Seconds(0.0, 0.0)), len(estimates) - len(known)
