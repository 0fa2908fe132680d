"""Judge one finished build against another: both kits interleaved in one race on this machine, in this job.

Hosted runners change their processors from day to day, so a latency of yesterday is not comparable. Two kits that ran in the same
minutes can be compared on any machine.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgecnn.comparing.comparison import (
    IDENTICAL,
    NOT_RACED,
    Sides,
    comparison,
    comparison_subject,
    knob_notices,
    must_race,
    require_same_device,
)
from edgecnn.comparing.paired_answers import PairedAnswers, Unavailable, paired_answers
from edgecnn.comparing.pin import base_named, base_of
from edgecnn.judging.gates import EffectiveGates
from edgecnn.judging.metrics import LATENCY_RATIO
from edgecnn.judging.predictions.accuracy import Answers
from edgecnn.judging.runs.latency import worst_of
from edgecnn.judging.runs.ratio import PairedRace, RatioFinding, look
from edgecnn.judging.runs.stopping import ROUNDS_MAX, looks
from edgecnn.measure.evaluate import nonfinite
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import long_enough_s, race_pair
from edgecnn.measure.subject import Split, Subject
from edgecnn.results.shipped import ShippedKit, shipped_kit
from edgecnn.values.artifact import Failed
from edgecnn.values.base import Value
from edgecnn.values.profile import NOT_TIMED, Profile
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import Comparison


class AgainstRequest(Value):
    """Two builds and the bounds of HEAD's gates."""

    head: Path
    base: Path | str
    """The folder of a build or a bundle, the file of a pinned build's record, or ``git:REVISION:PATH`` of one."""
    gates: GateChoice = GateChoice()
    rounds: int = ROUNDS_MAX
    """At most. The race stops at the first look that settles the gate on the ratio and has enough runs for the other gates."""


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
        for side in (head, base) if identical else ():  # nothing else opens the kits of identical sides
            side.require_whole()
        subject = comparison_subject(head, lab, base.kit)
        if must_race(gates, identical=identical):
            finding = _race(subject, gates, request.rounds, identical=identical)
        else:
            finding = RatioFinding(ratio=None, absent=NOT_RACED)
        answers = _add_answers(subject, head, base)
    common = None if answers is None or answers.pairing is None else _common_subject(subject, answers)
    sides = Sides("paired", head, base.facts, base.origin, identical)
    pairing = () if common is None or answers is None or answers.pairing is None else (answers.pairing.sentence("BASE", "HEAD"),)
    return comparison(sides, subject, finding, gates, common).model_copy(
        update={
            "notices": (*_notices(head, base, identical=identical), *pairing),
            "seconds": round(time.perf_counter() - started, 2),
        }
    )


def _race(subject: Subject, gates: EffectiveGates, rounds: int, *, identical: bool) -> RatioFinding:
    """Race both kits in blocks, and stop at the first look that settles the ratio. Identical sides need one look."""
    if not subject.timed:
        return RatioFinding(ratio=None, absent=NOT_TIMED)
    base, head, lab = subject.kits["BASE"], subject.kits["HEAD"], subject.lab
    unrunnable = [f"{name}: {why}" for name in ("BASE", "HEAD") if (why := subject.why_not_runnable(name))]
    if unrunnable:
        return RatioFinding(ratio=None, absent="; ".join(unrunnable))
    ratio_gate = next(gate for gate in gates.gates if gate.metric == LATENCY_RATIO)
    planned, done, races = looks(rounds, gates.runs.latency), 0, list[PairedRace]()
    finding = RatioFinding(ratio=None, absent="nothing ran")
    max_s = long_enough_s((base, head) if base.entrant != head.entrant else (head,), lab)
    for upto in planned:
        lab.tell.note(f"race {base.candidate.id} of BASE and {head.candidate.id} of HEAD: rounds {done + 1} to {upto}")
        pair = race_pair(base, head, upto - done, lab, max_s)
        if pair.base is None or pair.head is None:
            if pair.head is None:
                subject.failures["HEAD"] = Failed(ref="run-failed", what=pair.failed or "it did not run")
            finding = RatioFinding(ratio=None, absent=pair.failed)
            break
        races.append(PairedRace(base=pair.base, head=pair.head))
        finding, decided = look(races, ratio_gate, planned, lab.machine)
        if decided or identical:
            break
        done = upto
    if races:
        subject.against = {"BASE": _joined([race.base for race in races]), "HEAD": _joined([race.head for race in races])}
    return finding


def _add_answers(subject: Subject, head: ShippedKit, base: ShippedKit) -> PairedAnswers | None:
    """Add the stored predictions of both sides to the subject; of HEAD only, if the test splits differ.

    If HEAD's logits hold NaN or infinity, every gate on accuracy fails. If BASE's do, there is no drop.
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


def _common_subject(subject: Subject, answers: PairedAnswers) -> Subject:
    common = answers.common_answers()
    known_answers: dict[tuple[str, Split], Answers] = {("HEAD", "test"): common.head, ("BASE", "test"): common.base}
    return replace(subject, known_labels={"test": common.labels}, known_answers=known_answers)


def _joined(profiles: Sequence[Profile]) -> Profile:
    """The runs of several races of one kit, with rounds numbered on. The worst disturbance of any race counts for all."""
    runs = [run for profile in profiles for run in profile.runs]
    renumbered = tuple(run.model_copy(update={"round": number}) for number, run in enumerate(runs))
    environment = worst_of([profile.environment for profile in profiles])
    return profiles[-1].model_copy(update={"runs": renumbered, "environment": environment})


def _notices(head: ShippedKit, base: ShippedKit, *, identical: bool) -> list[str]:
    sides = () if identical else (("HEAD", head), ("BASE", base))
    notices = [f"{name}: {where}" for name, side in sides if (where := side.elsewhere())]
    if base.pinned_by is not None:
        notices.append(f"BASE is the kit that {base.pinned_by} pins, from the store")
    notices += knob_notices(("HEAD", head.facts), ("BASE", base.facts))
    if identical:
        notices.append(IDENTICAL)
    elif head.kit.digest == base.kit.digest:
        difference = "built for different devices" if head.kit.knobs == base.kit.knobs else "with different knobs"
        notices.append(f"HEAD and BASE ship the same kit, byte for byte, {difference}")
    return notices
