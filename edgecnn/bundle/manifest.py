"""``bundle.json``: every file of a bundle with its size and SHA-256, the bundle's name, and a version that increases.

Other files in the folder are not part of the bundle: measurements of a device, engines that it built, byte code.
"""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import Field, ValidationError

from edgecnn.devices.files import device_or_none
from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.bundle import BUNDLE_MANIFEST_UNREADABLE, bundle_entry_refused
from edgecnn.errors.wording import shortened
from edgecnn.judging.gates import check_bounds, runs_for
from edgecnn.judging.judgement import learned_result
from edgecnn.measure.kits import KitRef
from edgecnn.results.folder import CHOICE
from edgecnn.runner.files import bounded_content
from edgecnn.store.disk import json_object
from edgecnn.values.arch import PretrainedWeights
from edgecnn.values.artifact import FileFact
from edgecnn.values.base import Value
from edgecnn.values.figures import Accuracy, MultiLabelAccuracy
from edgecnn.values.recipe import GateChoice, RoleDraw
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import IMAGES_PER_S, Gate

MANIFEST: Final = "bundle.json"
SIGNATURE: Final = "bundle.json.sig"
"""An SSHSIG over the bytes of ``bundle.json``."""
MANIFEST_BYTES_MAX: Final = 16 << 20
"""Enough for about 100,000 files."""
Version = Annotated[int, Field(ge=1, le=2**53)]
"""Increases with every change of a bundle's files. Beyond 2^53, readers of JSON differ (RFC 8259, 6)."""
NAME_BYTES_MAX: Final = 1024
_PART_BYTES_MAX: Final = 255


def manifest_of(name: str, version: int, kits: Mapping[str, KitRef], texts: Mapping[str, str]) -> BundleManifest:
    """Make the manifest of a bundle from its kits' manifests, without reading models again.

    ``version``: at least 1. ``texts``: the bundle's other files.
    """
    files = {file: _fact_of(text.encode("utf-8")) for file, text in texts.items()}
    for kit_name, kit in kits.items():
        content = (kit.folder / "kit.json").read_bytes()
        files[f"kits/{kit_name}/kit.json"] = _fact_of(content)
        listed: Mapping[str, Mapping[str, Any]] = json.loads(content)["files"]
        files.update({f"kits/{kit_name}/{file}": FileFact.model_validate(dict(fact)) for file, fact in listed.items()})
    return BundleManifest(name=name, version=version, files=dict(sorted(files.items())))


