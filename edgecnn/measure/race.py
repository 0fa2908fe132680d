"""Measure latency and energy as races: fresh processes, interleaved, with every raw sample stored.

Interleaving makes ratios reliable on a machine whose speed drifts, because runs of one round are close in time. The order
inside a round is random, so that no kit always runs after the same other kit.

Energy is measured in a separate race, in processes that time nothing. This race is scheduled only if a meter is readable;
otherwise the reasons are reported. The log of an external meter is matched with the runs by wall-clock time.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from edgecnn.errors.measuring import METER_LOG_UNREADABLE
from edgecnn.hosts.protocol import SCHEDULE
from edgecnn.hosts.wire import Unusable
from edgecnn.measure.kits import KitRef, entrant_of
from edgecnn.measure.lab import Lab, changed_between, joined_environment, same_conditions
from edgecnn.measure.race_request import (
    RUN_MAX_S,
    RUN_PATIENT_S,
    RaceOptions,
    RaceRequest,
    empty_folder,
    run_files,
    run_schedule,
    whole_schedule,
)
from edgecnn.measure.run_file import read_run, run_of
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.meters.kinds import NOTHING_OF_A_CPU, can_watch
from edgecnn.runner.meters.log import COVERS, NAME, MeterLog, read_log
from edgecnn.runner.meters.meter import MeterAbsent
from edgecnn.runner.runs.figures import samples_needed
from edgecnn.values.base import Value
from edgecnn.values.profile import (
    CONDITIONS_THAT_MUST_MATCH,
    EnergyReading,
    Environment,
    Profile,
    Purpose,
    Run,
    RunEnergy,
    Stretch,
)
from edgecnn.values.recipe import RaceChoice

FIGURES: tuple[Purpose, ...] = ("report", "select")
"""Purposes of races with reported figures, the preferred one first."""
_CLOCKS_DIFFER = timedelta(seconds=2)
"""Tolerance of dates, which have whole seconds and come from different clocks."""


class RaceResult(Value):
    """Profiles and failures of one race, by entrant (``KitRef.entrant``)."""

    race: str
    observed_at: str
    profiles: Mapping[str, Profile]
    failed: Mapping[str, str]
    """Why an entrant did not finish."""
    reused: bool
    """Whether the race was stored by an earlier call."""

    def failed_of(self, kits: Iterable[KitRef]) -> dict[str, str]:
        """Return why these kits did not finish, by candidate."""
        return {kit.candidate.id: self.failed[kit.entrant] for kit in kits if kit.entrant in self.failed}


def race(request: RaceRequest, lab: Lab) -> RaceResult:
    """Return a stored race that is fresh enough and has the same conditions, or run and store a new one."""
    stored = stored_race(request, lab)
    if stored is not None:
        return stored
    schedule = whole_schedule(request).text()
    with lab.store.workspace("race", f"{request.identity}{lab.lane}", lab.tell) as work:
        stored = stored_race(request, lab)  # another process may have finished while this one waited
        if stored is not None:
            return stored
        for begun in (work, *sorted(path for path in work.iterdir() if path.is_dir())):
            lab.host.recall(begun)
        schedule_file = work / SCHEDULE
        same = schedule_file.is_file() and schedule_file.read_text(encoding="utf-8") == schedule
        if not (same and _may_resume(work, request, lab)):
            empty_folder(work)
        schedule_file.write_text(schedule, encoding="utf-8")
        run_schedule(request, lab, work)
        return _store_runs(request, lab, work)


def file_failure(request: RaceRequest, lab: Lab, why: str) -> RaceResult:
    """Store that no kit of the race can run here, so that a later call finds the failure."""
    filing = _Filing(request, lab)
    for kit in request.kits:
        filing.add(kit, (), why)
    return _result(filing.name, filing.profiles, reused=False)


def stored_race(request: RaceRequest, lab: Lab) -> RaceResult | None:
    """Return the newest stored race of the request that is younger than ``max_age_h`` and has every kit."""
    by_kit = {
        kit.entrant: [entry for entry in lab.store.profiles.of(kit.digest, "race") if entry.profile.knobs == kit.knobs.options]
        for kit in request.kits
    }
    present = {kit.entrant: lab.environment_of(kit) for kit in request.kits}
    for first in by_kit[request.kits[0].entrant]:
        name = first.profile.race or ""
        if not name.startswith(request.identity) or not is_fresh(first.profile.moment, request.max_age_h):
            continue
        profiles = {
            entrant: next(entry.profile for entry in stored if entry.profile.race == name)
            for entrant, stored in by_kit.items()
            if any(entry.profile.race == name for entry in stored)
        }
        same = all(same_conditions(profile.environment, present[entrant]) for entrant, profile in profiles.items())
        if len(profiles) == len(by_kit) and same:
            return _result(name, profiles, reused=True)
    return None


def latest_race(kit: KitRef, others: Iterable[KitRef], lab: Lab, *, device: str | None, max_age_h: float) -> RaceResult | None:
    """Return the newest fresh race of a kit on a device: preferably a final race, else a first race.

    ``others``: other kits whose runs in that race are returned too. ``device``: if the lab's machine is this device, all
    conditions except those of the runtime must be the machine's present ones.
    """
    profiles, present = lab.store.profiles, {}
    if lab.device == device:
        now = lab.environment_of(kit).conditions
        present = {name: now.get(name) for name in CONDITIONS_THAT_MUST_MATCH if name not in ("runtime", "runtime_version")}
    own = [entry.profile for entry in profiles.of(kit.digest, "race") if entry.profile.knobs == kit.knobs.options]
    own = [profile for profile in own if profile.purpose in FIGURES]
    for newest in sorted(own, key=lambda profile: FIGURES.index(profile.purpose)):
        then = newest.environment.conditions
        if not (newest.runs and newest.device == device and all(then.get(name) == value for name, value in present.items())):
            continue
        if is_fresh(newest.moment, max_age_h):
            stored = [entry.profile for kit in others for entry in profiles.of(kit.digest, "race")]
            same_race = [profile for profile in stored if profile.race == newest.race and profile.runs]
            raced = {entrant_of(profile.subject, profile.knobs): profile for profile in same_race}
            return RaceResult(race=newest.race or "", observed_at=newest.observed_at, profiles=raced, failed={}, reused=True)
    return None


def is_fresh(observed_at: datetime, max_age_h: float) -> bool:
    """Whether an observation is at most ``max_age_h`` hours old.

    An observation dated in the future is not fresh: the clock was set back, so its age is unknown.
    """
    age = datetime.now(UTC) - observed_at
    return max_age_h > 0 and -_CLOCKS_DIFFER <= age <= timedelta(hours=max_age_h)


def _result(name: str, profiles: Mapping[str, Profile], *, reused: bool) -> RaceResult:
    finished = {entrant: profile for entrant, profile in profiles.items() if profile.failure is None}
    return RaceResult(
        race=name,
        observed_at=next(iter(profiles.values())).observed_at,
        profiles=finished,
        failed={entrant: profile.failure for entrant, profile in profiles.items() if profile.failure is not None},
        reused=reused,
    )


def _may_resume(work: Path, request: RaceRequest, lab: Lab) -> bool:
    """Whether an interrupted race may resume: its runs are fresh, and the machine's conditions are unchanged."""
    present = {kit.digest: lab.environment_of(kit) for kit in request.kits}
    for path in work.rglob("run-*.json"):
        try:
            run = read_run(path)
        except Unusable:
            return False
        if not is_fresh(datetime.fromtimestamp(path.stat().st_mtime, UTC), request.max_age_h):
            return False
        then = run.get("environment")
        if run["kit"] not in present or (then and not same_conditions(Environment.model_validate(then), present[run["kit"]])):
            return False
    return True


