"""Choose the member that ships, and compute the front and the rank correlation of the stand-in, from measurements alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from edgecnn.errors.base import ExitCode
from edgecnn.judging.gates import exit_code_of
from edgecnn.judging.judgement import learned_result
from edgecnn.judging.metrics import budgets_in_p50, budgets_text, reciprocal_of_p50
from edgecnn.values.fit import BudgetMetric, FitReport, Member
from edgecnn.values.verdict import CHANCE, IMAGES_PER_S, Fidelity, GateResult, Interval, Verdict

LEAST_RANKED = 4
"""Fewest members for which a rank correlation is given. With few members it says little, so their number is shown."""
_State = Literal["settled", "provisional", "none"]
_STATES: Mapping[Verdict, tuple[_State, str]] = {
    Verdict.PASS: ("settled", "measured inside"),
    Verdict.UNSURE: ("provisional", "shown neither inside nor outside"),
    Verdict.MISSING: ("provisional", "predicted inside, but not all measured"),
}
"""State of a member that may ship, and its wording in the reason, by its verdict. The surest is first."""


class Chosen(NamedTuple):
    """The member that ships, if any."""

    name: str | None
    state: _State
    why: str


def choose_member(members: Sequence[Member], stated: Mapping[str, float], required_top1: float | None) -> Chosen:
    """Choose the most accurate member inside the budgets, or with ``required_top1`` the fastest that is accurate enough.

    ``stated``: the budgets; those in images per second apply to the median latency.

    Members are compared by their estimated accuracy on ``validation``. A member is inside if its whole intervals are. If no
    member is certainly inside, one that may be inside ships provisionally. A member also ships provisionally if its test images
    do not show ``required_top1``, or do not show that it learned.
    """
    chosen = _choose_most_accurate(members, stated, required_top1)
    shipped = next((member for member in members if member.name == chosen.name), None)
    if shipped is None or (unlearned := learned_result(shipped.gates)) is None:
        return chosen
    return Chosen(chosen.name, "provisional", f"{chosen.why}; {unlearned.candidate} is {unlearned.reason}")


def _choose_most_accurate(members: Sequence[Member], stated: Mapping[str, float], required_top1: float | None) -> Chosen:
    built = [member for member in members if member.validation_top1 is not None and member.failed is None]
    if not built:
        return Chosen(None, "none", "no member was built")
    enough = [
        member
        for member in built
        if required_top1 is None or (member.validation_top1 and member.validation_top1.low >= required_top1)
    ]
    if not enough:
        best = max(built, key=top1_of)
        reached = f"the most accurate, {best.name}, reaches {_share_text(best.validation_top1)} on validation"
        return Chosen(None, "none", f"no member is shown to reach a top-1 of {required_top1:.1%}: {reached}")
    for verdict, (state, shown) in _STATES.items():
        inside = [member for member in enough if _budget_verdict(member, stated) is verdict]
        if verdict is Verdict.MISSING:
            inside = [member for member in inside if _may_be_inside(member, stated)]
        if inside and required_top1 is None:
            best = max(inside, key=lambda member: (top1_of(member), -_measured_ms(member)))
            of = f"of the {len(inside)} that are {shown} {budgets_text(stated)}"
            # No figure: the highest of several validation accuracies is too high, and the test images give the reported one.
            return Chosen(best.name, state, f"the most accurate on validation {of}")
        if inside:
            where = f" and that are {shown} {budgets_text(stated)}" if stated else ""
            return _choose_fastest(inside, state, where, required_top1 or 0.0)
    least = min(enough, key=_measured_ms)
    of = "nothing" if required_top1 is None else f"no member with a top-1 of {required_top1:.1%} on validation"
    rate = IMAGES_PER_S in stated
    reached = _latency_text(least.p50_ms, rate=rate)
    return Chosen(None, "none", f"{of} is inside {budgets_text(stated)}: the nearest is {least.name}, at {reached}")


def _choose_fastest(inside: Sequence[Member], state: _State, where: str, required_top1: float) -> Chosen:
    best = min(inside, key=lambda member: _measured_ms(member) if member.p50_ms else _predicted_ms(member))
    why = f"the fastest of the {len(inside)} whose top-1 on validation is shown to reach {required_top1:.1%}{where}"
    gate = next((result for result in best.gates if result.gate.metric == "top1" and result.gate.stated_by != CHANCE), None)
    if gate is None or gate.verdict is Verdict.PASS:
        return Chosen(best.name, state, why)
    return Chosen(best.name, "provisional", f"{why}; the test images do not show it: {_share_text(best.test_top1)}")


def _budget_verdict(member: Member, within: Mapping[str, float]) -> Verdict | None:
    """Return the verdict on a member's budgets. Without budgets, PASS means that the member was measured."""
    if within:
        return member.inside
    return Verdict.PASS if member.p50_ms is not None and member.fidelity is not Fidelity.EMULATED else Verdict.MISSING


