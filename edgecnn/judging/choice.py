"""The choice: the candidates that are eligible, their comparison in the race, and the candidate that ships.

Choosing is not gating, and a choice is not a claim. The best estimate within the accuracy budget ships, because something must
ship; it is based on estimates on ``validation``. The gate on ``test`` needs whole intervals. Latency, throughput and energy are
compared alike: the unit is a process run, runs of one round are neighbours in time, and a ratio is the reference's cost divided
by the candidate's cost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from edgecnn.errors.gates import races_differ
from edgecnn.judging.disturbance import disturbance, disturbed, lost_share, worst_of
from edgecnn.judging.findings import arithmetic_differs
from edgecnn.judging.latency import (
    CONDITIONS_OF_THE_MACHINE,
    check_conditions,
    estimated_ms,
    medians_by_round,
    paired_ratio,
    run_settings_of,
    too_few_samples,
)
from edgecnn.judging.metrics import exactly
from edgecnn.judging.reasons import why_chosen, worded
from edgecnn.judging.regret import (
    BEARABLE,
    LOOKS,
    Costs,
    Lead,
    alike,
    estimate,
    estimated_ratio,
    lead_of,
    preferred,
    standing_of,
)
from edgecnn.judging.resources import image_mj, images_per_s, meter_of
from edgecnn.judging.stopping import rounds_to_settle
from edgecnn.values.artifact import Blocked, Failed, Unavailable
from edgecnn.values.base import Value
from edgecnn.values.candidate import Candidate, Knobs, KnobTrial, Method, Precision
from edgecnn.values.figures import group_count
from edgecnn.values.profile import Environment, Profile, Run
from edgecnn.values.reason import (
    Alike,
    DatedOrder,
    Differs,
    FewerImages,
    Larger,
    Loses,
    MoreEnergy,
    NotMeasured,
    Outside,
    PredictedOrder,
    Provisional,
    Reason,
    Slower,
    Taken,
    TooLarge,
)
from edgecnn.values.recipe import Objective, Raced
from edgecnn.values.report import CandidateFacts, Choice
from edgecnn.values.verdict import Fidelity, Interval


class Eligibility(Value):
    """All candidates, the ids that the target allows, and the allowed candidates within the budget."""

    candidates: tuple[CandidateFacts, ...]
    allowed: tuple[str, ...]
    inside: tuple[CandidateFacts, ...]
    budget_pp: float
    most_mib: float | None = None
    """Bound of a gate on size, if at least one candidate of ``inside`` meets it."""


def eligibility_of(
    candidates: Sequence[CandidateFacts], budget_pp: float, shippable: Sequence[str] | None, most_mib: float | None = None
) -> Eligibility:
    """Sort candidates by their validation results. Only a candidate that works and was evaluated can be within the budget.

    ``most_mib``: the bound of a gate on size. Sizes are known before any race, so larger candidates are not raced. If all are
    larger, all stay in, and the gate fails.
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
    """Return the estimated drop in percentage points; 0 for the baseline itself, None without an evaluation.

    For a multi-label network, it is the drop of mAP. Without labels, it is the share of predictions that differ from fp32's,
    because no drop can be larger.
    """
    if facts.candidate.method is Method.ORIGINAL:
        return 0.0  # its loss by quantization is unknown, and nothing else can ship
    if facts.agreement_on_validation is not None:
        return facts.agreement_on_validation.differing_pp
    if (several := facts.multi_label_on_validation) is not None:
        return 0.0 if facts.is_baseline or several.drop_pp is None else several.drop_pp.estimate
    if facts.validation is None or facts.validation.images < 1:
        return None
    if facts.is_baseline:
        return 0.0
    return None if facts.validation.drop_pp is None else facts.validation.drop_pp.estimate


def reasons_of(eligible: Eligibility, decided: Mapping[str, Reason]) -> dict[str, Reason]:
    """Return the reason of every candidate: the one in ``decided``, else why the candidate was not considered."""
    return {facts.candidate.id: decided.get(facts.candidate.id) or _why_out(eligible, facts) for facts in eligible.candidates}


