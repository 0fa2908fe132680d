"""What is in the store, a row each: facts for ``edgecnn store list``."""

from __future__ import annotations

from datetime import UTC, datetime

from edgecnn.store.disk import bytes_of
from edgecnn.store.miss import flattened, shown
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact
from edgecnn.values.base import Value


class ListingRow(Value):
    """One stored artifact."""

    kind: str
    key: str
    bytes: int
    age_s: float
    """Since it was made."""
    seconds: float
    """That making it took."""
    settings: str
    """All settings on one line: ``arch=resnet-18 classes=10``. Unset ones are left out."""


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
    settings = flattened(record.payload.get("settings", {}))
    return ListingRow(
        kind=artifact.kind,
        key=artifact.key,
        bytes=bytes_of(record.files),
        age_s=max(0.0, (now - datetime.fromisoformat(record.made_at)).total_seconds()),
        seconds=record.seconds,
        settings=" ".join(f"{name}={shown(value)}" for name, value in settings if value is not None and name),
    )
