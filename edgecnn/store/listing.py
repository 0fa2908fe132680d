"""What is in the store, a row each: facts for ``edgecnn store list``, nothing rounded and nothing shortened."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from edgecnn.store.disk import bytes_of
from edgecnn.store.layout import RECORD
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact
from edgecnn.values.base import Value


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


def listing(store: Store, kind: str | None = None) -> tuple[ListingRow, ...]:
    """Every artifact with a readable record, newest first; of one kind only where ``kind`` is given.

    Raises:
        StoreUnusable: the store cannot be read.
    """
    now = datetime.now(UTC)
    rows = [_row(artifact, now) for artifact in store.artifacts.entries() if kind in (None, artifact.kind)]
    return tuple(sorted(rows, key=lambda row: (row.age_s, row.kind, row.key)))


def _row(artifact: Artifact, now: datetime) -> ListingRow:
    record = artifact.record
    made = datetime.fromisoformat(record.made_at)
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
