"""The choice of a build: the candidates that may be chosen, the chosen one, and the candidates of the last race.

The choice is made once, from the first race. The last race adds claims and does not change it. If a candidate fails in
the last race, the choice is made again without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edgecnn.building.dated_records import dated_order, machine_of
from edgecnn.building.forecasts import catalogue_network
from edgecnn.building.measuring import result_to_choose_by
from edgecnn.building.rows import candidate_facts
from edgecnn.bundle.evidence import EvidenceVerification
from edgecnn.judging.choice import ChoiceRules, Chosen, choose, eligibility_of
from edgecnn.judging.gates import EffectiveGates
from edgecnn.measure.race_request import RaceOptions
from edgecnn.measure.subject import Subject
from edgecnn.planning.request import BuildRequest
from edgecnn.values.candidate import reference_of
from edgecnn.values.profile import NOT_TIMED
from edgecnn.values.reason import Provisional, Taken
from edgecnn.values.report import CandidateFacts


class Call(NamedTuple):
    """The request of a build with its effective gates."""

    request: BuildRequest
    gates: EffectiveGates

    @property
    def races(self) -> RaceOptions:
        """Options of its races."""
        return RaceOptions.of(self.gates, self.request.until, self.request.meter)


@dataclass(frozen=True)
class Decision:
    """A choice, with the candidates that had failed before it was made."""

    chosen: Chosen
    reference: str
    failed: frozenset[str] = frozenset()


def candidates_inside_budget(subject: Subject, gates: EffectiveGates) -> tuple[str, ...]:
    """Return the candidates that may be chosen, before any race."""
    facts = candidate_facts(subject)
    eligible = eligibility_of(tuple(facts.values()), gates.budget_pp, _shippable(subject, facts), gates.most_mib)
    return tuple(row.candidate.id for row in eligible.inside)


def decide(
    subject: Subject, gates: EffectiveGates, earlier: Decision | None = None, evidence: Sequence[EvidenceVerification] = ()
) -> Decision:
    """Choose by the first race. An ``earlier`` choice is kept unless another candidate failed since.

    ``evidence``: dated records of such devices. They order the candidates if the device is not attached.
    """
    failed = frozenset(subject.failures)
    if earlier is not None and earlier.failed == failed:
        return earlier
    facts, was_raced = candidate_facts(subject), subject.attached and subject.timed
    rules = ChoiceRules(
        objective=subject.objective,
        budget_pp=gates.budget_pp,
        most_mib=gates.most_mib,
        attached=subject.attached,
        untimed=None if subject.timed else f"the candidates were {NOT_TIMED}",
        device=subject.resolved.device.name,
        dated=None if was_raced else dated_order(machine_of(subject), catalogue_network(subject.resolved), evidence),
        shippable=_shippable(subject, facts),
    )
    reference = reference_of(row.candidate for row in facts.values())
    return Decision(choose(tuple(facts.values()), rules, result_to_choose_by(subject)), reference, failed)


def _shippable(subject: Subject, facts: Mapping[str, CandidateFacts]) -> tuple[str, ...]:
    resolved = subject.resolved
    allowed = resolved.device.may_ship(resolved.recipe.target.runtime)
    return tuple(name for name, row in facts.items() if row.candidate.runtime in allowed)


def last_race_candidates(decision: Decision) -> tuple[str, ...]:
    """Return the candidates of the last race, which gives the reported figures: fp32, the winner, the best other precision."""
    winner = decision.chosen.choice.candidate
    because = None if winner is None else decision.chosen.because[winner]
    if winner is None or isinstance(because, Provisional):
        return ()
    rival = because.against if isinstance(because, Taken) else None
    return tuple(dict.fromkeys(name for name in (decision.reference, winner, rival) if name is not None))
