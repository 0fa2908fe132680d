"""Race the runtime settings of the chosen kit. A setting is used only if it is measured to be faster than the default.

All settings run interleaved in one race, so that each is compared with the default at nearly the same time.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.building.observe import Observer
from edgecnn.judging.choice import KnobRuns, judge_knobs, taken_knobs
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab, why_test_fails
from edgecnn.measure.race import SAMPLES, RaceResult, race, stored_race
from edgecnn.measure.race_request import RaceOptions, RaceRequest
from edgecnn.runtimes.registry import backend_for
from edgecnn.values.candidate import KnobRace, Knobs, KnobTrial
from edgecnn.values.device import Device
from edgecnn.values.profile import Environment


def race_knobs(observer: Observer, name: str, how: RaceOptions) -> None:
    """Race one candidate's settings. Later races of its kit, and its bundle, use the winning setting."""
    subject, lab = observer.subject, observer.subject.lab
    kit = subject.kits[name]
    device = _device_here(subject.resolved.device, lab.environment)
    settings = backend_for(kit.candidate.runtime).knobs(device, kit.candidate)
    if len(settings) < 2:  # noqa: PLR2004 - the default alone
        return
    kits = [kit.with_knobs(knobs) for knobs in settings]
    samples = min(subject.race_choice.samples, SAMPLES)  # fewer than for figures, because a ratio of medians needs no p99
    request = RaceRequest.of(subject.race_choice, kits, "knobs", anew=how.anew, samples=samples, max_s=how.max_s)
    if stored_race(request, lab) is None:
        alternatives = ", or ".join(knobs.words for knobs in settings if knobs != Knobs())
        lab.tell.note(f"race {name} with its default knobs against itself with {alternatives}")
    result = race(request, lab)
    if kit.entrant not in result.profiles:
        subject.notes.append(
            f"the knobs of {name} could not be raced: {result.failed.get(kit.entrant, 'its default did not run')}"
        )
        return
    trials = _trials(kit, settings, result, lab)
    won = taken_knobs(trials)
    subject.kits[name] = kit.with_knobs(won)
    subject.knobs = KnobRace(candidate=name, knobs=won, trials=trials, observed_at=result.observed_at, reused=result.reused)
    if won != Knobs():
        observer.read_residency((name,))


def _trials(kit: KitRef, settings: Sequence[Knobs], result: RaceResult, lab: Lab) -> tuple[KnobTrial, ...]:
    """Judge the settings. A winner must pass the kit's self-test, else the next fastest is judged."""
    default = result.profiles[kit.entrant]
    raced = [
        KnobRuns(knobs, result.profiles.get(entrant), result.failed.get(entrant))
        for knobs in settings
        if (entrant := kit.with_knobs(knobs).entrant) != kit.entrant
    ]
    unusable: dict[Knobs, str] = {}
    while True:
        trials = judge_knobs(default, raced, unusable)
        won = taken_knobs(trials)
        if won == Knobs() or (why := _why_unusable(kit, won, lab)) is None:
            return trials
        unusable[won] = why


def _why_unusable(kit: KitRef, knobs: Knobs, lab: Lab) -> str | None:
    words = tuple(word for option, text in knobs.options.items() for word in ("--knob", f"{option}={text}"))
    failed = why_test_fails(kit, lab, words)
    return None if failed is None else failed.what


def _device_here(device: Device, environment: Environment) -> Device:
    """The device with the cores that a process may use here now, by affinity and control groups."""
    cores = environment.conditions.get("cores")
    if cores is None:
        return device
    return device.model_copy(update={"processor": device.processor.model_copy(update={"cores": int(cores)})})
