"""Judges one finished build against another: both kits interleaved in one race on this machine, in this job.

Hosted runners change their processors from day to day, so a time stored yesterday says nothing of today's. Two kits that ran in
the same minutes can be compared on any machine.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import edgecnn
from edgecnn.building.rows import thresholds_of, timed_row, times
from edgecnn.building.subject import Subject
from edgecnn.comparing.facts import Pairing
from edgecnn.comparing.paired_answers import PairedAnswers, Unavailable, judged, paired_answers
from edgecnn.comparing.pin import base_named, base_of
from edgecnn.judging.gates import EffectiveGates
from edgecnn.judging.judgement import Compared, judge_row
from edgecnn.judging.metrics import COMPARED, LATENCY_RATIO, exactly
from edgecnn.judging.predictions.accuracy import Answers
from edgecnn.judging.predictions.quality import quality
from edgecnn.judging.runs.latency import worst_of
from edgecnn.judging.runs.ratio import PairedRace, RatioFinding, look
from edgecnn.judging.runs.stopping import ROUNDS_MAX, looks
from edgecnn.measure.evaluate import nonfinite
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import long_enough_s, race_pair
from edgecnn.results.origin import changes
from edgecnn.results.shipped import ShippedKit, shipped_kit
from edgecnn.values.artifact import Failed
from edgecnn.values.base import Value
from edgecnn.values.candidate import Knobs
from edgecnn.values.figures import Accuracy, MultiLabelAccuracy
from edgecnn.values.profile import NOT_TIMED, Profile
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import CandidateFacts, Comparison, ShippedKitFacts

NOT_RACED = "not raced, because HEAD and BASE are the same files"
IDENTICAL = "HEAD and BASE ship the same kit, byte for byte: the drop is 0 and the latency ratio is 1 by definition"


class AgainstRequest(Value):
    """Which two builds, under which bounds."""

    head: Path
    base: Path | str
    """The folder of a build or a bundle, the file of a pinned build's record, or ``git:REVISION:PATH`` of one."""
    gates: GateChoice = GateChoice()
    rounds: int = ROUNDS_MAX
    """At most; the race stops at the first look that settles the gate on the ratio, and has runs enough for the other gates."""


def judge_against(request: AgainstRequest, lab: Lab) -> Comparison:
    """Race both builds' chosen kits in this lab and judge HEAD by what BASE does.

    Raises:
        NoBuildToCompare, BundleUnreadable, KitNotCarried: a folder is not what it should be.
        PIN_UNREADABLE, PINNED_KIT_MISSING, REVISION_MISSPELT, GIT_FAILED: of a pinned BASE, see ``base_named``.
        RunnerFailed: a kit is damaged.
        EdgecnnError: the store cannot be read or written.
    """
    started = time.perf_counter()
    head, named = shipped_kit(request.head), base_named(request.base)
    gates = EffectiveGates.comparing(request.gates)
    with lab.store.in_use.held():
        base = base_of(named, lab.store)
        seen = Subject(lab=lab, reference="BASE", kits={"BASE": base.kit, "HEAD": head.kit})
        identical = head.facts.is_identical_to(base.facts)
        finding = _finding((head, base), seen, gates, request.rounds, identical=identical)
        accuracies = _accuracies(seen, head, base)
    sides = ([two.head for two in seen.pairs], [two.base for two in seen.pairs])
    ours, theirs = (_joined(profiles) or finding.absent or "nothing ran" for profiles in sides)
    several, facts = thresholds_of(head.kit) is not None, _row(head, seen, ours, accuracies.own)
    answered, pairing = accuracies.against_base, accuracies.pairing
    common = None if pairing is None else _row(head, seen, ours, answered)
    equally_right = identical and facts.broken is None
    unknown = {source: f"not known against BASE: {why}" for source, why in seen.absent.items()}
    judged = judge_row(facts, gates, unknown, Compared(finding, identical, several, head.row, common))
    return Comparison(
        version=edgecnn.__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        how="paired",
        head=head.facts,
        base=base.facts,
        identical=identical,
        machine=lab.machine,
        environment=seen.pairs[-1].head.environment if seen.pairs else lab.environment,
        rounds=sum(len(two.head.runs) for two in seen.pairs),
        ratio=exactly(1.0) if identical else finding.ratio,
        latency=times(ours, lab.machine),
        base_latency=times(theirs, lab.machine),
        drop_pp=exactly(0.0) if equally_right else answered.drop_pp if answered else None,
        drop_of="mAP" if several else "top-1",
        drop_absent=None if equally_right else seen.absent.get("accuracy"),
        verdict=judged.verdict,
        gates=judged.gates,
        changed=tuple(map(str, changes(base.origin, head.origin))),
        notices=(*_notices(head, base, identical=identical), *(() if pairing is None else (pairing.sentence("BASE", "HEAD"),))),
        seconds=round(time.perf_counter() - started, 2),
    )


def _finding(sides: Sequence[ShippedKit], seen: Subject, gates: EffectiveGates, rounds: int, *, identical: bool) -> RatioFinding:
    for side in sides if identical else ():  # nothing else would open them
        side.require_whole()
    raced = must_race(gates, identical=identical)
    return _race(seen, gates, rounds, identical=identical) if raced else RatioFinding(ratio=None, absent=NOT_RACED)


