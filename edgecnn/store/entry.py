"""What is asked of the store, and whether a stored entry is intact.

A key is a digest of one stage, its tool versions and its inputs. Every lookup compares the stat of each file with the index,
and reads the bytes again only where that differs. So a cached build costs stats and no hashes, and an overwritten, truncated or
missing file is never handed out. Files stay writable, and nothing hands out links to them.
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
from edgecnn.store.disk import DOCUMENT_BYTES_MAX, Stamp, sha256_of, stamp_of
from edgecnn.store.layout import FILES, RECORD, Layout
from edgecnn.values.artifact import Artifact, FileFact, FoundInput, InputFact, Record
from edgecnn.values.stage import Key, Role, Stage, canonical_json, digest_of


@dataclass(frozen=True)
class StageInputs:
    """What a stage is made under and from."""

    versions: Mapping[str, str]
    """Version of each distribution that the stage names in ``tools``."""
    inputs: Mapping[Role, FoundInput]
    """Every input of the stage."""
    environment: Mapping[str, str]
    """What this machine is, for the record; it does not enter the key."""


@dataclass(frozen=True)
class Wanted:
    """A key with all that it stands for, and the bytes that are there to make it from."""

    kind: str
    key: Key
    payload: Mapping[str, Any]
    inputs: Mapping[Role, InputFact]

    @classmethod
    def of(cls, stage: Stage, versions: Mapping[str, str], sources: Mapping[Role, FoundInput]) -> Wanted:
        """Describe a request.

        Raises UnstableValue: a setting has no stable form. ValueError: ``sources`` is not what the stage's inputs name.
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
        """For people: ``quantize 1a2b3c4d5e6f``."""
        return f"{self.kind} {self.key[:12]}"

    def changed_inputs(self, stored: Artifact) -> tuple[str, ...]:
        """A line for each given input whose bytes are not those that the stored artifact was made from."""
        return tuple(
            f"{self.kind}: {role} {'were' if role.endswith('s') else 'was'} made again with other bytes"
            for role, fact in self.inputs.items()
            if (recorded := stored.record.inputs.get(role)) is None or recorded.content != fact.content
        )


_LOOK_AT = 200
"""Newest entries of a kind that are compared: explaining must stay cheap in a store of thousands."""
_LONGEST = 60
"""Characters of one value in an explanation."""
_CANDIDATE = "settings.candidate.id"
_ABSENT = object()


def explain_miss(stored: Iterable[Mapping[str, Any]], wanted: Mapping[str, Any]) -> tuple[str, ...]:
    """One line per field that differs from the nearest stored payload, such as ``quantize.images: 256 → 512``.

    ``stored``: payloads of the same kind, newest first; of equally near ones the newest is used. ``wanted``: the payload that has
    no entry. Empty where nothing of this kind is stored for the same candidate.
    """
    target = dict(flattened(wanted))
    nearest: list[tuple[str, Any, Any]] | None = None
    for payload in stored:
        fields = dict(flattened(payload))
        if fields.get(_CANDIDATE) != target.get(_CANDIDATE):
            continue
        differing = _differing(fields, target)
        if nearest is None or len(differing) < len(nearest):
            nearest = differing
    return tuple(f"{_named(str(wanted['kind']), path)}: {shown(old)} → {shown(new)}" for path, old, new in nearest or ())


def stored_payloads(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The payloads of the newest entries under ``artifacts/<kind>``, newest first; unreadable records are passed over."""
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
    """Leaves by dotted path. A sequence is one leaf unless it holds mappings."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from flattened(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(inner, Mapping) for inner in value):
        for index, inner in enumerate(value):
            yield from flattened(inner, f"{path}[{index}]")
    else:
        yield path, value


def shown(value: Any) -> str:
    """One value for a person: digests by their first 12 digits, None as ``unset``."""
    if value is _ABSENT:
        return "absent"
    if value is None:
        return "unset"
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    if re.fullmatch(r"[0-9a-f]{64}", text):
        return text[:12]
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _differing(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    paths = [*wanted, *(path for path in stored if path not in wanted)]
    pairs = ((path, stored.get(path, _ABSENT), wanted.get(path, _ABSENT)) for path in paths)
    return [(path, old, new) for path, old, new in pairs if old != new or type(old) is not type(new)]


def _named(kind: str, path: str) -> str:
    """``settings.images`` is written ``quantize.images``; ``tools.onnxruntime`` stands for itself."""
    if path.startswith("tools."):
        return path
    return f"{kind}.{path.removeprefix('settings.')}"


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
