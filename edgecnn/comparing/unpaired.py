"""Judge a build's present runs against a latency baseline, on the same board or pinned runner.

The runs are of different days, and a machine that drifted looks like a kit that changed. Three rules follow: the baseline holds
several days, and a difference is judged by how far those differ; a comparison is refused if a condition of the machine differs,
unless the user allows this one; a disturbance on any day can take a verdict away and never gives one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgecnn.comparing.baseline_file import race_profile, read_days, runs_of
from edgecnn.comparing.comparison import (
    IDENTICAL,
    NOT_RACED,
    Sides,
    comparison,
    comparison_subject,
    knob_notices,
    must_race,
    require_same_device,
)
from edgecnn.errors.comparing import baseline_elsewhere, unknown_condition
from edgecnn.errors.wording import counted, listed
from edgecnn.judging.gates import EffectiveGates
from edgecnn.judging.runs.latency import disturbed, runs_needed, worst_of
from edgecnn.judging.runs.ratio import RatioFinding, unpaired_finding
from edgecnn.judging.runs.stopping import OF_A_COMPARISON, OF_A_DEVICE
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import long_enough_s
from edgecnn.measure.race_request import RaceRequest
from edgecnn.measure.run_files import companions_of
from edgecnn.measure.subject import Subject
from edgecnn.results.shipped import ShippedKit, shipped_kit
from edgecnn.values.artifact import Failed
from edgecnn.values.base import Value
from edgecnn.values.profile import CONDITIONS_THAT_MUST_MATCH, NOT_TIMED, Environment
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import Comparison, LatencyBaseline

ROUNDS = runs_needed()
"""Processes of a present race: enough to bound p90 and p99 of three in four of them."""
SAMPLES_MIN = 50
_NO_ANSWERS = "a latency baseline holds no predictions: edgecnn judge HEAD --against BASE compares accuracy"
_LONGER = 2.0
"""A present run may take this many times as long as a recorded run of as many inferences."""


class CompareRequest(Value):
    """A build and the files of a baseline."""

    head: Path
    baselines: tuple[Path, ...]
    """One file for each day, all of the same kit."""
    runs: Path | None = None
    """Runs that a device measured; None: race HEAD here now."""
    gates: GateChoice = GateChoice()
    allow_different: tuple[str, ...] = ()
    rounds: int = ROUNDS
    candidate: str | None = None
    """The candidate of HEAD; None: the chosen one."""


def compare(request: CompareRequest, lab: Lab) -> Comparison:
    """Judge present runs of a build, made in this lab or read back from a device, against a baseline.

    Raises:
        DEVICES_DIFFER: the build is for another device than the recorded one.
        BASELINE_ELSEWHERE: a condition that must match differs, and is not among those that may.
        UNKNOWN_CONDITION: no condition has the name of one that may differ.
        LATENCY_BASELINE_UNREADABLE, RunsUnusable, NoBuildToCompare, BundleUnreadable, KitNotCarried: a file is not usable.
    """
    started = time.perf_counter()
    for name in request.allow_different:
        if name not in CONDITIONS_THAT_MUST_MATCH:
            raise unknown_condition(name=name, known=CONDITIONS_THAT_MUST_MATCH)
    days, head = read_days(request.baselines), shipped_kit(request.head, request.candidate)
    baseline = days[-1]
    require_same_device(head.facts, baseline.shipped)
    more_rounds = OF_A_COMPARISON if request.runs is None else OF_A_DEVICE
    gates = EffectiveGates.comparing(request.gates, more_rounds)
    subject = _subject(request, head, days, lab, gates)
    now = subject.against.get("HEAD")
    if now is None:
        environment = lab.environment_of(head.kit)
        finding = RatioFinding(ratio=None, absent=subject.absent["latency"])
    else:
        environment = now.environment
        _refuse_elsewhere(days, environment, request.allow_different)
        finding = unpaired_finding(now, [race_profile(day) for day in days])
    subject.against["BASE"] = race_profile(baseline)
    identical = _identical(head, days, environment)
    sides = Sides("unpaired", head, baseline.shipped, baseline.origin, identical)
    return comparison(sides, subject, finding, gates).model_copy(
        update={
            "notices": (IDENTICAL,) if identical else _notices(days, request, head),
            "seconds": round(time.perf_counter() - started, 2),
        }
    )


def _identical(head: ShippedKit, days: Sequence[LatencyBaseline], environment: Environment) -> bool:
    """Whether HEAD is the recorded kit, on the machine and in the state in which every day was recorded."""
    conditions = (environment.conditions, *(day.environment.conditions for day in days))
    identical = head.facts.is_identical_to(days[-1].shipped, *conditions)
    if identical:
        head.require_whole()
    return identical


def _subject(
    request: CompareRequest, head: ShippedKit, days: Sequence[LatencyBaseline], lab: Lab, gates: EffectiveGates
) -> Subject:
    """HEAD with its present runs: those of a device, or a race in this lab. If there are none, ``absent`` says why."""
    if request.runs is not None:
        profile = runs_of(head, request.runs)
        subject = comparison_subject(head, replace(lab, machine=profile.host, environment=profile.environment))
        subject.against["HEAD"] = profile
    else:
        subject = comparison_subject(head, lab)
        here = lab.environment_of(head.kit)
        _refuse_elsewhere(days, here, request.allow_different)  # before any time is spent
        if not must_race(gates, identical=_identical(head, days, here)):
            subject.absent["latency"] = NOT_RACED
        elif not subject.timed:
            subject.absent["latency"] = NOT_TIMED
        elif (why := subject.why_not_runnable("HEAD")) is not None:
            subject.absent["latency"] = why
        else:
            _race(request, subject, days)
    subject.absent["accuracy"] = _NO_ANSWERS
    return subject


def _race(request: CompareRequest, subject: Subject, days: Sequence[LatencyBaseline]) -> None:
    """Race HEAD alone, with as many samples as the recorded runs have."""
    kit, lab = subject.kits["HEAD"], subject.lab
    recorded = [run.samples_ns for day in days for run in day.runs]
    samples = max(SAMPLES_MIN, *map(len, recorded))
    with lab.store.in_use.held():
        max_s = max(long_enough_s((kit,), lab), _LONGER * max(map(sum, recorded)) / 1e9)
        rounds = request.rounds
        result = subject.race(
            RaceRequest(kits=(kit,), purpose="against", rounds=rounds, samples=samples, max_s=max_s, max_age_h=0.0)
        )
    if kit.entrant in result.profiles:
        subject.against["HEAD"] = result.profiles[kit.entrant]
    else:
        subject.absent["latency"] = why = result.failed.get(kit.entrant, "it did not run")
        subject.failures["HEAD"] = Failed(ref="run-failed", what=why)


def _refuse_elsewhere(days: Sequence[LatencyBaseline], now: Environment, allowed: Sequence[str]) -> None:
    before = [day.environment.conditions for day in days]
    differing = [
        (name, then.get(name, "unknown"), now.conditions.get(name, "unknown"))
        for name in CONDITIONS_THAT_MUST_MATCH
        for then in [next((then for then in before if then.get(name) != now.conditions.get(name)), None)]
        if name not in allowed and then is not None
    ]
    if differing:
        raise baseline_elsewhere(differing=differing)


def _notices(days: Sequence[LatencyBaseline], request: CompareRequest, head: ShippedKit) -> tuple[str, ...]:
    baseline, dates = days[-1], listed([day.observed_at[:10] for day in days])
    notices = [f"unpaired: BASE ran on {dates}; today may differ from these days as far as they differ from each other"]
    notices.append("a machine that has two paces fails an unchanged kit more often than α says: confirm a FAIL on a second day")
    notices += knob_notices(("HEAD", head.facts), ("BASE", baseline.shipped))
    if (past := disturbed(worst_of([day.environment for day in days]))) is not None:
        notices.append(f"when the baseline was recorded, {past}: nothing passes against it")
    now = 0 if request.runs is None else companions_of(request.runs, head.kit)
    if baseline.companions not in (None, now):
        then = counted(baseline.companions or 0, "other kit")
        notices.append(
            f"the baseline was recorded with {then} between its runs, and this race has {counted(now, 'other kit')}: "
            "kits that run in between change caches, clocks and heat"
        )
    if request.allow_different:
        notices.append(f"allowed to differ: {', '.join(request.allow_different)}")
    return tuple(notices)