def _why_out(eligible: Eligibility, facts: CandidateFacts) -> Reason:
    drop = drop_on_validation(facts)
    broken = facts.broken
    if facts.kit is None or (broken is not None and broken != facts.outcomes.get("measure")):
        return _why_no_kit(facts)
    if broken is not None:
        return _not_measured("measure", broken)
    if facts.candidate.id not in eligible.allowed:
        return Outside(runtime=facts.candidate.runtime)
    if drop is not None and drop <= eligible.budget_pp and eligible.most_mib is not None:
        return TooLarge(mib=facts.size_mib or 0.0, bound_mib=eligible.most_mib)
    if (agreement := facts.agreement_on_validation) is not None:
        over = {"bound_pp": eligible.budget_pp, "images": agreement.images, "groups": agreement.groups}
        return Differs(split="validation", same=agreement.same, **over)
    accuracy = facts.multi_label_on_validation or facts.validation
    if drop is None or accuracy is None:
        return NotMeasured(step="validation")
    over = {"bound_pp": eligible.budget_pp, "images": accuracy.images, "groups": group_count(accuracy)}
    return Loses(split="validation", drop_pp=accuracy.drop_pp or exactly(drop), **over)


def _why_no_kit(facts: CandidateFacts) -> NotMeasured:
    """Return the first stage without a result; later stages are blocked by it."""
    for stage, outcome in facts.outcomes.items():
        if isinstance(outcome, Failed | Blocked | Unavailable):
            return _not_measured("kit", outcome, None if isinstance(outcome, Unavailable) else stage)
    return NotMeasured(step="kit")


def _not_measured(
    step: Literal["kit", "measure"], outcome: Failed | Blocked | Unavailable, stage: str | None = None
) -> NotMeasured:
    if isinstance(outcome, Blocked):
        return NotMeasured(step=step, outcome="blocked", stage=stage, why=f"{outcome.by} has no result")
    why, command = (outcome.what, outcome.hint) if isinstance(outcome, Failed) else (outcome.why, outcome.command)
    return NotMeasured(step=step, outcome=outcome.outcome, stage=stage, why=why, command=command)


CostOf = Callable[[Run], float | None]
"""Cost of a run; smaller is better."""


class Estimated(Value):
    """Result of one candidate in the first race."""

    cost: float
    """p50 in ms, ms per image, or mJ per image; smaller is better."""
    runs: int
    machine: str
    run_settings: str | None = None
    batch: int = 1


@dataclass(frozen=True)
class Contest:
    """A first race by one objective."""

    objective: Raced
    shown: Mapping[str, Estimated]
    """Result by candidate, without candidates that did not take part or did not finish."""
    costs: Costs = field(default_factory=dict)
    """Cost by candidate and round."""
    without_waiting: Costs | None = None
    """The costs without the time that the processes waited for a processor; None if unknown."""
    disturbed: str | None = None
    """What may have slowed some candidates more than others."""
    meter: str = ""
    """The meter of an energy race."""
    missing: str | None = None
    """Why the race has no results."""

    def ratio(self, ours: str, reference: str) -> Interval:
        """Return the ratio in the rounds that both ran, an estimate without a confidence level."""
        return estimated_ratio(self.costs[reference], self.costs[ours])

    def among(self, names: Collection[str]) -> Contest:
        """Return the contest of these candidates."""
        costs, own = ({name: some[name] for name in names} if some else None for some in (self.costs, self.without_waiting))
        return replace(self, costs=costs or {}, without_waiting=own)

    @property
    def lead(self) -> Lead:
        """The state of the candidate with the least expected regret."""
        return lead_of(self.costs, self.without_waiting)

    def is_final(self, standing: Lead) -> bool:
        """Whether the choice of this candidate is final. Without a record of the waiting, a disturbed race leaves it open."""
        known = self.disturbed is None or self.without_waiting is not None or len(self.costs) == 1
        return known and self.is_decided(standing, BEARABLE)

    def is_decided(self, standing: Lead, regret: float) -> bool:
        """Whether the expected regret of this candidate is small enough to end the race.

        In a disturbed race it must have been as small at the look before, because a few agreeing rounds may all be of one
        disturbed minute.
        """
        if standing.regret > regret:
            return False
        if self.disturbed is None or len(self.costs) == 1:
            return True
        rounds = max(map(len, self.costs.values()))
        before = max((look for look in LOOKS if look < rounds), default=0)
        then = [
            {name: {number: cost for number, cost in mine.items() if number < before} for name, mine in costs.items()}
            for costs in (self.costs, self.without_waiting or self.costs)
        ]
        return before > 0 and standing_of(standing.name, *then).regret <= regret

    def still_racing(self, regret: float) -> frozenset[str]:
        """Return the candidates that run more rounds; none if the race is decided."""
        if len(self.costs) < 2 or self.is_decided(self.lead, regret):  # noqa: PLR2004 - one candidate is no choice
            return frozenset()
        if len(self.lead.still_in) > 1:
            return self.lead.still_in
        rounds = max(map(len, self.costs.values()))  # the candidates of the last block run on, until two looks agree
        return (
            frozenset() if self.disturbed is None else frozenset(name for name in self.costs if len(self.costs[name]) == rounds)
        )


