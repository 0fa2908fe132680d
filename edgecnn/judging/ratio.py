"""The ratio of two kits' latencies, and its gate: the whole interval passes or fails.

Paired runs are interleaved in one race. Both kits meet the same other work, but a kit with more threads loses more by it. So a
ratio decides only if both kits lost about the same share of their time waiting for a processor, and if the ratio without this
time gives the same verdict. Where waiting is not recorded, other work takes the verdict away from kits with different threads.

Unpaired runs come from different days. A machine varies from day to day without a change of the kit, as much as the recorded days
differ from each other. Other work during HEAD's runs takes away a FAIL; other work during the recorded runs takes away a PASS.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Literal, NamedTuple

from edgecnn.errors.gates import races_differ
from edgecnn.errors.wording import counted
from edgecnn.judging.dependence import RUNS_TO_TELL, PairedInterval, paired_interval
from edgecnn.judging.disturbance import (
    LOST_APART_MAX,
    SOMETIMES_THROTTLED_PERCENT_MAX,
    disturbed,
    lost_percent,
    lost_share,
    observed_percent,
    slowdown_limit_text,
    slowed_at_most,
    worst_of,
)
from edgecnn.judging.intervals import DAYS_NEEDED, LATENCY_CONFIDENCE, aged_by, day_ratio_interval
from edgecnn.judging.latency import (
    CONDITIONS_OF_THE_MACHINE,
    check_conditions,
    medians_by_round,
    run_ms,
    run_settings_of,
    threads_of,
    too_few_samples,
)
from edgecnn.judging.metrics import LATENCY_RATIO
from edgecnn.judging.stopping import OF_A_COMPARISON, look_confidence, rounds_to_settle, what_helps
from edgecnn.runner.runs.figures import OTHERS_PERCENT_MAX, RUNS_NEEDED
from edgecnn.values.base import Value
from edgecnn.values.profile import Profile, Run
from edgecnn.values.verdict import Fidelity, Gate, GateResult, Interval, Verdict

_OTHER_WORK = ("others_percent", OTHERS_PERCENT_MAX, "other programs used {:.0f} % of the CPU time in the runs")
_THROTTLING = ("throttled_percent", SOMETIMES_THROTTLED_PERCENT_MAX, "the machine throttled in {:.0f} % of the runs")
"""Disturbances that may slow one kit of a pair: observation, allowed difference in percentage points, and words. Ten rounds of
two copies of one kit next to 50 to 90 % of other work differ by more than 5 points three times in a hundred."""


OVER_DAYS = "Student's t, which assumes independent and normally distributed days"
"""The test and its assumption. A machine with two paces violates it: a day at the slower pace looks like a change of the kit."""
SECONDS_PER_DAY = 86_400
MORE_DAYS = "baselines of more days show how much the machine varies from day to day"
"""Advice for a ratio to recorded runs."""


class PairedRace(Value):
    """Profiles of two kits that ran interleaved, round by round."""

    base: Profile
    head: Profile


class RatioFinding(Value):
    """The ratio HEAD / BASE, or why there is none."""

    ratio: Interval | None
    how: str = ""
    """Test and sample, such as ``10 interleaved rounds on AMD EPYC``."""
    absent: str | None = None
    """Why nothing was measured."""
    rounds: int = 0
    """Rounds of HEAD that the ratio comes from."""
    helps: str | None = None
    """Advice if more rounds would not narrow the ratio."""
    open: str | None = None
    """Why there are runs but no interval."""
    without_waiting: Interval | None = None
    """The ratio of the times that the kits did not wait for a processor. It must give the same verdict. None if unknown."""
    lost: str | None = None
    """How much of their time the kits waited for a processor."""
    slow_disturbed: str | None = None
    """A disturbance that may have slowed HEAD, so that HEAD cannot fail."""
    fast_disturbed: str | None = None
    """A disturbance that may have slowed BASE, so that HEAD cannot pass."""
    slow_at_most: int | None = None
    """Largest factor by which ``slow_disturbed`` can have slowed HEAD; None without a limit."""
    fast_at_most: int | None = None
    """Largest factor by which ``fast_disturbed`` can have slowed BASE; None without a limit."""


def paired_finding(
    races: Sequence[PairedRace], machine: str, confidence: float = LATENCY_CONFIDENCE, *, is_last: bool = True
) -> RatioFinding:
    """Return HEAD / BASE from one or more races of the same two kits, paired by round.

    ``is_last``: whether no more rounds follow, see ``paired_interval``.

    Raises:
        RACES_DIFFER: two profiles of a pair are from different races.
        CONDITIONS_DIFFER: two kits of one race did not run on the same machine in the same state.
        ROUND_TWICE: a round holds two runs of one kit.
    """
    for race in races:
        _check_same_state(race)
    slow, fast = _paired_ms(races, waiting=True)
    short = too_few_samples([run for race in races for side in (race.base, race.head) for run in side.runs])
    paired = paired_interval(slow, fast, confidence, is_last=is_last)
    ratio = None if short else paired.interval
    head, base = (lost_percent(_runs_of(races, side)) for side in _SIDES)
    lost, without = None, None
    if ratio is not None and head is not None and base is not None:
        lost = f"HEAD waited for a processor in {head:.0f} % of its time and BASE in {base:.0f} %"
        without = paired_interval(*_paired_ms(races, waiting=False), confidence, is_last=is_last).interval
    why = None if ratio else short or f"{len(slow)} paired rounds; an interval needs {RUNS_NEEDED}"
    return RatioFinding(
        ratio=ratio,
        how=f"{len(slow)} interleaved rounds on {machine}{_settings_note(races)}{_assumption_note(paired, len(slow))}",
        rounds=len(slow),
        open=why,
        helps=what_helps(None) if paired.dependent else None,
        without_waiting=without,
        lost=lost,
        slow_disturbed=_uneven(races, "head"),
        fast_disturbed=_uneven(races, "base"),
        slow_at_most=slowed_at_most([race.head for race in races]),
        fast_at_most=slowed_at_most([race.base for race in races]),
    )


def _assumption_note(paired: PairedInterval, rounds: int) -> str:
    assumed = "which are taken as independent" if rounds < RUNS_TO_TELL else None
    return "".join(f", {note}" for note in (assumed, paired.dependent, paired.two_paces) if note)


_Side = Literal["base", "head"]
_SIDES: tuple[_Side, _Side] = ("head", "base")


def _runs_of(races: Sequence[PairedRace], side: _Side) -> list[Run]:
    return [run for race in races for run in getattr(race, side).runs]


def _paired_ms(races: Sequence[PairedRace], *, waiting: bool) -> tuple[list[float], list[float]]:
    """Return the medians of HEAD and BASE in the rounds that both ran. ``waiting``: whether they include the lost time."""
    slow, fast = list[float](), list[float]()
    for race in races:
        head, base = (_medians(profile, waiting=waiting) for profile in (race.head, race.base))
        rounds = sorted(head.keys() & base.keys())
        slow += [head[number] for number in rounds]
        fast += [base[number] for number in rounds]
    return slow, fast


def _medians(profile: Profile, *, waiting: bool) -> dict[int, float]:
    medians = medians_by_round(profile)
    if waiting:
        return medians
    lost = {run.round: lost_share(run) or 0.0 for run in profile.runs}
    return {number: ms * (1 - lost[number]) for number, ms in medians.items()}


def unpaired_finding(head: Profile, base: Sequence[Profile], confidence: float = LATENCY_CONFIDENCE) -> RatioFinding:
    """Return HEAD / BASE from runs of different days: HEAD's median run against the median run of each recorded day.

    See ``day_ratio_interval``.
    """
    short = next((why for profile in (head, *base) if (why := too_few_samples(profile.runs))), None)
    days = [_middle_ms(profile) for profile in base]
    moments = [profile.moment.timestamp() / SECONDS_PER_DAY for profile in (head, *base)]
    aged = aged_by(moments[1:], moments[0]) if base else 0.0
    ratio = None if short else day_ratio_interval(_middle_ms(head), days, confidence, aged=aged)
    few = f"{counted(len(days), 'recorded day')}; an interval needs {DAYS_NEEDED}: {MORE_DAYS}"
    past = disturbed(base)
    sample = f"{counted(len(head.runs), 'run')} against {len(days)} recorded days ({OVER_DAYS})"
    return RatioFinding(
        ratio=ratio,
        how=f"unpaired, {sample}{_age_note(moments, aged)}",
        rounds=len(head.runs),
        helps=MORE_DAYS,
        open=None if ratio else short or few,
        slow_disturbed=disturbed([head]),
        fast_disturbed=f"when the baseline was recorded, {past}" if past else None,
        slow_at_most=slowed_at_most([head]),
        fast_at_most=slowed_at_most(base),
    )


def _age_note(moments: Sequence[float], aged: float) -> str:
    if not aged:
        return ""
    today, recorded = moments[0], moments[1:]
    since, span = (counted(round(days), "day") for days in (today - max(recorded), max(recorded) - min(recorded)))
    return f", widened because the last record is {since} old and the records cover {span}"


def _middle_ms(profile: Profile) -> float:
    return statistics.median(ms for run in profile.runs if (ms := run_ms(run)) is not None)


def judge_ratio(gate: Gate, finding: RatioFinding, candidate: str, spelled: str = OF_A_COMPARISON) -> GateResult:
    """Judge the gate on ``latency_ratio``, whose only side is ``max``; ``spelled`` is the option for more rounds."""
    verdict, reason = _verdict(gate, finding, spelled)
    if (ratio := finding.ratio) is not None:
        interval = f"[{ratio.low:.3f}, {ratio.high:.3f}] at {100 * ratio.confidence:.4g} %"
        reason = f"latency {ratio.estimate:.3f} × BASE {interval}, {finding.how}, {reason}"
    return GateResult(
        gate=gate,
        candidate=candidate,
        verdict=verdict,
        figure=finding.ratio,
        fidelity=Fidelity.MISSING if finding.absent else Fidelity.MEASURED,
        reason=reason,
    )


def _check_same_state(race: PairedRace) -> None:
    """Check a pair, ignoring conditions that one runner is too old to read: both ran in the same minutes on one machine."""
    if race.head.race is None or race.head.race != race.base.race:
        raise races_differ(ours=race.head.subject, theirs=race.base.subject, our_race=race.head.race, their_race=race.base.race)
    ours, theirs = race.head.environment, race.base.environment
    known = [name for name in CONDITIONS_OF_THE_MACHINE if name in ours.conditions and name in theirs.conditions]
    check_conditions(ours, theirs, known)


def _settings_note(races: Sequence[PairedRace]) -> str:
    """Return the threads and knobs, of both sides if they differ."""
    if not races:
        return ""
    head, base = (run_settings_of(profile) or "threads unknown" for profile in (races[-1].head, races[-1].base))
    if head == base:
        return "" if head == "threads unknown" else f", {head}"
    return f", HEAD with {head} and BASE with {base}"


def _uneven(races: Sequence[PairedRace], side: _Side) -> str | None:
    """Describe disturbances that this side met more of than allowed, so that they may have slowed it; unobserved counts as 0."""
    other: _Side = "base" if side == "head" else "head"
    differences = []
    lost = {name: lost_percent(_runs_of(races, name)) for name in _SIDES}
    if (my_lost := lost[side]) is not None and (their_lost := lost[other]) is not None:
        if my_lost - their_lost > LOST_APART_MAX:
            waited = f"{side.upper()} waited for a processor in {my_lost:.0f} % of its time"
            differences.append(f"{waited} and {other.upper()} in {their_lost:.0f} %")
    elif (busy := _uneven_threads(races)) is not None:
        differences.append(busy)
    elif (uneven := _uneven_condition(races, side, _OTHER_WORK)) is not None:
        differences.append(uneven)
    if (uneven := _uneven_condition(races, side, _THROTTLING)) is not None:
        differences.append(uneven)
    return " and ".join(differences) or None


def _uneven_threads(races: Sequence[PairedRace]) -> str | None:
    """Describe other work that slows kits with different threads unevenly, although no run says how long it waited."""
    threads = {side: threads_of(_runs_of(races, side)) for side in _SIDES}
    environments = [getattr(race, side).environment for race in races for side in _SIDES]
    others = observed_percent(worst_of(environments), "others_percent") if environments else 0.0
    if others <= OTHERS_PERCENT_MAX or threads["head"] == threads["base"]:
        return None
    return f"other programs used {others:.0f} % of the CPU time, which slows kits with different threads by different factors"


def _uneven_condition(races: Sequence[PairedRace], side: _Side, condition: tuple[str, float, str]) -> str | None:
    other: _Side = "base" if side == "head" else "head"
    name, allowed, words = condition
    mine, theirs = _mean(races, side, name), _mean(races, other, name)
    if mine - theirs <= allowed:
        return None
    return f"{words.format(mine)} of {side.upper()}, and {theirs:.0f} % in those of {other.upper()}"


def _mean(races: Sequence[PairedRace], side: _Side, name: str) -> float:
    """Return an observation's average over races, weighted by rounds."""
    profiles: list[Profile] = [getattr(race, side) for race in races]
    rounds = sum(len(profile.runs) for profile in profiles)
    return sum(float(profile.environment.observed.get(name, 0)) * len(profile.runs) for profile in profiles) / max(rounds, 1)