def _store_runs(request: RaceRequest, lab: Lab, work: Path) -> RaceResult:
    """Store one profile for each kit, including failures. If the machine changed during the race, store none."""
    runs = run_files(work)
    filing = _Filing(request, lab, log_of(runs, request.meter_log))
    for kit in request.kits:
        mine = [run for run in runs if entrant_of(run["kit"], run["knobs"]) == kit.entrant]
        broken = next((run["error"]["what"] for run in mine if "error" in run), None)
        broken = broken or (None if mine else "no run of it was recorded")
        changed = None if broken else changed_between(mine)
        if changed is not None:
            broken = f"the machine changed during the race ({changed}); rerun the command to race again"
        filing.add(kit, mine, broken, keep=changed is None)
    return _result(filing.name, filing.profiles, reused=False)


class _Filing:
    """Stores the profiles of one race under one name and one time."""

    def __init__(self, request: RaceRequest, lab: Lab, log: MeterLog | None = None) -> None:
        self._request, self._lab, self._log = request, lab, log
        self._now = datetime.now(UTC)
        self.name = f"{request.identity}-{self._now:%Y%m%dT%H%M%S}"
        self.profiles: dict[str, Profile] = {}

    def add(self, kit: KitRef, runs: Sequence[Mapping[str, Any]], broken: str | None, *, keep: bool = True) -> None:
        environment = joined_environment(runs) if broken is None else self._lab.environment_of(kit)
        profile = self._lab.profile(
            kit,
            environment,
            what="race",
            observed_at=self._now.isoformat(timespec="seconds"),
            knobs=kit.knobs.options,
            race=self.name,
            purpose=self._request.purpose,
            until=self._request.until,
            runs=tuple(_run(run, self._log) for run in runs) if broken is None else (),
            failure=broken,
        )
        self.profiles[kit.entrant] = self._lab.store.profiles.add(profile, {}).profile if keep else profile


