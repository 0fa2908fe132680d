"""Show finished builds side by side: their reports, and accuracy paired by image from the store.

Nothing is measured. Latencies of two builds are never divided, because drift between their races would look like a difference.
``judge HEAD --against BASE`` races both in the same minutes.
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
    condition_changes,
)
from edgecnn.comparing.paired_answers import Unavailable, accuracy_of_side, paired_answers
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.comparing import BUILD_NAMED_TWICE, NOT_SO_MANY_BUILDS
from edgecnn.judging.latency import CONDITIONS_OF_THE_MACHINE
from edgecnn.judging.metrics import exactly
from edgecnn.measure.kits import KitRef
from edgecnn.results.folder import BUNDLE, REPORT, read_report
from edgecnn.results.origin import kit_artifact, origin_changes, origin_of
from edgecnn.results.shipped import ShippedKit, plan_of
from edgecnn.store.store import Store
from edgecnn.values.candidate import DEFAULT
from edgecnn.values.command import Command
from edgecnn.values.figures import Accuracy, MultiLabelAccuracy
from edgecnn.values.report import BuildReport, CandidateFacts, Change, ShippedKitFacts
from edgecnn.values.verdict import Fidelity

LABELS = string.ascii_uppercase
_CONDITIONS = (*CONDITIONS_OF_THE_MACHINE, "python")


@dataclass(frozen=True, eq=False)
class _ComparedFolder:
    """A compared build in its folder."""

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
    """Return the rows of every build by candidate, and the paired accuracy and changes of other builds against the first.

    ``folders``: 2 to 26 finished builds.

    Raises:
        NOT_SO_MANY_BUILDS, BUILD_NAMED_TWICE: these folders cannot be compared.
        NoReport, ReportUnreadable: a folder is not a finished build of this version's schema.
    """
    builds = _read_builds(folders)
    copied = ("version", "made_at", "build", "environment", "choice", "verdict", "notices")
    names = list(dict.fromkeys(facts.candidate.id for build in builds for facts in build.report.candidates))
    base, others = builds[0], builds[1:]
    kits = _Kits(store)
    return SideBySide(
        version=edgecnn.__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        builds=tuple(
            ComparedBuild(label=build.label, folder=str(build.folder), **{name: getattr(build.report, name) for name in copied})
            for build in builds
        ),
        candidates=tuple(ComparedCandidate(candidate=name, facts=tuple(build.shown(name) for build in builds)) for name in names),
        paired=tuple(accuracy for head in others for name in names if (accuracy := _paired(name, base, head, kits)) is not None),
        changed=tuple(_changed(base, head, names, kits) for head in others),
        machines=tuple(_machines(builds)),
        notices=tuple(_notices(builds)),
        command=str(Command(verb=("compare",), parts=tuple((str(folder),) for folder in folders))),
    )


def shipped_since(base: Path, head: Path, store: Store) -> tuple[PairedAccuracy | None, BuildChanges]:
    """Return the paired accuracy and the changes of the shipped candidates of two builds; no accuracy if one ships none.

    Raises NoReport, ReportUnreadable: a folder is not a finished build of this version's schema.
    """
    before, after = _read_builds([base, head])
    kits, shipped_before, shipped = _Kits(store), before.report.choice.candidate, after.report.choice.candidate
    paired = None if shipped_before is None or shipped is None else _paired(shipped, before, after, kits, shipped_before)
    return paired, _changed(before, after, [], kits)


def _read_builds(folders: Sequence[Path]) -> list[_ComparedFolder]:
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


class _Kits:
    """Kits by digest, from the store or a build's bundle; each is searched once."""

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
        except EdgecnnError:  # without a store, only the reports are compared
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
    """Return the paired accuracy of a candidate; None if a build does not have it.

    ``base_name``: the candidate of BASE, if its name differs.
    """
    names = name, base_name or name
    if head.facts(names[0]) is None or base.facts(names[1]) is None:
        return None
    unknown = PairedAccuracy(candidate=name, base=base.label, head=head.label, drop_pp=None)
    if (defined := _difference_by_definition(names, base, head)) is not None:
        return unknown.model_copy(update=defined)
    try:
        difference = _difference(names, base, head, kits)
    except Unavailable as why:
        return unknown.model_copy(update={"absent": str(why)})
    except EdgecnnError as error:
        return unknown.model_copy(update={"absent": error.line()})
    return unknown.model_copy(update=difference)


def _difference_by_definition(names: tuple[str, str], base: _ComparedFolder, head: _ComparedFolder) -> dict[str, Any] | None:
    """Return a drop of 0 for the same files on one machine; None if they differ, or if HEAD's accuracy is unknown."""
    head_row, base_row = head.facts(names[0]), base.facts(names[1])
    if head_row is None or base_row is None or head_row.kit is None or head_row.answered is None:
        return None
    machines = head.report.environment.conditions, base.report.environment.conditions
    same_run = (head_row.runtime_version, head_row.evaluated_kit) == (base_row.runtime_version, base_row.evaluated_kit)
    if not same_run or not head.shipped_facts(head_row).is_identical_to(base.shipped_facts(base_row), *machines):
        return None
    counts = {"lost": 0, "gained": 0} if head_row.test is not None else {}
    return {"drop_pp": exactly(0.0), "fidelity": Fidelity.DEFINED, "images": head_row.answered.images, **counts}


