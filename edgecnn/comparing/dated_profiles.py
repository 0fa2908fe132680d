"""What the store and a report say of kits, and the dated profiles that the store has of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.disk import json_object
from edgecnn.store.entry import read_entry
from edgecnn.store.profiles import StoredProfile, read_profile
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact
from edgecnn.values.profile import Profile
from edgecnn.values.report import BuildReport

TIMED = (None, "select", "report", "against")
"""Purposes of races whose median is a kit's latency at one image a call."""


@dataclass(frozen=True)
class PackagedKit:
    """What was packaged under one digest; None is what nothing says."""

    arch: str
    candidate: str
    resolution_px: ImageSize | None
    classes: int | None
    made: Artifact | None


@dataclass(frozen=True)
class DatedProfile:
    """One profile with the moment that it is of."""

    stored: StoredProfile
    moment: datetime

    @property
    def profile(self) -> Profile:
        """What was observed."""
        return self.stored.profile


def reported_kits(report: BuildReport | None) -> Mapping[str, PackagedKit]:
    """A build's own kits, for the case that the store has lost them and kept what was measured."""
    if report is None:
        return {}
    return {
        digest: PackagedKit(
            arch=report.build.arch,
            candidate=facts.candidate.id,
            resolution_px=report.build.resolution_px,
            classes=report.build.classes,
            made=None,
        )
        for facts in report.candidates
        for digest in (facts.kit, facts.evaluated_kit)
        if digest
    }


def packaged_kits(store: Store) -> dict[str, PackagedKit]:
    """Digest of each stored kit to what it is; a twin that stands for a device's kit is that candidate's too."""
    found = dict[str, PackagedKit]()
    for kind, key in store.artifacts.names():
        made = read_entry(store.layout, kind, key) if kind == "package" else None
        if not isinstance(made, Artifact) or "kit.json" not in made.record.files:
            continue
        settings = made.record.payload.get("settings", {})
        candidate = settings.get("candidate", {}).get("id")
        arch, _, _ = str(settings.get("name", "")).partition("--")
        if candidate:
            resolution_px, classes = _reads(made)
            kit = PackagedKit(arch=arch, candidate=str(candidate), resolution_px=resolution_px, classes=classes, made=made)
            found[made.record.files["kit.json"].sha256] = kit
    return found


def dated_profiles(store: Store, wanted: Mapping[str, PackagedKit], notices: list[str]) -> Iterator[DatedProfile]:
    """Races and evaluations of these kits. One that cannot be read is counted, and no figure."""
    damaged = 0
    for folder in store.profiles.folders():
        what, subject = folder.parent.name, folder.parent.parent.name
        if subject not in wanted or what not in ("race", "evaluation"):
            continue
        stored = read_profile(folder)
        if not isinstance(stored, StoredProfile) or stored.profile.subject != subject:
            damaged += 1
        elif what == "evaluation" or stored.profile.purpose in TIMED:
            yield DatedProfile(stored, stored.profile.moment)
    if damaged:
        what = "1 profile cannot be read and is" if damaged == 1 else f"{damaged} profiles cannot be read and are"
        notices.append(f"{what} left out: edgecnn store verify")


def _reads(made: Artifact) -> tuple[ImageSize | None, int | None]:
    """Which size of images a kit takes, px, and among how many classes it decides; None where its manifest does not say."""
    manifest = json_object(made.folder / "kit.json") or {}
    try:
        resolution_px: ImageSize | None = ImageSize.of(manifest["preprocessing"]["pixels"]["crop_px"])
    except (KeyError, TypeError, ValueError):
        resolution_px = None
    labels = manifest.get("labels")
    return resolution_px, len(labels) if isinstance(labels, list) else None