def _row(head: ShippedKit, seen: Subject, timed: Profile | str, answered: Accuracy | MultiLabelAccuracy | None) -> CandidateFacts:
    accuracy = "test" if thresholds_of(head.kit) is None else "multi_label"
    known = {
        accuracy: answered,
        "outcomes": {"measure": seen.failures["HEAD"]} if "HEAD" in seen.failures else {},
        "evaluated_kit": head.evaluated_kit,
        **({} if head.row is None else {"residency": head.row.residency, "saturates_on": head.row.saturates_on}),
    }
    return timed_row(head.kit, timed, seen.lab.machine).model_copy(update=known)


def must_race(gates: EffectiveGates, *, identical: bool) -> bool:
    """Whether HEAD has to run: what identical sides ship is raced only for a bound on HEAD's own times or memory."""
    own = (COMPARED[gate.metric] for gate in gates.gates if COMPARED[gate.metric].identical is None)
    return not identical or any(metric.source in ("latency", "memory") for metric in own)


def _race(seen: Subject, gates: EffectiveGates, rounds: int, *, identical: bool) -> RatioFinding:
    """Look after ever more rounds, and stop at the first look that settles the ratio; of identical sides it is known."""
    if not seen.timed:
        return RatioFinding(ratio=None, absent=NOT_TIMED)
    base, head, lab = seen.kits["BASE"], seen.kits["HEAD"], seen.lab
    stuck = [f"{name}: {why}" for name in seen.kits if (why := seen.why_not_runnable(name))]
    if stuck:
        return RatioFinding(ratio=None, absent="; ".join(stuck))
    gate = next(each for each in gates.gates if each.metric == LATENCY_RATIO)
    planned, done = looks(rounds, gates.runs.latency), 0
    finding = RatioFinding(ratio=None, absent="nothing ran")
    max_s = long_enough_s((base, head) if base.entrant != head.entrant else (head,), lab)
    for upto in planned:
        lab.tell.note(f"race {base.candidate.id} of BASE and {head.candidate.id} of HEAD: rounds {done + 1} to {upto}")
        pair = race_pair(base, head, upto - done, lab, max_s)
        if pair.base is None or pair.head is None:
            return RatioFinding(ratio=None, absent=pair.failed)
        seen.pairs.append(PairedRace(base=pair.base, head=pair.head))
        finding, decided = look(seen.pairs, gate, planned, lab.machine)
        if decided or identical:
            break
        done = upto
    return finding


class _Accuracies(NamedTuple):
    own: Accuracy | MultiLabelAccuracy | None = None
    """HEAD's on its whole test split, with the difference from BASE where both splits are the same."""
    against_base: Accuracy | MultiLabelAccuracy | None = None
    """HEAD's on the images that both test splits hold, with the difference from BASE."""
    pairing: Pairing | None = None
    """None where both splits are the same."""


def _accuracies(seen: Subject, head: ShippedKit, base: ShippedKit) -> _Accuracies:
    """If HEAD's logits hold NaN or infinity, every gate on accuracy fails; if BASE's do, there is no figure."""
    try:
        found = paired_answers(head, base, seen.lab.store)
    except Unavailable as why:
        seen.absent["accuracy"] = str(why)
        return _Accuracies()
    for name, answers, images in (("BASE", found.base, found.base_images), ("HEAD", found.head, found.images)):
        if (failure := nonfinite(seen.kits[name], answers.logits, "test", images)) is not None:
            seen.failures[name] = Failed.of(failure)
            seen.absent["accuracy"] = f"{name}: {failure.line()}"
    if "accuracy" in seen.absent:
        return _Accuracies()
    common = found.of_common_images()
    against_base = _measured(common, head, common.base)
    own = against_base if found.pairing is None else _measured(found, head, None)
    return _Accuracies(own, against_base, found.pairing)


def _measured(answers: PairedAnswers, head: ShippedKit, base: Answers | None) -> Accuracy | MultiLabelAccuracy:
    measured = judged(answers.head, answers.labels, head, base)
    if isinstance(measured, MultiLabelAccuracy):
        return measured
    return measured.model_copy(update={"quality": quality(answers.head, answers.labels, answers.names, base)})


def _joined(profiles: Sequence[Profile]) -> Profile | None:
    """The runs of several races of one kit, rounds counted on. The most that disturbed one of them speaks for all."""
    if not profiles:
        return None
    runs = [run for profile in profiles for run in profile.runs]
    renumbered = tuple(run.model_copy(update={"round": number}) for number, run in enumerate(runs))
    environment = worst_of([profile.environment for profile in profiles])
    return profiles[-1].model_copy(update={"runs": renumbered, "environment": environment})


def knob_notices(*sides: tuple[str, ShippedKitFacts]) -> list[str]:
    """A sentence for each side that ran otherwise than by default: as its own bundle says, since that is what ships."""
    return [f"{name} runs with {side.knobs.words}, as its build chose" for name, side in sides if side.knobs != Knobs()]


def _notices(head: ShippedKit, base: ShippedKit, *, identical: bool) -> list[str]:
    sides = () if identical else (("HEAD", head), ("BASE", base))
    said = [f"{name}: {where}" for name, side in sides if (where := side.elsewhere())]
    if base.pinned_by is not None:
        said.append(f"BASE is the kit that {base.pinned_by} pins, out of the store")
    said += knob_notices(("HEAD", head.facts), ("BASE", base.facts))
    if identical:
        said.append(IDENTICAL)
    elif head.kit.digest == base.kit.digest:
        what = "built for different devices" if head.kit.knobs == base.kit.knobs else "with different knobs"
        said.append(f"HEAD and BASE ship the same kit, byte for byte, {what}")
    return said