def _run(facts: Mapping[str, Any], log: MeterLog | None) -> Run:
    run = run_of(facts)
    return run if log is None or run.energy is None else run.model_copy(update={"energy": with_reading(run.energy, log)})


MARGIN = 2.0
"""Factor by which a kit may be slower than in the trial and still complete the samples of a median."""


def long_enough_s(kits: Sequence[KitRef], lab: Lab) -> float:
    """Return ``max_s`` for a race of these kits, between ``RUN_MAX_S`` and ``RUN_PATIENT_S``; kits that cannot run are ignored.

    A run that ends early was slow. Excluding such runs, or racing again because of them, would keep the fast runs. The time is
    therefore fixed before the race, from a trial run of each kit that is used for nothing else.
    """
    samples = samples_needed(50)
    lab.tell.note(f"timing {samples} inferences of each kit to set the length of a run")
    trial = RaceRequest(kits=tuple(kits), purpose="trial", rounds=1, samples=samples, max_s=RUN_PATIENT_S, max_age_h=0.0)
    times = [run.samples_ns for profile in race(trial, lab).profiles.values() for run in profile.runs if run.samples_ns]
    slowest_s = max((sum(samples_ns) / len(samples_ns) / 1e9 for samples_ns in times), default=0.0)
    return min(max(RUN_MAX_S, MARGIN * samples * slowest_s), RUN_PATIENT_S)


SAMPLES = 300
"""Samples of each process. A ratio of medians needs no thousand samples, and more processes are worth more than longer ones."""


class Pair(NamedTuple):
    """Results of one race of two kits: None for a side that did not finish, with the reason in ``failed``."""

    base: Profile | None
    head: Profile | None
    failed: str | None


def race_pair(base: KitRef, head: KitRef, rounds: int, lab: Lab, max_s: float = RUN_MAX_S) -> Pair:
    """Race two kits now, interleaved, because a stored race does not describe this job's machine.

    ``max_s`` limits the time of each process.
    """
    if base.entrant == head.entrant:
        return _against_itself(_request((head,), 2 * rounds, max_s), lab)
    result = race(_request((base, head), rounds, max_s), lab)
    named = (("BASE", base), ("HEAD", head))
    failed = [f"{name} did not run: {why}" for name, kit in named if (why := result.failed.get(kit.entrant)) is not None]
    profiles = [result.profiles.get(kit.entrant) for kit in (base, head)]
    return Pair(base=profiles[0], head=profiles[1], failed="; ".join(failed) or None)


def _request(kits: tuple[KitRef, ...], rounds: int, max_s: float) -> RaceRequest:
    return RaceRequest(kits=kits, purpose="against", rounds=rounds, samples=SAMPLES, max_s=max_s, max_age_h=0.0)


def _against_itself(request: RaceRequest, lab: Lab) -> Pair:
    """Race one kit, and assign one of each two neighbouring runs to each side at random, as in the order of a race."""
    (kit,), result = request.kits, race(request, lab)
    profile = result.profiles.get(kit.entrant)
    if profile is None:
        return Pair(base=None, head=None, failed=f"it did not run: {result.failed.get(kit.entrant, 'no run of it was recorded')}")
    base, head = dealt_in_pairs(profile.runs, seed=result.race)
    return Pair(base=profile.model_copy(update={"runs": base}), head=profile.model_copy(update={"runs": head}), failed=None)


