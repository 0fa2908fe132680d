"""Holds a build's present runs against a latency baseline, on the same board or pinned runner.

The runs are of different days, and a machine that drifted between them looks like a kit that changed. So the baseline is of
several days, by whose differences a difference is judged; a comparison is refused where a condition differs that matters, unless
the user says that this one does not; and what a day's machine did besides takes a verdict away, never gives one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import edgecnn
from edgecnn.building.rows import thresholds_of, timed_row, times
from edgecnn.building.runnable import why_not_runnable
from edgecnn.comparing.baseline_file import as_profile, figures_of, read_days, runs_of
from edgecnn.comparing.paired import IDENTICAL, NOT_RACED, knob_notices, must_race
from edgecnn.errors.comparing import baseline_elsewhere, unknown_condition
from edgecnn.errors.wording import counted, listed
from edgecnn.judging.gates import EffectiveGates
from edgecnn.judging.judgement import Compared, judge_row
from edgecnn.judging.metrics import exactly
from edgecnn.judging.runs.latency import disturbed, runs_needed, worst_of
from edgecnn.judging.runs.ratio import RatioFinding, unpaired_finding
from edgecnn.judging.runs.stopping import OF_A_COMPARISON, OF_A_DEVICE
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import long_enough_s, race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.measure.run_files import companions_of
from edgecnn.results.origin import changes
from edgecnn.results.shipped import ShippedKit, shipped_kit
from edgecnn.values.base import Value
from edgecnn.values.profile import CONDITIONS_THAT_MUST_MATCH, NOT_TIMED, Environment, Profile
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import Comparison, LatencyBaseline

ROUNDS = runs_needed()
"""Processes of a present race: as many as show what three of four of them keep p90 and p99 within."""
SAMPLES_MIN = 50
_UNKNOWN = {"accuracy": "a latency baseline holds no answers: edgecnn judge HEAD --against BASE does"}
"""Source of a metric to why a gate on it is MISSING."""
_LONGER = 2.0
"""So many times the time of a recorded run may a present one take for as many inferences."""


class CompareRequest(Value):
    """Which build against which files."""

    head: Path
    baselines: tuple[Path, ...]
    """One a day, of the same kit."""
    runs: Path | None = None
    """Runs that a device measured by itself; None: HEAD is raced here, now."""
    gates: GateChoice = GateChoice()
    allow_different: tuple[str, ...] = ()
    rounds: int = ROUNDS
    candidate: str | None = None
    """Of HEAD; None: the chosen one."""


def compare(request: CompareRequest, lab: Lab) -> Comparison:
    """Judge present runs of a build, made in this lab or read back from a device, by a baseline's.

    Raises:
        BASELINE_ELSEWHERE: a condition that must match differs, and is not among those that may.
        UNKNOWN_CONDITION: a condition that may differ is none.
        LATENCY_BASELINE_UNREADABLE, RunsUnusable, NoBuildToCompare, BundleUnreadable, KitNotCarried: of what was given.
    """
    started = time.perf_counter()
    for name in request.allow_different:
        if name not in CONDITIONS_THAT_MUST_MATCH:
            raise unknown_condition(name=name, known=CONDITIONS_THAT_MUST_MATCH)
    days, shipped = read_days(request.baselines), shipped_kit(request.head, request.candidate)
    more_rounds = OF_A_COMPARISON if request.runs is None else OF_A_DEVICE
    baseline, gates = days[-1], EffectiveGates.comparing(request.gates, more_rounds)
    profile, absent, environment, machine = _present(request, shipped, days, lab, gates)
    identical = _identical(shipped, days, environment)
    finding = RatioFinding(ratio=None, absent=absent)
    if profile is not None:
        _refuse_elsewhere(days, profile.environment, request.allow_different)
        finding = unpaired_finding(profile, [as_profile(day) for day in days])
    facts = timed_row(shipped.kit, profile or absent or "nothing ran", machine)
    several = thresholds_of(shipped.kit) is not None
    judged = judge_row(facts, gates, _UNKNOWN, Compared(finding, identical, several, shipped.row))
    return Comparison(
        version=edgecnn.__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        how="unpaired",
        head=shipped.facts,
        base=baseline.shipped,
        identical=identical,
        machine=machine,
        environment=environment,
        rounds=0 if profile is None else len(profile.runs),
        ratio=exactly(1.0) if identical else finding.ratio,
        latency=times(profile or absent or "nothing ran", machine),
        base_latency=figures_of(baseline),
        drop_pp=exactly(0.0) if identical else None,
        drop_absent=None if identical else "a latency baseline holds no answers",
        verdict=judged.verdict,
        gates=judged.gates,
        changed=tuple(map(str, changes(baseline.origin, shipped.origin))),
        notices=(IDENTICAL,) if identical else _notices(days, request, shipped),
        seconds=round(time.perf_counter() - started, 2),
    )


def _identical(shipped: ShippedKit, days: Sequence[LatencyBaseline], environment: Environment) -> bool:
    """Whether HEAD is the recorded kit itself, on the machine and in the state in which every day was recorded."""
    machines = (environment, *(day.environment for day in days))
    identical = shipped.facts.is_identical_to(days[-1].shipped, *(each.conditions for each in machines))
    if identical:
        shipped.require_whole()
    return identical


def _present(
    request: CompareRequest, shipped: ShippedKit, days: Sequence[LatencyBaseline], lab: Lab, gates: EffectiveGates
) -> tuple[Profile | None, str | None, Environment, str]:
    """Runs of now, or why there are none; the machine's environment and its name."""
    if request.runs is not None:
        profile = runs_of(shipped, request.runs)
        return profile, None, profile.environment, profile.host
    here = lab.environment_of(shipped.kit)
    _refuse_elsewhere(days, here, request.allow_different)  # before any time is spent
    if not must_race(gates, identical=_identical(shipped, days, here)):
        return None, NOT_RACED, here, lab.machine
    failed = why_not_runnable(shipped.kit, lab) if here.timed else None
    if (why := NOT_TIMED if not here.timed else failed.what if failed is not None else None) is not None:
        return None, why, here, lab.machine
    recorded = [run for day in days for run in day.runs]
    samples = max(SAMPLES_MIN, max(len(run.samples_ns) for run in recorded))
    with lab.store.in_use.held():
        max_s = max(long_enough_s((shipped.kit,), lab), _LONGER * max(sum(run.samples_ns) for run in recorded) / 1e9)
        asked = RaceRequest(
            kits=(shipped.kit,), purpose="against", rounds=request.rounds, samples=samples, max_s=max_s, max_age_h=0.0
        )
        result = race(asked, lab)
    ran = result.profiles.get(shipped.kit.entrant)
    return ran, result.failed.get(shipped.kit.entrant), here if ran is None else ran.environment, lab.machine


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


