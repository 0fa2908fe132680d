"""Which member ships, what is on the front, and how well the stand-in ordered: pure, from what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from edgecnn.values.fit import BudgetMetric, Member
from edgecnn.values.verdict import Interval, Verdict

LEAST_RANKED = 4
"""Members from which a rank correlation says something."""


_State = Literal["settled", "provisional", "none"]
_STATES: Mapping[Verdict, tuple[_State, str]] = {
    Verdict.PASS: ("settled", "measured inside"),
    Verdict.UNSURE: ("provisional", "not shown inside, nor outside"),
    Verdict.MISSING: ("provisional", "predicted, and not all measured, inside"),
}
"""What a member that may ship is said to be, the surest first."""


class Chosen(NamedTuple):
    """What ships."""

    name: str | None
    state: _State
    why: str


def choose_member(members: Sequence[Member], within: Mapping[BudgetMetric, float], least_top1: float | None) -> Chosen:
    """The most accurate on ``validation`` whose budgets are met by whole intervals; or the fastest that is accurate enough.

    Accuracy is an estimate, as of every choice here; budgets are gates. Where none is met for certain, the one that may be ships
    provisionally; where none may be, nothing does.
    """
    built = [each for each in members if each.validation_top1 is not None]
    if least_top1 is not None:
        return _fastest(built, within, least_top1)
    budgets = _worded(within)
    for verdict, (state, shown) in _STATES.items():
        inside = [each for each in built if each.inside is verdict]
        if verdict is Verdict.MISSING:
            inside = [each for each in inside if _predicted_inside(each, within)]
        if inside:
            best = max(inside, key=lambda each: (top1_of(each), -_ms(each)))
            why = f"the most accurate on validation ({top1_of(best):.1%}) of the {len(inside)} that are {shown} {budgets}"
            return Chosen(best.name, state, why)
    if not built:
        return Chosen(None, "none", "nothing was built")
    least = min(built, key=_ms)
    return Chosen(None, "none", f"nothing is inside {budgets}: the nearest is {least.name}, at {_figure(least.p50_ms)}")


def _fastest(built: Sequence[Member], within: Mapping[BudgetMetric, float], least_top1: float) -> Chosen:
    enough = [each for each in built if each.validation_top1 and each.validation_top1.low >= least_top1]
    enough = [each for each in enough if not within or each.inside is Verdict.PASS or _predicted_inside(each, within)]
    if enough:
        best = min(enough, key=_cost)
        state: _State = "settled" if all(each.p50_ms for each in enough) else "provisional"
        why = f"the fastest of the {len(enough)} whose top-1 on validation is shown to reach {least_top1:.1%}"
        return Chosen(best.name, state, why)
    if not built:
        return Chosen(None, "none", "nothing was built")
    best = max(built, key=top1_of)
    reached = f"the most accurate, {best.name}, has {_share(best.validation_top1)} on validation"
    return Chosen(None, "none", f"no member is shown to reach a top-1 of {least_top1:.1%}: {reached}")


def budgets_met(verdicts: Sequence[Verdict]) -> Verdict | None:
    """All of them: a figure that is missing leaves it open, unless another is outside. None where nothing was asked."""
    worst = (Verdict.FAIL, Verdict.MISSING, Verdict.UNSURE, Verdict.PASS)
    return next((each for each in worst if each in verdicts), None)


def _predicted_inside(member: Member, within: Mapping[BudgetMetric, float]) -> bool:
    """Of what was not measured: whether the table says so."""
    said = member.best_predicted
    return member.inside is Verdict.MISSING and said is not None and said.p50_ms.estimate <= within.get("p50_ms", math.inf)


def _cost(member: Member) -> float:
    """Measured, else predicted."""
    said = member.best_predicted
    return _ms(member) if member.p50_ms or said is None else said.p50_ms.estimate


def front_of(members: Sequence[Member]) -> tuple[str, ...]:
    """Names of built members that no other is both more accurate on validation and faster than, the fastest first."""
    timed = [each for each in members if each.p50_ms and each.validation_top1]
    return tuple(each.name for each in rising_front(timed, _ms, top1_of))


def rising_front(
    members: Iterable[Member], cost_ms: Callable[[Member], float], worth: Callable[[Member], float]
) -> tuple[Member, ...]:
    """Those that no other is both cheaper and worth more than, the cheapest first."""
    front, best = list[Member](), -math.inf
    for each in sorted(members, key=lambda each: (cost_ms(each), -worth(each))):
        if worth(each) > best:
            front.append(each)
            best = worth(each)
    return tuple(front)


def rank_correlation(members: Sequence[Member]) -> float | None:
    """Spearman's, of the stand-in and of ``validation`` accuracy after a short training; None of fewer than four members."""
    pairs = [(each.standin, each.trained[0].validation_top1) for each in members if each.trained and not each.trained[0].whole]
    if len(pairs) < LEAST_RANKED:
        return None
    ours, theirs = (_ranks([pair[side] for pair in pairs]) for side in (0, 1))
    middle = (len(pairs) + 1) / 2
    together = sum((a - middle) * (b - middle) for a, b in zip(ours, theirs, strict=True))
    apart = math.sqrt(sum((a - middle) ** 2 for a in ours) * sum((b - middle) ** 2 for b in theirs))
    return round(together / apart, 3) if apart else None


def _ranks(values: Sequence[float]) -> list[float]:
    """Ties share the mean of their places."""
    return [1 + sum(other < each for other in values) + (sum(other == each for other in values) - 1) / 2 for each in values]


def top1_of(member: Member) -> float:
    """On ``validation``, 0…1; 0 of what was not built."""
    return member.validation_top1.estimate if member.validation_top1 else 0.0


def _ms(member: Member) -> float:
    return member.p50_ms.estimate if member.p50_ms else math.inf


def _worded(within: Mapping[BudgetMetric, float]) -> str:
    return " and ".join(f"{name} ≤ {bound:g}" for name, bound in within.items())


def _figure(p50_ms: Interval | None) -> str:
    return "no measured latency" if p50_ms is None else f"{p50_ms.estimate:.2f} [{p50_ms.low:.2f}, {p50_ms.high:.2f}] ms"


def _share(top1: Interval | None) -> str:
    return "none" if top1 is None else f"{top1.estimate:.1%} [{top1.low:.1%}, {top1.high:.1%}]"
