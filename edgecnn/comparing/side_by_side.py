"""Holds finished builds side by side: what each report says, and of the store what lets two of them be paired.

Nothing is measured, and times of two builds are never divided: they are of two races, and drift between those would look like a
difference. ``judge HEAD --against BASE`` races both in the same minutes.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import edgecnn
from edgecnn.comparing.facts import (
    BuildChanges,
    ComparedBuild,
    ComparedCandidate,
    MachineGroup,
    PairedAccuracy,
    SideBySide,
)
from edgecnn.comparing.paired_answers import Unavailable, judged, paired_answers
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.comparing import BUILD_NAMED_TWICE, NOT_SO_MANY_BUILDS
from edgecnn.judging.metrics import exactly
from edgecnn.judging.runs.latency import CONDITIONS_OF_THE_MACHINE
from edgecnn.measure.kits import KitRef
from edgecnn.results.folder import BUNDLE, REPORT, read_report
from edgecnn.results.lineage import kit_artifact
from edgecnn.results.origin import changes, origin_of
from edgecnn.results.shipped import ShippedKit, plan_of
from edgecnn.store.store import Store
from edgecnn.values.candidate import DEFAULT
from edgecnn.values.command import Command
from edgecnn.values.figures import Accuracy, MultiLabelAccuracy
from edgecnn.values.report import BuildReport, CandidateFacts, Change, ShippedKitFacts
from edgecnn.values.verdict import Fidelity

LABELS = string.ascii_uppercase
_OF_THE_BUILD = (*CONDITIONS_OF_THE_MACHINE, "python")


@dataclass(frozen=True, eq=False)
class _ComparedFolder:
    """One folder, read."""

    label: str
    folder: Path
    report: BuildReport
    plan: Mapping[str, Any] | None

    def facts(self, candidate: str) -> CandidateFacts | None:
        return next((facts for facts in self.report.candidates if facts.candidate.id == candidate), None)

    def shipped_facts(self, facts: CandidateFacts) -> ShippedKitFacts:
        raced = self.report.choice.knobs
        return ShippedKitFacts(
            name=self.folder.name,
            candidate=facts.candidate,
            kit=facts.kit or "",
            knobs=raced.knobs if raced is not None and raced.candidate == facts.candidate.id else DEFAULT,
            device=self.report.build.device,
        )

    def shown(self, candidate: str) -> CandidateFacts | None:
        facts = self.facts(candidate)
        return None if facts is None else facts.compact


def side_by_side(folders: Sequence[Path], store: Store) -> SideBySide:
    """Every build's figures by candidate, and what two builds share.

    ``folders``: of finished builds, 2 to 26; the others are compared with the first one.

    Raises:
        NOT_SO_MANY_BUILDS, BUILD_NAMED_TWICE: what was asked is no comparison.
        NoReport, ReportUnreadable: a folder holds no finished build of this version's schema.
    """
    builds = _read(folders)
    names = list(dict.fromkeys(facts.candidate.id for build in builds for facts in build.report.candidates))
    base, others = builds[0], builds[1:]
    kits = _Kits(store)
    return SideBySide(
        version=edgecnn.__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        builds=tuple(_build(build) for build in builds),
        candidates=tuple(ComparedCandidate(candidate=name, facts=tuple(build.shown(name) for build in builds)) for name in names),
        paired=tuple(accuracy for head in others for name in names if (accuracy := _paired(name, base, head, kits)) is not None),
        changed=tuple(_changed(base, head, names, kits) for head in others),
        machines=tuple(_machines(builds)),
        notices=tuple(_notices(builds)),
        command=str(Command(verb=("compare",), parts=tuple((str(folder),) for folder in folders))),
    )


def shipped_since(base: Path, head: Path, store: Store) -> tuple[PairedAccuracy | None, BuildChanges]:
    """What a build ships against what an earlier one ships, whichever candidates these are; None where one of them ships none.

    Raises NoReport, ReportUnreadable: a folder holds no finished build of this version's schema.
    """
    earlier, now = _read([base, head])
    kits, theirs, ours = _Kits(store), earlier.report.choice.candidate, now.report.choice.candidate
    paired = None if theirs is None or ours is None else _paired(ours, earlier, now, kits, theirs)
    return paired, _changed(earlier, now, [], kits)


def _read(folders: Sequence[Path]) -> list[_ComparedFolder]:
    if not 2 <= len(folders) <= len(LABELS):
        raise NOT_SO_MANY_BUILDS(given=len(folders), most=len(LABELS))
    places = [folder.parent if folder.name == REPORT else folder for folder in folders]
    named = dict[Path, Path]()
    for place in places:
        if place.resolve() in named:
            raise BUILD_NAMED_TWICE(folder=place)
        named[place.resolve()] = place
    return [
        _ComparedFolder(label, place, report := read_report(place), plan_of(place, report.keys))
        for label, place in zip(LABELS, places, strict=False)
    ]


def _build(build: _ComparedFolder) -> ComparedBuild:
    same = ("version", "made_at", "build", "environment", "choice", "verdict", "notices")
    reported = {name: getattr(build.report, name) for name in same}
    return ComparedBuild(label=build.label, folder=str(build.folder), **reported)


class _Kits:
    """Kits by digest, looked for once: in the store, else in a build's bundle."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._found: dict[str, KitRef | None] = {}

    def of(self, build: _ComparedFolder, candidate: str) -> KitRef | None:
        facts = build.facts(candidate)
        if facts is None or facts.kit is None:
            return None
        if facts.kit not in self._found:
            self._found[facts.kit] = self._stored(facts.kit) or _opened(build.folder / BUNDLE / "kits" / candidate, facts.kit)
        return self._found[facts.kit]

    def _stored(self, digest: str) -> KitRef | None:
        try:
            artifact = kit_artifact(self.store, digest)
        except EdgecnnError:  # without a store the reports stand alone
            return None
        return None if artifact is None else _opened(artifact.folder, digest)


