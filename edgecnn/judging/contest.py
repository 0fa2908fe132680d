"""What a choice compares: of each candidate one cost in the race that selects, and paired ratios of the same race.

Latency, throughput and energy are compared alike. A process run is the unit, runs of one round are neighbours in time, and a
ratio is the reference's cost over one's own: above 1, one is better. Images a second are compared as the time of an image.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from edgecnn.errors.gates import RacesDiffer
from edgecnn.judging.eligibility import measured_ms
from edgecnn.judging.intervals import LATENCY_CONFIDENCE, ratio_interval
from edgecnn.judging.runs.energy import image_mj, meter_of_all
from edgecnn.judging.runs.latency import CONDITIONS_OF_THE_MACHINE, check_conditions
from edgecnn.judging.runs.noise import rounds_needed, rounds_to_settle, smallest_ratio
from edgecnn.judging.runs.settings import run_settings_of
from edgecnn.judging.runs.throughput import images_per_s
from edgecnn.values.base import Value
from edgecnn.values.profile import Profile, Run
from edgecnn.values.reason import FewerImages, MoreEnergy, NotShownFaster, Slower
from edgecnn.values.recipe import Raced
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Fidelity, Interval

Ratios = Mapping[tuple[str, str], Interval]
"""(candidate, reference) → cost of reference / cost of candidate, paired in one race: above 1, the candidate is better."""


class PairedRatio(Value):
    """What one candidate showed in the race that selects."""

    cost: float
    """The smaller, the better: p50 in ms, ms an image, or mJ an image."""
    runs: int
    machine: str
    smallest_ratio: float | None = None
    """What the race could have shown; None where too few rounds say."""
    run_settings: str | None = None
    batch: int = 1
    """Images in a call."""


@dataclass(frozen=True)
class Contest:
    """One race that selects, by one objective."""

    objective: Raced
    shown: Mapping[str, PairedRatio]
    """Candidate to what it showed; absent of who did not finish, or was not in it."""
    ratios: Ratios = field(default_factory=dict)
    meter: str = ""
    """Of energy."""
    missing: str | None = None
    """Why it shows nothing of anybody, though there was a race."""

    def ratio(self, ours: str, reference: str) -> Interval | None:
        """How many times as good; None where they have no paired runs."""
        return self.ratios.get((ours, reference))


def latency_contest(candidates: Sequence[CandidateFacts], ratios: Ratios) -> Contest:
    """Of rows with their latency; where no ratio to the baseline is given, a row's own is taken."""
    shown, found = dict[str, PairedRatio](), dict(ratios)
    baseline = next((facts.candidate.id for facts in candidates if facts.is_baseline), None)
    for facts in candidates:
        name, seen, ms = facts.candidate.id, facts.latency, measured_ms(facts)
        if seen is None:
            continue
        if baseline is not None and seen.ratio_to_fp32 is not None:
            found.setdefault((name, baseline), seen.ratio_to_fp32)
        if ms is not None:
            shown[name] = PairedRatio(
                cost=ms, runs=seen.runs, machine=seen.machine, smallest_ratio=seen.smallest_ratio, run_settings=seen.run_settings
            )
    return Contest("latency", shown, found)


def throughput_contest(profiles: Mapping[str, Profile], machine: str) -> Contest:
    """Of one race in which every candidate ran with its best number of images in a call.

    Args:
        profiles: by candidate.
        machine: as a reader would name it.

    Raises:
        RacesDiffer, ConditionsDiffer: they are not of one race on one machine in one state.
    """
    return _contest("throughput", profiles, machine, lambda run: 1e3 / images_per_s(run) if run.samples_ns else None)


def energy_contest(profiles: Mapping[str, Profile], machine: str) -> Contest:
    """Of one energy race. One meter speaks for all, since two that cover different parts of a machine do not compare.

    Raises:
        RacesDiffer, ConditionsDiffer: they are not of one race on one machine in one state.
    """
    meter = meter_of_all(profiles.values())
    if meter is None:
        return Contest("energy", {}, missing="no meter covers what every one of them took")
    return _contest("energy", profiles, machine, lambda run: image_mj(run, meter), meter)


