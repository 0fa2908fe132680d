"""Judge HEAD against BASE: both kits in one race on this machine, or HEAD's runs against recorded runs of other days.

Hosted runners change their processors from day to day, so a latency of yesterday is not comparable. Two kits that ran in the
same minutes can be compared on any machine.

A latency baseline holds runs of other days, and a machine that drifted looks like a kit that changed. Three rules follow. The
baseline holds several days, and a difference is judged by how far those days differ. A comparison is refused if a condition of
the machine differs, unless the user allows this condition. A disturbance on any day can take a verdict away and never gives
one.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import edgecnn
from edgecnn.building.rows import add_reported_figures, candidate_facts, thresholds_of
from edgecnn.bundle.manifest import recorded_in
from edgecnn.comparing.baseline_file import race_profile, read_days, runs_of
from edgecnn.comparing.facts import Pairing
from edgecnn.comparing.paired_answers import PairedAnswers, Unavailable, paired_answers
from edgecnn.comparing.pin import base_named, base_of
from edgecnn.errors.comparing import DEVICES_DIFFER, baseline_elsewhere, unknown_condition
from edgecnn.errors.wording import counted, listed
from edgecnn.judging.accuracy import Answers
from edgecnn.judging.dependence import RUNS_TO_TELL
from edgecnn.judging.disturbance import disturbed, worst_of
from edgecnn.judging.gates import DEFAULT_RATIO_GATE, EffectiveGates, StatedBounds, bound_of, bound_parts
from edgecnn.judging.judgement import Compared, judge_row
from edgecnn.judging.latency import latency, runs_needed
from edgecnn.judging.metrics import COMPARED, LATENCY_RATIO, exactly
from edgecnn.judging.quality import compared_report
from edgecnn.judging.ratio import PairedRace, RatioFinding, look, unpaired_finding
from edgecnn.judging.stopping import OF_A_COMPARISON, OF_A_DEVICE, ROUNDS_MAX, looks
from edgecnn.measure.device_runs import companions_of
from edgecnn.measure.evaluate import nonfinite
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import long_enough_s, race_pair
from edgecnn.measure.race_request import RaceRequest
from edgecnn.measure.subject import Split, Subject
from edgecnn.results.origin import kit_of_store, origin_changes
from edgecnn.results.shipped import ShippedKit, shipped_kit
from edgecnn.values.artifact import Failed
from edgecnn.values.base import Value
from edgecnn.values.candidate import Knobs
from edgecnn.values.command import Command
from edgecnn.values.figures import ClassFigures, LabelFigures
from edgecnn.values.profile import CONDITIONS_THAT_MUST_MATCH, NOT_TIMED, Environment, Profile
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import (
    CandidateFacts,
    ClassAlone,
    ClassesApart,
    Comparison,
    Latency,
    LatencyBaseline,
    Origin,
    ShippedKitFacts,
)
from edgecnn.values.verdict import Gate

NOT_RACED = "not raced, because HEAD and BASE are the same files"
NO_RACE_NEEDED = "not raced, because no gate of this comparison needs a race"
IDENTICAL = "HEAD and BASE ship the same kit, byte for byte: the drop is 0 and the latency ratio is 1 by definition"


class Sides(NamedTuple):
    """The two sides of a comparison."""

    how: Literal["paired", "unpaired"]
    head: ShippedKit
    base: ShippedKitFacts
    base_origin: Origin
    identical: bool
    """Whether both sides ship the same files, so that the drop is 0 and the ratio is 1 by definition."""
    pairing: Pairing | None = None
    """The pairing of images of two different test splits."""


def comparison_subject(head: ShippedKit, lab: Lab, base: KitRef | None = None) -> Subject:
    """Return the subject of a comparison, with a row for HEAD. ``base``: BASE's kit; None: BASE is not measured here."""
    sides = {"HEAD": head.kit, **({} if base is None else {"BASE": base})}
    kits = {name: kit_of_store(kit, lab.store) for name, kit in sides.items()}
    row = head.row
    return Subject(
        lab=lab,
        reference="BASE",
        listed={"HEAD": head.kit.candidate},
        kits=kits,
        answering=dict(kits),
        residency={} if row is None or row.residency is None else {"HEAD": row.residency},
    )


