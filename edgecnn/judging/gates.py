"""Bounds held against what is known: the whole interval passes or fails, straddling is UNSURE, unmeasured is MISSING.

Accuracy gates are non-inferiority tests at one-sided 95 %; that of the worst class holds for all classes at once. Latency gates
take measured figures only, and fail a kit only where the machine was its own, or the figure is beyond what the other work can
explain: it makes every kit slow for minutes, and never one fast. Residency gates take what a runtime executed, never what a
builder planned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from edgecnn.errors.base import ExitCode
from edgecnn.errors.gates import LogitsNotFinite
from edgecnn.judging.bounds import bound_of, budget_pp, check_bounds, gates_for, parse_bounds
from edgecnn.judging.findings import Finding
from edgecnn.judging.intervals import NON_INFERIORITY_CONFIDENCE, wilson
from edgecnn.judging.label_findings import OF_ONE_CLASS, OF_SEVERAL, images_to_settle
from edgecnn.judging.learned import not_learned
from edgecnn.judging.metrics import COMPARED, METRICS, exactly, find
from edgecnn.judging.predictions.independent_images import Worth
from edgecnn.judging.resolution import enough_images, groups_among, images_for_proportion, images_needed
from edgecnn.judging.runs.dependence import RUNS_TO_TELL
from edgecnn.judging.runs.latency import explained
from edgecnn.judging.runs.noise import OF_A_BUILD, rounds_to_settle, what_helps
from edgecnn.judging.runs.tails import TAILS, runs_needed
from edgecnn.values.accuracy import Accuracy
from edgecnn.values.artifact import Failed
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Fidelity, Gate, GateResult, Interval, Verdict

__all__ = [
    "METRICS", "budget_pp", "check_bounds", "gates_for", "judge", "judge_candidate", "judge_identical", "overall", "parse_bounds",
    "exit_code_of", "verdict_of",
]  # fmt: skip


def judge_candidate(gates: Sequence[Gate], facts: CandidateFacts) -> tuple[GateResult, ...]:
    """Every gate against one candidate, in the gates' order; first, if it applies, that it is not shown to have learned."""
    unlearned = not_learned(facts)
    return (*(() if unlearned is None else (unlearned,)), *(judge(gate, facts) for gate in gates))


def judge(gate: Gate, facts: CandidateFacts, spelled: str = OF_A_BUILD) -> GateResult:
    """One gate against one candidate; ``spelled`` is how more rounds are asked for."""
    finding = _of_no_numbers(gate.metric, facts) or find(gate.metric, facts)
    verdict = _verdict(gate, finding)
    unsure = verdict is Verdict.UNSURE
    images = _images_to_settle(gate, facts) if unsure and finding.never_met is None else None
    advice = _Advice(
        images=images,
        groups=None if images is None else groups_among(images, facts.test or facts.multi_label or facts.agreement),
        rounds=_rounds_to_settle(gate, finding) if unsure else None,
        spelled=spelled,
    )
    return GateResult(
        gate=gate,
        candidate=facts.candidate.id,
        verdict=verdict,
        figure=finding.figure,
        fidelity=finding.fidelity,
        reason=_reason(gate, finding, verdict, advice),
        images_to_settle=advice.images,
        rounds_to_settle=advice.rounds,
        largest_of=finding.largest_of,
        kit_failed=facts.broken is not None,
    )


def judge_identical(gate: Gate, facts: CandidateFacts, *, several_labels: bool) -> GateResult | None:
    """A gate on a difference between HEAD and BASE, which ship the same files; None for a figure of HEAD alone.

    ``several_labels``: whether an image may have several. A metric of the other kind of labels is not known by definition.
    """
    value = COMPARED[gate.metric].identical
    if value is None or gate.metric in (OF_ONE_CLASS if several_labels else OF_SEVERAL):
        return None
    finding = Finding(figure=exactly(value), fidelity=Fidelity.DEFINED, note="by definition: HEAD and BASE are the same files")
    verdict = _verdict(gate, finding)
    reason = _reason(gate, finding, verdict, _Advice(images=None, groups=None, rounds=None, spelled=""))
    about = {"gate": gate, "candidate": facts.candidate.id, "figure": finding.figure, "fidelity": finding.fidelity}
    return GateResult(verdict=verdict, reason=reason, **about)


class RunsNeeded(NamedTuple):
    """What the races for some gates need."""

    latency: int = 0
    """Runs of the latency race, at least: as many as tell whether they depend on each other."""
    energy: int = 0
    """Runs of the energy race, at least."""
    tails: bool = False
    """A gate is on p90 or p99, so that each run needs many samples, however slow the network is."""


