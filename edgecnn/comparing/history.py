"""Reads the store's dated profiles of a candidate, over successive kits, as a history. Nothing in the store is changed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import edgecnn
from edgecnn.comparing.history_facts import MeasuredHistory, MeasuredPoint, Series
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.page import HistoryOfWhat, NoHistory
from edgecnn.judging.accuracy import NO_LABELS, Answers, accuracy
from edgecnn.judging.latency import disturbed, latency
from edgecnn.judging.run_settings import knobs_said
from edgecnn.measure.evaluate import logits_of, prepared_digests
from edgecnn.results.folder import read_report
from edgecnn.store.disk import json_object
from edgecnn.store.entry import Damage, read_entry
from edgecnn.store.profiles import StoredProfile, read_profile
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact
from edgecnn.values.base import Value
from edgecnn.values.dataset import UNLABELLED
from edgecnn.values.profile import CONDITIONS_THAT_MUST_MATCH, Profile
from edgecnn.values.report import BuildReport

TIMED = (None, "select", "report", "against")
"""Purposes of races whose median is a kit's latency at one image a call. Screening runs are too few for an interval."""
ANYWHERE = "this machine"
"""The device's name in profiles of ``judge --against``, which races kits of whichever device."""


class AskedHistory(Value):
    """Of what: a finished build's candidates, or all that the store has, narrowed by names."""

    build: Path | None = None
    arch: str | None = None
    target: str | None = None
    candidate: str | None = None


@dataclass(frozen=True)
class _Kit:
    """What was packaged under one digest; None is what nothing says."""

    arch: str
    candidate: str
    resolution_px: int | None
    classes: int | None
    made: Artifact | None


class _Key(NamedTuple):
    """What one line is drawn through: a network for other images or other classes is another network."""

    arch: str
    candidate: str
    resolution_px: int
    """0 where it is not known, so that keys have an order."""
    classes: int
    machine: str
    knobs: str
    """In words; empty by default. Another setting is another figure, and no answers differ by it."""


@dataclass(frozen=True)
class _DatedProfile:
    """One profile with the moment that it is of."""

    stored: StoredProfile
    moment: datetime

    @property
    def profile(self) -> Profile:
        return self.stored.profile


def measured_history(asked: AskedHistory, store: Store) -> MeasuredHistory:
    """Every candidate's medians and accuracies by date, a series a candidate, resolution, number of classes and machine.

    Raises:
        HistoryOfWhat: a build and a name that the build says already.
        NoReport, ReportUnreadable: the folder holds no finished build.
        NoHistory: the store has nothing of it.
        StoreUnusable: the store cannot be read.
    """
    report = None
    if asked.build is not None:
        if besides := [f"--{name}" for name in ("arch", "target") if getattr(asked, name) is not None]:
            raise HistoryOfWhat(options=besides)
        report = read_report(asked.build)
    kits = {**_reported(report), **_packaged(store)}
    wanted = {digest: kit for digest, kit in kits.items() if _wanted(kit, asked, report)}
    devices = _devices(asked, report)
    notices, found = list[str](), dict[_Key, list[_DatedProfile]]()
    for seen in _profiles(store, wanted, notices):
        if devices is None or seen.profile.device in devices:
            found.setdefault(_key(wanted[seen.profile.subject], seen.profile), []).append(seen)
    if not found:
        known = sorted({f"{kit.arch} {kit.candidate}" for kit in kits.values()})
        raise NoHistory(asked=_worded(asked, report), store=store.root, known=known)
    return MeasuredHistory(
        version=edgecnn.__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        store=str(store.root),
        asked=_worded(asked, report),
        series=tuple(_series(key, profiles, wanted, store) for key, profiles in sorted(found.items())),
        notices=tuple(notices),
        command=_command(asked),
    )


# ---------------------------------------------------------------------------------------------------------------------


