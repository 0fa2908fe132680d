"""Choosing is not gating: the best of what fits the accuracy budget on ``choose``, a lower precision only where shown faster.

The gate on ``report`` needs whole intervals; the choice takes estimates, since something must ship. What it does not take on
trust is speed: INT8 costs accuracy for certain and is often slower, so it must beat the best float candidate in paired runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from edgecnn.judging.field import Field, describe, field_of, measured_ms
from edgecnn.judging.noise import rounds_needed, what_helps
from edgecnn.values.base import Value
from edgecnn.values.candidate import Precision
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
    """The choice, and for every candidate one sentence with the figures that decided."""

    choice: Choice
    reasons: Mapping[str, str]


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
        candidates = [_of_the_selection(facts, figures) for facts in candidates]
    field = field_of(candidates, rules.budget_pp, rules.shippable)
    if not field.inside:
        return _fallback(field, rules)
    if rules.objective == "size":
        return _smallest(field, rules)
    if rules.attached and any(measured_ms(facts) is not None for facts in field.inside):
        return _fastest(field, rules, ratios or {})
    return _provisional(field, rules)


# ---------------------------------------------------------------------------------------------------------------------


def _of_the_selection(facts: CandidateFacts, figures: Mapping[str, Latency]) -> CandidateFacts:
    """With the figures of the race that selects; who was not in it keeps the word on why."""
    unraced = facts.latency if measured_ms(facts) is None else None
    return facts.model_copy(update={"latency": figures.get(facts.candidate.id, unraced)})


def _fallback(field: Field, rules: ChoiceRules) -> Chosen:
    """Nothing was shown to fit the budget: fp32, whatever it costs, and said so."""
    safe = _full_precision(field)
    if not safe:
        nothing = Choice(state="none", candidate=None, why="no candidate was built that could be chosen")
        return Chosen(choice=nothing, reasons=describe(field, {}))
    chosen = safe[0]
    why = f"no candidate is known to stay inside the budget of {rules.budget_pp:g} pp on choose, so fp32 ships"
    state: Literal["settled", "provisional"] = "settled" if rules.attached else "provisional"
    choice = Choice(
        state=state,
        candidate=chosen.candidate.id,
        why=why,
        settle_command=None if rules.attached else rules.settle_command,
        carried=(chosen.candidate.id,),
    )
    return Chosen(choice=choice, reasons=describe(field, {chosen.candidate.id: f"chosen: {why}"}))


def _smallest(field: Field, rules: ChoiceRules) -> Chosen:
    weighed = [facts for facts in field.inside if facts.size_mib is not None]
    if not weighed:
        return _provisional(field, rules, "nothing was weighed")
    best = min(weighed, key=lambda facts: (facts.size_mib or 0.0, facts.candidate.id))
    why = f"{best.candidate.id} is the smallest inside the budget of {rules.budget_pp:g} pp, at {best.size_mib:.2f} MiB"
    reasons = {
        facts.candidate.id: f"larger: {facts.size_mib:.2f} MiB against {best.size_mib:.2f}"
        for facts in weighed
        if facts is not best
    }
    return _settled(field, best, why, reasons)


def _fastest(field: Field, rules: ChoiceRules, ratios: Ratios) -> Chosen:
    """The best float candidate, unless a lower precision was measured to be faster than it.

    Where floats fit the budget but none was raced, nothing was shown, and the choice stays provisional.
    """
    raced = [facts for facts in field.inside if measured_ms(facts) is not None]
    reasons = {
        facts.candidate.id: f"inside the budget, but not in the last race{_seen(facts)}"
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
            reasons.setdefault(facts.candidate.id, f"slower: {measured_ms(facts):.2f} ms against {measured_ms(best):.2f}")
    return _settled(field, best, _why_fastest(best, raced, rules, _against(best, reference, ratios)), reasons)


def _why_fastest(best: CandidateFacts, raced: Sequence[CandidateFacts], rules: ChoiceRules, against: str) -> str:
    ident, ms, budget = best.candidate.id, measured_ms(best), f"inside the budget of {rules.budget_pp:g} pp"
    if any(_speed(facts) < _speed(best) for facts in raced):
        return f"nothing of lower precision {budget} was shown to be faster than {ident}, at {ms:.2f} ms when chosen"
    return f"{ident} is the fastest {budget}, at {ms:.2f} ms when chosen{against}"


def _best_float(raced: Sequence[CandidateFacts], ratios: Ratios, reasons: dict[str, str]) -> CandidateFacts | None:
    """Among floats too, half the bits must be earned: fp16 and bf16 need to be shown faster than the best fp32."""
    full = [facts for facts in raced if facts.candidate.precision is Precision.FP32]
    half = [facts for facts in raced if facts.candidate.precision in (Precision.FP16, Precision.BF16)]
    best = min(full, key=_speed, default=None)
    shown = [facts for facts in half if best is None or _is_shown_faster(facts, best, ratios, reasons)]
    return min(shown, key=_speed, default=best)


def _is_shown_faster(ours: CandidateFacts, reference: CandidateFacts, ratios: Ratios, reasons: dict[str, str]) -> bool:
    ratio = _ratio(ours, reference, ratios)
    name = reference.candidate.id
    if ratio is None:
        reasons[ours.candidate.id] = f"not shown faster than {name}: they have no paired runs"
    elif ratio.low <= 1:
        reasons[ours.candidate.id] = f"not shown faster than {name}: {_words(ratio)}{_unsure(ours, ratio)}"
    return ratio is not None and ratio.low > 1


def _unsure(ours: CandidateFacts, ratio: Interval) -> str:
    """Where the race's own noise hides so small a difference, not shown is no answer; and what would give one."""
    noise = ours.latency.smallest_ratio if ours.latency is not None else None
    if noise is None or not 1 < ratio.estimate < noise:
        return ""
    rounds = rounds_needed(ours.latency.runs if ours.latency else 0, seen=math.log(noise), wanted=math.log(ratio.estimate))
    return f"; UNSURE, since this race could have shown {noise:.2f} × and no less: {what_helps(rounds)}"


