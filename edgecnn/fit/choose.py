"""Which member ships, what is on the front, and how well the stand-in ordered: pure, from what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from edgecnn.errors.base import ExitCode
from edgecnn.errors.wording import bounds_text
from edgecnn.judging.gates import exit_code_of
from edgecnn.judging.learned import learned_result
from edgecnn.values.fit import BudgetMetric, FitReport, Member
from edgecnn.values.verdict import CHANCE, Fidelity, GateResult, Interval, Verdict

LEAST_RANKED = 4
"""Members below which no rank correlation is given. Of four it still says little: its number is shown beside it."""


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


def choose_member(members: Sequence[Member], within: Mapping[BudgetMetric, float], required_top1: float | None) -> Chosen:
    """The most accurate on ``validation`` whose budgets are met by whole intervals; or the fastest that is accurate enough.

    Accuracy is an estimate, as of every choice here; budgets are gates. Where none is met for certain, the one that may be ships
    provisionally; where none may be, nothing does. An accuracy that is required is shown on ``test`` alone, by its gate: until it
    is, what ships is provisional. So is a network that is not shown to have learned.
    """
    chosen = _chosen(members, within, required_top1)
    shipped = next((each for each in members if each.name == chosen.name), None)
    if shipped is None or (unlearned := learned_result(shipped.gates)) is None:
        return chosen
    return Chosen(chosen.name, "provisional", f"{chosen.why}; {unlearned.reason}")


def _chosen(members: Sequence[Member], within: Mapping[BudgetMetric, float], required_top1: float | None) -> Chosen:
    built = [each for each in members if each.validation_top1 is not None and each.failed is None]
    if not built:
        return Chosen(None, "none", "nothing was built")
    enough = [
        each for each in built if required_top1 is None or (each.validation_top1 and each.validation_top1.low >= required_top1)
    ]
    if not enough:
        best = max(built, key=top1_of)
        reached = f"the most accurate, {best.name}, has {_share(best.validation_top1)} on validation"
        return Chosen(None, "none", f"no member is shown to reach a top-1 of {required_top1:.1%}: {reached}")
    for verdict, (state, shown) in _STATES.items():
        inside = [each for each in enough if _standing(each, within) is verdict]
        if verdict is Verdict.MISSING:
            inside = [each for each in inside if _may_be_inside(each, within)]
        if inside and required_top1 is None:
            best = max(inside, key=lambda each: (top1_of(each), -_ms(each)))
            of = f"of the {len(inside)} that are {shown} {bounds_text(within)}"
            return Chosen(best.name, state, f"the most accurate on validation ({top1_of(best):.1%}) {of}")
        if inside:
            return _fastest(inside, state, _where(within, shown), required_top1 or 0.0)
    least = min(enough, key=_ms)
    of = "nothing" if required_top1 is None else f"nothing that reaches a top-1 of {required_top1:.1%} on validation"
    return Chosen(None, "none", f"{of} is inside {bounds_text(within)}: the nearest is {least.name}, at {_figure(least.p50_ms)}")


def _fastest(inside: Sequence[Member], state: _State, where: str, required_top1: float) -> Chosen:
    best = min(inside, key=_cost)
    why = f"the fastest of the {len(inside)} whose top-1 on validation is shown to reach {required_top1:.1%}{where}"
    gate = next((each for each in best.gates if each.gate.metric == "top1" and each.gate.stated_by != CHANCE), None)
    if gate is None or gate.verdict is Verdict.PASS:
        return Chosen(best.name, state, why)
    return Chosen(best.name, "provisional", f"{why}; on the test images that is not shown: {_share(best.test_top1)}")


def _where(within: Mapping[BudgetMetric, float], shown: str) -> str:
    return f" and that are {shown} {bounds_text(within)}" if within else ""


def _standing(member: Member, within: Mapping[BudgetMetric, float]) -> Verdict | None:
    """Whether its budgets are met; without any, whether it was measured."""
    if within:
        return member.inside
    return Verdict.PASS if member.p50_ms is not None and member.fidelity is not Fidelity.EMULATED else Verdict.MISSING


def _may_be_inside(member: Member, within: Mapping[BudgetMetric, float]) -> bool:
    """Of one that lacks a figure, and is outside by none: what a clock said of its latency counts, and else a prediction."""
    if any(each.gate.metric == "p50_ms" and each.verdict is not Verdict.MISSING for each in member.gates):
        return True
    return _predicted_ms(member) <= within.get("p50_ms", math.inf)


def exit_code(found: FitReport) -> ExitCode:
    """That of the gates of what ships, as of any build; GATE_FAILED where nothing does."""
    shipped = next((each for each in found.members if each.name == found.shipped), None)
    return ExitCode.GATE_FAILED if shipped is None else exit_code_of(shipped.gates)


def inside_of(gates: Sequence[GateResult]) -> Verdict | None:
    """Of all budgets: a figure that is missing leaves it open, unless another is outside. None where nothing was asked."""
    verdicts = [each.verdict for each in gates if each.gate.metric in get_args(BudgetMetric)]
    worst = (Verdict.FAIL, Verdict.MISSING, Verdict.UNSURE, Verdict.PASS)
    return next((each for each in worst if each in verdicts), None)


def _predicted_ms(member: Member) -> float:
    """Of what was built of it, where the table says."""
    said = next((each for each in member.predicted if each.candidate == member.candidate), member.best_predicted)
    return math.inf if said is None or said.extrapolated else said.p50_ms.estimate


def _cost(member: Member) -> float:
    """Measured, else predicted."""
    return _ms(member) if member.p50_ms else _predicted_ms(member)


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


def ranked_of(members: Iterable[Member]) -> list[Member]:
    """Those of which a short training is known."""
    return [each for each in members if each.trained and not each.trained[0].whole]


def rank_correlation(ranked: Sequence[Member]) -> float | None:
    """Spearman's, of the stand-in and of ``validation`` accuracy after a short training; None of fewer than four members, or
    where either is the same of all."""
    from scipy.stats import spearmanr

    pairs = [(each.standin, each.trained[0].validation_top1) for each in ranked]
    if len(pairs) < LEAST_RANKED or any(len(set(of)) == 1 for of in zip(*pairs, strict=True)):
        return None
    return round(float(spearmanr(*zip(*pairs, strict=True)).statistic), 3)


def top1_of(member: Member) -> float:
    """On ``validation``, 0…1; 0 of what was not built."""
    return member.validation_top1.estimate if member.validation_top1 else 0.0


def _ms(member: Member) -> float:
    return member.p50_ms.estimate if member.p50_ms else math.inf


def _figure(p50_ms: Interval | None) -> str:
    if p50_ms is None:
        return "no measured latency"
    interval = f" [{p50_ms.low:.2f}, {p50_ms.high:.2f}]" if p50_ms.confidence else ""  # none of an estimate alone
    return f"{p50_ms.estimate:.2f}{interval} ms"


def _share(top1: Interval | None) -> str:
    return "none" if top1 is None else f"{top1.estimate:.1%} [{top1.low:.1%}, {top1.high:.1%}]"
