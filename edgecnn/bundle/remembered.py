"""Which version of each bundle this machine accepted last, so that an older one is not taken for an update."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from filelock import FileLock

from edgecnn.errors.base import system_reason
from edgecnn.errors.signing import BundleRolledBack, RecordUnusable
from edgecnn.store.disk import fsync_folder, synced
from edgecnn.store.whole_file import write_text_atomically
from edgecnn.values.bundle import BundleManifest

_SCHEMA = "edgecnn.accepted/1"


def accept(path: Path, manifest: BundleManifest, digest: str, folder: Path) -> int | None:
    """Enter a verified bundle into the record, unless that would be a step back.

    Args:
        path: the bundle, for the error.
        manifest: with its name and version.
        digest: SHA-256 of ``bundle.json``.
        folder: of the records, one a bundle's name; made where it is absent.

    Returns:
        the version that was accepted before; None where there was none.

    Raises:
        BundleRolledBack: a later version was accepted, or another bundle of the same version.
        RecordUnusable: the record cannot be read or written; nothing is accepted then.
    """
    record = folder / f"{hashlib.sha256(manifest.name.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(record.with_suffix(".lock")):
            before = _read(record)
            if before is not None and (manifest.version, digest) != before and manifest.version <= before[0]:
                raise BundleRolledBack(path=path, name=manifest.name, version=manifest.version, accepted=before[0])
            facts = {"schema": _SCHEMA, "name": manifest.name, "version": manifest.version, "sha256": digest}
            write_text_atomically(record, json.dumps(facts, indent=1) + "\n")
            synced(record)
            fsync_folder(folder)  # a power cut must not bring an older record back
    except OSError as error:
        raise RecordUnusable(path=record, because=system_reason(error)) from error
    return None if before is None else before[0]


def _read(record: Path) -> tuple[int, str] | None:
    """An empty or damaged record accepts nothing: deleting it is for a person to decide."""
    if not record.exists():
        return None
    try:
        facts: Any = json.loads(record.read_bytes())
        if facts["schema"] != _SCHEMA or type(facts["version"]) is not int:
            raise ValueError(f"its schema is not {_SCHEMA}")
        return facts["version"], str(facts["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise RecordUnusable(path=record, because=f"it is damaged ({type(error).__name__})") from error