class SpeedClaim(Value):
    """Speed of one candidate against another, from a race after the choice, so that reports may claim it."""

    ratio: Interval
    """Paired ratio."""
    disturbed: str | None = None
    """Other work on the machine that may explain the ratio; neither candidate is then shown to be faster."""


Claims = Mapping[tuple[str, str], SpeedClaim]
"""Claims by (candidate, reference)."""


def speed_claims(profiles: Mapping[str, Profile]) -> dict[tuple[str, str], SpeedClaim]:
    """Return the claim of every pair of candidates in one race; a pair without an interval has none.

    A program that occupies one of two cores slows down a kit that uses both cores, but hardly a kit that uses one. The kit that
    wins next to such a program may lose on an idle machine.

    Raises RACES_DIFFER, CONDITIONS_DIFFER, ROUND_TWICE: see ``paired_ratio``.
    """
    return {
        (ours, reference): SpeedClaim(ratio=ratio, disturbed=disturbed([profiles[ours], profiles[reference]]))
        for ours in profiles
        for reference in profiles
        if ours != reference and (ratio := paired_ratio(profiles[reference], profiles[ours])) is not None
    }


def costs_of(objective: Raced, runs: Mapping[str, Sequence[Run]], meter: str | None = None) -> dict[str, dict[int, float]]:
    """Return the cost of each round, for candidates with a cost in every run.

    Other candidates are omitted: ignoring only their failed runs would keep the good ones.

    ``meter``: the meter of an energy race. None: a meter that has a reading in all of these runs, because meters that cover
    different parts of a machine cannot be compared.
    """
    if objective == "energy" and meter is None and (meter := meter_of(run for mine in runs.values() for run in mine)) is None:
        return {}
    cost_of: Mapping[Raced, CostOf] = {
        "latency": estimated_ms,
        "throughput": lambda run: 1e3 / images_per_s(run) if run.samples_ns else None,
        "energy": lambda run: image_mj(run, meter or ""),
    }
    by_round = {name: {run.round: cost_of[objective](run) for run in mine} for name, mine in runs.items()}
    return {
        name: {number: cost for number, cost in mine.items() if cost is not None}
        for name, mine in by_round.items()
        if mine and None not in mine.values()
    }


def contest_of(objective: Raced, profiles: Mapping[str, Profile], machine: str) -> Contest:
    """Return the results of one first race; ``profiles``: by candidate.

    Raises RACES_DIFFER, CONDITIONS_DIFFER: the profiles are not from one race on one machine in one state.
    """
    meter = meter_of(run for profile in profiles.values() for run in profile.runs) if objective == "energy" else ""
    if meter is None:
        return Contest("energy", {}, missing="no meter measured all candidates")
    measured = {name: profile.runs for name, profile in profiles.items() if profile.fidelity is Fidelity.MEASURED}
    costs = costs_of(objective, measured, meter)
    raced = [profiles[name] for name in costs]
    for ours, theirs in zip(raced[1:], raced, strict=False):
        if ours.race is None or ours.race != theirs.race:
            raise races_differ(ours=ours.subject, theirs=theirs.subject, our_race=ours.race, their_race=theirs.race)
        check_conditions(ours.environment, theirs.environment, CONDITIONS_OF_THE_MACHINE)
    shown = {
        name: Estimated(
            cost=estimate(costs_of_one.values()),
            runs=len(costs_of_one),
            machine=machine,
            run_settings=run_settings_of(profiles[name]),
            batch=profiles[name].runs[0].batch,
        )
        for name, costs_of_one in costs.items()
    }
    return replace(contest_of_runs(objective, measured, [profiles[name].environment for name in measured], meter), shown=shown)