def _difference(names: tuple[str, str], base: _ComparedFolder, head: _ComparedFolder, kits: _Kits) -> dict[str, Any]:
    """Return the fields of the paired accuracy. ``names``: the candidate of HEAD and that of BASE."""
    sides = _side(head, names[0], kits), _side(base, names[1], kits)
    both = paired_answers(*sides, kits.store, names=(head.label, base.label))
    known = ((both.head, both.labels, both.names), (both.base, both.base_labels, both.common_classes or both.names))
    for build, own, side, (answers, own_labels, classes) in zip((head, base), names, sides, known, strict=True):
        facts = build.facts(own)
        reported = None if facts is None else facts.multi_label or facts.test
        stored = accuracy_of_side(answers, own_labels, classes, side)
        if reported is None or abs(_estimate(reported) - _estimate(stored)) > 0.5 / len(own_labels):
            raise Unavailable(f"the stored predictions of {build.label} do not give the accuracy in its report")
    common = both.common_answers()
    measured = accuracy_of_side(common.head, common.labels, common.names, sides[0], common.base)
    emulated = Fidelity.EMULATED in (both.head.fidelity, both.base.fidelity)
    return {
        "drop_pp": measured.drop_pp,
        **({"lost": measured.lost, "gained": measured.gained} if isinstance(measured, Accuracy) else {}),
        "images": measured.images,
        "pairing": both.pairing,
        "fidelity": Fidelity.EMULATED if emulated else measured.fidelity,
        "machine": " and ".join(dict.fromkeys((both.base.machine, both.head.machine))),
    }


def _estimate(accuracy: Accuracy | MultiLabelAccuracy) -> float:
    return accuracy.map.estimate if isinstance(accuracy, MultiLabelAccuracy) else accuracy.top1.estimate


def _side(build: _ComparedFolder, name: str, kits: _Kits) -> ShippedKit:
    kit = kits.of(build, name)
    if kit is None:
        raise Unavailable(f"the store {kits.store.root} holds no kit of {name} of {build.label}")
    return ShippedKit(folder=build.folder, kit=kit, report=build.report, plan=build.plan)


def _changed(base: _ComparedFolder, head: _ComparedFolder, names: Sequence[str], kits: _Kits) -> BuildChanges:
    """Return the changes of every candidate, listed once, and the changes of single candidates with their names."""
    by_candidate = {name: kit_changes for name in names if (kit_changes := _kit_changes(base, head, name, kits)) is not None}
    unknown = None
    if base.plan is None or head.plan is None:
        lacking = " and ".join(build.label for build in (base, head) if build.plan is None)
        unknown = f"{lacking}: plan.json is missing or unreadable, so only facts in the kits are compared"
    if not by_candidate:
        has_plans = base.plan is not None and head.plan is not None
        plan_changes = origin_changes(origin_of({}, base.plan), origin_of({}, head.plan)) if has_plans else ()
        return BuildChanges.between(base.label, head.label, plan_changes, unknown or "no candidate has kits of both builds here")
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
    base_kit, head_kit = kits.of(base, name), kits.of(head, name)
    if base_kit is None or head_kit is None:
        return None
    return origin_changes(origin_of(base_kit.manifest, base.plan), origin_of(head_kit.manifest, head.plan))


def _machines(builds: Sequence[_ComparedFolder]) -> Iterator[MachineGroup]:
    """Yield builds grouped by the conditions of their machine. A build without recorded conditions is a separate group."""
    groups = list[tuple[dict[str, str], list[str], str]]()
    for build in builds:
        timed = next((facts.latency for facts in build.report.candidates if facts.latency and facts.latency.runs), None)
        if timed is None:
            continue
        conditions = build.report.environment.conditions
        state = {name: conditions[name] for name in _CONDITIONS if name in conditions}
        same = next((labels for known, labels, _ in groups if state and known == state), None)
        if same is None:
            groups.append((state, [build.label], timed.machine))
        else:
            same.append(build.label)
    for number, (state, labels, machine) in enumerate(groups):
        first = groups[0][0]
        differs = tuple(condition_changes(first, state, _CONDITIONS)) if first or state else ("conditions: not recorded",)
        yield MachineGroup(labels=tuple(labels), machine=machine, differs=differs if number else ())


def _notices(builds: Sequence[_ComparedFolder]) -> Iterator[str]:
    for noun, values in (
        ("networks", [build.report.build.arch for build in builds]),
        ("devices", [build.report.build.device for build in builds]),
    ):
        if len(set(values)) > 1:
            named = ", ".join(f"{build.label} {value}" for build, value in zip(builds, values, strict=True))
            yield f"the builds have different {noun}: {named}"
    digests: dict[str, list[str]] = {}
    for build in builds:
        for facts in build.report.candidates:
            if facts.kit:
                digests.setdefault(facts.kit, []).append(f"{facts.candidate.id} of {build.label}")
    for names in digests.values():
        if len(names) > 1:
            named = ", ".join(names)
            yield f"the same kit, byte for byte: {named}; their figures are repeated or reused measurements of one kit"