def manifest_text(manifest: BundleManifest) -> str:
    """Return the text of ``bundle.json``. A signature signs its bytes."""
    return json.dumps(manifest.model_dump(mode="json", by_alias=True), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def parse_manifest(content: bytes, where: str) -> BundleManifest:
    """Parse ``bundle.json``.

    ``where``: its name in errors. Raises BundleManifestUnreadable: invalid JSON, another schema, an unknown or duplicate key,
    or too long.
    """
    if len(content) > MANIFEST_BYTES_MAX:
        raise BUNDLE_MANIFEST_UNREADABLE(path=where, because=f"it is longer than {MANIFEST_BYTES_MAX:,} bytes")
    try:
        return BundleManifest.model_validate(json.loads(content.decode("utf-8"), object_pairs_hook=unique_keys), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BUNDLE_MANIFEST_UNREADABLE(path=where, because=f"{ascii(field)[1:-1]}: {first['msg'].lower()}") from error
    except (ValueError, RecursionError) as error:
        raise BUNDLE_MANIFEST_UNREADABLE(path=where, because=f"it is not valid JSON ({type(error).__name__})") from error


def published_manifest(bundle: Path) -> BundleManifest | None:
    """Return the manifest of a bundle that was published here; None if there is none.

    Raises BundleManifestUnreadable: it cannot be read, so its version is not known.
    """
    path = bundle / MANIFEST
    try:
        content = bounded_content(path, MANIFEST_BYTES_MAX)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BUNDLE_MANIFEST_UNREADABLE(path=str(path), because=system_reason(error)) from error
    return parse_manifest(content, str(path))


def _fact_of(content: bytes) -> FileFact:
    return FileFact(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object from pairs, for ``json.loads``. Readers disagree about which of two equal keys counts.

    Raises ValueError: a key is repeated.
    """
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key is repeated")
    return table


class BundleManifest(Value):
    """``bundle.json``, schema edgecnn.bundle/1: all other files of a bundle. It is signed."""

    schema_: Literal["edgecnn.bundle/1"] = Field(default="edgecnn.bundle/1", alias="schema")
    name: Annotated[str, Field(min_length=1, max_length=255)]
    """Name of the build's folder. A device that remembers versions keeps one for each name."""
    version: Version
    files: Mapping[str, FileFact]
    """Path inside the bundle, with slashes, to the file's facts."""


class Unlearned(Value):
    """``unlearned`` of a kit in ``choice.json``: its network is not shown to have learned. Other kits have no such section."""

    metric: Literal["top1", "map"]
    accuracy: Annotated[float, Field(ge=0, le=1)]
    """On the test images, 0…1."""
    chance: Annotated[float, Field(ge=0, le=1)]
    """Accuracy of guessing, 0…1."""


class BundleVerification(Value):
    """``edgecnn bundle verify BUNDLE --json``, schema edgecnn.verification/1. A refused bundle has none."""

    schema_: Literal["edgecnn.verification/1"] = Field(default="edgecnn.verification/1", alias="schema")
    path: str
    form: Literal["folder", "zip"]
    name: str
    version: int
    sha256: str
    """SHA-256 of ``bundle.json``, which identifies the whole bundle."""
    files: int
    bytes: int
    """Total of all files, without ``bundle.json`` and its signature."""
    kits: tuple[str, ...]
    chosen: str | None
    signature: Literal["none", "unchecked", "good"]
    """unchecked: there is one, and ``--allowed-signers`` was not passed."""
    signer: str | None = None
    """Identity in the file of allowed signers, of a good signature."""
    made_here: tuple[str, ...] = ()
    """Accepted files that the manifest does not list: runs of ``runner measure``, and what ``--made-here`` accepted."""
    remembered: int | None = None
    """Version that this machine had accepted before; None: no record, or none for this name."""
    unlearned: Mapping[str, Unlearned] = Field(default={}, exclude_if=lambda kits: not kits)
    """Kits whose network is not shown to have learned, according to ``choice.json``."""
    warnings: tuple[str, ...] = ()


class Recorded(NamedTuple):
    """Facts about the build of a bundle; bundles of earlier versions have none."""

    device: str | None
    accuracy: Mapping[str, Accuracy | MultiLabelAccuracy]
    """Accuracy of each candidate on the build's test images."""
    drawn: RoleDraw | None = None
    """Settings that drew the test images."""
    gates: GateChoice = GateChoice()
    """Bounds that were stated for the build."""
    unknown_gates: tuple[str, ...] = ()
    """Metrics of recorded gates that this version cannot judge."""

    @property
    def pixels(self) -> frozenset[str]:
        """Digests of the test images."""
        return frozenset(accuracy.pixels for accuracy in self.accuracy.values())


class StatedGate(Value):
    """One of ``gates`` in ``choice.json``. The runner shows on the device whether gates on latency are met."""

    metric: str
    side: Literal["max", "min"]
    bound: float
    images_per_s: float | None = Field(default=None, exclude_if=lambda rate: rate is None)
    """The rate, if the bound of p50 was stated as a rate."""
    runs: int
    """Runs with which edgecnn judges it; 0 if any number will do."""


class BuiltFor(Value):
    """How a bundle's device identifies itself, so that the runner knows when it is on another machine. None: any."""

    architecture: str | None = None
    model_contains: str | None = None
    model_is: str | None = None


def gate_facts(report: BuildReport) -> dict[str, Any]:
    """Return the gates of ``choice.json``: the bounds that the user stated, and how the device identifies itself."""
    stated = [result.gate for result in report.gates if result.gate.is_stated]
    gates = [
        StatedGate(
            metric=gate.metric, side=gate.side, bound=gate.bound, images_per_s=gate.images_per_s, runs=runs_for([gate]).latency
        ).model_dump(mode="json")
        for gate in stated
    ]
    facts: dict[str, Any] = {"require_measured": True} if report.require_measured else {}
    if not gates:
        return facts
    facts["gates"] = gates
    if (device := device_or_none(report.build.device)) is not None and device.processor.architecture != "any":
        match = device.match
        built_for = BuiltFor(
            architecture=device.processor.architecture, model_contains=match.model_contains, model_is=match.model_is
        )
        facts["built_for"] = built_for.model_dump(mode="json", exclude_none=True)
    return facts


def unlearned_facts(row: CandidateFacts) -> Unlearned | None:
    """Return the facts of a candidate that is not shown to have learned; None if it is, or if its accuracy is unknown."""
    result = learned_result(row.gates)
    if result is None or result.figure is None:
        return None
    metric: Literal["top1", "map"] = "map" if result.gate.metric == "map" else "top1"
    return Unlearned(metric=metric, accuracy=result.figure.estimate, chance=result.gate.bound)


def recorded_facts(report: BuildReport, candidate: str) -> dict[str, Any]:
    """Return the known facts of a candidate for ``choice.json``: accuracy on the test images, learning, and runtime version."""
    row = next((candidate_row for candidate_row in report.candidates if candidate_row.candidate.id == candidate), None)
    facts: dict[str, Any] = {}
    if row is not None and row.answered is not None:
        facts["recorded"] = row.answered.model_dump(mode="json", exclude={"quality", "labels"}, exclude_none=True)
    if row is not None and (unlearned := unlearned_facts(row)) is not None:
        facts["unlearned"] = unlearned.model_dump(mode="json")
    if row is not None and row.runtime_version is not None:
        facts["runtime_version"] = row.runtime_version
    return facts


class Made(Value):
    """``made`` of ``choice.json``: the edgecnn version and the weights of a bundle. Bundles of earlier versions have none."""

    edgecnn: str
    """Version of edgecnn and of the runner."""
    weights: PretrainedWeights | None = None
    """Published weights with which training began; None: the user's own, or random ones."""
    weights_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the weights file or of the custom model; None: random weights."""


def made_facts(report: BuildReport) -> dict[str, Any]:
    """Return the section ``made`` of ``choice.json``."""
    build = report.build
    made = Made(edgecnn=report.version, weights=build.weights_published, weights_sha256=build.weights_sha256)
    return made.model_dump(mode="json", exclude_none=True)


def drawn_facts(report: BuildReport) -> dict[str, Any]:
    """Return the section ``drawn`` of ``choice.json``. It lets ``bench`` use the same test images."""
    drawn = report.build.drawn
    return {} if drawn is None else {"drawn": drawn.model_dump(mode="json")}


def recorded_in(bundle: Path) -> Recorded:
    """Return the facts that a verified bundle records about its build. Facts that cannot be read are omitted.

    The accuracy always refers to the test split, whatever an earlier version called it.
    """
    choice = json_object(bundle / CHOICE) or {}
    device, kits = choice.get("device"), choice.get("kits")
    accuracy = dict[str, Accuracy | MultiLabelAccuracy]()
    for name, entry in kits.items() if isinstance(kits, dict) else ():
        try:
            if "map" in (recorded := entry["recorded"]):
                accuracy[name] = MultiLabelAccuracy.model_validate({"drop_pp": None, "agreement": None, **recorded})
                continue
            accuracy[name] = Accuracy.model_validate({"drop_pp": None, "discordant": None, **recorded, "split": "test"})
        except (KeyError, TypeError, ValidationError):
            continue
    try:
        drawn = RoleDraw.model_validate(choice["drawn"])
    except (KeyError, ValidationError):
        drawn = None
    gates, unknown = _recorded_gates(choice)
    return Recorded(device if isinstance(device, str) else None, accuracy, drawn, gates, unknown)


def _recorded_gates(choice: Mapping[str, Any]) -> tuple[GateChoice, tuple[str, ...]]:
    """Return the stated gates of ``choice.json``, and the metrics of those that this version cannot judge."""
    sides: dict[str, dict[str, float]] = {"max": {}, "min": {}}
    entries, unknown = choice.get("gates"), list[str]()
    for entry in entries if isinstance(entries, list) else ():
        fields = entry if isinstance(entry, dict) else {}
        known = {name: fields.get(name) for name in ("metric", "side", "bound", IMAGES_PER_S)}
        try:
            side, metric, bound = Gate.model_validate({**known, "required": "always"}).stated
            check_bounds(GateChoice.model_validate({side: {metric: bound}}))
        except (EdgecnnError, ValidationError):
            unknown.append(shortened(str(fields.get("metric"))))
            continue
        sides[side][metric] = bound
    requires = choice.get("require_measured") is True
    return GateChoice.model_validate({**sides, "require_measured": requires}), tuple(unknown)


def name_fault(name: str) -> str:
    """Return why a name is not allowed in a bundle, or an empty text."""
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or ":" in name or any(part in ("", ".", "..") for part in parts):
        return "would leave the bundle's folder"
    if not name.isprintable():
        return "has unprintable characters in its name"
    if len(os.fsencode(name)) > NAME_BYTES_MAX or any(len(os.fsencode(part)) > _PART_BYTES_MAX for part in parts):
        return "has a name that is too long"
    return ""


def require_distinct(path: Path, names: Iterable[str]) -> None:
    """Raise BundleEntryRefused if two names differ only by case or Unicode form, which makes them one file on some disks.

    ``path``: of the bundle. ``names``: of its files; their folders count too.
    """
    spelt = dict[str, tuple[str, str]]()
    for name in names:
        for end in (*(index for index, sign in enumerate(name) if sign == "/"), len(name)):
            folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", name[:end]).casefold())
            part, other = spelt.setdefault(folded, (name[:end], name))
            if part != name[:end]:
                raise bundle_entry_refused(
                    path=path, entry=name, because=f"differs from {ascii(other)[:200]} only by case or Unicode form"
                )