def require_same_device(head: ShippedKitFacts, base: ShippedKitFacts) -> None:
    """Refuse sides that were built for two devices, unless both ship the same kit. A bundle alone has no device.

    Raises DEVICES_DIFFER.
    """
    if None not in (head.device, base.device) and head.device != base.device and head.kit != base.kit:
        raise DEVICES_DIFFER(head=head.device, base=base.device)


def why_no_race(head: ShippedKit, gates: EffectiveGates, command: str, *, identical: bool) -> str | None:
    """Return why HEAD is not raced; None if it must be.

    A race needs a gate on latency or memory, and for identical sides, one that bounds HEAD alone. Only the device that HEAD was
    built for may decide such a gate. ``command``: the command that decides it there.
    """
    gated = [COMPARED[gate.metric] for gate in gates.gates if COMPARED[gate.metric].source in ("latency", "memory")]
    if not gated:
        return NO_RACE_NEEDED
    if identical and all(metric.identical is not None for metric in gated):
        return NOT_RACED
    return head.not_timed_here(command)


def comparison(
    sides: Sides, subject: Subject, finding: RatioFinding, gates: EffectiveGates, common: Subject | None = None
) -> Comparison:
    """Judge HEAD. ``common``: the subject on the images in both test splits; None if the splits are the same.

    The caller adds notices and seconds.
    """
    head, identical = sides.head, sides.identical
    if finding.absent is not None:
        subject.absent.update(latency=finding.absent, memory=finding.absent)
    row, common_row = _row(head, subject), None
    if common is not None and sides.pairing is not None:
        common_row = _common_classes_only(_row(head, common), (*sides.pairing.only_head, *sides.pairing.only_base))
    now, before = subject.against.get("HEAD"), subject.against.get("BASE")
    answered = (row if common_row is None else common_row).answered
    equally_right = identical and row.broken is None
    multi_label = thresholds_of(head.kit) is not None
    judged = judge_row(row, gates, subject.absent, Compared(finding, identical, multi_label, head.row, common_row))
    assert row.latency is not None
    return Comparison(
        version=edgecnn.__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        how=sides.how,
        head=head.facts,
        base=sides.base,
        identical=identical,
        machine=subject.lab.machine,
        environment=subject.lab.environment_of(head.kit) if now is None else now.environment,
        rounds=0 if now is None else len(now.runs),
        ratio=exactly(1.0) if identical else finding.ratio,
        latency=row.latency,
        base_latency=(
            Latency(reason=finding.absent, machine=subject.lab.machine)
            if before is None
            else latency(before, machine=before.host)
        ),
        drop_pp=exactly(0.0) if equally_right else None if answered is None else answered.drop_pp,
        drop_of="mAP" if multi_label else "top-1",
        drop_absent=None if equally_right else subject.absent.get("accuracy"),
        verdict=judged.verdict,
        gates=judged.gates,
        not_judged=_gates_of_build(head, gates),
        changed=tuple(map(str, origin_changes(sides.base_origin, head.origin))),
        classes=None if sides.pairing is None else _classes_apart(sides.pairing, row),
        seconds=0.0,
    )


def _common_classes_only(row: CandidateFacts, names: Collection[str]) -> CandidateFacts:
    """Return HEAD's figures on the classes that both sides have. ``names``: the other classes, which no common image shows."""
    if row.test is None or row.test.quality is None or not names:
        return row
    quality = row.test.quality
    classes = compared_report([figures for figures in quality.classes.classes if figures.name not in names])
    return row.model_copy(
        update={"test": row.test.model_copy(update={"quality": quality.model_copy(update={"classes": classes})})}
    )


def _classes_apart(pairing: Pairing, row: CandidateFacts) -> ClassesApart | None:
    """Return the classes that only one side has, with HEAD's figures for its own; None if both have the same classes."""
    if not pairing.only_head and not pairing.only_base:
        return None
    known: Sequence[ClassFigures | LabelFigures] = ()
    if row.multi_label is not None:
        known = row.multi_label.labels
    elif row.test is not None and row.test.quality is not None:
        known = row.test.quality.classes.classes
    by_name = {figures.name: figures for figures in known}
    return ClassesApart(
        images_compared=pairing.images,
        only_head=tuple(_class_alone(name, by_name.get(name)) for name in pairing.only_head),
        only_base=pairing.only_base,
    )