def runs_for(gates: Sequence[Gate]) -> RunsNeeded:
    """0 of a race of which no gate takes an interval; a bound on a tail needs the most."""
    metrics = {gate.metric for gate in gates}
    latency = runs_needed() if metrics & TAILS else RUNS_TO_TELL if "p50_ms" in metrics else 0
    return RunsNeeded(latency=latency, energy=RUNS_TO_TELL if "energy_mj" in metrics else 0, tails=bool(metrics & TAILS))


def verdict_of(facts: CandidateFacts, results: Sequence[GateResult]) -> Verdict:
    """One word for one candidate: that of its gates, and FAIL whatever they say where its answers are no numbers."""
    return Verdict.FAIL if _no_numbers(facts) is not None else overall(results)


def _no_numbers(facts: CandidateFacts) -> str | None:
    measured = facts.outcomes.get("measure")
    return measured.what if isinstance(measured, Failed) and measured.ref == LogitsNotFinite.ref else None


def _of_no_numbers(metric: str, facts: CandidateFacts) -> Finding | None:
    """NaN is no accuracy that was not measured: it was, and it is none."""
    why = _no_numbers(facts) if METRICS[metric].source == "accuracy" else None
    if why is None:
        return None
    fidelity = Fidelity.MEASURED if facts.evaluated_kit in (None, facts.kit) else Fidelity.EMULATED
    return Finding(figure=None, fidelity=fidelity, absent=Verdict.FAIL, note=why)


def _verdict(gate: Gate, finding: Finding) -> Verdict:
    if finding.absent is not None:
        return finding.absent
    if finding.too_few is not None:
        return Verdict.UNSURE
    low, high = (0.0, 0.0) if finding.figure is None else (finding.figure.low, finding.figure.high)
    if gate.side == "max":
        times = 1 if finding.disturbed is None else finding.slowed_at_most or math.inf
        if low > gate.bound * times:
            return Verdict.FAIL
        return Verdict.PASS if high <= gate.bound and finding.never_met is None else Verdict.UNSURE
    if high < gate.bound:
        return Verdict.FAIL
    return Verdict.PASS if low >= gate.bound and finding.never_met is None else Verdict.UNSURE


def _images_to_settle(gate: Gate, facts: CandidateFacts) -> int | None:
    """New images that would settle the gate by themselves; see ``images_needed``.

    None over folds: more images do not make the networks of the folds more alike.
    """
    if facts.test is not None and facts.test.folds is not None:
        return None
    if facts.agreement is not None and gate.metric == "agreement":
        agreed = facts.agreement
        worth = Worth(agreed.effect, agreed.independent or math.inf)
        return _images_for_share(gate.bound, agreed.same.estimate, agreed.images, worth)
    if facts.multi_label is not None:
        return images_to_settle(gate.metric, gate.bound, facts.multi_label)
    test = facts.test
    if test is None or test.images < 1 or METRICS[gate.metric].source != "accuracy":
        return None
    if gate.metric == "drop_pp":
        return _images_for_drop(gate.bound, test)
    # None for what is no plain share of images: the worst class wants more of its own, and macro-F1 of the small ones.
    shares: dict[str, Interval | None] = {"top1": test.top1}
    if test.quality is not None:
        shares |= {"top5": test.quality.top5, "agreement": test.quality.agreement}
    if (share := shares.get(gate.metric)) is None:
        return None
    return _images_for_share(gate.bound, share.estimate, test.images, Worth(test.top1_effect, test.independent_at_most))


def _images_for_drop(bound: float, test: Accuracy) -> int | None:
    if test.lost is None or test.gained is None:
        return None
    worth = Worth(test.drop_effect, test.independent_at_most)
    independent, drop_pp = worth.to_fail(test.images), 100 * (test.lost - test.gained) / test.images
    disagreement = wilson((test.lost + test.gained) / test.images * independent, independent, NON_INFERIORITY_CONFIDENCE)
    needed = None if disagreement is None else images_needed(bound, disagreement.high, drop_pp)
    return None if needed is None else worth.images_for(needed, test.images, to_pass=drop_pp < bound)


def _images_for_share(bound: float, share: float, images: int, worth: Worth) -> int | None:
    independent = worth.to_fail(images)
    known = wilson(share * independent, independent, NON_INFERIORITY_CONFIDENCE)
    needed = None if known is None else images_for_proportion(bound, share, widest=known)
    return None if needed is None else worth.images_for(needed, images, to_pass=share > bound)