def _packaged(store: Store) -> dict[str, _Kit]:
    """Digest of each stored kit to what it is; a twin that stands for a device's kit is that candidate's too."""
    found = dict[str, _Kit]()
    for kind, key in store.artifacts.names():
        made = read_entry(store.layout, kind, key) if kind == "package" else None
        if not isinstance(made, Artifact) or "kit.json" not in made.record.files:
            continue
        settings = made.record.payload.get("settings", {})
        candidate = settings.get("candidate", {}).get("id")
        arch, _, _ = str(settings.get("name", "")).partition("--")
        if candidate:
            resolution_px, classes = _reads(made)
            kit = _Kit(arch=arch, candidate=str(candidate), resolution_px=resolution_px, classes=classes, made=made)
            found[made.record.files["kit.json"].sha256] = kit
    return found


def _reads(made: Artifact) -> tuple[int | None, int | None]:
    """Which side of images a kit takes, px, and among how many classes it decides; None where its manifest does not say."""
    manifest = json_object(made.folder / "kit.json") or {}
    try:
        resolution_px: int | None = int(manifest["preprocessing"]["pixels"]["crop_px"])
    except (KeyError, TypeError, ValueError):
        resolution_px = None
    labels = manifest.get("labels")
    return resolution_px, len(labels) if isinstance(labels, list) else None


def _key(kit: _Kit, profile: Profile) -> _Key:
    knobs = knobs_said(profile.knobs) if profile.knobs else ""
    return _Key(kit.arch, kit.candidate, kit.resolution_px or 0, kit.classes or 0, _machine(profile), knobs)


