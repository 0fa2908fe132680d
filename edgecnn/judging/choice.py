"""Choosing is not gating: the best of what fits the accuracy budget on ``validation``, a lower precision only where shown better.

The gate on ``test`` needs whole intervals; the choice takes estimates, since something must ship. What it does not take on
trust is speed, or energy: INT8 costs accuracy for certain and is often slower, so it must beat the best float candidate in paired
runs. Size needs no race.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from edgecnn.judging.contest import Contest, PairedRatio, Ratios, behind, latency_contest, not_shown
from edgecnn.judging.eligibility import Eligibility, describe, eligibility_of
from edgecnn.judging.reasons import why_chosen, worded
from edgecnn.values.base import Value
from edgecnn.values.candidate import Method, Precision
from edgecnn.values.reason import Larger, NotMeasured, Provisional, Reason, Taken
from edgecnn.values.recipe import Objective
from edgecnn.values.report import CandidateFacts, Choice, Latency


class ChoiceRules(Value):
    """What a choice is made under."""

    objective: Objective = "latency"
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
    contest: Contest | None = None,
) -> Chosen:
    """Settled on an attached device (or for size), provisional elsewhere, ``none`` where there is nothing to choose from.

    Args:
        candidates: every row of the table, failed ones included; ``validation`` and ``latency`` are read.
        rules: objective, budget and circumstances.
        ratios: paired ratios of one race; where one is absent and the reference is the baseline, ``ratio_to_fp32`` is used.
        figures: latency in the race that selects, by candidate. Once the finalists have raced again, rows hold figures of two
            races, which cannot be compared; with this the choice stays what the selecting race made it. None: the rows' own.
        contest: the race that selects where throughput or energy is the objective; ``ratios`` and ``figures`` are of latency.
    """
    if figures is not None:
        seen = {facts.candidate.id: figures.get(facts.candidate.id) or _without_figures(facts) for facts in candidates}
        candidates = [facts.model_copy(update={"latency": seen[facts.candidate.id]}) for facts in candidates]
    eligible = eligibility_of(candidates, rules.budget_pp, rules.shippable)
    if eligible.inside and eligible.inside[0].candidate.method is Method.ORIGINAL:
        return _original(eligible, rules)
    if not eligible.inside:
        return _fallback(eligible, rules)
    if rules.objective == "size":
        return _smallest(eligible, rules)
    race = contest if rules.objective != "latency" else latency_contest(candidates, ratios or {})
    if race is not None and rules.attached and any(facts.candidate.id in race.shown for facts in eligible.inside):
        return _best(eligible, rules, race)
    return _provisional(eligible, rules, race.missing if race is not None and rules.attached else None)


def _fallback(eligible: Eligibility, rules: ChoiceRules) -> Chosen:
    """Nothing was shown to fit the budget: fp32, whatever it costs, and said so."""
    safe = _full_precision(eligible)
    if not safe:
        nothing = Choice(state="none", candidate=None, why="no candidate was built that could be chosen")
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


def _best(eligible: Eligibility, rules: ChoiceRules, contest: Contest) -> Chosen:
    """The best float candidate, unless a lower precision was measured to be better than it by the objective.

    Where floats fit the budget but none was raced, nothing was shown, and the choice stays provisional.
    """
    raced = [facts for facts in eligible.inside if facts.candidate.id in contest.shown]
    reasons: dict[str, Reason] = {
        facts.candidate.id: NotMeasured(step="race", why=_why_not_raced(facts, contest))
        for facts in eligible.inside
        if facts.candidate.id not in contest.shown
    }
    best = _best_float(raced, contest, reasons)
    lower = [facts.candidate.id for facts in raced if not facts.candidate.precision.is_float]
    reference = best  # what would ship otherwise: a faster float that was not itself shown faster is no bar to a lower precision
    if reference is None and any(facts.candidate.precision.is_float for facts in eligible.inside):
        return _provisional(eligible, rules, "no float candidate was raced")
    shown = [name for name in lower if reference is None or _is_shown_better(name, reference, contest, reasons)]
    if shown:
        best = min(shown, key=lambda name: _cost(name, contest))
    if best is None:
        return _provisional(eligible, rules)
    for facts in raced:
        if facts.candidate.id != best:
            reasons.setdefault(facts.candidate.id, behind(facts.candidate.id, best, contest))
    taken = _taken(best, reference, [facts.candidate.id for facts in raced], contest, rules.budget_pp)
    return _settled(eligible, best, taken, reasons)


def _taken(best: str, reference: str | None, raced: Sequence[str], contest: Contest, budget_pp: float) -> Taken:
    figures = _figures(contest.shown[best], contest)
    taken = Taken(by="fastest", budget_pp=budget_pp, objective=contest.objective).model_copy(update=figures)
    if any(_cost(name, contest) < _cost(best, contest) for name in raced):
        return taken.model_copy(update={"by": "nothing-shown-faster"})
    if reference is None or reference == best:
        return taken
    return taken.model_copy(update={"against": reference, "ratio": contest.ratio(best, reference)})


def _figures(shown: PairedRatio, contest: Contest) -> dict[str, float]:
    if contest.objective == "throughput":
        return {"images_per_s": 1e3 / shown.cost, "batch": shown.batch}
    return {"energy_mj": shown.cost} if contest.objective == "energy" else {"ms": shown.cost}


def _best_float(raced: Sequence[CandidateFacts], contest: Contest, reasons: dict[str, Reason]) -> str | None:
    """Among floats too, half the bits must be earned: fp16 and bf16 need to be shown better than the best fp32. So does whatever
    is of a network that surgery changed."""
    floats = [facts for facts in raced if facts.candidate.precision in (Precision.FP32, Precision.FP16, Precision.BF16)]
    full = [facts.candidate.id for facts in floats if _is_full(facts)]
    half = [facts.candidate.id for facts in floats if not _is_full(facts)]
    best = min(full, key=lambda name: _cost(name, contest), default=None)
    shown = [name for name in half if best is None or _is_shown_better(name, best, contest, reasons)]
    return min(shown, key=lambda name: _cost(name, contest), default=best)


def _is_shown_better(ours: str, reference: str, contest: Contest, reasons: dict[str, Reason]) -> bool:
    ratio = contest.ratio(ours, reference)
    if ratio is not None and ratio.low > 1:
        return True
    shown_worse = ratio is not None and ratio.high < 1
    reasons[ours] = behind(ours, reference, contest) if shown_worse else not_shown(ours, reference, contest)
    return False


def _why_not_raced(facts: CandidateFacts, contest: Contest) -> str | None:
    return facts.latency.reason if contest.objective == "latency" and facts.latency is not None else None


def _without_figures(facts: CandidateFacts) -> Latency | None:
    """Of a candidate that did not race for the choice: why, and no time of another race."""
    return facts.latency if facts.latency is not None and facts.latency.p50_ms is None else None


def _cost(name: str, contest: Contest) -> tuple[float, str]:
    return (contest.shown[name].cost, name)


def _full_precision(eligible: Eligibility) -> list[CandidateFacts]:
    """The fp32 kits that the target allows; where its runtime has none (TensorRT), the baseline network's."""
    full = [facts for facts in eligible.candidates if _is_full(facts) and facts.kit]
    return [facts for facts in full if facts.candidate.id in eligible.allowed] or full


def _is_full(facts: CandidateFacts) -> bool:
    """The network as it was trained, or is custom, in fp32: nothing has to be earned by it."""
    return facts.candidate.precision is Precision.FP32 and facts.candidate.surgery is None


def _settled(eligible: Eligibility, ident: str, taken: Taken, reasons: Mapping[str, Reason]) -> Chosen:
    choice = Choice(state="settled", candidate=ident, why=why_chosen(taken, ident), carried=(ident,))
    return Chosen(choice=choice, because=describe(eligible, {**reasons, ident: taken}))


def _provisional(eligible: Eligibility, rules: ChoiceRules, missing: str | None = None) -> Chosen:
    """fp32 and every candidate inside the budget are carried; the first in a fixed order is used until the device has spoken."""
    ordered = sorted(eligible.inside, key=lambda facts: (_ORDER.get(facts.candidate.precision, len(_ORDER)), facts.candidate.id))
    first = ordered[0].candidate.id
    full = [facts.candidate.id for facts in _full_precision(eligible)]
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
    return Chosen(choice=choice, because=describe(eligible, reasons))


_ORDER = {Precision.FP16: 0, Precision.INT8: 1}