def _verdict(gate: Gate, finding: RatioFinding, spelled: str) -> tuple[Verdict, str]:
    margin = f"must be at least {100 * (1 - gate.bound):.3g} % faster"
    if gate.bound >= 1:
        margin = f"margin {100 * (gate.bound - 1):.3g} %"
    bound = f"{LATENCY_RATIO} ≤ {gate.bound:g} ({margin}, α {100 * (1 - LATENCY_CONFIDENCE) / 2:g} % on either side)"
    if finding.ratio is None:
        return (Verdict.MISSING, finding.absent) if finding.absent else (Verdict.UNSURE, finding.open or "no ratio is known")
    low, high = finding.ratio.low, finding.ratio.high
    if high <= gate.bound:
        doubt = _Doubt(finding.fast_disturbed, finding.fast_at_most, gate.bound / high)
        decided = _unless_disturbed(Verdict.PASS, f"meets {bound}", bound, doubt)
    elif low <= gate.bound:
        more = rounds_to_settle(gate.bound, finding.ratio, finding.rounds)
        return Verdict.UNSURE, f"leaves {bound} open: {finding.helps or what_helps(more, spelled)}"
    else:
        doubt = _Doubt(finding.slow_disturbed, finding.slow_at_most, low / gate.bound)
        decided = _unless_disturbed(Verdict.FAIL, f"breaks {bound}", bound, doubt)
    own = finding.without_waiting or finding.ratio
    if decided[0] is Verdict.UNSURE or (own.high <= gate.bound if decided[0] is Verdict.PASS else own.low > gate.bound):
        return decided
    without = f"[{own.low:.3f}, {own.high:.3f}]"
    return Verdict.UNSURE, f"leaves {bound} open: {finding.lost}, and without this time the ratio is in {without}"