def _class_alone(name: str, figures: ClassFigures | LabelFigures | None) -> ClassAlone:
    if figures is None:
        return ClassAlone(name=name)
    right = 0 if figures.recall is None else round(figures.recall.estimate * figures.images)
    return ClassAlone(name=name, images=figures.images, right=right, recall=figures.recall)


def _gates_of_build(head: ShippedKit, gates: EffectiveGates) -> tuple[Gate, ...]:
    """Return the gates that HEAD's build stated, without those on HEAD alone that this comparison judges too.

    A bundle alone records them in ``choice.json``.
    """
    judged = {(gate.metric, gate.bound) for gate in gates.gates if COMPARED[gate.metric].identical is None}
    if head.report is None:
        stated = StatedBounds(GateChoice(), recorded_in(head.kit.folder.parent.parent).gates).gates()
    else:
        stated = tuple(result.gate for result in head.report.gates if result.gate.is_stated)
    return tuple(gate for gate in stated if (gate.metric, gate.bound) not in judged)


def _row(head: ShippedKit, subject: Subject) -> CandidateFacts:
    row = add_reported_figures(candidate_facts(subject), subject)["HEAD"]
    saturates_on = None if head.row is None else head.row.saturates_on
    return row.model_copy(update={"evaluated_kit": head.evaluated_kit, "saturates_on": saturates_on})


def knob_notices(*sides: tuple[str, ShippedKitFacts]) -> list[str]:
    """Return a sentence for each side that runs with knobs that its build chose."""
    return [f"{name} runs with {side.knobs.words}, as its build chose" for name, side in sides if side.knobs != Knobs()]


class AgainstRequest(Value):
    """Two builds and the bounds of HEAD's gates."""

    head: Path
    base: Path | str
    """The folder of a build or a bundle, the file of a pinned build's record, or ``git:REVISION:PATH`` of one."""
    gates: GateChoice = GateChoice()
    rounds: int | None = None
    """Limit, by default ``ROUNDS_MAX``. The race stops at the first look that settles the gate on the ratio and has enough runs
    for the other gates. Without a gate on the ratio, it runs this many rounds, by default as many as the other gates need."""


def judge_against(request: AgainstRequest, lab: Lab) -> Comparison:
    """Race the chosen kits of both builds in this lab and judge HEAD against BASE.

    Raises:
        NoBuildToCompare, BundleUnreadable, KitNotCarried: a folder is not a finished build or a bundle.
        PIN_UNREADABLE, PINNED_KIT_MISSING, REVISION_MISSPELT, GIT_FAILED: of a pinned BASE, see ``base_named``.
        DEVICES_DIFFER: the builds are for two devices.
        RunnerFailed: a kit is damaged.
        EdgecnnError: the store cannot be read or written.
    """
    started = time.perf_counter()
    head, named = shipped_kit(request.head), base_named(request.base)
    gates = EffectiveGates.comparing(request.gates)
    with lab.store.in_use.held():
        base = base_of(named, lab.store)
        require_same_device(head.facts, base.facts)
        identical = head.facts.is_identical_to(base.facts)
        subject = comparison_subject(head, lab, base.kit)
        both = ((str(request.head),), ("--against", str(request.base)))
        command = Command(verb=("judge",), parts=(*both, *bound_parts(request.gates)))
        if (why := why_no_race(head, gates, str(command), identical=identical)) is None:
            finding = _race_both(subject, gates, request.rounds, identical=identical)
        else:
            for side in (head, base):  # nothing else opens their kits
                side.require_whole()
            finding = RatioFinding(ratio=None, absent=why)
        answers = _add_answers(subject, head, base)
    common, notices = None, _race_notices(head, base, identical=identical)
    if answers is not None and answers.pairing is not None:
        shared = answers.common_answers()
        known_answers: dict[tuple[str, Split], Answers] = {("HEAD", "test"): shared.head, ("BASE", "test"): shared.base}
        common = replace(subject, classes=shared.names, known_labels={"test": shared.labels}, known_answers=known_answers)
        notices.append(answers.pairing.sentence("BASE", "HEAD"))
    sides = Sides("paired", head, base.facts, base.origin, identical, None if answers is None else answers.pairing)
    return comparison(sides, subject, finding, gates, common).model_copy(
        update={
            "notices": tuple(notices),
            "seconds": round(time.perf_counter() - started, 2),
        }
    )