def _reported(report: BuildReport | None) -> Mapping[str, _Kit]:
    """A build's own kits, for the case that the store has lost them and kept what was measured."""
    if report is None:
        return {}
    return {
        digest: _Kit(
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


def _wanted(kit: _Kit, asked: AskedHistory, report: BuildReport | None) -> bool:
    if asked.candidate is not None and kit.candidate != asked.candidate:
        return False
    if report is None:
        return asked.arch is None or kit.arch == asked.arch
    return kit.arch == report.build.arch and kit.candidate in {facts.candidate.id for facts in report.candidates}


def _devices(asked: AskedHistory, report: BuildReport | None) -> frozenset[str] | None:
    if report is not None:
        return frozenset((report.build.device, ANYWHERE))
    return None if asked.target is None else frozenset((asked.target,))


def _worded(asked: AskedHistory, report: BuildReport | None) -> str:
    if report is not None:
        what = f"{report.build.arch} for {report.build.device} ({asked.build})"
    else:
        what = (asked.arch or "any network") + (f" on {asked.target}" if asked.target else "")
    return what + (f", {asked.candidate} alone" if asked.candidate else "")


def _command(asked: AskedHistory) -> str:
    words = ["edgecnn", "history", *([str(asked.build)] if asked.build else [])]
    for name in ("arch", "target", "candidate"):
        if (value := getattr(asked, name)) is not None:
            words += [f"--{name}", value]
    return shlex.join(words)


def _profiles(store: Store, wanted: Mapping[str, _Kit], notices: list[str]) -> Iterator[_DatedProfile]:
    """Races and evaluations of these kits. One that cannot be read is counted, and no figure."""
    damaged = 0
    for folder in store.profiles.folders():
        what, subject = folder.parent.name, folder.parent.parent.name
        if subject not in wanted or what not in ("race", "evaluation"):
            continue
        stored = read_profile(folder)
        moment = None if stored is None or isinstance(stored, Damage) else _moment(stored.profile.observed_at)
        if not isinstance(stored, StoredProfile) or stored.profile.subject != subject or moment is None:
            damaged += 1
        elif what == "evaluation" or stored.profile.purpose in TIMED:
            yield _DatedProfile(stored, moment)
    if damaged:
        what = "1 profile cannot be read and is" if damaged == 1 else f"{damaged} profiles cannot be read and are"
        notices.append(f"{what} left out: edgecnn store verify")


def _moment(text: str) -> datetime | None:
    try:
        stated = datetime.fromisoformat(text)
    except ValueError:
        return None
    return stated.astimezone(UTC) if stated.tzinfo else stated.replace(tzinfo=UTC)


def _machine(profile: Profile) -> str:
    return profile.environment.conditions.get("machine", profile.host)


# ---------------------------------------------------------------------------------------------------------------------


def _series(key: _Key, seen: Sequence[_DatedProfile], kits: Mapping[str, _Kit], store: Store) -> Series:
    ordered = sorted(seen, key=lambda each: (each.moment, each.stored.id))
    answers = _Labels(store)
    return Series(
        arch=key.arch,
        candidate=key.candidate,
        resolution_px=key.resolution_px or None,
        classes=key.classes or None,
        machine=ordered[-1].profile.host,
        machine_id=key.machine,
        knobs=key.knobs or None,
        devices=tuple(dict.fromkeys(each.profile.device for each in ordered)),
        kits=tuple(dict.fromkeys(each.profile.subject for each in ordered)),
        latency=_points([(each, _timed(each)) for each in ordered if each.profile.what == "race"]),
        accuracy=_points(
            [
                (each, figures)
                for each in ordered
                if each.profile.what == "evaluation" and (figures := answers.top1(each.stored, kits[each.profile.subject]))
            ]
        ),
    )


def _points(found: Sequence[tuple[_DatedProfile, Mapping[str, Any]]]) -> tuple[MeasuredPoint, ...]:
    points, before, segment = list[MeasuredPoint](), None, 0
    last = dict[str | None, str]()
    for seen, figures in found:
        changed = () if before is None else tuple(_changed(before, seen.profile))
        segment += bool(changed)
        points.append(
            MeasuredPoint(
                observed_at=seen.moment.isoformat(timespec="seconds"),
                kit=seen.profile.subject,
                fidelity=seen.profile.fidelity,
                segment=segment,
                changed=changed,
                new_kit=last.get(seen.profile.purpose, seen.profile.subject) != seen.profile.subject,
                purpose=seen.profile.purpose,
                **figures,
            )
        )
        before = seen.profile
        last[seen.profile.purpose] = seen.profile.subject
    return tuple(points)


def _changed(before: Profile, now: Profile) -> Iterator[str]:
    for name in CONDITIONS_THAT_MUST_MATCH:
        then, present = (each.environment.conditions.get(name) for each in (before, now))
        if then != present:
            yield f"{name}: {then or 'unknown'} → {present or 'unknown'}"
    if before.pixels != now.pixels:
        yield f"report images: {(before.pixels or 'unknown')[:12]} → {(now.pixels or 'unknown')[:12]}"


def _timed(seen: _DatedProfile) -> dict[str, Any]:
    found = latency(seen.profile)
    because = seen.profile.failure or (None if found.p50_ms else found.reason)
    return {
        "figure": found.p50_ms,
        "reason": because,
        "count": found.runs,
        "disturbed": disturbed(seen.profile.environment) if found.runs else None,
    }


class _Labels:
    """What is right, by the prepared images of a kit, read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, tuple[str, Any] | None] = {}

    def top1(self, stored: StoredProfile, kit: _Kit) -> dict[str, Any]:
        """Top-1 of answers to the report split; nothing for another split's."""
        images = stored.profile.images or 0
        known = self._split(kit)
        if known is None:
            return {"figure": None, "reason": "the images' labels are no longer in the store", "count": images}
        pixels, labels = known
        if stored.profile.pixels != pixels:
            return {}
        if (labels == UNLABELLED).any():
            return {"figure": None, "reason": NO_LABELS, "count": images}
        try:
            answers = Answers(candidate=kit.candidate, logits=logits_of(stored), pixels=pixels, machine=stored.profile.host)
            return {"figure": accuracy(answers, labels, "report").top1, "count": len(labels)}
        except EdgecnnError as error:
            return {"figure": None, "reason": error.line(), "count": images}
        except (OSError, ValueError) as error:
            return {"figure": None, "reason": f"the stored answers cannot be read: {error}", "count": images}

    def _split(self, kit: _Kit) -> tuple[str, Any] | None:
        fact = None if kit.made is None else kit.made.record.inputs.get("pixels")
        if fact is None:
            return None
        if fact.key not in self._known:
            self._known[fact.key] = self._read(fact.key, fact.content)
        return self._known[fact.key]

    def _read(self, key: str, content: str) -> tuple[str, Any] | None:
        import numpy as np

        made = read_entry(self._store.layout, "prepare", key)
        if not isinstance(made, Artifact) or made.content != content:
            return None
        try:
            pixels = str(prepared_digests(made.folder)["report"])
            return pixels, np.load(made.folder / "report.labels.npy", allow_pickle=False)
        except (OSError, ValueError, KeyError):
            return None
