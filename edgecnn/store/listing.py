"""What is in the store, a row each: facts for ``edgecnn store list``, nothing rounded and nothing shortened."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgecnn.store.disk import bytes_of, files_under, stamp_of
from edgecnn.store.failures import named_failures
from edgecnn.store.layout import ARCHIVES, RECORD, UNPACKING, proof_of
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact
from edgecnn.values.base import Value, utc_moment


class ListingRow(Value):
    """One stored artifact."""

    kind: str
    key: str
    bytes: int
    made_at: str
    """ISO 8601, UTC."""
    used_at: str
    """The last time that a build made or found it, by which gc goes; ISO 8601, UTC."""
    age_s: float
    """Since it was made."""
    unused_s: float
    """Since it was last used."""
    seconds: float
    """That making it took."""
    inputs: Mapping[str, str]
    """Role to the key of what it was made from."""
    settings: Mapping[str, Any]
    """All that its stage was asked, as in its record."""


class ArchiveRow(Value):
    """One unpacked archive of images."""

    name: str
    """Of its folder in ``archives/``."""
    bytes: int
    used_at: str | None
    """The last time that it was read for its images, by which gc goes; ISO 8601, UTC. None where it is half unpacked."""


def archives(store: Store) -> tuple[ArchiveRow, ...]:
    """Every unpacked archive, by name, with what a killed process left of one. Raises StoreUnusable: the store cannot be read."""
    place = store.root / ARCHIVES
    with named_failures(store.root, "listing the unpacked archives"):
        folders = sorted(path for path in place.iterdir() if path.is_dir()) if place.is_dir() else []
        return tuple(_archive_row(folder) for folder in folders)


def _archive_row(folder: Path) -> ArchiveRow:
    used = None
    if not folder.name.startswith(UNPACKING) and (stamp := stamp_of(proof_of(folder))) is not None:
        used = datetime.fromtimestamp(stamp[1] / 1e9, UTC).isoformat(timespec="seconds")
    size = sum(stamp[0] for _, path in files_under(folder) if (stamp := stamp_of(path)) is not None)
    return ArchiveRow(name=folder.name, bytes=size, used_at=used)


def listing(store: Store, kind: str | None = None) -> tuple[ListingRow, ...]:
    """Every artifact with a readable record, newest first; of one kind only where ``kind`` is given.

    Raises StoreUnusable: the store cannot be read.
    """
    now = datetime.now(UTC)
    rows = [_row(artifact, now) for artifact in store.artifacts.entries() if kind in (None, artifact.kind)]
    return tuple(sorted(rows, key=lambda row: (row.age_s, row.kind, row.key)))


def _row(artifact: Artifact, now: datetime) -> ListingRow:
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