def contest_of_runs(
    objective: Raced, runs: Mapping[str, Sequence[Run]], environments: Sequence[Environment], meter: str | None = None
) -> Contest:
    """Return the costs of a first race, and whether other work or waiting may have decided it.

    Energy does not depend on waiting. A candidate with any failed run has no cost.
    """
    costs = costs_of(objective, runs, meter)
    raced = {name: mine for name, mine in runs.items() if name in costs}
    busy = disturbance(worst_of(environments), list(raced.values())) if raced and objective != "energy" else None
    lost = {name: {run.round: lost_share(run) for run in mine} for name, mine in raced.items()}
    if objective == "energy" or any(None in mine.values() for mine in lost.values()):
        return Contest(objective, {}, costs, meter=meter or "", disturbed=busy)
    own = {
        name: {number: cost * (1 - (lost[name][number] or 0.0)) for number, cost in mine.items()} for name, mine in costs.items()
    }
    return Contest(objective, {}, costs, meter=meter or "", without_waiting=own, disturbed=busy)


def why_worse(ours: str, best: str, contest: Contest) -> Slower | FewerImages | MoreEnergy:
    """Return the reason of a candidate that is worse by the objective, with both costs in the rounds that both ran."""
    mine, theirs = contest.shown[ours], contest.shown[best]
    ratio = contest.ratio(ours, best)
    common = contest.costs[ours].keys() & contest.costs[best].keys()
    cost, against = (estimate(contest.costs[name][number] for number in common) for name in (ours, best))
    where = {"machine": mine.machine, "run_settings": mine.run_settings, "against_run_settings": theirs.run_settings}
    if contest.objective == "throughput":
        per_s, against_per_s = 1e3 / cost, 1e3 / against
        return FewerImages(
            against=best, images_per_s=per_s, against_images_per_s=against_per_s, batch=mine.batch, against_batch=theirs.batch,
            ratio=ratio, **where,
        )  # fmt: skip
    if contest.objective == "energy":
        figures = {"energy_mj": cost, "against_energy_mj": against}
        return MoreEnergy(against=best, ratio=ratio, meter=contest.meter, **figures, **where)
    return Slower(against=best, ms=cost, against_ms=against, ratio=ratio, **where)


class ChoiceRules(Value):
    """The rules of a choice."""

    objective: Objective = "latency"
    budget_pp: float = 1.0
    """The bound of the drop_pp gate."""
    most_mib: float | None = None
    """The bound of a gate on size; None if there is none."""
    attached: bool
    """Whether the device was attached, so that a race could run."""
    untimed: str | None = None
    """Why an attached device ran no race; None if a race ran, or if there was nothing to race."""
    device: str = "the device"
    settle_command: str | None = None
    """Command that makes a provisional choice final."""
    dated: DatedOrder | None = None
    """Recorded speeds on a device of this kind; None without a record."""
    shippable: tuple[str, ...] | None = None
    """Candidates that the target allows; others, such as a baseline in another runtime, are references. None: all."""


class Chosen(Value):
    """The choice, and the reason of every candidate."""

    choice: Choice
    because: Mapping[str, Reason]

    @property
    def reasons(self) -> Mapping[str, str]:
        """Sentences of ``because``."""
        return {name: worded(reason, name) for name, reason in self.because.items()}


def choose(candidates: Sequence[CandidateFacts], rules: ChoiceRules, contest: Contest | None = None) -> Chosen:
    """Return the choice: settled on an attached device (or by size), else provisional; ``none`` if no candidate works.

    Args:
        candidates: every row of the table, including failures; ``validation`` and ``size_mib`` are read.
        rules: objective, budget and circumstances.
        contest: the first race; None if there was none.
    """
    eligible = eligibility_of(candidates, rules.budget_pp, rules.shippable, rules.most_mib)
    if eligible.inside and eligible.inside[0].candidate.method is Method.ORIGINAL:
        return _original(eligible, rules)
    if not eligible.inside:
        return _fallback(eligible, rules)
    if rules.objective == "size":
        return _smallest(eligible, rules)
    if contest is not None and rules.attached and any(facts.candidate.id in contest.shown for facts in eligible.inside):
        return _best(eligible, rules, contest)
    return _provisional(eligible, rules, contest.missing if contest is not None and rules.attached else None)