def _ratio(ours: CandidateFacts, reference: CandidateFacts, ratios: Ratios) -> Interval | None:
    pair = (ours.candidate.id, reference.candidate.id)
    if pair in ratios:
        return ratios[pair]
    if reference.is_baseline and ours.latency is not None:
        return ours.latency.ratio_to_fp32
    return None


def _against(best: CandidateFacts, reference: CandidateFacts | None, ratios: Ratios) -> str:
    if reference is None or reference is best:
        return ""
    ratio = _ratio(best, reference, ratios)
    return "" if ratio is None else f", {_words(ratio)} of {reference.candidate.id}"


def _words(ratio: Interval) -> str:
    return f"{ratio.estimate:.2f} × the speed [{ratio.low:.2f}, {ratio.high:.2f}] at {100 * ratio.confidence:.1f} %"


def _seen(facts: CandidateFacts) -> str:
    return f" ({facts.latency.reason})" if facts.latency is not None and facts.latency.reason else ""


def _speed(facts: CandidateFacts) -> tuple[float, str]:
    return (measured_ms(facts) or 0.0, facts.candidate.id)


def _full_precision(field: Field) -> list[CandidateFacts]:
    """The fp32 kits that the target allows; where its runtime has none (TensorRT), the baseline network's."""
    full = [facts for facts in field.candidates if facts.candidate.precision is Precision.FP32 and facts.kit]
    return [facts for facts in full if facts.candidate.id in field.allowed] or full


def _settled(field: Field, best: CandidateFacts, why: str, reasons: Mapping[str, str]) -> Chosen:
    ident = best.candidate.id
    choice = Choice(state="settled", candidate=ident, why=why, carried=(ident,))
    return Chosen(choice=choice, reasons=describe(field, {**reasons, ident: f"chosen: {why}"}))


def _provisional(field: Field, rules: ChoiceRules, missing: str | None = None) -> Chosen:
    """fp32 and every candidate inside the budget are carried; the first in a fixed order is used until the device has spoken."""
    ordered = sorted(field.inside, key=lambda facts: (_ORDER.get(facts.candidate.precision, len(_ORDER)), facts.candidate.id))
    first = ordered[0]
    full = _full_precision(field)
    carried = dict.fromkeys(facts.candidate.id for facts in (*ordered, *full))
    missing = missing or ("nothing was raced" if rules.attached else f"{rules.device} was not attached")
    why = f"{missing}, so {first.candidate.id} is used until a race settles it: an order (fp16, INT8, other), not a prediction"
    reasons = dict.fromkeys(carried, "carried: inside the budget, and a race on the device may choose it")
    reasons |= {facts.candidate.id: "carried: what every other candidate is held against" for facts in full}
    reasons[first.candidate.id] = f"chosen for now: {why}"
    choice = Choice(
        state="provisional",
        candidate=first.candidate.id,
        why=why,
        settle_command=rules.settle_command,
        carried=tuple(carried),
    )
    return Chosen(choice=choice, reasons=describe(field, reasons))


_ORDER = {Precision.FP16: 0, Precision.INT8: 1}
