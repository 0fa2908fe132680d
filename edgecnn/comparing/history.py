"""Read the store's dated profiles of a candidate, over successive kits, as a history. Nothing in the store changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import edgecnn
from edgecnn.building.rows import answers_from
from edgecnn.comparing.facts import MeasuredHistory, MeasuredPoint, Series, condition_changes
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import history_of_what, no_history
from edgecnn.errors.wording import counted
from edgecnn.judging.accuracy import NO_LABELS, accuracy
from edgecnn.judging.disturbance import disturbed
from edgecnn.judging.latency import knobs_text, latency, latency_when_chosen
from edgecnn.judging.multi_label import map_interval
from edgecnn.measure.evaluate import prepared_digests, prepared_groups
from edgecnn.results.folder import read_report
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.disk import json_object
from edgecnn.store.entry import read_entry
from edgecnn.store.profiles import StoredProfile, read_profile
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact
from edgecnn.values.base import Value
from edgecnn.values.command import Command
from edgecnn.values.dataset import UNLABELLED
from edgecnn.values.profile import CONDITIONS_THAT_MUST_MATCH, Profile
from edgecnn.values.report import BuildReport

TIMED = (None, "select", "report", "against")
"""Purposes of races whose median is a kit's latency with one image a call."""


@dataclass(frozen=True)
class PackagedKit:
    """A kit in the store or in a report; None for unknown facts."""

    arch: str
    candidate: str
    resolution_px: ImageSize | None
    classes: int | None
    made: Artifact | None


@dataclass(frozen=True)
class DatedProfile:
    """A stored profile with its date."""

    stored: StoredProfile
    moment: datetime

    @property
    def profile(self) -> Profile:
        """The profile."""
        return self.stored.profile


def reported_kits(report: BuildReport | None) -> Mapping[str, PackagedKit]:
    """Return the kits of a build by digest, because the store may have lost the kits and kept their profiles."""
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
    """Return the stored kits by digest. An emulated twin belongs to its candidate."""
    kits = dict[str, PackagedKit]()
    for kind, key in store.artifacts.names():
        made = read_entry(store.layout, kind, key) if kind == "package" else None
        if not isinstance(made, Artifact) or "kit.json" not in made.record.files:
            continue
        settings = made.record.payload.get("settings", {})
        candidate = settings.get("candidate", {}).get("id")
        arch, _, _ = str(settings.get("name", "")).partition("--")
        if candidate:
            resolution_px, classes = _input_and_classes(made)
            kit = PackagedKit(arch=arch, candidate=str(candidate), resolution_px=resolution_px, classes=classes, made=made)
            kits[made.record.files["kit.json"].sha256] = kit
    return kits


def dated_profiles(store: Store, wanted: Mapping[str, PackagedKit], notices: list[str]) -> Iterator[DatedProfile]:
    """Yield races and evaluations of these kits. Unreadable profiles are counted in the notices."""
    damaged = 0
    for folder in store.profiles.folders():
        kind, subject = folder.parent.name, folder.parent.parent.name
        if subject not in wanted or kind not in ("race", "evaluation"):
            continue
        stored = read_profile(folder)
        if not isinstance(stored, StoredProfile) or stored.profile.subject != subject:
            damaged += 1
        elif kind == "evaluation" or stored.profile.purpose in TIMED:
            yield DatedProfile(stored, stored.profile.moment)
    if damaged:
        notices.append(f"{counted(damaged, 'profile')} cannot be read: edgecnn store verify")


def _input_and_classes(made: Artifact) -> tuple[ImageSize | None, int | None]:
    """Return the input size in px and the number of classes of a kit; None if its manifest does not state them."""
    manifest = json_object(made.folder / "kit.json") or {}
    try:
        resolution_px: ImageSize | None = ImageSize.of(manifest["preprocessing"]["pixels"]["crop_px"])
    except (KeyError, TypeError, ValueError):
        resolution_px = None
    labels = manifest.get("labels")
    return resolution_px, len(labels) if isinstance(labels, list) else None


UNKNOWN_SIZE = ImageSize.square(0)
ANYWHERE = "this machine"
"""Name of the device in profiles of ``judge --against``, which may run on any machine."""


class HistoryRequest(Value):
    """The candidates of a finished build, or all candidates in the store, filtered by name."""

    build: Path | None = None
    arch: str | None = None
    target: str | None = None
    candidate: str | None = None


