"""Whether one finished entry is still what was stored.

Every lookup compares each file's stat with the index; only where that differs are the bytes read again. So a cached build
costs stats, not hashes, and yet an overwritten, truncated or missing file is never handed out. Files stay writable, and
nothing hands out links to them: a user who edits a copied bundle cannot reach into the store, copies keep ordinary modes, and
an edit in place is caught here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from edgecnn.errors.base import system_reason
from edgecnn.runner.files import UnfitFile, bounded_content
from edgecnn.store.disk import DOCUMENT_BYTES_MAX, Stamp, sha256_of, stamp_of
from edgecnn.store.layout import FILES, RECORD, Layout
from edgecnn.values.artifact import Artifact, FileFact, Record
from edgecnn.values.stage import Key, digest_of


@dataclass(frozen=True)
class Damage:
    """What is wrong with a stored entry, as the rest of a sentence: ``model.onnx is missing``."""

    why: str


def read_entry(layout: Layout, kind: str, key: str) -> Artifact | Damage | None:
    """The entry as its record describes it, files unchecked; None where nothing is stored under this key."""
    return read_folder(layout.entry(kind, key), kind, key)


def read_folder(folder: Path, kind: str, key: str) -> Artifact | Damage | None:
    """The same for a folder that need not be published yet."""
    try:
        text = bounded_content(folder / RECORD, DOCUMENT_BYTES_MAX)
    except (FileNotFoundError, NotADirectoryError):
        return Damage(f"{RECORD} is missing") if folder.exists() else None
    except (UnfitFile, IsADirectoryError) as error:
        return Damage(f"{RECORD}: {system_reason(error)}")
    try:
        record = Record.model_validate_json(text)
    except ValidationError:
        return Damage(f"{RECORD} is truncated or no record")
    if not record.key == key == digest_of(record.payload):
        return Damage(f"{RECORD} is that of another key")
    return Artifact(kind=kind, key=Key(key), folder=folder / FILES, record=record)


def trusted_entry(layout: Layout, kind: str, key: str) -> Artifact | Damage | None:
    """The entry with every file checked: by stat where the index knows it, else by its bytes, which are then indexed."""
    found = read_entry(layout, kind, key)
    if not isinstance(found, Artifact):
        return found
    known = read_stamps(layout.stamps(kind, key))
    now: dict[str, Stamp] = {}
    for name, fact in found.record.files.items():
        stamp = stamp_of(found.folder / name)
        damage = None if stamp is not None and stamp == known.get(name) else file_damage(found.folder, name, fact)
        if damage is not None:
            return damage
        if stamp is not None:
            now[name] = stamp
    if now != known:
        write_stamps(layout.stamps(kind, key), now)
    return found


def file_damage(folder: Path, name: str, fact: FileFact) -> Damage | None:
    """Compare one file's size, then its bytes, with what was recorded."""
    stamp = stamp_of(folder / name)
    if stamp is None:
        return Damage(f"{name} is missing")
    if stamp[0] != fact.bytes:
        return Damage(f"{name} has {stamp[0]:,} bytes instead of {fact.bytes:,}")
    if sha256_of(folder / name) != fact.sha256:
        return Damage(f"{name} has other bytes than when it was stored")
    return None


def read_stamps(path: Path) -> dict[str, tuple[int, ...]]:
    """A kept stat index, such as that of one entry; empty where there is none that can be read, which only costs hashing."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: tuple(stamp) for name, stamp in content.items() if isinstance(stamp, list)}


def remember_stamps(layout: Layout, artifact: Artifact) -> None:
    """Index the files of an entry that was just published, so that no lookup reads them again."""
    placed = layout.entry(artifact.kind, artifact.key) / FILES
    stamps = {name: stamp for name in artifact.record.files if (stamp := stamp_of(placed / name)) is not None}
    write_stamps(layout.stamps(artifact.kind, artifact.key), stamps)


def write_stamps(path: Path, stamps: Mapping[str, tuple[int, ...]]) -> None:
    """Keep a stat index. A place that cannot be written still answers, only more slowly."""
    aside = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(stamps), encoding="utf-8")
        aside.replace(path)