def _may_be_inside(member: Member, within: Mapping[str, float]) -> bool:
    """Whether a member without some figure may be inside: by its measured latency, else by its prediction."""
    if any(result.gate.metric == "p50_ms" and result.verdict is not Verdict.MISSING for result in member.gates):
        return True
    return _predicted_ms(member) <= budgets_in_p50(within).get("p50_ms", math.inf)


def exit_code(report: FitReport, *, require_measured: bool = False) -> ExitCode:
    """Return the exit code of the shipped member's gates, as of any build; GATE_FAILED if no member ships."""
    shipped = next((member for member in report.members if member.name == report.shipped), None)
    return ExitCode.GATE_FAILED if shipped is None else exit_code_of(shipped.gates, require_measured=require_measured)


def worst_budget_verdict(gates: Sequence[GateResult]) -> Verdict | None:
    """Return the worst verdict on all budgets; None without a budget."""
    verdicts = [result.verdict for result in gates if result.gate.metric in get_args(BudgetMetric)]
    worst = (Verdict.FAIL, Verdict.MISSING, Verdict.UNSURE, Verdict.PASS)
    return next((verdict for verdict in worst if verdict in verdicts), None)


def _predicted_ms(member: Member) -> float:
    """Return the predicted latency of the kit that ships; infinite without a prediction of that kit."""
    prediction = member.prediction
    return math.inf if prediction is None else prediction.p50_ms.estimate


def front_of(members: Sequence[Member]) -> tuple[str, ...]:
    """Return the names of the Pareto front by validation accuracy and latency, the fastest first."""
    timed = [member for member in members if member.p50_ms and member.validation_top1]
    return tuple(member.name for member in pareto_front(timed, _measured_ms, top1_of))


def pareto_front(
    members: Iterable[Member], cost_ms: Callable[[Member], float], worth: Callable[[Member], float]
) -> tuple[Member, ...]:
    """Return the Pareto front of cost and worth, the cheapest member first."""
    front, best = list[Member](), -math.inf
    for member in sorted(members, key=lambda member: (cost_ms(member), -worth(member))):
        if worth(member) > best:
            front.append(member)
            best = worth(member)
    return tuple(front)


def briefly_trained(members: Iterable[Member]) -> list[Member]:
    """Return the members with a short training."""
    return [member for member in members if member.trained and not member.trained[0].whole]


def rank_correlation(ranked: Sequence[Member]) -> float | None:
    """Return Spearman's rank correlation of the stand-in and the ``validation`` accuracy after a short training.

    None for fewer than four members, or if all values of either are equal.
    """
    from scipy.stats import spearmanr

    pairs = [(member.standin, member.trained[0].validation_top1) for member in ranked]
    if len(pairs) < LEAST_RANKED or any(len(set(column)) == 1 for column in zip(*pairs, strict=True)):
        return None
    return round(float(spearmanr(*zip(*pairs, strict=True)).statistic), 3)


def top1_of(member: Member) -> float:
    """Return top-1 on ``validation``, 0…1; 0 if the member was not built."""
    return member.validation_top1.estimate if member.validation_top1 else 0.0


def _measured_ms(member: Member) -> float:
    return member.p50_ms.estimate if member.p50_ms else math.inf


def _latency_text(p50_ms: Interval | None, *, rate: bool) -> str:
    """``rate``: in images per second."""
    if p50_ms is None:
        return "no measured latency"
    low, estimate, high = p50_ms.low, p50_ms.estimate, p50_ms.high
    if rate:
        low, estimate, high = reciprocal_of_p50(high), reciprocal_of_p50(estimate), reciprocal_of_p50(low)
    interval = f" [{low:.2f}, {high:.2f}]" if p50_ms.confidence else ""
    return f"{estimate:.2f}{interval} {'images/s' if rate else 'ms'}"


def _share_text(top1: Interval | None) -> str:
    return "none" if top1 is None else f"{top1.estimate:.1%} [{top1.low:.1%}, {top1.high:.1%}]"
