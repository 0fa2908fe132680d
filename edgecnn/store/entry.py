"""The paths of a store, requests to it, and checks of stored entries.

A key is a digest of a stage, its tool versions and its inputs. Every lookup compares the stat of each file with the index, and
hashes only files that differ. A cached build therefore reads no bytes, and a changed, truncated or missing file is never used.
Files stay writable, and no links to them are handed out.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgecnn.errors.base import system_reason
from edgecnn.runner.files import UnfitFile, bounded_content
from edgecnn.store.disk import DOCUMENT_BYTES_MAX, Stamp, inside, sha256_of, stamp_of
from edgecnn.values.artifact import Artifact, FileFact, FoundInput, InputFact, Record
from edgecnn.values.stage import Key, Role, Stage, canonical_json, digest_of

_LOOK_AT = 200
"""Number of entries of a kind that are compared, which bounds the cost of an explanation in a large store."""
_LONGEST = 60
"""Maximum number of characters of a value in an explanation."""
_CANDIDATE = "settings.candidate.id"
_ABSENT = object()
RECORD = "record.json"
FILES = "files"
STARTED = "started.json"
"""A file in a work folder that records its inputs, so that work is resumed only from the same bytes."""
ARCHIVES = "archives"
"""``archives/<name>/`` and ``archives/<name>.json``: an unpacked archive of images and the proof that it is complete."""
UNPACKING = ".unpacking."
"""Prefix of a folder that is being unpacked. A killed process may leave one."""


@dataclass(frozen=True)
class Layout:
    """Paths under ``root``. Work, trash and entries share one file system, so that a rename can publish. Nothing is created.

    Kinds, keys and names may be from a record in a folder of results. Every method raises NAME_NOT_PLAIN for one that is a path.
    """

    root: Path

    @property
    def artifacts(self) -> Path:
        """``artifacts/<kind>/<key>/{files/, record.json}``."""
        return self.root / "artifacts"

    @property
    def profiles(self) -> Path:
        """``profiles/<subject>/<what>/<id>/{profile.json, files.json, …}``."""
        return self.root / "profiles"

    @property
    def works(self) -> Path:
        """``work/<kind>/<name>/``: current work, and work of interrupted processes."""
        return self.root / "work"

    @property
    def trash(self) -> Path:
        """Damaged and replaced entries, until ``edgecnn store gc`` deletes them."""
        return self.root / "trash"

    @property
    def secret(self) -> Path:
        """Random bytes that anonymize the machines of this store in published records. They are never published."""
        return self.root / "secret"

    def entry(self, kind: str, key: str) -> Path:
        """Return the folder of a finished artifact."""
        return inside(self.artifacts, kind, key, links=True)

    def work(self, kind: str, name: str) -> Path:
        """Return the folder of unfinished work."""
        return inside(self.works, kind, name, links=True)

    def lock(self, kind: str, name: str) -> Path:
        """Return the lock file of a name. It is never deleted: see ``locks``."""
        return inside(self.root / "locks", kind, f"{name}.lock", links=True)

    def stamps(self, kind: str, key: str) -> Path:
        """Return the stat index of an artifact. It is outside the entry, which therefore never changes."""
        return inside(self.root / "index", kind, f"{key}.json", links=True)

    def subject(self, subject: str) -> Path:
        """Return the folder of a subject's profiles."""
        return inside(self.profiles, subject, links=True)


def proof_of(unpacked: Path) -> Path:
    """Return the proof that an unpacked archive is complete. Its mtime is the last use."""
    return unpacked.with_name(f"{unpacked.name}.json")


@dataclass(frozen=True)
class StageInputs:
    """Tool versions, inputs and environment of a stage."""

    versions: Mapping[str, str]
    """Version of each distribution that the stage names in ``tools``."""
    inputs: Mapping[Role, FoundInput]
    """Inputs of the stage."""
    environment: Mapping[str, str]
    """Facts about this machine for the record; they do not enter the key."""


@dataclass(frozen=True)
class Wanted:
    """A key, its payload, and the bytes of its inputs."""

    kind: str
    key: Key
    payload: Mapping[str, Any]
    inputs: Mapping[Role, InputFact]

    @classmethod
    def of(cls, stage: Stage, versions: Mapping[str, str], sources: Mapping[Role, FoundInput]) -> Wanted:
        """Describe a request.

        Raises UnstableValue: a setting has no stable form. ValueError: ``sources`` differs from the stage's inputs.
        """
        for role, source in sources.items():
            if stage.inputs.get(role) != source.key:
                raise ValueError(
                    f"{stage.kind}: sources[{role!r}] has key {source.key}, its inputs name {stage.inputs.get(role)}"
                )
        text = canonical_json(stage.payload(versions))
        payload = json.loads(text)
        inputs = {role: InputFact(key=source.key, content=source.content) for role, source in sources.items()}
        return cls(kind=stage.kind, key=digest_of(payload), payload=payload, inputs=inputs)

    @property
    def name(self) -> str:
        """Name for people: ``quantize 1a2b3c4d5e6f``."""
        return f"{self.kind} {self.key[:12]}"

    def changed_inputs(self, stored: Artifact) -> tuple[str, ...]:
        """Return a line for each input whose bytes differ from those of the stored artifact."""
        return tuple(
            f"{self.kind}: {role} {'were' if role.endswith('s') else 'was'} made again with other bytes"
            for role, fact in self.inputs.items()
            if (recorded := stored.record.inputs.get(role)) is None or recorded.content != fact.content
        )