def _rounds_to_settle(gate: Gate, finding: Finding) -> int | None:
    """None where rounds are not what it hangs on: of other work on the machine, more of them would only see more."""
    if finding.too_few is not None:
        return max(runs_for([gate]))
    if finding.figure is None or not finding.rounds or finding.disturbed:
        return None
    return rounds_to_settle(gate.bound, finding.figure, finding.rounds)


class _Advice(NamedTuple):
    images: int | None
    groups: int | None
    rounds: int | None
    spelled: str
    """How more rounds are asked for."""


def _reason(gate: Gate, finding: Finding, verdict: Verdict, advice: _Advice) -> str:
    if finding.figure is None:
        return finding.note
    bound = bound_of(gate)
    says = {
        Verdict.PASS: f"meets {bound}",
        Verdict.FAIL: f"breaks {bound}",
        Verdict.UNSURE: f"leaves {bound} open",
        Verdict.MISSING: f"is not held against {bound}",
    }[verdict]
    note = f" ({finding.note})" if finding.note else ""
    more = f"; {enough_images(advice.images, advice.groups)}" if advice.images else ""
    if verdict is Verdict.UNSURE and finding.rounds:
        more = f": {what_helps(advice.rounds, advice.spelled)}"
    if verdict is Verdict.UNSURE and finding.too_few and advice.rounds:
        more = f": {finding.too_few}; {advice.rounds} do ({advice.spelled.format(advice.rounds)})"
    elif verdict is Verdict.UNSURE and finding.never_met:
        more = f": {finding.never_met}"
    elif verdict is Verdict.UNSURE and finding.disturbed:
        more = f": {finding.disturbed}, an undisturbed machine (quiet, cool, well supplied) would settle it"
    if verdict is Verdict.FAIL and finding.disturbed and finding.slowed_at_most:
        more = f": {finding.disturbed}, {explained(finding.slowed_at_most)}"
    return f"{_shown(gate.metric, finding.figure)}{note} {says}{more}"


def _shown(metric: str, figure: Interval) -> str:
    row = {**METRICS, **COMPARED}[metric]
    name, suffix = row.words, f" {row.signs}"
    scale, digits = (100.0, 1) if row.unit == "share" else (1.0, 2)
    low, centre, high = (scale * value for value in (figure.low, figure.estimate, figure.high))
    if figure.low == figure.high:
        return f"{name} {centre:.{digits}f}{suffix}"
    ends = f"{name} {centre:.{digits}f}{suffix} [{low:.{digits}f}, {high:.{digits}f}]"
    return f"{ends} at {100 * figure.confidence:.4g} %" if figure.confidence else ends


def overall(results: Sequence[GateResult]) -> Verdict:
    """One word for one candidate, in the order of the exit codes: missing, FAIL, UNSURE, PASS.

    A MISSING that does not count (``when-measured``, ``advisory``) decides only where nothing else was judged. A kit that failed
    passes nothing: its figures are MISSING, unless a gate fails it.
    """
    verdicts = {result.verdict for result in results}
    if any(_counts_as_missing(result, require_measured=False) for result in results) or _failed_unjudged(results):
        return Verdict.MISSING
    return next((word for word in (Verdict.FAIL, Verdict.UNSURE, Verdict.PASS) if word in verdicts), Verdict.MISSING)


def exit_code_of(results: Sequence[GateResult], *, require_measured: bool = False) -> ExitCode:
    """What a process may say of these results: missing before FAIL before UNSURE before pass.

    An advisory UNSURE is shown and does not count. MISSING counts where the gate is required ``always`` or the kit failed, and
    everywhere with ``require_measured``. No results at all are MISSING: nothing was judged. So is a kit that failed, whatever its
    gates say, unless one of them fails it.
    """
    if not results or _failed_unjudged(results):
        return ExitCode.MISSING
    if any(_counts_as_missing(result, require_measured=require_measured) for result in results):
        return ExitCode.MISSING
    if any(result.verdict is Verdict.FAIL for result in results):
        return ExitCode.GATE_FAILED
    if any(result.verdict is Verdict.UNSURE and result.gate.required != "advisory" for result in results):
        return ExitCode.UNSURE
    return ExitCode.OK


def _failed_unjudged(results: Sequence[GateResult]) -> bool:
    return any(result.kit_failed for result in results) and all(result.verdict is not Verdict.FAIL for result in results)


def _counts_as_missing(result: GateResult, *, require_measured: bool) -> bool:
    return result.verdict is Verdict.MISSING and (require_measured or result.kit_failed or result.gate.required == "always")
