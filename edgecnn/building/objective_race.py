"""The races that choose where throughput or energy is the objective: one run of each, then the finalists, interleaved.

Each candidate runs as it would be used: for throughput with its own best number of images in a call. What is reported of the
winner is measured once more, since the winner of a selection flatters itself.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from edgecnn.building.extra_runs import ExtraRunner
from edgecnn.building.observe import Observer, RaceOptions
from edgecnn.building.observed import Observed, ObservedBuild
from edgecnn.building.screening import finalists
from edgecnn.errors.measuring import NoMeterForObjective
from edgecnn.judging.contest import Contest, energy_contest, throughput_contest
from edgecnn.judging.runs.energy import image_mj, meter_of_all
from edgecnn.judging.runs.throughput import screened
from edgecnn.measure.energy import energy_request, metered, no_meter
from edgecnn.measure.kits import KitRef
from edgecnn.measure.race import RaceResult
from edgecnn.measure.race_request import THROUGHPUT_S, RaceRequest
from edgecnn.runner.meters.found import can_watch
from edgecnn.values.candidate import Candidate
from edgecnn.values.profile import Environment, Profile
from edgecnn.values.recipe import Objective


def require_meter(environment: Environment, candidates: Iterable[Candidate], log: Path | None) -> None:
    """Refuse energy as the objective before anything is raced, where nothing reads what any candidate takes.

    Raises NoMeterForObjective: with what would give a meter.
    """
    meters = environment.observed.get("energy_meters", "").split()
    if log is None and not any(can_watch(meters, candidate.needs_engine) for candidate in candidates):
        raise NoMeterForObjective(because=no_meter(environment))


def race_for_choice(observer: Observer, inside: Sequence[str], objective: Objective, how: RaceOptions) -> None:
    """Run what ``contest_of`` reads. A kit that fails is no finalist; its reason is in the notes.

    ``inside``: candidates inside the accuracy budget; others may ship for nothing.
    """
    ran = {name: kit for name, kit in observer.seen.kits.items() if name in inside and name in observer.seen.screen_ms}
    if objective == "throughput":
        _throughput(observer.seen, ran, inside, how)
    elif objective == "energy":
        _energy(observer.seen, ran, inside, how)


def contest_of(seen: Observed, objective: Objective, machine: str) -> Contest | None:
    """What the race for the choice showed; None where there was none, or where latency or size is the objective."""
    if objective == "throughput" and "select-throughput" in seen.races:
        return throughput_contest(seen.raced("select-throughput"), machine)
    if objective == "energy" and "select-energy" in seen.races:
        return energy_contest(seen.raced("select-energy"), machine)
    return None


def _throughput(seen: ObservedBuild, kits: Mapping[str, KitRef], inside: Sequence[str], how: RaceOptions) -> None:
    choice = seen.execution.plan.resolved.recipe.race
    screens = Observed(lab=seen.lab)  # apart from what is reported: of more candidates than ship, and of one run each
    runner = ExtraRunner(screens, tuple(kits.values()), choice, anew=how.anew)
    runner.screen()
    best = {name: batch for name, kit in kits.items() if (batch := runner.best_of(kit)) is not None}
    ms = {name: 1e3 / screened(screens.batches_tried(kits[name]))[batch] for name, batch in best.items()}
    final = finalists(ms, inside, seen.candidates)
    seen.notes += list(dict.fromkeys(screens.notes))
    if final:
        asked = {"max_s": THROUGHPUT_S, "batches": {kits[name].entrant: best[name] for name in final}}
        request = RaceRequest.of(choice, [kits[name] for name in final], "select-throughput", anew=how.anew, **asked)
        seen.races["select-throughput"] = seen.race(request, "select-throughput race of {} failed")


def _energy(seen: ObservedBuild, ran: Mapping[str, KitRef], inside: Sequence[str], how: RaceOptions) -> None:
    choice, lab = seen.execution.plan.resolved.recipe.race, seen.lab
    kits = {name: kit for name, kit in ran.items() if metered(kit, lab.environment, how.meter)}
    max_age_h = 0.0 if how.anew else choice.max_age_h

    def raced(names: Iterable[str], rounds: int) -> RaceResult:
        watched = [kits[name] for name in names]
        lab.tell.note(f"energy of {', '.join(kit.candidate.id for kit in watched)}, to choose by: runs of each: {rounds}")
        request = energy_request(watched, rounds=rounds, max_age_h=max_age_h, log=how.meter, purpose="select-energy")
        return seen.race(request, "select-energy race of {} failed")

    if not kits:
        return
    screen = raced(kits, 1)  # of one run each, so that it orders and does not choose
    profiles = {name: screen.profiles[kit.entrant] for name, kit in kits.items() if kit.entrant in screen.profiles}
    meter = meter_of_all(profiles.values())
    mj = {name: found for name, each in profiles.items() if meter and (found := _median_mj(each, meter)) is not None}
    final = finalists(mj, inside, seen.candidates)
    # Where none is left, the contest says why it cannot choose by what there is.
    seen.races["select-energy"] = raced(final, choice.rounds) if final else screen


def _median_mj(profile: Profile, meter: str) -> float | None:
    found = [mj for run in profile.runs if (mj := image_mj(run, meter)) is not None]
    return statistics.median(found) if found else None