def _fallback(eligible: Eligibility, rules: ChoiceRules) -> Chosen:
    """Choose fp32, because no candidate is shown to be within the budget."""
    safe = _full_precision(eligible)
    if not safe:
        nothing = Choice(state="none", candidate=None, why="no candidate for this target works")
        return Chosen(choice=nothing, because=reasons_of(eligible, {}))
    chosen, taken = safe[0], Taken(by="fallback", budget_pp=rules.budget_pp)
    state: Literal["settled", "provisional"] = "settled" if rules.attached else "provisional"
    choice = Choice(
        state=state,
        candidate=chosen.candidate.id,
        why=why_chosen(taken, chosen.candidate.id),
        settle_command=None if rules.attached else rules.settle_command,
        carried=(chosen.candidate.id,),
    )
    return Chosen(choice=choice, because=reasons_of(eligible, {chosen.candidate.id: taken}))


def _original(eligible: Eligibility, rules: ChoiceRules) -> Chosen:
    """Choose the kit of a model file that came quantized, which is the only candidate."""
    ident = eligible.inside[0].candidate.id
    chosen = _settled(eligible, ident, Taken(by="original", objective=rules.objective, budget_pp=rules.budget_pp), {})
    if rules.attached:
        return chosen
    provisional = {"state": "provisional", "settle_command": rules.settle_command}
    return chosen.model_copy(update={"choice": chosen.choice.model_copy(update=provisional)})


def _smallest(eligible: Eligibility, rules: ChoiceRules) -> Chosen:
    weighed = [facts for facts in eligible.inside if facts.size_mib is not None]
    if not weighed:
        return _provisional(eligible, rules, "no kit has a known size")
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
    """Choose the best estimate by the objective, or a candidate within 1 % of it that risks less accuracy."""
    raced = {facts.candidate.id: facts for facts in eligible.inside if facts.candidate.id in contest.shown}
    contest = contest.among(raced)
    costs, lead = contest.costs, contest.lead
    near = alike(costs, lead.name)
    best = preferred(costs, {name: accuracy_risk(facts) for name, facts in raced.items()}, contest.without_waiting)
    standing = standing_of(best, costs, contest.without_waiting)
    reasons: dict[str, Reason] = {
        facts.candidate.id: NotMeasured(step="race") for facts in eligible.inside if facts.candidate.id not in raced
    }
    for name in (name for name in raced if name != best):
        if name in near and accuracy_risk(raced[name]) > accuracy_risk(raced[best]):
            kept, ratio = _kept(raced[best], raced[name]), contest.ratio(name, best)
            reasons[name] = Alike(objective=contest.objective, against=best, ratio=ratio, kept=kept)
        else:
            reasons[name] = why_worse(name, best, contest)
    others = [name for name, facts in raced.items() if facts.candidate.precision is not raced[best].candidate.precision]
    rival = max(others, key=lambda name: (contest.ratio(name, best).estimate, name), default=None)
    taken = Taken(
        by="estimate" if best == lead.name else _kept(raced[best], raced[lead.name]),
        budget_pp=rules.budget_pp,
        objective=contest.objective,
        ahead=None if best == lead.name else lead.name,
        regret=standing.regret,
        rounds=contest.shown[best].runs,
        against=rival,
    ).model_copy(update=_figures(contest.shown[best], contest))
    chosen, update = _settled(eligible, best, taken, reasons), dict[str, object](regret=standing.regret)
    if not contest.is_final(standing):
        full = [facts.candidate.id for facts in _full_precision(eligible)]
        carried = tuple(dict.fromkeys((best, *(name for name in raced if name in standing.still_in), *full)))
        update |= {"state": "provisional", "settle_command": rules.settle_command, "carried": carried}
    return chosen.model_copy(update={"choice": chosen.choice.model_copy(update=update)})


def accuracy_risk(facts: CandidateFacts) -> tuple[int, bool]:
    """Return a sort key: fewer bits risk more accuracy, and so does a network changed by surgery."""
    bits = {Precision.FP32: 0, Precision.FP16: 1, Precision.BF16: 1}
    return bits.get(facts.candidate.precision, len(bits)), facts.candidate.surgery is not None


def _kept(best: CandidateFacts, other: CandidateFacts) -> Literal["precision", "network"]:
    return "precision" if accuracy_risk(best)[0] < accuracy_risk(other)[0] else "network"


