"""Choosing is not gating: the best of what fits the accuracy budget on ``choose``, a lower precision only where shown faster.

The gate on ``report`` needs whole intervals; the choice takes estimates, since something must ship. What it does not take on
trust is speed: INT8 costs accuracy for certain and is often slower, so it must beat the best float candidate in paired runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from edgecnn.judging.field import Field, describe, field_of, measured_ms
from edgecnn.judging.noise import rounds_needed, rounds_to_settle
from edgecnn.judging.reasons import why_chosen, worded
from edgecnn.values.base import Value
from edgecnn.values.candidate import Precision
from edgecnn.values.reason import Larger, NotMeasured, NotShownFaster, Provisional, Reason, Slower, Taken
from edgecnn.values.report import CandidateFacts, Choice, Latency
from edgecnn.values.verdict import Interval

Ratios = Mapping[tuple[str, str], Interval]
"""(candidate, reference) → run medians of reference / candidate, paired in one race: above 1, the candidate is faster."""


class ChoiceRules(Value):
    """What a choice is made under."""

    objective: Literal["latency", "size"] = "latency"
    budget_pp: float = 1.0
    """The bound of the drop_pp gate."""
    attached: bool
    """Whether the device was there to race on."""
    device: str = "the device"
    settle_command: str | None = None
    """What settles a provisional choice."""
    shippable: tuple[str, ...] | None = None
    """Candidates that the user's target allows; the rest (a baseline in another runtime) are references. None: all."""


class Chosen(Value):
    """The choice, and for every candidate what decided, with its figures."""

    choice: Choice
    because: Mapping[str, Reason]

    @property
    def reasons(self) -> Mapping[str, str]:
        """The same, a sentence each."""
        return {name: worded(reason, name) for name, reason in self.because.items()}


def choose(
    candidates: Sequence[CandidateFacts],
    rules: ChoiceRules,
    ratios: Ratios | None = None,
    figures: Mapping[str, Latency] | None = None,
) -> Chosen:
    """Settled on an attached device (or for size), provisional elsewhere, ``none`` where there is nothing to choose from.

    Args:
        candidates: every row of the table, failed ones included; ``choose`` and ``latency`` are read.
        rules: objective, budget and circumstances.
        ratios: paired ratios of one race; where one is absent and the reference is the baseline, ``ratio_to_fp32`` is used.
        figures: latency in the race that selects, by candidate. Once the finalists have raced again, rows hold figures of two
            races, which cannot be compared; with this the choice stays what the selecting race made it. None: the rows' own.
    """
    if figures is not None:
        seen = {facts.candidate.id: figures.get(facts.candidate.id) or _without_figures(facts) for facts in candidates}
        candidates = [facts.model_copy(update={"latency": seen[facts.candidate.id]}) for facts in candidates]
    field = field_of(candidates, rules.budget_pp, rules.shippable)
    if not field.inside:
        return _fallback(field, rules)
    if rules.objective == "size":
        return _smallest(field, rules)
    if rules.attached and any(measured_ms(facts) is not None for facts in field.inside):
        return _fastest(field, rules, ratios or {})
    return _provisional(field, rules)


# ---------------------------------------------------------------------------------------------------------------------


def _fallback(field: Field, rules: ChoiceRules) -> Chosen:
    """Nothing was shown to fit the budget: fp32, whatever it costs, and said so."""
    safe = _full_precision(field)
    if not safe:
        nothing = Choice(state="none", candidate=None, why="no candidate was built that could be chosen")
        return Chosen(choice=nothing, because=describe(field, {}))
    chosen, taken = safe[0], Taken(by="fallback", budget_pp=rules.budget_pp)
    state: Literal["settled", "provisional"] = "settled" if rules.attached else "provisional"
    choice = Choice(
        state=state,
        candidate=chosen.candidate.id,
        why=why_chosen(taken, chosen.candidate.id),
        settle_command=None if rules.attached else rules.settle_command,
        carried=(chosen.candidate.id,),
    )
    return Chosen(choice=choice, because=describe(field, {chosen.candidate.id: taken}))


