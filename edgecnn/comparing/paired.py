"""Judges one finished build against another: both kits interleaved in one race on this machine, in this job.

Hosted runners change their processors from day to day, so a time stored yesterday says nothing of today's. Two kits that ran in
the same minutes can be compared on any machine.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import edgecnn
from edgecnn.building.runnable import why_not_runnable
from edgecnn.comparing.paired_answers import Unavailable, paired_answers
from edgecnn.comparing.pin import base_named, base_of
from edgecnn.errors.gates import LogitsNotFinite
from edgecnn.judging.accuracy import Answers, accuracy, check_finite
from edgecnn.judging.bounds import COMPARED, LATENCY_RATIO, comparison_gates
from edgecnn.judging.gates import judge, overall
from edgecnn.judging.latency import latency, missing_latency, worst_of
from edgecnn.judging.memory import memory, missing_memory
from edgecnn.judging.noise import OF_A_COMPARISON
from edgecnn.judging.quality import quality
from edgecnn.judging.ratio import PairedRace, RatioFinding, judge_ratio
from edgecnn.judging.sequential import look
from edgecnn.judging.stopping import ROUNDS_MAX, looks
from edgecnn.measure.evaluate import blamed_layer
from edgecnn.measure.lab import Lab
from edgecnn.measure.pair import race_pair
from edgecnn.measure.race import long_enough_s
from edgecnn.results.origin import changes
from edgecnn.results.shipped import Side, side_of
from edgecnn.store.store import Store
from edgecnn.values.artifact import Failed
from edgecnn.values.base import Value
from edgecnn.values.comparison import Comparison, Contender
from edgecnn.values.knobs import Knobs
from edgecnn.values.profile import Profile
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import Accuracy, CandidateFacts, Latency
from edgecnn.values.verdict import Gate, GateResult, Verdict


class AgainstRequest(Value):
    """Which two builds, under which bounds."""

    head: Path
    base: Path | str
    """The folder of a build or a bundle, the file of a pinned build's record, or ``git:REVISION:PATH`` of one."""
    gates: GateChoice = GateChoice()
    rounds: int = ROUNDS_MAX
    """At most; the race stops at the first look that settles the gate on the ratio."""


@dataclass
class _RacedPair:
    """What racing and reading gave."""

    finding: RatioFinding
    races: list[PairedRace] = field(default_factory=list)
    accuracy: Accuracy | None = None
    accuracy_absent: str | None = None
    failed: Failed | None = None
    """HEAD answered what is no number, which fails every gate on accuracy; of BASE, it leaves them without a figure."""


def judge_against(request: AgainstRequest, lab: Lab) -> Comparison:
    """Race both builds' chosen kits in this lab and judge HEAD by what BASE does.

    Raises:
        NoBuildToCompare, BundleUnreadable, KitNotCarried: a folder is not what it should be.
        PinUnreadable, PinnedKitMissing, RevisionMisspelt, GitFailed: of a pinned BASE, see ``base_named``.
        RunnerFailed: a kit is damaged.
        EdgecnnError: the store cannot be read or written.
    """
    started = time.perf_counter()
    head, named = side_of(request.head), base_named(request.base)
    gates = comparison_gates(request.gates)
    with lab.store.in_use.held():
        base = base_of(named, lab.store)
        seen = _raced(head, base, gates, request.rounds, lab)
        _answered(seen, head, base, lab.store)
    facts = _facts(head, seen, lab)
    judged = tuple(_judged(gate, facts, seen) for gate in gates)
    return Comparison(
        version=edgecnn.__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        how="paired",
        head=head.contender,
        base=base.contender,
        machine=lab.machine,
        environment=seen.races[-1].head.environment if seen.races else lab.environment,
        rounds=sum(len(race.head.runs) for race in seen.races),
        ratio=seen.finding.ratio,
        latency=_latency([race.head for race in seen.races], seen.finding, lab.machine),
        base_latency=_latency([race.base for race in seen.races], seen.finding, lab.machine),
        drop_pp=seen.accuracy.drop_pp if seen.accuracy else None,
        drop_absent=seen.accuracy_absent,
        verdict=overall(judged),
        gates=judged,
        changed=changes(base.origin, head.origin),
        notices=tuple(_notices(head, base)),
        seconds=round(time.perf_counter() - started, 2),
    )


# ---------------------------------------------------------------------------------------------------------------------