def with_claims(chosen: Chosen, rows: Mapping[str, CandidateFacts], claims: Claims) -> Chosen:
    """Add the ratio of the last race between the chosen candidate and the best candidate of another precision."""
    name = chosen.choice.candidate or ""
    taken = chosen.because.get(name)
    if not isinstance(taken, Taken) or taken.against is None or (claim := claims.get((name, taken.against))) is None:
        return chosen
    ratio, latency = claim.ratio, rows[name].latency
    is_open = claim.disturbed is None and ratio.low <= 1 < ratio.estimate
    more = rounds_to_settle(1.0, ratio, latency.runs) if latency and is_open else None
    taken = taken.model_copy(update={"ratio": ratio, "disturbed": claim.disturbed, "rounds_to_settle": more})
    choice = chosen.choice.model_copy(update={"why": why_chosen(taken, name)})
    return Chosen(choice=choice, because={**chosen.because, name: taken})


def _figures(shown: Estimated, contest: Contest) -> dict[str, float]:
    if contest.objective == "throughput":
        return {"images_per_s": 1e3 / shown.cost, "batch": shown.batch}
    return {"energy_mj": shown.cost} if contest.objective == "energy" else {"ms": shown.cost}


def _full_precision(eligible: Eligibility) -> list[CandidateFacts]:
    """Return the working fp32 kits that the target allows.

    A target whose runtime has no fp32 (TensorRT) falls back to other fp32 kits, unless every kit that it allows failed.
    """
    allowed = [facts for facts in eligible.candidates if facts.candidate.id in eligible.allowed]
    own = [facts for facts in allowed if _is_full(facts)]
    if own or not any(facts.works for facts in allowed):
        return [facts for facts in own if facts.works]
    return [facts for facts in eligible.candidates if _is_full(facts) and facts.works]


def _is_full(facts: CandidateFacts) -> bool:
    """Whether a candidate is the unchanged network in fp32, whose accuracy needs no evidence."""
    return facts.candidate.precision is Precision.FP32 and facts.candidate.surgery is None


def _settled(eligible: Eligibility, ident: str, taken: Taken, reasons: Mapping[str, Reason]) -> Chosen:
    choice = Choice(state="settled", candidate=ident, why=why_chosen(taken, ident), carried=(ident,))
    return Chosen(choice=choice, because=reasons_of(eligible, {**reasons, ident: taken}))


class KnownSpeeds(NamedTuple):
    """What is known about candidates on a device that was not measured."""

    predicted_ms: Mapping[str, Interval] = {}
    """Candidate to its forecast p50."""
    dated: DatedOrder | None = None
    late: frozenset[str] = frozenset()
    """Candidates whose accuracy is computed in another arithmetic than the device's."""


class ProvisionalOrder(NamedTuple):
    """Candidates in the order in which a device that was not measured uses them, and what decided the order."""

    names: tuple[str, ...]
    late: tuple[str, ...]
    """Candidates at the end, because their accuracy may differ on the device."""
    dated: DatedOrder | None = None
    predicted: PredictedOrder | None = None


def provisional_order(candidates: Sequence[Candidate], objective: Objective, known: KnownSpeeds) -> ProvisionalOrder:
    """Order candidates for a device that was not measured. Plans, forecasts and builds all use this order.

    A record that has every candidate whose accuracy counts on the device orders them. Otherwise, candidates with a forecast come
    first, the fastest first. The remaining candidates follow in the default order, those with another arithmetic last. Speeds
    order the objective ``latency`` only.
    """
    dated = known.dated if objective == "latency" else None
    relative = {candidate.id: _time_of(candidate, dated) for candidate in candidates}
    if not (relative.keys() - known.late) or None in (time for name, time in relative.items() if name not in known.late):
        dated = None
    predicted_ms = {name: p50 for name, p50 in known.predicted_ms.items() if name in relative and objective == "latency"}
    predicted = PredictedOrder(p50_ms=predicted_ms, whole=len(predicted_ms) == len(relative)) if predicted_ms else None
    times: Mapping[str, float | None] = relative if dated else {name: p50.estimate for name, p50 in predicted_ms.items()}

    def place(candidate: Candidate) -> tuple[bool, float, bool, int, str]:
        time = times.get(candidate.id)
        default = _ORDER.get(candidate.precision, len(_ORDER))
        return time is None, time or 0.0, time is None and candidate.id in known.late, default, candidate.id

    names = tuple(candidate.id for candidate in sorted(candidates, key=place))
    late = tuple(name for name in names if name in known.late and times.get(name) is None)
    return ProvisionalOrder(names, late, dated, None if dated else predicted)


