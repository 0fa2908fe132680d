"""Where each candidate stands before the choice: inside the accuracy budget, over it, unknown, or not to be shipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from edgecnn.values.accuracy import group_count
from edgecnn.values.artifact import Blocked, Failed, Unavailable
from edgecnn.values.base import Value
from edgecnn.values.candidate import Method
from edgecnn.values.reason import Differs, Loses, NotMeasured, Outside, Reason, TooLarge
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Interval


class Eligibility(Value):
    """All candidates, those that the target allows, and those of them that were shown to be inside the budget."""

    candidates: tuple[CandidateFacts, ...]
    allowed: tuple[str, ...]
    inside: tuple[CandidateFacts, ...]
    budget_pp: float
    most_mib: float | None = None
    """Of a gate on size that at least one of those inside meets; None where there is none."""


def eligibility_of(
    candidates: Sequence[CandidateFacts], budget_pp: float, shippable: Sequence[str] | None, most_mib: float | None = None
) -> Eligibility:
    """Sort candidates by what validation showed. Only a candidate that works and was evaluated is inside.

    ``most_mib``: what a gate on size allows. It is known before any race, so that what is larger is not raced for; where all
    are larger the gate alone says so.
    """
    allowed = tuple(facts.candidate.id for facts in candidates if shippable is None or facts.candidate.id in shippable)
    inside = tuple(
        facts
        for facts in candidates
        if facts.candidate.id in allowed and facts.works and (drop := drop_on_validation(facts)) is not None and drop <= budget_pp
    )
    small = tuple(facts for facts in inside if most_mib is None or (facts.size_mib or 0.0) <= most_mib)
    bound = most_mib if small else None
    return Eligibility(candidates=tuple(candidates), allowed=allowed, inside=small or inside, budget_pp=budget_pp, most_mib=bound)


def drop_on_validation(facts: CandidateFacts) -> float | None:
    """The estimated drop in percentage points; 0 of the baseline itself, None of what was not evaluated.

    Of a multi-label network it is that of mAP. Without labels the share of other answers than fp32's stands for it, since no drop
    can be larger.
    """
    if facts.candidate.method is Method.ORIGINAL:
        return 0.0  # what it lost when it was quantized is in no file, and there is nothing else to ship
    if facts.agreement_on_validation is not None:
        return facts.agreement_on_validation.differing_pp
    if (several := facts.multi_label_on_validation) is not None:
        return 0.0 if facts.is_baseline or several.drop_pp is None else several.drop_pp.estimate
    if facts.validation is None or facts.validation.images < 1:
        return None
    if facts.is_baseline:
        return 0.0
    return None if facts.validation.drop_pp is None else facts.validation.drop_pp.estimate


def describe(eligible: Eligibility, decided: Mapping[str, Reason]) -> dict[str, Reason]:
    """A reason for every candidate: what decided, or else why it was never in question."""
    return {facts.candidate.id: decided.get(facts.candidate.id) or _why_out(eligible, facts) for facts in eligible.candidates}


def _why_out(eligible: Eligibility, facts: CandidateFacts) -> Reason:
    drop = drop_on_validation(facts)
    broken = facts.broken
    if facts.kit is None or (broken is not None and broken != facts.outcomes.get("measure")):
        return _why_no_kit(facts)
    if broken is not None:
        return _without_result("measure", broken)
    if facts.candidate.id not in eligible.allowed:
        return Outside(runtime=facts.candidate.runtime)
    if drop is not None and drop <= eligible.budget_pp and eligible.most_mib is not None:
        return TooLarge(mib=facts.size_mib or 0.0, bound_mib=eligible.most_mib)
    if (seen_alike := facts.agreement_on_validation) is not None:
        over = {"bound_pp": eligible.budget_pp, "images": seen_alike.images, "groups": seen_alike.groups}
        return Differs(split="validation", same=seen_alike.same, **over)
    seen = facts.multi_label_on_validation or facts.validation
    if drop is None or seen is None:
        return NotMeasured(step="validation")
    exact = Interval(estimate=drop, low=drop, high=drop, confidence=1.0)  # the baseline's own
    over = {"bound_pp": eligible.budget_pp, "images": seen.images, "groups": group_count(seen)}
    return Loses(split="validation", drop_pp=seen.drop_pp or exact, **over)


def _why_no_kit(facts: CandidateFacts) -> NotMeasured:
    """The first stage that has no result: those behind it are blocked for want of it."""
    for stage, outcome in facts.outcomes.items():
        if isinstance(outcome, Failed | Blocked | Unavailable):
            return _without_result("kit", outcome, None if isinstance(outcome, Unavailable) else stage)
    return NotMeasured(step="kit")


def _without_result(
    step: Literal["kit", "measure"], outcome: Failed | Blocked | Unavailable, stage: str | None = None
) -> NotMeasured:
    if isinstance(outcome, Blocked):
        return NotMeasured(step=step, outcome="blocked", stage=stage, why=f"{outcome.by} has no result")
    why, command = (outcome.what, outcome.hint) if isinstance(outcome, Failed) else (outcome.why, outcome.command)
    return NotMeasured(step=step, outcome=outcome.outcome, stage=stage, why=why, command=command)