def behind(ours: str, best: str, contest: Contest) -> Slower | FewerImages | MoreEnergy:
    """Why this one was not taken: it is worse by the objective, with both figures. Both must have been shown."""
    mine, theirs = contest.shown[ours], contest.shown[best]
    ratio, other_way = contest.ratio(ours, best), contest.ratio(best, ours)
    if ratio is None and other_way is not None:
        ratio = other_way.inverse
    where = {"machine": mine.machine, "run_settings": mine.run_settings, "against_run_settings": theirs.run_settings}
    if contest.objective == "throughput":
        per_s, against_per_s = 1e3 / mine.cost, 1e3 / theirs.cost
        return FewerImages(
            against=best, images_per_s=per_s, against_images_per_s=against_per_s, batch=mine.batch, against_batch=theirs.batch,
            ratio=ratio, **where,
        )  # fmt: skip
    if contest.objective == "energy":
        figures = {"energy_mj": mine.cost, "against_energy_mj": theirs.cost}
        return MoreEnergy(against=best, ratio=ratio, meter=contest.meter, **figures, **where)
    return Slower(against=best, ms=mine.cost, against_ms=theirs.cost, ratio=ratio, **where)


def not_shown(ours: str, reference: str, contest: Contest) -> NotShownFaster:
    """Where the race's own noise hides so small a difference, not shown is no answer; and what would give one."""
    mine, ratio = contest.shown[ours], contest.ratio(ours, reference)
    if ratio is None:
        return NotShownFaster(objective=contest.objective, against=reference, ratio=None)
    noise = mine.smallest_ratio
    hidden = noise is not None and 1 < ratio.estimate < noise
    if noise is not None and hidden:
        rounds = rounds_needed(mine.runs, seen=math.log(noise), wanted=math.log(ratio.estimate))
    else:
        rounds = rounds_to_settle(1.0, ratio, mine.runs) if ratio.estimate > 1 else None
    theirs = contest.shown.get(reference)
    return NotShownFaster(
        objective=contest.objective,
        against=reference,
        ratio=ratio,
        machine=mine.machine,
        run_settings=mine.run_settings,
        against_run_settings=theirs.run_settings if theirs else None,
        rounds=mine.runs,
        smallest_ratio=noise if hidden else None,
        rounds_to_settle=rounds,
    )


def _contest(
    objective: Raced, profiles: Mapping[str, Profile], machine: str, cost_of: Callable[[Run], float | None], meter: str = ""
) -> Contest:
    costs = {name: _by_round(profile, cost_of) for name, profile in profiles.items() if profile.fidelity is Fidelity.MEASURED}
    costs = {name: each for name, each in costs.items() if each}
    noise = {name: smallest_ratio(each) for name, each in costs.items()}
    worst = max((each for each in noise.values() if each is not None), default=None)
    shown = {
        name: PairedRatio(
            cost=statistics.median(each.values()),
            runs=len(each),
            machine=machine,
            smallest_ratio=worst,
            run_settings=run_settings_of(profiles[name]),
            batch=profiles[name].runs[0].batch,
        )
        for name, each in costs.items()
    }
    return Contest(objective, shown, _ratios(profiles, costs), meter)


def _ratios(profiles: Mapping[str, Profile], costs: Mapping[str, Mapping[int, float]]) -> dict[tuple[str, str], Interval]:
    found = {}
    for ours in costs:
        for reference in costs:
            if ours == reference:
                continue
            mine, theirs = profiles[ours], profiles[reference]
            if mine.race is None or mine.race != theirs.race:
                raise RacesDiffer(ours=mine.subject, theirs=theirs.subject, our_race=mine.race, their_race=theirs.race)
            check_conditions(mine.environment, theirs.environment, CONDITIONS_OF_THE_MACHINE)
            rounds = sorted(costs[ours].keys() & costs[reference].keys())
            slow, fast = [costs[reference][each] for each in rounds], [costs[ours][each] for each in rounds]
            if (ratio := ratio_interval(slow, fast, LATENCY_CONFIDENCE)) is not None:
                found[ours, reference] = ratio
    return found


def _by_round(profile: Profile, cost_of: Callable[[Run], float | None]) -> dict[int, float]:
    """Round to cost. Nothing of a profile of which one run has no figure: to leave it out would keep the good ones."""
    found = {run.round: cost_of(run) for run in profile.runs}
    return {} if None in found.values() else {number: cost for number, cost in found.items() if cost is not None}