def _provisional(eligible: Eligibility, rules: ChoiceRules, missing: str | None = None) -> Chosen:
    """Carry fp32 and every candidate within the budget; the first is used until a race on the device."""
    known = KnownSpeeds(
        predicted_ms={facts.candidate.id: facts.forecast.p50_ms for facts in eligible.inside if facts.forecast is not None},
        dated=rules.dated,
        late=frozenset(facts.candidate.id for facts in eligible.inside if arithmetic_differs(facts) is not None),
    )
    ordered = provisional_order([facts.candidate for facts in eligible.inside], rules.objective, known)
    order, first = ordered.names, ordered.names[0]
    full = [facts.candidate.id for facts in _full_precision(eligible)]
    missing = missing or (rules.untimed or "no race ran" if rules.attached else f"{rules.device} was not attached")
    carried = Provisional(
        part="carried", order=order, missing=missing, late=ordered.late, dated=ordered.dated, predicted=ordered.predicted
    )
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
    return Chosen(choice=choice, because=reasons_of(eligible, reasons))


_ORDER = {Precision.FP16: 0, Precision.INT8: 1}
"""The default order, which is not a speed estimate."""


def _time_of(candidate: Candidate, dated: DatedOrder | None) -> float | None:
    """Return a candidate's time in a record, else that of the plain candidate of its runtime and precision."""
    if dated is None or candidate.surgery is not None:
        return None
    plain = f"{candidate.runtime.value}-{candidate.precision.value}"
    return dated.relative.get(candidate.id, dated.relative.get(plain))


class KnobRuns(NamedTuple):
    """Settings of a kit, with their runs or the reason why there are none."""

    knobs: Knobs
    profile: Profile | None
    failed: str | None = None


def judge_knobs(
    default: Profile, settings: Sequence[KnobRuns], unusable: Mapping[Knobs, str] | None = None
) -> tuple[KnobTrial, ...]:
    """Compare settings of a kit with the default, and take the fastest of those that are shown to be faster.

    All are compared with the same default, each at the confidence of latency ratios. With three settings that equal the default,
    one race in forty takes one of them. That is harmless, because the reported figure comes from another race, and the result
    states no confidence level.

    If other programs are busy, no setting is taken. A thread that waits for a core delays all others, so few threads win on a
    busy machine though they may lose on the same machine when idle. On two cores with nine tenths used by other programs, one
    thread was 1.6 times as fast as two.

    Args:
        default: the kit's runs without settings, of the same race.
        settings: the other settings, in the order of the report.
        unusable: settings that must not be taken, however fast, and why.

    Raises:
        RACES_DIFFER, CONDITIONS_DIFFER, ROUND_TWICE: the runs are not from one race on one machine in one state.
    """
    refused = unusable or {}
    trials = [_trial(default, setting, refused.get(setting.knobs)) for setting in settings]
    faster = [trial for trial in trials if trial.outcome == "faster"]
    best = max(faster, key=lambda trial: trial.ratio.estimate if trial.ratio else 0.0, default=None)
    return tuple(trial.model_copy(update={"outcome": "taken"}) if trial is best else trial for trial in trials)


def taken_knobs(trials: Sequence[KnobTrial]) -> Knobs:
    """Return the settings that the kit uses."""
    return next((trial.knobs for trial in trials if trial.outcome == "taken"), Knobs())


def _trial(default: Profile, setting: KnobRuns, refused: str | None) -> KnobTrial:
    if setting.profile is None:
        return KnobTrial(knobs=setting.knobs, ratio=None, outcome="unusable", why=setting.failed or "it did not run")
    ratio = paired_ratio(default, setting.profile)
    if refused is not None:
        return KnobTrial(knobs=setting.knobs, ratio=ratio, outcome="unusable", why=refused)
    if ratio is None:
        rounds = medians_by_round(default).keys() & medians_by_round(setting.profile).keys()
        why = too_few_samples((*default.runs, *setting.profile.runs))
        why = why or f"{len(rounds)} paired rounds are too few for an interval"
        return KnobTrial(knobs=setting.knobs, ratio=None, outcome="not-shown", why=why)
    if ratio.low <= 1:
        return KnobTrial(knobs=setting.knobs, ratio=ratio, outcome="not-shown")
    busy = disturbed([default, setting.profile])
    return KnobTrial(knobs=setting.knobs, ratio=ratio, outcome="disturbed" if busy else "faster", why=busy)
