"""The built members against each other: one race of what each ships, and what one gains over another image by image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.comparing.paired_answers import Unavailable, paired_answers
from edgecnn.fit.choose import inside_of
from edgecnn.judging.gates import judge, runs_for
from edgecnn.judging.predictions.accuracy import difference_pp
from edgecnn.judging.runs.latency import latency
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import race
from edgecnn.measure.race_request import RaceRequest, run_max_s
from edgecnn.results.folder import read_report
from edgecnn.results.shipped import shipped_kit
from edgecnn.store.store import Store
from edgecnn.values.fit import Member
from edgecnn.values.recipe import RaceChoice
from edgecnn.values.report import CandidateFacts, Latency
from edgecnn.values.verdict import GateResult, Interval, Verdict


def race_front(members: Sequence[Member], out: Path, choice: RaceChoice, lab: Lab, *, anew: bool) -> list[Member]:
    """Built members in the order given, each with its p50 of one interleaved race of all and what that makes of its budget. A kit
    that fails keeps those of its build. ``anew``: no stored race serves."""
    kits = {each.build: shipped_kit(out / each.build).kit for each in members if each.build is not None and each.candidate}
    runs = runs_for([result.gate for member in members for result in member.gates])
    rounds = max(choice.rounds, runs.latency)
    request = RaceRequest.of(choice, kits.values(), "report", anew=anew, rounds=rounds, max_s=run_max_s(runs))
    found = race(request, lab).profiles if kits else {}
    times = {build: latency(found[kit.entrant]) for build, kit in kits.items() if kit.entrant in found}
    return [_as_raced(each, out, times[each.build]) if each.build in times else each for each in members]


def _as_raced(member: Member, out: Path, raced: Latency) -> Member:
    row = next(each for each in read_report(out / str(member.build)).candidates if each.chosen)
    return judged_by(member, row.model_copy(update={"latency": raced}))


def judged_by(member: Member, row: CandidateFacts) -> Member:
    """A member with this row's latency, by which its budget is judged; outside by its own build and inside by this: unsure."""
    gates = tuple(_again(each, row) if each.gate.metric == "p50_ms" else each for each in member.gates)
    times = {} if row.latency is None else {"p50_ms": row.latency.p50_ms, "fidelity": row.latency.fidelity}
    return member.model_copy(update={**times, "gates": gates, "inside": inside_of(gates)})


def _again(before: GateResult, row: CandidateFacts) -> GateResult:
    now = judge(before.gate, row)
    if (now.verdict, before.verdict) != (Verdict.PASS, Verdict.FAIL):
        return now
    return now.model_copy(update={"verdict": Verdict.UNSURE, "reason": f"{now.reason}; in its own build's race it did not"})


def looked_twice(member: Member) -> Member:
    """A member that was raced again because its first race left its latency open: its PASS had two chances, and says so."""
    twice = "; its first race left this open, so a wrong PASS is up to twice as likely"
    gates = tuple(
        each.model_copy(update={"reason": each.reason + twice})
        if (each.gate.metric, each.verdict) == ("p50_ms", Verdict.PASS)
        else each
        for each in member.gates
    )
    return member.model_copy(update={"gates": gates})


def gain_pp(head: Path, base: Path, store: Store) -> Interval | str:
    """What HEAD's shipped kit gains over BASE's in top-1 on the test images, paired, in percentage points; or why nobody knows.

    Both builds are of the same images; each was shown them at its own resolution.
    """
    try:
        found = paired_answers(shipped_kit(head), shipped_kit(base), store, resized=True)
    except Unavailable as why:
        return str(why)
    ours, theirs = (each.logits.argmax(axis=1) == found.labels for each in (found.head, found.base))
    return difference_pp(ours, theirs, found.head.groups) or "there are no test images"