def _race_both(subject: Subject, gates: EffectiveGates, rounds: int | None, *, identical: bool) -> RatioFinding:
    """Race both kits in blocks, and stop at the first look that settles the ratio.

    One look, which has the runs for all other gates, is enough for identical sides.
    """
    if not subject.timed:
        return RatioFinding(ratio=None, absent=NOT_TIMED)
    base, head, lab = subject.kits["BASE"], subject.kits["HEAD"], subject.lab
    unrunnable = [f"{name}: {why}" for name in ("BASE", "HEAD") if (why := subject.why_not_runnable(name))]
    if unrunnable:
        return RatioFinding(ratio=None, absent="; ".join(unrunnable))
    ratio_gate = next((gate for gate in gates.gates if gate.metric == LATENCY_RATIO), None)
    planned, done, races = looks(rounds or ROUNDS_MAX, gates.runs.latency), 0, list[PairedRace]()
    if ratio_gate is None:
        planned = (max(rounds or 0, gates.runs.latency, RUNS_TO_TELL),)
    finding = RatioFinding(ratio=None, absent="nothing ran")
    raced_for = listed([bound_of(gate) for gate in gates.gates if COMPARED[gate.metric].source in ("latency", "memory")])
    max_s = long_enough_s((base, head) if base.entrant != head.entrant else (head,), lab)
    for upto in planned:
        sides = f"{base.candidate.id} of BASE and {head.candidate.id} of HEAD"
        lab.tell.note(f"race {sides} to decide {raced_for}: rounds {done + 1} to {upto}")
        pair = race_pair(base, head, upto - done, lab, max_s)
        if pair.base is None or pair.head is None:
            if pair.head is None:
                subject.failures["HEAD"] = Failed(ref="run-failed", what=pair.failed or "it did not run")
            finding = RatioFinding(ratio=None, absent=pair.failed)
            break
        races.append(PairedRace(base=pair.base, head=pair.head))
        finding, decided = look(races, ratio_gate or DEFAULT_RATIO_GATE, planned, lab.machine)
        if decided or identical:
            break
        done = upto
    if races:
        subject.against = {"BASE": _join_races([race.base for race in races]), "HEAD": _join_races([race.head for race in races])}
    return finding


def _add_answers(subject: Subject, head: ShippedKit, base: ShippedKit) -> PairedAnswers | None:
    """Add the stored predictions of both sides to the subject; only those of HEAD if the test splits differ.

    If HEAD's logits hold NaN or infinity, every gate on accuracy fails. If BASE's logits hold them, there is no drop.
    """
    try:
        answers = paired_answers(head, base, subject.lab.store)
    except Unavailable as why:
        subject.absent["accuracy"] = str(why)
        return None
    for name, side, images in (("BASE", answers.base, answers.base_images), ("HEAD", answers.head, answers.images)):
        if (failure := nonfinite(subject.kits[name], side.logits, "test", images)) is not None:
            subject.failures[name] = Failed.of(failure)
            subject.absent["accuracy"] = f"{name}: {failure.line()}"
    if "accuracy" in subject.absent:
        return None
    subject.classes, subject.known_labels = answers.names, {"test": answers.labels}
    subject.known_answers = {("HEAD", "test"): answers.head}
    if answers.pairing is None:
        subject.known_answers["BASE", "test"] = answers.base
    return answers


def _join_races(profiles: Sequence[Profile]) -> Profile:
    """Return the runs of several races of one kit, with rounds numbered consecutively and the worst disturbance of any race."""
    runs = [run for profile in profiles for run in profile.runs]
    renumbered = tuple(run.model_copy(update={"round": number}) for number, run in enumerate(runs))
    environment = worst_of([profile.environment for profile in profiles])
    return profiles[-1].model_copy(update={"runs": renumbered, "environment": environment})


