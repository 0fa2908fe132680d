"""Choosing is not gating, and a choice is no claim: what ships is the best estimate of what fits the accuracy budget.

The gate on ``test`` needs whole intervals; the choice is a decision under uncertainty, since something must ship, and is made by
estimates on ``validation`` and of the race for it, with what it is expected to cost. Within 1 % the higher precision is kept,
since INT8 costs accuracy for certain. That one candidate is faster than another is said only by a later race. Size needs no race.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from edgecnn.judging.contest import Claims, Contest, Estimated, as_good, behind
from edgecnn.judging.eligibility import Eligibility, describe, eligibility_of
from edgecnn.judging.findings import of_other_arithmetic
from edgecnn.judging.reasons import why_chosen, worded
from edgecnn.judging.runs.noise import rounds_to_settle
from edgecnn.judging.runs.regret import BEARABLE, alike, lead_of, preferred, standing_of
from edgecnn.values.base import Value
from edgecnn.values.candidate import Candidate, Method, Precision
from edgecnn.values.reason import DatedOrder, Larger, NotMeasured, Provisional, Reason, Taken
from edgecnn.values.recipe import Objective
from edgecnn.values.report import CandidateFacts, Choice


class ChoiceRules(Value):
    """What a choice is made under."""

    objective: Objective = "latency"
    budget_pp: float = 1.0
    """The bound of the drop_pp gate."""
    most_mib: float | None = None
    """That of a gate on size; None: there is none."""
    attached: bool
    """Whether the device was there to race on."""
    untimed: str | None = None
    """Why nothing was raced on a device that was there; None: it was, or had nothing to race."""
    device: str = "the device"
    settle_command: str | None = None
    """What settles a provisional choice."""
    dated: DatedOrder | None = None
    """How fast candidates were on such a device on another day; None: no record says it."""
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
    candidates: Sequence[CandidateFacts], rules: ChoiceRules, contest: Contest | None = None, claims: Claims | None = None
) -> Chosen:
    """Settled on an attached device (or for size), provisional elsewhere, ``none`` where there is nothing to choose from.

    Args:
        candidates: every row of the table, failed ones included; ``validation`` and ``size_mib`` are read.
        rules: objective, budget and circumstances.
        contest: the race for the choice; None where there was none.
        claims: of the race for the figures, once it was run; they change no choice.
    """
    eligible = eligibility_of(candidates, rules.budget_pp, rules.shippable, rules.most_mib)
    if eligible.inside and eligible.inside[0].candidate.method is Method.ORIGINAL:
        return _original(eligible, rules)
    if not eligible.inside:
        return _fallback(eligible, rules)
    if rules.objective == "size":
        return _smallest(eligible, rules)
    if contest is not None and rules.attached and any(facts.candidate.id in contest.shown for facts in eligible.inside):
        return _best(eligible, rules, contest, claims or {})
    return _provisional(eligible, rules, contest.missing if contest is not None and rules.attached else None)


def _fallback(eligible: Eligibility, rules: ChoiceRules) -> Chosen:
    """Nothing was shown to fit the budget: fp32, whatever it costs, and said so."""
    safe = _full_precision(eligible)
    if not safe:
        nothing = Choice(state="none", candidate=None, why="no candidate that the target allows works")
        return Chosen(choice=nothing, because=describe(eligible, {}))
    chosen, taken = safe[0], Taken(by="fallback", budget_pp=rules.budget_pp)
    state: Literal["settled", "provisional"] = "settled" if rules.attached else "provisional"
    choice = Choice(
        state=state,
        candidate=chosen.candidate.id,
        why=why_chosen(taken, chosen.candidate.id),
        settle_command=None if rules.attached else rules.settle_command,
        carried=(chosen.candidate.id,),
    )
    return Chosen(choice=choice, because=describe(eligible, {chosen.candidate.id: taken}))


def _original(eligible: Eligibility, rules: ChoiceRules) -> Chosen:
    """It came quantized: there is nothing to choose among, here or on the device."""
    ident = eligible.inside[0].candidate.id
    chosen = _settled(eligible, ident, Taken(by="original", objective=rules.objective, budget_pp=rules.budget_pp), {})
    if rules.attached:
        return chosen
    provisional = {"state": "provisional", "settle_command": rules.settle_command}
    return chosen.model_copy(update={"choice": chosen.choice.model_copy(update=provisional)})


def _smallest(eligible: Eligibility, rules: ChoiceRules) -> Chosen:
    weighed = [facts for facts in eligible.inside if facts.size_mib is not None]
    if not weighed:
        return _provisional(eligible, rules, "nothing was weighed")
    best = min(weighed, key=lambda facts: (facts.size_mib or 0.0, facts.candidate.id))
    least = best.size_mib or 0.0
    reasons: dict[str, Reason] = {
        facts.candidate.id: Larger(against=best.candidate.id, mib=facts.size_mib, against_mib=least)
        if facts.size_mib is not None
        else NotMeasured(step="size")
        for facts in eligible.inside
    }
    taken = Taken(by="smallest", objective="size", budget_pp=rules.budget_pp, mib=least)
    return _settled(eligible, best.candidate.id, taken, reasons)


def _best(eligible: Eligibility, rules: ChoiceRules, contest: Contest, claims: Claims) -> Chosen:
    """The best estimate by the objective, or what is within 1 % of it and of higher precision."""
    raced = {facts.candidate.id: facts for facts in eligible.inside if facts.candidate.id in contest.shown}
    costs = {name: contest.costs[name] for name in raced}
    lead = lead_of(costs)
    near = alike(costs, lead.name)
    best = preferred(costs, {name: pays(facts) for name, facts in raced.items()})
    standing = standing_of(best, costs)
    reasons: dict[str, Reason] = {
        facts.candidate.id: NotMeasured(step="race") for facts in eligible.inside if facts.candidate.id not in raced
    }
    for name in (name for name in raced if name != best):
        alike_and_rougher = name in near and pays(raced[name]) > pays(raced[best])
        kept = _kept(raced[best], raced[name])
        reasons[name] = as_good(name, best, contest, kept) if alike_and_rougher else behind(name, best, contest)
    taken = Taken(
        by="estimate" if best == lead.name else _kept(raced[best], raced[lead.name]),
        budget_pp=rules.budget_pp,
        objective=contest.objective,
        ahead=None if best == lead.name else lead.name,
        regret=standing.regret,
        rounds=contest.shown[best].runs,
    ).model_copy(update={**_figures(contest.shown[best], contest), **_claim(raced[best], _rival(best, raced, contest), claims)})
    chosen, update = _settled(eligible, best, taken, reasons), dict[str, object](regret=standing.regret)
    if standing.regret > BEARABLE:
        full = [facts.candidate.id for facts in _full_precision(eligible)]
        carried = tuple(dict.fromkeys((best, *(name for name in raced if name in standing.still_in), *full)))
        update |= {"state": "provisional", "settle_command": rules.settle_command, "carried": carried}
    return chosen.model_copy(update={"choice": chosen.choice.model_copy(update=update)})


def pays(facts: CandidateFacts) -> tuple[int, bool]:
    """In what accuracy is certain to pay: fewer bits, then a network that surgery changed."""
    bits = {Precision.FP32: 0, Precision.FP16: 1, Precision.BF16: 1}
    return bits.get(facts.candidate.precision, len(bits)), not _is_as_given(facts)


def _kept(best: CandidateFacts, other: CandidateFacts) -> Literal["precision", "network"]:
    return "precision" if pays(best)[0] < pays(other)[0] else "network"


def _rival(best: str, raced: Mapping[str, CandidateFacts], contest: Contest) -> str | None:
    """The best among candidates of another precision, each by the rounds that it shares with the one that was taken."""
    others = [name for name, facts in raced.items() if facts.candidate.precision is not raced[best].candidate.precision]
    return max(others, key=lambda name: (contest.ratio(name, best).estimate, name), default=None)


def _claim(best: CandidateFacts, rival: str | None, claims: Claims) -> dict[str, object]:
    claim = claims.get((best.candidate.id, rival)) if rival is not None else None
    if claim is None:
        return {"against": rival}
    ratio, seen = claim.ratio, best.latency
    is_open = claim.disturbed is None and ratio.low <= 1 < ratio.estimate
    more = rounds_to_settle(1.0, ratio, seen.runs) if seen and is_open else None
    return {"against": rival, "ratio": ratio, "disturbed": claim.disturbed, "rounds_to_settle": more}


def _figures(shown: Estimated, contest: Contest) -> dict[str, float]:
    if contest.objective == "throughput":
        return {"images_per_s": 1e3 / shown.cost, "batch": shown.batch}
    return {"energy_mj": shown.cost} if contest.objective == "energy" else {"ms": shown.cost}


def _full_precision(eligible: Eligibility) -> list[CandidateFacts]:
    """The working fp32 kits that the target allows.

    A target whose runtime has no fp32 (TensorRT) falls back on the baseline network's, unless everything it allows failed: then
    there is nothing to fall back from.
    """
    allowed = [facts for facts in eligible.candidates if facts.candidate.id in eligible.allowed]
    own = [facts for facts in allowed if _is_full(facts)]
    if own or not any(facts.works for facts in allowed):
        return [facts for facts in own if facts.works]
    return [facts for facts in eligible.candidates if _is_full(facts) and facts.works]


def _is_full(facts: CandidateFacts) -> bool:
    """The network as it was trained, or is custom, in fp32: nothing has to be earned by it."""
    return facts.candidate.precision is Precision.FP32 and _is_as_given(facts)


def _is_as_given(facts: CandidateFacts) -> bool:
    return facts.candidate.surgery is None


def _settled(eligible: Eligibility, ident: str, taken: Taken, reasons: Mapping[str, Reason]) -> Chosen:
    choice = Choice(state="settled", candidate=ident, why=why_chosen(taken, ident), carried=(ident,))
    return Chosen(choice=choice, because=describe(eligible, {**reasons, ident: taken}))


def _provisional(eligible: Eligibility, rules: ChoiceRules, missing: str | None = None) -> Chosen:
    """fp32 and every candidate inside the budget are carried; the first in order is used until the device was raced on.

    The order is that of a dated record, where it has a time for every candidate whose accuracy counts on the device; else the
    default order.
    """
    late = {facts.candidate.id for facts in eligible.inside if of_other_arithmetic(facts) is not None}
    dated = rules.dated if rules.objective == "latency" else None
    times = {facts.candidate.id: _time_of(facts.candidate, dated) for facts in eligible.inside if facts.candidate.id not in late}
    if None in times.values() or not times:
        dated = None

    def place(facts: CandidateFacts) -> tuple[bool, float, int, str]:
        candidate = facts.candidate
        time = (times.get(candidate.id) or 0.0) if dated is not None else 0.0
        return candidate.id in late, time, _ORDER.get(candidate.precision, len(_ORDER)), candidate.id

    ordered = sorted(eligible.inside, key=place)
    first = ordered[0].candidate.id
    full = [facts.candidate.id for facts in _full_precision(eligible)]
    order = tuple(facts.candidate.id for facts in ordered)
    missing = missing or (rules.untimed or "nothing was raced" if rules.attached else f"{rules.device} was not attached")
    late_ones = tuple(name for name in order if name in late)
    carried = Provisional(part="carried", order=order, missing=missing, late=late_ones, dated=dated)
    used, reference, fallback = (carried.model_copy(update={"part": part}) for part in ("used", "reference", "fallback"))
    choice = Choice(
        state="provisional",
        candidate=first,
        why=why_chosen(used, first),
        settle_command=rules.settle_command,
        carried=tuple(dict.fromkeys((*order, *full))),
    )
    baseline = [facts.candidate.id for facts in eligible.candidates if facts.is_baseline]
    decided = dict.fromkeys(full, fallback) | dict.fromkeys(order, carried)
    reasons = decided | {name: reference for name in baseline if name in decided} | {first: used}
    return Chosen(choice=choice, because=describe(eligible, reasons))


_ORDER = {Precision.FP16: 0, Precision.INT8: 1}
"""The default order, which estimates no speed."""


def _time_of(candidate: Candidate, dated: DatedOrder | None) -> float | None:
    """A candidate's time in a record, or that of the plain candidate of its runtime and precision: evidence has no other ones."""
    if dated is None or candidate.surgery is not None:
        return None
    plain = f"{candidate.runtime.value}-{candidate.precision.value}"
    return dated.relative.get(candidate.id, dated.relative.get(plain))
