"""What a choice compares: each candidate's cost, round by round, in the race for the choice, and how that race stands.

Latency, throughput and energy are compared alike. A process run is the unit, runs of one round are neighbours in time, and a
ratio is the reference's cost over one's own: above 1, one is better. Images a second are compared as the time of an image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from edgecnn.errors.gates import RacesDiffer
from edgecnn.judging.runs.energy import image_mj, meter_of
from edgecnn.judging.runs.latency import (
    CONDITIONS_OF_THE_MACHINE,
    check_conditions,
    disturbed,
    estimated_ms,
    paired_ratio,
    worst_of,
)
from edgecnn.judging.runs.regret import Costs, estimate, estimated_ratio
from edgecnn.judging.runs.settings import run_settings_of
from edgecnn.judging.runs.throughput import images_per_s
from edgecnn.values.base import Value
from edgecnn.values.profile import Profile, Run
from edgecnn.values.reason import Alike, FewerImages, MoreEnergy, Slower
from edgecnn.values.recipe import Raced
from edgecnn.values.verdict import Fidelity, Interval

CostOf = Callable[[Run], float | None]
"""A run to what it cost: the smaller, the better."""


class Estimated(Value):
    """What one candidate showed in the race for the choice."""

    cost: float
    """The smaller, the better: p50 in ms, ms an image, or mJ an image."""
    runs: int
    machine: str
    run_settings: str | None = None
    batch: int = 1
    """Images in a call."""


@dataclass(frozen=True)
class Contest:
    """One race for the choice, by one objective."""

    objective: Raced
    shown: Mapping[str, Estimated]
    """Candidate to what it showed; absent of who did not finish, or was not in it."""
    costs: Costs = field(default_factory=dict)
    """The same, round by round."""
    meter: str = ""
    """Of energy."""
    missing: str | None = None
    """Why it shows nothing of anybody, though there was a race."""

    def ratio(self, ours: str, reference: str) -> Interval:
        """How many times as good in the rounds that both ran: an estimate without a level."""
        return estimated_ratio(self.costs[reference], self.costs[ours])


class SpeedClaim(Value):
    """How many times as fast one candidate is as another, from a race after the choice: what a sentence may claim."""

    ratio: Interval
    """Paired."""
    disturbed: str | None = None
    """What besides the two kits may have decided it; neither is then shown to be faster."""


Claims = Mapping[tuple[str, str], SpeedClaim]
"""By (candidate, reference)."""


def speed_claims(profiles: Mapping[str, Profile]) -> dict[tuple[str, str], SpeedClaim]:
    """Every pair of one race; a pair without an interval has none.

    A program that takes one of two processors holds up a kit that uses both, and hardly one that uses one. So what is faster
    beside it need not be faster on a machine of its own.

    Raises RacesDiffer, ConditionsDiffer, RoundTwice: see ``paired_ratio``.
    """
    return {
        (ours, reference): SpeedClaim(
            ratio=ratio, disturbed=disturbed(worst_of([profiles[name].environment for name in (ours, reference)]))
        )
        for ours in profiles
        for reference in profiles
        if ours != reference and (ratio := paired_ratio(profiles[reference], profiles[ours])) is not None
    }


def costs_of(objective: Raced, runs: Mapping[str, Sequence[Run]], meter: str | None = None) -> dict[str, dict[int, float]]:
    """Of whoever has a cost in every run, round to cost; of one without, nothing: to leave a run out would keep the good ones.

    ``meter``: of energy; None: the one that speaks for all of these runs, since two that cover different parts of a machine do
    not compare.
    """
    if objective == "energy" and meter is None and (meter := meter_of(run for mine in runs.values() for run in mine)) is None:
        return {}
    cost_of: Mapping[Raced, CostOf] = {
        "latency": estimated_ms,
        "throughput": lambda run: 1e3 / images_per_s(run) if run.samples_ns else None,
        "energy": lambda run: image_mj(run, meter or ""),
    }
    found = {name: {run.round: cost_of[objective](run) for run in mine} for name, mine in runs.items()}
    return {
        name: {number: cost for number, cost in mine.items() if cost is not None}
        for name, mine in found.items()
        if mine and None not in mine.values()
    }


def contest_of(objective: Raced, profiles: Mapping[str, Profile], machine: str) -> Contest:
    """Of one race for the choice; ``profiles``: by candidate.

    Raises RacesDiffer, ConditionsDiffer: they are not of one race on one machine in one state.
    """
    meter = meter_of(run for profile in profiles.values() for run in profile.runs) if objective == "energy" else ""
    if meter is None:
        return Contest("energy", {}, missing="no meter covers what every one of them took")
    measured = {name: profile.runs for name, profile in profiles.items() if profile.fidelity is Fidelity.MEASURED}
    costs = costs_of(objective, measured, meter)
    _check_one_race([profiles[name] for name in costs])
    shown = {
        name: Estimated(
            cost=estimate(each.values()),
            runs=len(each),
            machine=machine,
            run_settings=run_settings_of(profiles[name]),
            batch=profiles[name].runs[0].batch,
        )
        for name, each in costs.items()
    }
    return Contest(objective, shown, costs, meter)


def _check_one_race(profiles: Sequence[Profile]) -> None:
    for ours, theirs in zip(profiles[1:], profiles, strict=False):
        if ours.race is None or ours.race != theirs.race:
            raise RacesDiffer(ours=ours.subject, theirs=theirs.subject, our_race=ours.race, their_race=theirs.race)
        check_conditions(ours.environment, theirs.environment, CONDITIONS_OF_THE_MACHINE)


def behind(ours: str, best: str, contest: Contest) -> Slower | FewerImages | MoreEnergy:
    """Why this one was not taken: it is worse by the objective, with both figures in the rounds that both ran."""
    mine, theirs = contest.shown[ours], contest.shown[best]
    ratio = contest.ratio(ours, best)
    common = contest.costs[ours].keys() & contest.costs[best].keys()
    cost, against = (estimate(contest.costs[name][each] for each in common) for name in (ours, best))
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


def as_good(ours: str, best: str, contest: Contest, kept: Literal["precision", "network"]) -> Alike:
    """Why this one was not taken though it costs no more: what was taken pays less in accuracy."""
    return Alike(objective=contest.objective, against=best, ratio=contest.ratio(ours, best), kept=kept)