def _race_notices(head: ShippedKit, base: ShippedKit, *, identical: bool) -> list[str]:
    notices = []
    if base.pinned_by is not None:
        notices.append(f"BASE is the kit that {base.pinned_by} pins, from the store")
    notices += knob_notices(("HEAD", head.facts), ("BASE", base.facts))
    if identical:
        notices.append(IDENTICAL)
    elif head.kit.digest == base.kit.digest:
        difference = "built for different devices" if head.kit.knobs == base.kit.knobs else "with different knobs"
        notices.append(f"HEAD and BASE ship the same kit, byte for byte, {difference}")
    return notices


ROUNDS = runs_needed()
"""Processes of a new race: enough to bound p90 and p99 of three in four processes."""
SAMPLES_MIN = 50
_NO_ANSWERS = "a latency baseline holds no predictions: edgecnn judge HEAD --against BASE compares accuracy"
_LONGER = 2.0
"""Time that a new run may take, relative to a recorded run with as many inferences."""


class CompareRequest(Value):
    """A build and the files of a baseline."""

    head: Path
    baselines: tuple[Path, ...]
    """One file for each day, all of the same kit."""
    runs: Path | None = None
    """Folder of runs that a device measured; None: race HEAD here now."""
    gates: GateChoice = GateChoice()
    allow_different: tuple[str, ...] = ()
    """Conditions that may differ from the baseline's."""
    rounds: int = ROUNDS
    candidate: str | None = None
    """Candidate of HEAD; None: the chosen one."""


def compare(request: CompareRequest, lab: Lab) -> Comparison:
    """Judge present runs of a build, made in this lab or read back from a device, against a baseline.

    Raises:
        DEVICES_DIFFER: the build is for another device than the baseline.
        BASELINE_ELSEWHERE: a condition that must match differs, and is not in ``allow_different``.
        UNKNOWN_CONDITION: a name in ``allow_different`` is not a condition.
        LATENCY_BASELINE_UNREADABLE, RunsUnusable, NoBuildToCompare, BundleUnreadable, KitNotCarried: a file is not usable.
    """
    started = time.perf_counter()
    for name in request.allow_different:
        if name not in CONDITIONS_THAT_MUST_MATCH:
            raise unknown_condition(name=name, known=CONDITIONS_THAT_MUST_MATCH)
    days, head = read_days(request.baselines), shipped_kit(request.head, request.candidate)
    baseline = days[-1]
    require_same_device(head.facts, baseline.shipped)
    more_rounds = OF_A_COMPARISON if request.runs is None else OF_A_DEVICE
    gates = EffectiveGates.comparing(request.gates, more_rounds, always_ratio=True)
    subject = _subject(request, head, days, lab, gates)
    now = subject.against.get("HEAD")
    if now is None:
        environment = lab.environment_of(head.kit)
        finding = RatioFinding(ratio=None, absent=subject.absent["latency"])
    else:
        environment = now.environment
        _refuse_elsewhere(days, environment, request.allow_different)
        finding = unpaired_finding(now, [race_profile(day) for day in days])
    subject.against["BASE"] = race_profile(baseline)
    identical = _identical(head, days, environment)
    sides = Sides("unpaired", head, baseline.shipped, baseline.origin, identical)
    return comparison(sides, subject, finding, gates).model_copy(
        update={
            "notices": (IDENTICAL,) if identical else _baseline_notices(days, request, head),
            "seconds": round(time.perf_counter() - started, 2),
        }
    )


def _identical(head: ShippedKit, days: Sequence[LatencyBaseline], environment: Environment) -> bool:
    """Whether HEAD is the recorded kit, on the machine and in the state in which every day was recorded."""
    conditions = (environment.conditions, *(day.environment.conditions for day in days))
    identical = head.facts.is_identical_to(days[-1].shipped, *conditions)
    if identical:
        head.require_whole()
    return identical