class _Doubt(NamedTuple):
    because: str | None
    """Disturbance that may explain the verdict."""
    times: int | None
    """Largest factor that the disturbance explains; None without a limit."""
    excess: float
    """Factor between the bound and the nearer end of the interval."""


def _unless_disturbed(verdict: Verdict, says: str, bound: str, doubt: _Doubt) -> tuple[Verdict, str]:
    """Return the verdict with its reason, or UNSURE if a disturbance may explain it."""
    if doubt.because is None:
        return verdict, says
    if doubt.times is None or doubt.excess <= doubt.times:
        return Verdict.UNSURE, f"leaves {bound} open: {doubt.because}"
    return verdict, f"{says}: {doubt.because}, {slowdown_limit_text(doubt.times)}"


class InterimLook(NamedTuple):
    """The ratio after the rounds so far."""

    finding: RatioFinding
    decided: bool
    """Whether the gate passes or fails, so that no more rounds are needed."""


def look(races: Sequence[PairedRace], gate: Gate, planned: Sequence[int], machine: str) -> InterimLook:
    """Return the ratio of two kits over all rounds so far.

    ``planned``: the numbers of rounds after which the race looks, including future looks.

    Raises RACES_DIFFER, CONDITIONS_DIFFER, ROUND_TWICE: see ``paired_finding``.
    """
    is_last = sum(len(race.head.runs) for race in races) >= planned[-1]
    finding = paired_finding(races, machine, look_confidence(len(planned)), is_last=is_last)
    return InterimLook(finding, judge_ratio(gate, finding, "").verdict in (Verdict.PASS, Verdict.FAIL))
