"""First races by throughput or energy, ended by the same rule as the race by latency.

Each candidate runs as it would be used: for throughput at its best batch size. The winner's reported figures are measured again,
because its figures in a selection are too good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from edgecnn.building.extra_runs import ExtraRunner
from edgecnn.building.observe import Observer, choosing
from edgecnn.errors.measuring import no_meter_for_objective
from edgecnn.judging.choice import Contest, contest_of
from edgecnn.judging.regret import LOOKS
from edgecnn.measure.kits import KitRef
from edgecnn.measure.race import energy_request, has_meter, no_meter
from edgecnn.measure.race_request import CHOOSING, THROUGHPUT_S, RaceOptions, RaceRequest
from edgecnn.measure.subject import Subject
from edgecnn.runner.meters.kinds import can_watch
from edgecnn.values.candidate import Candidate
from edgecnn.values.profile import Environment
from edgecnn.values.recipe import Objective


def require_meter(
    environment: Environment, candidates: Iterable[Candidate], log: Path | None, option: str = "--objective energy"
) -> None:
    """Refuse an option on energy before any race, if no meter can read the energy of a candidate.

    Raises NO_METER_FOR_OBJECTIVE, which names the meters to use.
    """
    meters = environment.observed.get("energy_meters", "").split()
    if log is None and not any(can_watch(meters, candidate.needs_engine) for candidate in candidates):
        raise no_meter_for_objective(because=no_meter(environment), setting=option)


def race_for_choice(observer: Observer, inside: Sequence[str], objective: Objective, how: RaceOptions) -> None:
    """Run the race that ``race_shown`` reads. A kit that fails leaves the race, with a note.

    ``inside``: candidates inside the accuracy budget; the others cannot be chosen.
    """
    ran = {
        name: kit for name, kit in observer.subject.kits.items() if name in inside and name in observer.subject.raced("select")
    }
    if objective == "throughput":
        _throughput(observer.subject, ran, how)
    elif objective == "energy":
        _energy(observer.subject, ran, how)


def race_shown(subject: Subject) -> Contest | None:
    """The result of the first race; None without a race, or if size is the objective."""
    purpose = next((name for name, objective in CHOOSING.items() if objective == subject.objective), None)
    if purpose is None or purpose not in subject.races:
        return None
    return contest_of(CHOOSING[purpose], subject.raced(purpose), subject.lab.machine)


def _throughput(subject: Subject, kits: Mapping[str, KitRef], how: RaceOptions) -> None:
    choice = subject.race_choice
    screens = Subject(lab=subject.lab)  # kept apart from the reported figures: more candidates, and one run each
    runner = ExtraRunner(screens, tuple(kits.values()), choice, anew=how.anew)
    runner.screen()
    best = {kit.entrant: batch for kit in kits.values() if (batch := runner.best_of(kit)) is not None}
    subject.notes += list(dict.fromkeys(screens.notes))
    racing = [kit for kit in kits.values() if kit.entrant in best]
    if racing:
        settings = {"rounds": LOOKS[-1], "max_s": THROUGHPUT_S, "batches": best, "choosing": choosing(racing)}
        request = RaceRequest.of(choice, racing, "select-throughput", anew=how.anew, **settings)
        subject.races["select-throughput"] = subject.race(request, "select-throughput race of {} failed")


def _energy(subject: Subject, ran: Mapping[str, KitRef], how: RaceOptions) -> None:
    """Race by energy. An external meter's log is joined to the runs after the race, so such a race cannot end early."""
    choice, lab = subject.race_choice, subject.lab
    kits = [kit for kit in ran.values() if has_meter(kit, lab.environment, how.meter)]
    if not kits:
        return
    lab.tell.note(f"energy of {', '.join(kit.candidate.id for kit in kits)}, to choose by")
    request = energy_request(choice, kits, how, "select-energy")
    if how.meter is None:
        request = request.model_copy(update={"rounds": LOOKS[-1], "choosing": choosing(kits)})
    subject.races["select-energy"] = subject.race(request, "select-energy race of {} failed")