def _opened(folder: Path, digest: str) -> KitRef | None:
    try:
        kit = KitRef.at(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return kit if kit.digest == digest else None


def _paired(
    name: str, base: _ComparedFolder, head: _ComparedFolder, kits: _Kits, base_name: str | None = None
) -> PairedAccuracy | None:
    """None where one of the two has no such candidate: there is no pair that could be missed.

    ``base_name``: of BASE's candidate, where it is another.
    """
    names = name, base_name or name
    if head.facts(names[0]) is None or base.facts(names[1]) is None:
        return None
    nothing = PairedAccuracy(candidate=name, base=base.label, head=head.label, drop_pp=None)
    if (known := _difference_by_definition(names, base, head)) is not None:
        return nothing.model_copy(update=known)
    try:
        difference = _difference(names, base, head, kits)
    except Unavailable as why:
        return nothing.model_copy(update={"absent": str(why)})
    except EdgecnnError as error:
        return nothing.model_copy(update={"absent": error.line()})
    return nothing.model_copy(update=difference)


def _difference_by_definition(names: tuple[str, str], base: _ComparedFolder, head: _ComparedFolder) -> dict[str, Any] | None:
    """No loss between the same files on one machine; None where they differ, or where HEAD's accuracy is not known."""
    ours, theirs = head.facts(names[0]), base.facts(names[1])
    if ours is None or theirs is None or ours.kit is None or ours.answered is None:
        return None
    machines = head.report.environment.conditions, base.report.environment.conditions
    ran = [(row.runtime_version, row.evaluated_kit) for row in (ours, theirs)]
    if ran[0] != ran[1] or not head.shipped_facts(ours).is_identical_to(base.shipped_facts(theirs), *machines):
        return None
    counts = {"lost": 0, "gained": 0} if ours.test is not None else {}
    return {"drop_pp": exactly(0.0), "fidelity": Fidelity.DEFINED, "images": ours.answered.images, **counts}


def _difference(names: tuple[str, str], base: _ComparedFolder, head: _ComparedFolder, kits: _Kits) -> dict[str, Any]:
    """``names``: of HEAD's candidate and of BASE's."""
    sides = _side(head, names[0], kits), _side(base, names[1], kits)
    both = paired_answers(*sides, kits.store, names=(head.label, base.label))
    labels = (both.labels, both.base_labels)
    for build, own, answers, side, own_labels in zip((head, base), names, (both.head, both.base), sides, labels, strict=True):
        facts = build.facts(own)
        reported = None if facts is None else facts.multi_label or facts.test
        if reported is None or abs(_share(reported) - _share(judged(answers, own_labels, side))) > 0.5 / len(own_labels):
            raise Unavailable(f"the stored answers of {build.label} are not those that its report is about")
    common = both.common_answers()
    measured = judged(common.head, common.labels, sides[0], common.base)
    emulated = Fidelity.EMULATED in (both.head.fidelity, both.base.fidelity)
    return {
        "drop_pp": measured.drop_pp,
        **({"lost": measured.lost, "gained": measured.gained} if isinstance(measured, Accuracy) else {}),
        "images": measured.images,
        "pairing": both.pairing,
        "fidelity": Fidelity.EMULATED if emulated else measured.fidelity,
        "machine": " and ".join(dict.fromkeys((both.base.machine, both.head.machine))),
    }


def _share(of: Accuracy | MultiLabelAccuracy) -> float:
    return of.map.estimate if isinstance(of, MultiLabelAccuracy) else of.top1.estimate


def _side(build: _ComparedFolder, name: str, kits: _Kits) -> ShippedKit:
    kit = kits.of(build, name)
    if kit is None:
        raise Unavailable(f"the store {kits.store.root} holds no kit of {name} of {build.label}")
    return ShippedKit(folder=build.folder, kit=kit, report=build.report, plan=build.plan)


def _changed(base: _ComparedFolder, head: _ComparedFolder, names: Sequence[str], kits: _Kits) -> BuildChanges:
    """Changes that hold for every candidate once, and those of one candidate alone with its name."""
    by_candidate = {name: kit_changes for name in names if (kit_changes := _kit_changes(base, head, name, kits)) is not None}
    unknown = None
    if base.plan is None or head.plan is None:
        lacking = " and ".join(build.label for build in (base, head) if build.plan is None)
        unknown = f"{lacking}: no plan.json of the same build that can be read, so only what the kits themselves say is compared"
    if not by_candidate:
        plans = base.plan is not None and head.plan is not None
        plan_changes = changes(origin_of({}, base.plan), origin_of({}, head.plan)) if plans else ()
        return BuildChanges.between(base.label, head.label, plan_changes, unknown or "no kit of both is at hand")
    shared = [
        change
        for change in next(iter(by_candidate.values()))
        if all(change in kit_changes for kit_changes in by_candidate.values())
    ]
    own = [
        change.model_copy(update={"candidate": name, "kind": "kit"})
        for name, kit_changes in by_candidate.items()
        for change in kit_changes
        if change not in shared
    ]
    return BuildChanges.between(base.label, head.label, (*shared, *own), unknown)


def _kit_changes(base: _ComparedFolder, head: _ComparedFolder, name: str, kits: _Kits) -> tuple[Change, ...] | None:
    theirs, ours = kits.of(base, name), kits.of(head, name)
    if theirs is None or ours is None:
        return None
    return changes(origin_of(theirs.manifest, base.plan), origin_of(ours.manifest, head.plan))


def _machines(builds: Sequence[_ComparedFolder]) -> Iterator[MachineGroup]:
    """Builds by the conditions of their machine; one whose conditions were not recorded stands alone."""
    groups = list[tuple[dict[str, str], list[str], str]]()
    for build in builds:
        timed = next((facts.latency for facts in build.report.candidates if facts.latency and facts.latency.runs), None)
        if timed is None:
            continue
        conditions = build.report.environment.conditions
        held = {name: conditions[name] for name in _OF_THE_BUILD if name in conditions}
        same = next((labels for other, labels, _ in groups if held and other == held), None)
        if same is None:
            groups.append((held, [build.label], timed.machine))
        else:
            same.append(build.label)
    for place, (held, labels, machine) in enumerate(groups):
        differs = tuple(_differing(groups[0][0], held)) if place else ()
        yield MachineGroup(labels=tuple(labels), machine=machine, differs=differs)


def _differing(first: Mapping[str, str], other: Mapping[str, str]) -> Iterator[str]:
    if not first and not other:
        yield "conditions: nobody recorded them"
    for name in _OF_THE_BUILD:
        then, now = first.get(name), other.get(name)
        if then != now:
            yield f"{name}: {then or 'unknown'} → {now or 'unknown'}"


def _notices(builds: Sequence[_ComparedFolder]) -> Iterator[str]:
    for what, values in (
        ("networks", [build.report.build.arch for build in builds]),
        ("devices", [build.report.build.device for build in builds]),
    ):
        if len(set(values)) > 1:
            named = ", ".join(f"{build.label} {value}" for build, value in zip(builds, values, strict=True))
            yield f"the builds are of different {what}: {named}"
    digests: dict[str, list[str]] = {}
    for build in builds:
        for facts in build.report.candidates:
            if facts.kit:
                digests.setdefault(facts.kit, []).append(f"{facts.candidate.id} of {build.label}")
    for names in digests.values():
        if len(names) > 1:
            named = ", ".join(names)
            yield f"the same kit, byte for byte: {named}; its figures are of one thing, measured more than once or reused"