def explain_miss(stored: Iterable[Mapping[str, Any]], wanted: Mapping[str, Any]) -> tuple[str, ...]:
    """Return one line per field that differs from the nearest stored payload, such as ``quantize.images: 256 → 512``.

    ``stored``: payloads of the same kind, newest first; the newest of equally near ones wins. ``wanted``: the payload without
    an entry. Empty if nothing of this kind is stored for the candidate.
    """
    target = dict(flattened(wanted))
    nearest: list[tuple[str, Any, Any]] | None = None
    for payload in stored:
        fields = dict(flattened(payload))
        if fields.get(_CANDIDATE) != target.get(_CANDIDATE):
            continue
        differing = _differences(fields, target)
        if nearest is None or len(differing) < len(nearest):
            nearest = differing
    lines = []
    for path, old, new in nearest or ():  # settings.images becomes quantize.images, and tools.onnxruntime stays
        name = path if path.startswith("tools.") else f"{wanted['kind']}.{path.removeprefix('settings.')}"
        lines.append(f"{name}: {shown(old)} → {shown(new)}")
    return tuple(lines)


def stored_payloads(folder: Path) -> Iterator[Mapping[str, Any]]:
    """Return the payloads of the newest entries under ``artifacts/<kind>``, newest first. Unreadable records are skipped."""
    if not folder.is_dir():
        return
    dated = []
    for entry in folder.iterdir():
        try:
            dated.append(((entry / RECORD).stat().st_mtime_ns, entry))
        except OSError:  # being removed, or damaged: verify reports it, here it explains nothing
            continue
    for _, entry in sorted(dated, reverse=True)[:_LOOK_AT]:
        try:
            payload = json.loads((entry / RECORD).read_bytes())["payload"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if isinstance(payload, dict):
            yield payload


def flattened(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Return the leaves by dotted path. A sequence is one leaf unless it holds mappings."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from flattened(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(inner, Mapping) for inner in value):
        for index, inner in enumerate(value):
            yield from flattened(inner, f"{path}[{index}]")
    else:
        yield path, value


def shown(value: Any) -> str:
    """Show a value to people: the first 12 digits of digests, None as ``unset``."""
    if value is _ABSENT:
        return "absent"
    if value is None:
        return "unset"
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    if re.fullmatch(r"[0-9a-f]{64}", text):
        return text[:12]
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    paths = [*wanted, *(path for path in stored if path not in wanted)]
    pairs = ((path, stored.get(path, _ABSENT), wanted.get(path, _ABSENT)) for path in paths)
    return [(path, old, new) for path, old, new in pairs if old != new or type(old) is not type(new)]


@dataclass(frozen=True)
class Damage:
    """The damage of a stored entry, as the rest of a sentence: ``model.onnx is missing``."""

    why: str


def read_entry(layout: Layout, kind: str, key: str) -> Artifact | Damage | None:
    """Return the entry of a key from its record, with files unchecked; None if there is none."""
    return read_folder(layout.entry(kind, key), kind, key)


def read_folder(folder: Path, kind: str, key: str) -> Artifact | Damage | None:
    """Read an entry from a folder that need not be published yet."""
    try:
        text = bounded_content(folder / RECORD, DOCUMENT_BYTES_MAX)
    except (FileNotFoundError, NotADirectoryError):
        return Damage(f"{RECORD} is missing") if folder.exists() else None
    except (UnfitFile, IsADirectoryError) as error:
        return Damage(f"{RECORD}: {system_reason(error)}")
    try:
        record = Record.model_validate_json(text)
    except ValidationError:
        return Damage(f"{RECORD} is truncated or not a record")
    if not record.key == key == digest_of(record.payload):
        return Damage(f"{RECORD} belongs to another key")
    return Artifact(kind=kind, key=Key(key), folder=folder / FILES, record=record)


def trusted_entry(layout: Layout, kind: str, key: str) -> Artifact | Damage | None:
    """Return the entry with every file checked: by stat if the index knows it, else by its bytes, which are then indexed."""
    entry = read_entry(layout, kind, key)
    if not isinstance(entry, Artifact):
        return entry
    known = read_stamps(layout.stamps(kind, key))
    now: dict[str, Stamp] = {}
    for name, fact in entry.record.files.items():
        stamp = stamp_of(entry.folder / name)
        damage = None if stamp is not None and stamp == known.get(name) else file_damage(entry.folder, name, fact)
        if damage is not None:
            return damage
        if stamp is not None:
            now[name] = stamp
    if now != known:
        write_stamps(layout.stamps(kind, key), now)
    return entry


def file_damage(folder: Path, name: str, fact: FileFact) -> Damage | None:
    """Compare a file's size, then its bytes, with the record."""
    stamp = stamp_of(folder / name)
    if stamp is None:
        return Damage(f"{name} is missing")
    if stamp[0] != fact.bytes:
        return Damage(f"{name} has {stamp[0]:,} bytes instead of {fact.bytes:,}")
    if sha256_of(folder / name) != fact.sha256:
        return Damage(f"{name} changed after it was stored")
    return None


def read_stamps(path: Path) -> dict[str, tuple[int, ...]]:
    """Read a stat index; empty if it cannot be read, which only costs hashing."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: tuple(stamp) for name, stamp in content.items() if isinstance(stamp, list)}


def remember_stamps(layout: Layout, artifact: Artifact) -> None:
    """Index the files of a new entry, so that no lookup hashes them again."""
    placed = layout.entry(artifact.kind, artifact.key) / FILES
    stamps = {name: stamp for name in artifact.record.files if (stamp := stamp_of(placed / name)) is not None}
    write_stamps(layout.stamps(artifact.kind, artifact.key), stamps)


def write_stamps(path: Path, stamps: Mapping[str, tuple[int, ...]]) -> None:
    """Write a stat index. If that fails, lookups are only slower."""
    aside = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(stamps), encoding="utf-8")
        aside.replace(path)