class _SeriesKey(NamedTuple):
    """Identity of a series. Another input size or number of classes makes another series."""

    arch: str
    candidate: str
    resolution_px: ImageSize
    """0 × 0 if unknown, so that keys can be sorted."""
    classes: int
    machine: str
    knobs: str
    """Knobs in words; empty for the default. Knobs change latency, but not predictions."""


def measured_history(request: HistoryRequest, store: Store) -> MeasuredHistory:
    """Return medians and accuracies by date: a series for each candidate, resolution, number of classes and machine.

    Raises:
        HISTORY_OF_WHAT: a build was named together with a network or a device, which the build states itself.
        NoReport, ReportUnreadable: the folder is not a finished build.
        NO_HISTORY: the store holds no measurement of the candidates.
        StoreUnusable: the store cannot be read.
    """
    report = None
    if request.build is not None:
        if options := [f"--{name}" for name in ("arch", "target") if getattr(request, name) is not None]:
            raise history_of_what(options=options)
        report = read_report(request.build)
    kits = {**reported_kits(report), **packaged_kits(store)}
    wanted = {digest: kit for digest, kit in kits.items() if _is_wanted(kit, request, report)}
    devices = _device_names(request, report)
    notices, by_key = list[str](), dict[_SeriesKey, list[DatedProfile]]()
    for dated in dated_profiles(store, wanted, notices):
        if devices is None or dated.profile.device in devices:
            by_key.setdefault(_series_key(wanted[dated.profile.subject], dated.profile), []).append(dated)
    if not by_key:
        known = sorted({f"{kit.arch} {kit.candidate}" for kit in kits.values()})
        raise no_history(wanted=_request_text(request, report), store=store.root, known=known)
    named = [(f"--{name}", value) for name in ("arch", "target", "candidate") if (value := getattr(request, name)) is not None]
    return MeasuredHistory(
        version=edgecnn.__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        store=str(store.root),
        asked=_request_text(request, report),
        series=tuple(_series(key, profiles, wanted, store) for key, profiles in sorted(by_key.items())),
        notices=tuple(notices),
        command=str(Command(verb=("study", "history"), parts=(*(((str(request.build),),) if request.build else ()), *named))),
    )


def _series_key(kit: PackagedKit, profile: Profile) -> _SeriesKey:
    knobs = knobs_text(profile.knobs) if profile.knobs else ""
    machine = profile.environment.conditions.get("machine", profile.host)
    return _SeriesKey(kit.arch, kit.candidate, kit.resolution_px or UNKNOWN_SIZE, kit.classes or 0, machine, knobs)


def _is_wanted(kit: PackagedKit, request: HistoryRequest, report: BuildReport | None) -> bool:
    if request.candidate is not None and kit.candidate != request.candidate:
        return False
    if report is None:
        return request.arch is None or kit.arch == request.arch
    return kit.arch == report.build.arch and kit.candidate in {facts.candidate.id for facts in report.candidates}


def _device_names(request: HistoryRequest, report: BuildReport | None) -> frozenset[str] | None:
    if report is not None:
        return frozenset((report.build.device, ANYWHERE))
    return None if request.target is None else frozenset((request.target,))


def _request_text(request: HistoryRequest, report: BuildReport | None) -> str:
    if report is not None:
        text = f"{report.build.arch} for {report.build.device} ({request.build})"
    else:
        text = (request.arch or "any network") + (f" on {request.target}" if request.target else "")
    return text + (f", only {request.candidate}" if request.candidate else "")


def _series(key: _SeriesKey, profiles: Sequence[DatedProfile], kits: Mapping[str, PackagedKit], store: Store) -> Series:
    ordered = sorted(profiles, key=lambda dated: (dated.moment, dated.stored.id))
    splits = _TestSplits(store)
    evaluated = [dated for dated in ordered if dated.profile.what == "evaluation"]
    multi_label = splits.is_multi_label(kits[ordered[-1].profile.subject])
    accuracies = [(dated, splits.accuracy(dated.stored, kits[dated.profile.subject], multi_label)) for dated in evaluated]
    return Series(
        arch=key.arch,
        candidate=key.candidate,
        resolution_px=None if key.resolution_px == UNKNOWN_SIZE else key.resolution_px,
        classes=key.classes or None,
        machine=ordered[-1].profile.host,
        machine_id=key.machine,
        knobs=key.knobs or None,
        devices=tuple(dict.fromkeys(dated.profile.device for dated in ordered)),
        kits=tuple(dict.fromkeys(dated.profile.subject for dated in ordered)),
        latency=_points([(dated, _race_figure(dated)) for dated in ordered if dated.profile.what == "race"]),
        accuracy=_points([(dated, figure) for dated, figure in accuracies if figure]),
        accuracy_of="map" if multi_label else "top1",
    )