def _smallest(field: Field, rules: ChoiceRules) -> Chosen:
    weighed = [facts for facts in field.inside if facts.size_mib is not None]
    if not weighed:
        return _provisional(field, rules, "nothing was weighed")
    best = min(weighed, key=lambda facts: (facts.size_mib or 0.0, facts.candidate.id))
    least = best.size_mib or 0.0
    reasons: dict[str, Reason] = {
        facts.candidate.id: Larger(against=best.candidate.id, mib=facts.size_mib, against_mib=least)
        if facts.size_mib is not None
        else NotMeasured(step="size")
        for facts in field.inside
    }
    return _settled(field, best, Taken(by="smallest", budget_pp=rules.budget_pp, mib=least), reasons)


def _fastest(field: Field, rules: ChoiceRules, ratios: Ratios) -> Chosen:
    """The best float candidate, unless a lower precision was measured to be faster than it.

    Where floats fit the budget but none was raced, nothing was shown, and the choice stays provisional.
    """
    raced = [facts for facts in field.inside if measured_ms(facts) is not None]
    reasons: dict[str, Reason] = {
        facts.candidate.id: NotMeasured(step="race", why=facts.latency.reason if facts.latency is not None else None)
        for facts in field.inside
        if measured_ms(facts) is None
    }
    best = _best_float(raced, ratios, reasons)
    lower = [facts for facts in raced if not facts.candidate.precision.is_float]
    reference = best  # what would ship otherwise: a faster float that was not itself shown faster is no bar to a lower precision
    if reference is None and any(facts.candidate.precision.is_float for facts in field.inside):
        return _provisional(field, rules, "no float candidate was raced")
    shown = [facts for facts in lower if reference is None or _is_shown_faster(facts, reference, ratios, reasons)]
    if shown:
        best = min(shown, key=_speed)
    if best is None:
        return _provisional(field, rules)
    for facts in raced:
        if facts is not best:
            reasons.setdefault(facts.candidate.id, _slower(facts, best, ratios))
    return _settled(field, best, _taken(best, raced, rules, (reference, ratios)), reasons)


def _taken(
    best: CandidateFacts,
    raced: Sequence[CandidateFacts],
    rules: ChoiceRules,
    beaten: tuple[CandidateFacts | None, Ratios],
) -> Taken:
    ms, (reference, ratios) = measured_ms(best), beaten
    if any(_speed(facts) < _speed(best) for facts in raced):
        return Taken(by="nothing-shown-faster", budget_pp=rules.budget_pp, ms=ms)
    if reference is None or reference is best:
        return Taken(by="fastest", budget_pp=rules.budget_pp, ms=ms)
    ratio, against = _ratio(best, reference, ratios), reference.candidate.id
    return Taken(by="fastest", budget_pp=rules.budget_pp, ms=ms, against=against, ratio=ratio)


def _slower(ours: CandidateFacts, best: CandidateFacts, ratios: Ratios) -> Slower:
    return Slower(
        against=best.candidate.id,
        ms=measured_ms(ours) or 0.0,
        against_ms=measured_ms(best) or 0.0,
        ratio=_ratio(ours, best, ratios) or _inverse(_ratio(best, ours, ratios)),
        machine=ours.latency.machine if ours.latency is not None else "",
    )


def _inverse(ratio: Interval | None) -> Interval | None:
    """Exact, since a ratio's interval is taken on logarithms."""
    if ratio is None:
        return None
    return ratio.model_copy(update={"estimate": 1 / ratio.estimate, "low": 1 / ratio.high, "high": 1 / ratio.low})


def _best_float(raced: Sequence[CandidateFacts], ratios: Ratios, reasons: dict[str, Reason]) -> CandidateFacts | None:
    """Among floats too, half the bits must be earned: fp16 and bf16 need to be shown faster than the best fp32."""
    full = [facts for facts in raced if facts.candidate.precision is Precision.FP32]
    half = [facts for facts in raced if facts.candidate.precision in (Precision.FP16, Precision.BF16)]
    best = min(full, key=_speed, default=None)
    shown = [facts for facts in half if best is None or _is_shown_faster(facts, best, ratios, reasons)]
    return min(shown, key=_speed, default=best)


