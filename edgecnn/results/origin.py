"""Where a kit comes from: its inputs and tools, the differences between two kits, and its sources in the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from edgecnn.errors.data import ManifestUnreadable
from edgecnn.hosts.sandbox import needs_of
from edgecnn.measure.evaluate import prepared_digests
from edgecnn.measure.kits import KitRef
from edgecnn.store.entry import flattened, read_entry, shown, trusted_entry
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact
from edgecnn.values.dataset import DataChange, DataManifest, DataTotals, ImageEntry, SplitRole
from edgecnn.values.profile import Profile
from edgecnn.values.report import Change, ChangeKind, Origin
from edgecnn.values.stage import digest_of
from edgecnn.values.synthesis import FOLDERS

_NOT_ABOUT_THE_KIT = (
    "schema",
    "gates.",
    "race.",
    "data.path",
    "model.weights",
    "target.",
    *(f"synthesis.{name}" for name in FOLDERS),
)
"""Recipe keys that do not affect a kit. Paths are compared by content, and the device by its facts."""
_UNUSED = {"custom": ("model.arch", "model.onnx", "train.", "surgery."), "kept": ("train.", "surgery.")}
"""Recipe keys that a build does not use, by the mode in which its network is made."""
_DEVICE = ("name", "processor.architecture", "processor.isa", "runtimes.")
_ABSENT = "absent"


def origin_of(manifest: Mapping[str, Any], plan: Mapping[str, Any] | None) -> Origin:
    """Return the origin of a kit from its ``kit.json``, and from the ``plan.json`` of its build if there is one.

    Unknown fields are accepted, because either file may be of another version; missing facts are omitted.

    Locations of results and settings that only judge are excluded, so two checkouts of one commit have the same origin.
    """
    if plan is None:
        return Origin(kit=dict(_kit_leaves(manifest)))
    return Origin(kit=dict(_kit_leaves(manifest)), plan=dict(_plan_leaves(plan)), data=planned_data(plan))


def planned_data(plan: Mapping[str, Any]) -> DataTotals | None:
    """Return the images of a ``plan.json``; None if it is of another version."""
    data = _table(_table(plan, "resolved"), "data")
    try:
        return DataTotals.model_validate({name: data[name] for name in DataTotals.model_fields if name in data})
    except ValidationError:
        return None


_KINDS: Mapping[str, ChangeKind] = {
    "recipe": "recipe",
    "weights": "weights",
    "images": "data",
    "device": "device",
    **dict.fromkeys(("candidate", "needs", "preprocessing", "model"), "kit"),
}
"""Kind of a change by the first word of its name; other names are stages and tools."""


def origin_changes(base: Origin, head: Origin) -> tuple[Change, ...]:
    """Return the differences, such as ``recipe train.epochs: 3 → 10``; if a side has no plan, only those of the manifests."""
    lines = list[Change]()
    if base.plan is not None and head.plan is not None:
        data = None if base.data is None or head.data is None else DataChange.between(base.data, head.data)
        lines += (
            change.model_copy(update={"data": data}) if change.name == "images" else change
            for change in _differing(base.plan, head.plan)
        )
        prefixes: tuple[str, ...] = ("candidate ",)
    else:
        prefixes = ("candidate ", "needs ", "preprocessing ", "runner")
    lines += _differing(_only(base.kit, prefixes), _only(head.kit, prefixes))
    if not lines and base.kit.get("model") != head.kit.get("model"):
        lines += _differing(_only(base.kit, ("model",)), _only(head.kit, ("model",)))
    return tuple(lines)


def _kit_leaves(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _leaves("candidate", manifest.get("candidate"))
    yield from _leaves("needs", _table(manifest, "requirements").get("packages"))
    yield from _leaves("preprocessing", manifest.get("preprocessing"))
    files = _table(manifest, "files")
    digests = {name: fact.get("sha256") for name, fact in files.items() if isinstance(fact, Mapping)}
    yield "runner", shown(digest_of({name: digest for name, digest in digests.items() if name.startswith("runner/")}))
    named = _table(manifest, "model").get("files")
    model = [name for name in named if isinstance(name, str)] if isinstance(named, list) else []
    yield "model", shown(digest_of({name: digests.get(name) for name in model}))


def _plan_leaves(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    resolved = _table(plan, "resolved")
    ignored = (*_NOT_ABOUT_THE_KIT, *_UNUSED.get(str(resolved.get("mode")), ()))
    for name, value in _leaves("recipe", resolved.get("recipe")):
        if not name.removeprefix("recipe ").startswith(ignored):
            yield name, value
    if custom := _table(resolved, "custom_model"):
        yield "model file", shown(custom.get("content", _ABSENT))
    weights = _table(resolved, "weights")
    yield "weights", shown(weights.get("sha256") or weights.get("kind", _ABSENT))
    yield "images", shown(_table(resolved, "data").get("content", _ABSENT))
    for name in FOLDERS:
        if summary := _table(_table(resolved, "synthesis"), name):
            yield name, shown(summary.get("content", _ABSENT))
    yield "runner", shown(resolved.get("runner_sha256", _ABSENT))
    for name, value in _leaves("device", resolved.get("device")):
        if name.removeprefix("device ").startswith(_DEVICE) and not name.endswith(".source"):
            yield name, value
    yield from _leaves("", resolved.get("versions"))
    for step in plan.get("steps") or ():
        payload = _table(step, "payload") if isinstance(step, Mapping) else {}
        yield f"stage {payload.get('kind')} revision", shown(payload.get("revision", _ABSENT))


def _leaves(what: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for path, leaf in flattened(value):
            yield f"{what} {path}".strip(), shown(leaf)


def _table(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = value.get(name)
    return table if isinstance(table, Mapping) else {}


def _only(origin: Mapping[str, str], beginnings: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in origin.items() if name.startswith(beginnings)}


def _differing(base: Mapping[str, str], head: Mapping[str, str]) -> list[Change]:
    names = [*head, *(name for name in base if name not in head)]
    pairs = ((name, base.get(name, _ABSENT), head.get(name, _ABSENT)) for name in names)
    return [
        Change(kind=_KINDS.get(name.partition(" ")[0], "tools"), name=name, before=old, after=new)
        for name, old, new in pairs
        if old != new
    ]


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
    """Return the packaged kit with its files checked and its use recorded; None if a file is missing or changed."""
    made = kit_artifact(store, digest)
    return None if made is None else _trusted(store, made)


def kit_of_store(kit: KitRef, store: Store) -> KitRef:
    """Return this store's own copy of a kit that no sandbox can hold, if the store has it; otherwise the same kit.

    A bundle of a build on this machine has the same kits, byte for byte, as the store.
    """
    if kit.made_here or needs_of(kit.manifest["session"]["module"]) is None:
        return kit
    made = whole_kit(store, kit.digest)
    return kit if made is None else KitRef.of(kit.candidate, made).with_knobs(kit.knobs)


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
"""Kinds of stages that make the network from which candidates are made."""


def ancestor(store: Store, artifact: Artifact, *kinds: str) -> Artifact | None:
    """Return the nearest artifact of these kinds that another was made from; None if it is gone, damaged or was made again."""
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


_LATENCY_PURPOSES = (None, "select", "report")
"""Purposes of races that time one image a call; a kit may have been raced for batches or energy in the same second."""


def timed_races(store: Store, kit: str) -> tuple[Profile, ...]:
    """Return the latency races of a kit (by digest), the newest first.

    Raises StoreUnusable: profiles exist but cannot be read.
    """
    stored = (entry.profile for entry in store.profiles.of(kit, "race"))
    return tuple(profile for profile in stored if profile.runs and profile.purpose in _LATENCY_PURPOSES)


def reported_race(store: Store, kit: str, observed_at: str) -> Profile | None:
    """Return the race with the date in the report; None if the store no longer has it."""
    return next((profile for profile in timed_races(store, kit) if profile.observed_at == observed_at), None)