def _points(measured: Sequence[tuple[DatedProfile, Mapping[str, Any]]]) -> tuple[MeasuredPoint, ...]:
    points, before, segment = list[MeasuredPoint](), None, 0
    last = dict[str | None, str]()
    for dated, figures in measured:
        changed = () if before is None else tuple(_changes_between(before, dated.profile))
        segment += bool(changed)
        points.append(
            MeasuredPoint(
                observed_at=dated.moment.isoformat(timespec="seconds"),
                kit=dated.profile.subject,
                fidelity=dated.profile.fidelity,
                segment=segment,
                changed=changed,
                new_kit=last.get(dated.profile.purpose, dated.profile.subject) != dated.profile.subject,
                purpose=dated.profile.purpose,
                **figures,
            )
        )
        before = dated.profile
        last[dated.profile.purpose] = dated.profile.subject
    return tuple(points)


def _changes_between(before: Profile, now: Profile) -> Iterator[str]:
    yield from condition_changes(before.environment.conditions, now.environment.conditions, CONDITIONS_THAT_MUST_MATCH)
    if before.pixels != now.pixels:
        yield f"test images: {(before.pixels or 'unknown')[:12]} → {(now.pixels or 'unknown')[:12]}"


def _race_figure(dated: DatedProfile) -> dict[str, Any]:
    figures = (latency_when_chosen if dated.profile.purpose == "select" else latency)(dated.profile)
    because = dated.profile.failure or (None if figures.p50_ms else figures.reason)
    return {
        "figure": figures.p50_ms,
        "reason": because,
        "count": figures.runs,
        "disturbed": disturbed([dated.profile]) if figures.runs else None,
    }


_Split = tuple[str, Any, Any]
"""The digest of a test split's pixels, its labels and its groups."""


class _TestSplits:
    """The test splits that kits were evaluated on; each is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, _Split | None] = {}

    def is_multi_label(self, kit: PackagedKit) -> bool:
        """Whether the images of a kit are multi-label; False if the store no longer has them."""
        known = self._split(kit)
        return known is not None and known[1].ndim != 1

    def accuracy(self, stored: StoredProfile, kit: PackagedKit, multi_label: bool) -> dict[str, Any]:
        """Return top-1 or mAP of predictions on the test split; empty for another split or the other kind of labels."""
        images = stored.profile.images or 0
        known = self._split(kit)
        if known is None:
            return {"figure": None, "reason": "the store no longer holds the labels", "count": images}
        pixels, labels, groups = known
        if stored.profile.pixels != pixels or multi_label != (labels.ndim != 1):
            return {}
        if labels.ndim == 1 and (labels == UNLABELLED).any():
            return {"figure": None, "reason": NO_LABELS, "count": images}
        try:
            answers = answers_from(stored, kit.candidate, groups, attached=True)
            if labels.ndim != 1:
                return {"figure": map_interval(answers, labels, "test"), "count": len(labels)}
            return {"figure": accuracy(answers, labels, "test").top1, "count": len(labels)}
        except EdgecnnError as error:
            return {"figure": None, "reason": error.line(), "count": images}
        except (OSError, ValueError) as error:
            return {"figure": None, "reason": f"the stored predictions cannot be read: {error}", "count": images}

    def _split(self, kit: PackagedKit) -> _Split | None:
        fact = None if kit.made is None else kit.made.record.inputs.get("pixels")
        if fact is None:
            return None
        if fact.key not in self._known:
            self._known[fact.key] = self._read(fact.key, fact.content)
        return self._known[fact.key]

    def _read(self, key: str, content: str) -> _Split | None:
        import numpy as np

        made = read_entry(self._store.layout, "prepare", key)
        if not isinstance(made, Artifact) or made.content != content:
            return None
        try:
            pixels = str(prepared_digests(made.folder)["test"])
            labels = np.load(made.folder / "test.labels.npy", allow_pickle=False)
            return pixels, labels, prepared_groups(made.folder, "test")
        except (OSError, ValueError, KeyError):
            return None