def _is_shown_faster(ours: CandidateFacts, reference: CandidateFacts, ratios: Ratios, reasons: dict[str, Reason]) -> bool:
    ratio = _ratio(ours, reference, ratios)
    if ratio is not None and ratio.low > 1:
        return True
    shown_slower = ratio is not None and ratio.high < 1
    reasons[ours.candidate.id] = _slower(ours, reference, ratios) if shown_slower else _not_shown(ours, reference, ratio)
    return False


def _not_shown(ours: CandidateFacts, reference: CandidateFacts, ratio: Interval | None) -> NotShownFaster:
    """Where the race's own noise hides so small a difference, not shown is no answer; and what would give one."""
    against, seen = reference.candidate.id, ours.latency
    if ratio is None or seen is None:
        return NotShownFaster(against=against, ratio=ratio)
    noise = seen.smallest_ratio
    hidden = noise is not None and 1 < ratio.estimate < noise
    if noise is not None and hidden:
        rounds = rounds_needed(seen.runs, seen=math.log(noise), wanted=math.log(ratio.estimate))
    else:
        rounds = rounds_to_settle(1.0, ratio, seen.runs) if ratio.estimate > 1 else None
    return NotShownFaster(
        against=against,
        ratio=ratio,
        machine=seen.machine,
        rounds=seen.runs,
        smallest_ratio=noise if hidden else None,
        rounds_to_settle=rounds,
    )


def _ratio(ours: CandidateFacts, reference: CandidateFacts, ratios: Ratios) -> Interval | None:
    pair = (ours.candidate.id, reference.candidate.id)
    if pair in ratios:
        return ratios[pair]
    if reference.is_baseline and ours.latency is not None:
        return ours.latency.ratio_to_fp32
    return None


def _without_figures(facts: CandidateFacts) -> Latency | None:
    """Of a candidate that did not race for the choice: why, and no time of another race."""
    return facts.latency if facts.latency is not None and facts.latency.p50_ms is None else None


def _speed(facts: CandidateFacts) -> tuple[float, str]:
    return (measured_ms(facts) or 0.0, facts.candidate.id)


def _full_precision(field: Field) -> list[CandidateFacts]:
    """The fp32 kits that the target allows; where its runtime has none (TensorRT), the baseline network's."""
    full = [facts for facts in field.candidates if facts.candidate.precision is Precision.FP32 and facts.kit]
    return [facts for facts in full if facts.candidate.id in field.allowed] or full


def _settled(field: Field, best: CandidateFacts, taken: Taken, reasons: Mapping[str, Reason]) -> Chosen:
    ident = best.candidate.id
    choice = Choice(state="settled", candidate=ident, why=why_chosen(taken, ident), carried=(ident,))
    return Chosen(choice=choice, because=describe(field, {**reasons, ident: taken}))


def _provisional(field: Field, rules: ChoiceRules, missing: str | None = None) -> Chosen:
    """fp32 and every candidate inside the budget are carried; the first in a fixed order is used until the device has spoken."""
    ordered = sorted(field.inside, key=lambda facts: (_ORDER.get(facts.candidate.precision, len(_ORDER)), facts.candidate.id))
    first = ordered[0].candidate.id
    full = [facts.candidate.id for facts in _full_precision(field)]
    order = tuple(facts.candidate.id for facts in ordered)
    missing = missing or ("nothing was raced" if rules.attached else f"{rules.device} was not attached")
    carried = Provisional(part="carried", order=order, missing=missing)
    used, reference = (carried.model_copy(update={"part": part}) for part in ("used", "reference"))
    choice = Choice(
        state="provisional",
        candidate=first,
        why=why_chosen(used, first),
        settle_command=rules.settle_command,
        carried=tuple(dict.fromkeys((*order, *full))),
    )
    reasons = {**dict.fromkeys(order, carried), **dict.fromkeys(full, reference), first: used}
    return Chosen(choice=choice, because=describe(field, reasons))


_ORDER = {Precision.FP16: 0, Precision.INT8: 1}
