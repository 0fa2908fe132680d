"""What a choice compares: each candidate's cost, round by round, in the race for the choice, and how that race stands.

Latency, throughput and energy are compared alike. A process run is the unit, runs of one round are neighbours in time, and a
ratio is the reference's cost over one's own: above 1, one is better. Images a second are compared as the time of an image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from edgecnn.errors.gates import RacesDiffer
from edgecnn.judging.runs.energy import image_mj, meter_of
from edgecnn.judging.runs.latency import CONDITIONS_OF_THE_MACHINE, check_conditions, estimated_ms
from edgecnn.judging.runs.regret import Lead, estimate, lead_of, ratio_interval, standing_of
from edgecnn.judging.runs.settings import run_settings_of
from edgecnn.judging.runs.throughput import images_per_s
from edgecnn.values.base import Value
from edgecnn.values.profile import Profile, Purpose, Run
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
    costs: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    """The same, round by round."""
    meter: str = ""
    """Of energy."""
    missing: str | None = None
    """Why it shows nothing of anybody, though there was a race."""

    def ratio(self, ours: str, reference: str) -> Interval | None:
        """How many times as good, by Student's t; None where one of them did not race."""
        if ours not in self.costs or reference not in self.costs:
            return None
        return ratio_interval(self.costs[reference], self.costs[ours])

    def times(self, ours: str, reference: str) -> float:
        """The same as an estimate; 1 of itself."""
        return ratio_interval(self.costs[reference], self.costs[ours]).estimate

    def lead(self, names: Iterable[str]) -> Lead:
        """Who of these is ahead."""
        return lead_of({name: self.costs[name] for name in names})

    def standing(self, name: str, names: Iterable[str]) -> Lead:
        """What it is expected to cost to ship this one of these."""
        return standing_of(name, {each: self.costs[each] for each in names})


def image_ms(run: Run) -> float | None:
    """Milliseconds an image, of a run whose calls take many."""
    return 1e3 / images_per_s(run) if run.samples_ns else None


def costs_of(purpose: Purpose, runs: Mapping[str, Sequence[Run]]) -> dict[str, dict[int, float]]:
    """Who has a cost in every run, by round, while a race for the choice is still running."""
    cost_of: CostOf = image_ms if purpose == "select-throughput" else estimated_ms
    if purpose == "select-energy":
        meter = meter_of(run for mine in runs.values() for run in mine)
        cost_of = (lambda run: image_mj(run, meter)) if meter is not None else (lambda run: None)
    return {name: found for name, mine in runs.items() if (found := _by_round(mine, cost_of))}


def latency_contest(profiles: Mapping[str, Profile], machine: str) -> Contest:
    """Of the race for the choice.

    Args:
        profiles: by candidate.
        machine: as a reader would name it.

    Raises:
        RacesDiffer, ConditionsDiffer: they are not of one race on one machine in one state.
    """
    return _contest("latency", profiles, machine, estimated_ms)


def throughput_contest(profiles: Mapping[str, Profile], machine: str) -> Contest:
    """Of one race in which every candidate ran with its best number of images in a call.

    Raises:
        RacesDiffer, ConditionsDiffer: they are not of one race on one machine in one state.
    """
    return _contest("throughput", profiles, machine, image_ms)


def energy_contest(profiles: Mapping[str, Profile], machine: str) -> Contest:
    """Of one energy race. One meter speaks for all, since two that cover different parts of a machine do not compare.

    Raises:
        RacesDiffer, ConditionsDiffer: they are not of one race on one machine in one state.
    """
    meter = meter_of(run for profile in profiles.values() for run in profile.runs)
    if meter is None:
        return Contest("energy", {}, missing="no meter covers what every one of them took")
    return _contest("energy", profiles, machine, lambda run: image_mj(run, meter), meter)


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
    ratio = ratio_interval(contest.costs[best], contest.costs[ours])
    return Alike(objective=contest.objective, against=best, ratio=ratio, kept=kept)


def _contest(objective: Raced, profiles: Mapping[str, Profile], machine: str, cost_of: CostOf, meter: str = "") -> Contest:
    costs = {
        name: _by_round(profile.runs, cost_of) for name, profile in profiles.items() if profile.fidelity is Fidelity.MEASURED
    }
    costs = {name: each for name, each in costs.items() if each}
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


def _check_one_race(profiles: list[Profile]) -> None:
    for ours, theirs in zip(profiles[1:], profiles, strict=False):
        if ours.race is None or ours.race != theirs.race:
            raise RacesDiffer(ours=ours.subject, theirs=theirs.subject, our_race=ours.race, their_race=theirs.race)
        check_conditions(ours.environment, theirs.environment, CONDITIONS_OF_THE_MACHINE)


def _by_round(runs: Sequence[Run], cost_of: CostOf) -> dict[int, float]:
    """Round to cost. Nothing of a candidate of which one run has no figure: to leave it out would keep the good ones."""
    found = {run.round: cost_of(run) for run in runs}
    return {} if None in found.values() else {number: cost for number, cost in found.items() if cost is not None}