def _notices(days: Sequence[LatencyBaseline], request: CompareRequest, shipped: ShippedKit) -> tuple[str, ...]:
    baseline, dates = days[-1], listed([day.observed_at[:10] for day in days])
    said = [f"unpaired: BASE ran on {dates}; how far these days differ is taken for how far today may"]
    said.append("a machine that has two paces fails an unchanged kit more often than α says: let a second day confirm a FAIL")
    said += knob_notices(("HEAD", shipped.facts), ("BASE", baseline.shipped))
    if (past := disturbed(worst_of([day.environment for day in days]))) is not None:
        said.append(f"when the baseline was recorded, {past}: nothing passes against it")
    now = 0 if request.runs is None else companions_of(request.runs, shipped.kit)
    if baseline.companions not in (None, now):
        said.append(
            f"when the baseline was recorded, {_kits(baseline.companions or 0)} ran between its processes, and now "
            f"{_kits(now, short=True)} did: what one leaves to the next in caches, clocks and heat is not alike"
        )
    if request.allow_different:
        said.append(f"allowed to differ: {', '.join(request.allow_different)}")
    return tuple(said)


def _kits(count: int, *, short: bool = False) -> str:
    many = "none" if short else "no other kit"
    return f"{counted(count, 'other kit')}" if count else many
