"""Trace a measured kit back to its sources along the stored records, whatever was built in its folder since."""

from __future__ import annotations

from collections.abc import Iterator

from edgecnn.errors.data import ManifestUnreadable
from edgecnn.measure.evaluate import prepared_digests
from edgecnn.store.entry import read_entry, trusted_entry
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact
from edgecnn.values.dataset import DataManifest, ImageEntry, SplitRole
from edgecnn.values.profile import Profile

KIT = "kit.json"


def kit_artifact(store: Store, digest: str) -> Artifact | None:
    """Return the packaged kit whose manifest has this SHA-256; None if the store has none."""
    for kind, key in store.artifacts.names():
        if kind == "package":
            entry = read_entry(store.layout, kind, key)
            if isinstance(entry, Artifact) and KIT in entry.record.files and entry.record.files[KIT].sha256 == digest:
                return entry
    return None


def whole_kit(store: Store, digest: str) -> Artifact | None:
    """Return the same with its files checked and its use recorded; None if a file is missing or changed."""
    made = kit_artifact(store, digest)
    return None if made is None else _trusted(store, made)


def prepared_test(store: Store, pixels: str) -> Artifact | None:
    """Return prepared images whose test split has these pixels, from any build; None if the store has none."""
    for kind, key in store.artifacts.names():
        if kind != "prepare":
            continue
        entry = read_entry(store.layout, kind, key)
        if isinstance(entry, Artifact) and pixels_of_test(entry) == pixels and (prepared := _trusted(store, entry)) is not None:
            return prepared
    return None


def pixels_of_test(prepared: Artifact) -> str | None:
    """Return the digest of a prepare artifact's test split; None if it cannot be read."""
    try:
        return str(prepared_digests(prepared.folder)["test"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def listed_images(store: Store, prepared: Artifact, role: SplitRole) -> tuple[ImageEntry, ...] | None:
    """Return the source images of one role of a prepare artifact, in row order; None if the store lists none."""
    from edgecnn.data.images import read_list

    content = prepared.record.inputs["images"].key if "images" in prepared.record.inputs else ""
    for path in sorted((store.root / "manifests").glob(f"{content}-*.json")) if content else ():
        try:
            manifest = read_list(DataManifest, path)
        except ManifestUnreadable:
            continue
        if manifest.content == content:
            return tuple(image for image in manifest.images if image.role == role)
    return None


TRUNK_KINDS = ("export", "adopt", "surgery")
"""Kinds of stage that make the network shared by candidates."""


def ancestor(store: Store, artifact: Artifact, *kinds: str) -> Artifact | None:
    """Return the artifact of one of these kinds that was an input of another; None if it is gone, damaged or was made again
    since.
    """
    nearest = next((candidate for candidate in _ancestors(store, artifact) if candidate.kind in kinds), None)
    if nearest is None:
        return None
    return _trusted(store, nearest)


def _trusted(store: Store, artifact: Artifact) -> Artifact | None:
    return whole_entry(store, artifact.kind, artifact.key)


def whole_entry(store: Store, kind: str, key: str) -> Artifact | None:
    """Return the artifact of this key with its files checked and its use recorded; None if a file is missing or changed."""
    whole = trusted_entry(store.layout, kind, key)
    return whole if isinstance(whole, Artifact) and store.artifacts.use(whole) else None


def _ancestors(store: Store, artifact: Artifact) -> Iterator[Artifact]:
    kinds = sorted({kind for kind, _ in store.artifacts.names()})
    pending, known = [artifact], {artifact.key}
    while pending:
        for fact in pending.pop(0).record.inputs.values():
            parent = next(
                (entry for kind in kinds if isinstance(entry := read_entry(store.layout, kind, fact.key), Artifact)), None
            )
            if parent is not None and parent.key not in known and parent.content == fact.content:
                known.add(parent.key)
                pending.append(parent)
                yield parent


_OF_A_BUILD = (None, "select", "report")
"""Purposes of races that time one image a call; a kit may have been raced for batches or energy in the same second."""


def timed_races(store: Store, kit: str) -> tuple[Profile, ...]:
    """Return the latency races of a kit (by digest), the newest first.

    Raises StoreUnusable: profiles exist but cannot be read.
    """
    stored = (entry.profile for entry in store.profiles.of(kit, "race"))
    return tuple(profile for profile in stored if profile.runs and profile.purpose in _OF_A_BUILD)


def reported_race(store: Store, kit: str, observed_at: str) -> Profile | None:
    """Return the race with the report's date; None if the store no longer has it."""
    return next((profile for profile in timed_races(store, kit) if profile.observed_at == observed_at), None)