def _subject(
    request: CompareRequest, head: ShippedKit, days: Sequence[LatencyBaseline], lab: Lab, gates: EffectiveGates
) -> Subject:
    """Return HEAD with its new runs, from a device or from a race in this lab. If there are none, ``absent`` says why."""
    if request.runs is not None:
        profile = runs_of(head, request.runs)
        subject = comparison_subject(head, replace(lab, machine=profile.host, environment=profile.environment))
        if (why := _why_another_processor(head, profile.environment)) is None:
            subject.against["HEAD"] = profile
        else:
            subject.absent["latency"] = why
    else:
        subject = comparison_subject(head, lab)
        here = lab.environment_of(head.kit)
        candidate = () if request.candidate is None else (("--candidate", request.candidate),)
        allowed = (("--allow-different", name) for name in request.allow_different)
        files = tuple((str(file),) for file in request.baselines)
        parts = ((str(request.head),), *files, *candidate, *allowed, *bound_parts(request.gates))
        command = str(Command(verb=("baseline", "compare"), parts=parts))
        why = why_no_race(head, gates, command, identical=_identical(head, days, here))
        if why is not None:
            subject.absent["latency"] = why
        elif not subject.timed:
            subject.absent["latency"] = NOT_TIMED
        elif (why := subject.why_not_runnable("HEAD")) is not None:
            subject.absent["latency"] = why
        else:
            _refuse_elsewhere(days, here, request.allow_different)
            _race_head(request, subject, days)
    subject.absent["accuracy"] = _NO_ANSWERS
    return subject


def _why_another_processor(head: ShippedKit, environment: Environment) -> str | None:
    """Return why runs say nothing about the device of HEAD: another processor architecture made them. None otherwise."""
    device, architecture = head.device, environment.observed.get("architecture")
    if device is None or architecture is None or device.processor.architecture in ("any", architecture):
        return None
    there = f"{device.name} has another processor ({device.processor.architecture})"
    return f"the runs were measured on {architecture}, and {there}; run python3 -m runner measure on {device.name}"


def _race_head(request: CompareRequest, subject: Subject, days: Sequence[LatencyBaseline]) -> None:
    """Race HEAD alone, with as many samples as the recorded runs have."""
    kit, lab = subject.kits["HEAD"], subject.lab
    recorded = [run.samples_ns for day in days for run in day.runs]
    samples = max(SAMPLES_MIN, *map(len, recorded))
    with lab.store.in_use.held():
        max_s = max(long_enough_s((kit,), lab), _LONGER * max(map(sum, recorded)) / 1e9)
        rounds = request.rounds
        result = subject.race(
            RaceRequest(kits=(kit,), purpose="against", rounds=rounds, samples=samples, max_s=max_s, max_age_h=0.0)
        )
    if kit.entrant in result.profiles:
        subject.against["HEAD"] = result.profiles[kit.entrant]
    else:
        subject.absent["latency"] = why = result.failed.get(kit.entrant, "it did not run")
        subject.failures["HEAD"] = Failed(ref="run-failed", what=why)


def _refuse_elsewhere(days: Sequence[LatencyBaseline], now: Environment, allowed: Sequence[str]) -> None:
    before = [day.environment.conditions for day in days]
    differing = [
        (name, then.get(name, "unknown"), now.conditions.get(name, "unknown"))
        for name in CONDITIONS_THAT_MUST_MATCH
        for then in [next((then for then in before if then.get(name) != now.conditions.get(name)), None)]
        if name not in allowed and then is not None
    ]
    if differing:
        raise baseline_elsewhere(differing=differing)


def _baseline_notices(days: Sequence[LatencyBaseline], request: CompareRequest, head: ShippedKit) -> tuple[str, ...]:
    baseline, dates = days[-1], listed([day.observed_at[:10] for day in days])
    notices = [f"unpaired: BASE ran on {dates}; today may differ from these days as far as they differ from each other"]
    notices.append("a machine that has two paces fails an unchanged kit more often than α says: confirm a FAIL on a second day")
    notices += knob_notices(("HEAD", head.facts), ("BASE", baseline.shipped))
    if (past := disturbed([race_profile(day) for day in days])) is not None:
        notices.append(f"when the baseline was recorded, {past}: nothing passes against it")
    now = 0 if request.runs is None else companions_of(request.runs, head.kit)
    if baseline.companions not in (None, now):
        then = counted(baseline.companions or 0, "other kit")
        notices.append(
            f"the baseline was recorded with {then} between its runs, and this race has {counted(now, 'other kit')}: "
            "kits that run in between change caches, clocks and heat"
        )
    if request.allow_different:
        notices.append(f"allowed to differ: {', '.join(request.allow_different)}")
    return tuple(notices)