def _raced(head: Side, base: Side, gates: Sequence[Gate], rounds: int, lab: Lab) -> _RacedPair:
    """Look after ever more rounds, and stop at the first look that settles the ratio."""
    stuck = [f"{name}: {why}" for name, side in (("BASE", base), ("HEAD", head)) if (why := why_not_runnable(side.kit, lab))]
    if stuck:
        return _RacedPair(RatioFinding(ratio=None, absent="; ".join(stuck)))
    gate = next(each for each in gates if each.metric == LATENCY_RATIO)
    planned, races, done = looks(rounds), list[PairedRace](), 0
    finding = RatioFinding(ratio=None, absent="nothing ran")
    max_s = long_enough_s((base.kit, head.kit) if base.kit.entrant != head.kit.entrant else (head.kit,), lab)
    for upto in planned:
        lab.tell.note(f"race {base.kit.candidate.id} of BASE and {head.kit.candidate.id} of HEAD: rounds {done + 1} to {upto}")
        pair = race_pair(base.kit, head.kit, upto - done, lab, max_s)
        if pair.base is None or pair.head is None:
            return _RacedPair(RatioFinding(ratio=None, absent=pair.failed), races)
        races.append(PairedRace(base=pair.base, head=pair.head))
        finding, decided = look(races, gate, planned, lab.machine)
        if decided:
            break
        done = upto
    return _RacedPair(finding, races)


def _answered(seen: _RacedPair, head: Side, base: Side, store: Store) -> None:
    try:
        found = paired_answers(head, base, store)
    except Unavailable as why:
        seen.accuracy_absent = str(why)
        return
    for answers, side in ((found.base, base), (found.head, head)):
        if (failure := _no_numbers(answers, side, found.images)) is not None:
            whose = "HEAD" if side is head else "BASE"
            seen.accuracy_absent = f"{whose}: {failure.line()}"
            seen.failed = Failed(ref=failure.ref, what=failure.line(), hint=failure.hint) if side is head else None
    if seen.accuracy_absent is not None:
        return
    measured = accuracy(found.head, found.labels, "test", found.base)
    beyond = quality(found.head, found.labels, found.names, found.base)
    seen.accuracy = measured.model_copy(update={"quality": beyond})


def _no_numbers(answers: Answers, side: Side, images: Path) -> LogitsNotFinite | None:
    try:
        check_finite(answers.candidate, answers.logits)
    except LogitsNotFinite as error:
        return error.located("test", blamed_layer(side.kit, images, error.image))
    return None


def _facts(head: Side, seen: _RacedPair, lab: Lab) -> CandidateFacts:
    profiles = [race.head for race in seen.races]
    nothing = seen.finding.absent or "nothing ran"
    return CandidateFacts(
        candidate=head.kit.candidate,
        test=seen.accuracy,
        latency=_latency(profiles, seen.finding, lab.machine),
        memory=memory(_joined(profiles), machine=lab.machine)
        if profiles
        else missing_memory(reason=nothing, machine=lab.machine),
        size_mib=head.kit.size_mib,
        kit=head.kit.digest,
        outcomes={} if seen.failed is None else {"measure": seen.failed},
    )


def _latency(profiles: Sequence[Profile], finding: RatioFinding, machine: str) -> Latency:
    if not profiles:
        return missing_latency(reason=finding.absent or "nothing ran", machine=machine)
    return latency(_joined(profiles), machine=machine)


def _joined(profiles: Sequence[Profile]) -> Profile:
    """The runs of several races of one kit, rounds counted on. The most that disturbed one of them speaks for all."""
    runs = [run for profile in profiles for run in profile.runs]
    renumbered = tuple(run.model_copy(update={"round": number}) for number, run in enumerate(runs))
    environment = worst_of([profile.environment for profile in profiles])
    return profiles[-1].model_copy(update={"runs": renumbered, "environment": environment})


def _judged(gate: Gate, facts: CandidateFacts, seen: _RacedPair) -> GateResult:
    if gate.metric == LATENCY_RATIO:
        return judge_ratio(gate, seen.finding, facts.candidate.id)
    result = judge(gate, facts, OF_A_COMPARISON)
    if result.verdict is Verdict.MISSING and seen.accuracy is None and COMPARED[gate.metric].source == "accuracy":
        return result.model_copy(update={"reason": f"not known against BASE: {seen.accuracy_absent}"})
    return result


def knob_notices(*sides: tuple[str, Contender]) -> list[str]:
    """A sentence for each side that ran otherwise than by default: as its own bundle says, since that is what ships."""
    return [f"{name} runs with {side.knobs.words}, as its build chose" for name, side in sides if side.knobs != Knobs()]


def _notices(head: Side, base: Side) -> list[str]:
    said = [f"{name}: {where}" for name, side in (("HEAD", head), ("BASE", base)) if (where := side.elsewhere())]
    if base.pinned_by is not None:
        said.append(f"BASE is the kit that {base.pinned_by} pins, out of the store")
    said += knob_notices(("HEAD", head.contender), ("BASE", base.contender))
    if head.kit.digest == base.kit.digest:
        how = "it was raced against itself" if head.kit.knobs == base.kit.knobs else "what was raced are its knobs"
        said.append(f"HEAD and BASE ship the same kit, byte for byte: {how}")
    return said