def dealt_in_pairs(runs: Sequence[Run], seed: str) -> tuple[tuple[Run, ...], tuple[Run, ...]]:
    """Return the runs as two sets, each of which gets one of two neighbouring rounds; rounds are renumbered from 0."""
    draw, hands = random.Random(seed), (list[Run](), list[Run]())
    in_order = sorted(runs, key=lambda run: run.round)
    for number, two in enumerate(zip(in_order[::2], in_order[1::2], strict=True)):
        order = draw.sample((0, 1), 2)
        for hand, position in zip(hands, order, strict=True):
            hand.append(two[position].model_copy(update={"round": number, "position": position}))
    return tuple(hands[0]), tuple(hands[1])


WINDOW_S = 4.0
"""Length of each of an energy run's two periods, in which every built-in meter is read often enough."""
EXTERNAL_WINDOW_S = 15.0
"""Length of these periods with an external meter, which may write only one line a second."""


def has_meter(kit: KitRef, environment: Environment, log: Path | None = None) -> bool:
    """Whether a meter can be read for this kit, as the host reports."""
    meters = environment.observed.get("energy_meters", "").split()
    return log is not None or can_watch(meters, kit.on_gpu)


def no_meter(environment: Environment) -> str:
    """Return why no meter can measure a model on the host's CPU, and how to make one readable."""
    reason = environment.observed.get("energy_absent")
    only_gpu = NOTHING_OF_A_CPU if "energy_meters" in environment.observed else None
    return reason or only_gpu or "the host reports no readable meter"


def why_no_meter_here(environment: Environment) -> str:
    """Return why no meter can be read on this machine, and the option for the log of an external meter."""
    return f"no meter can be read here: {no_meter(environment)}; pass the log of an external meter with --meter"


def energy_request(choice: RaceChoice, kits: Sequence[KitRef], how: RaceOptions, purpose: Purpose = "energy") -> RaceRequest:
    """Return the race that measures the energy of kits, for reported figures or for the choice (``select-energy``)."""
    window_s = WINDOW_S if how.meter is None else EXTERNAL_WINDOW_S
    rounds = max(choice.rounds, how.runs.energy) if purpose == "energy" else choice.rounds
    log = {"samples": 1, "max_s": window_s, "meter_log": how.meter}
    return RaceRequest.of(choice, kits, purpose, anew=how.anew, rounds=rounds, **log)


TIMEOUT_S = 20.0
_CLOCK_STEP_S = 0.1
"""Allowed difference between the two clocks of a period; a larger one means that the clock was set."""


def open_log(path: Path) -> MeterLog:
    """Read a meter's log in its current state. Raises METER_LOG_UNREADABLE: it is not such a log, with the line."""
    try:
        return read_log(path)
    except RunnerError as error:
        raise METER_LOG_UNREADABLE(what=error.what, because=error.because) from error


def log_of(runs: Sequence[Mapping[str, Any]], path: Path | None, timeout_s: float = TIMEOUT_S) -> MeterLog | None:
    """Return a meter's log once it covers the last of these runs, at the latest after ``timeout_s`` seconds.

    The log is read after the last run. A meter that writes once a second may write its last line later, so this waits for it.

    Raises METER_LOG_UNREADABLE: it is not such a log.
    """
    if path is None:
        return None
    works = [Stretch.model_validate(run["energy"]["work"]) for run in runs if "energy" in run]
    last_s = max((work.began_unix_ns / 1e9 + work.seconds for work in works), default=0.0)
    give_up_at = time.monotonic() + timeout_s
    while True:
        log = open_log(path)
        if log.end_s >= last_s or time.monotonic() >= give_up_at:
            return log
        time.sleep(min(0.5, timeout_s))


def with_reading(energy: RunEnergy, log: MeterLog) -> RunEnergy:
    """Return the run with the external meter's reading, or with the reason why it has none."""
    try:
        idle, work = (_spent(stretch, log) for stretch in (energy.idle, energy.work))
    except MeterAbsent as absent:
        return energy.model_copy(update={"absent": {**energy.absent, NAME: absent.sentence}})
    reading = EnergyReading(
        meter=NAME, covers=COVERS, idle_j=idle, idle_s=energy.idle.seconds, work_j=work, work_s=energy.work.seconds
    )
    return energy.model_copy(update={"readings": (*energy.readings, reading)})


def _spent(stretch: Stretch, log: MeterLog) -> float:
    if abs(stretch.clock_s - stretch.seconds) > _CLOCK_STEP_S:
        raise MeterAbsent(f"the machine's clock was set by {stretch.clock_s - stretch.seconds:+.1f} s during the run")
    return log.spent(stretch.began_unix_ns / 1e9, stretch.seconds).joules
