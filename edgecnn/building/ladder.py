"""How far to climb: pure, from what was seen so far.

The rungs and their keys are fixed by the plan; this decides only which of them are built. fp32, half precision and post-training
INT8 are cheap, and always climbed, so that the race and not a guess chooses among them. Keeping layers in float costs a ranking
and a build for every number of layers tried: that is done only where INT8 is outside the accuracy budget, the fewest layers
first, until one is inside. Where a caller sets a time budget, no rung is begun after it, and the climb ends with what is there; a
rung that was begun is finished. It counts what this call spends on rungs: neither training and export before them nor the races
after them. What a call before it finished comes from the store in no time, so that the next one goes on where it stopped.

Inside means what it means to the choice (``judging/choice.py``): the estimated drop on the validation images. The whole
interval is the wrong question here: these seldom suffice to show a drop inside 1 pp, so that every build would climb everything,
and what was built so would hardly be chosen over the INT8 candidate that is inside, and faster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgecnn.values.candidate import Rung


@dataclass(frozen=True)
class Climb:
    """Build this rung next."""

    rung: Rung


@dataclass(frozen=True)
class Stop:
    """Go no further."""

    why: Mapping[str, str]
    """Of each rung that is not climbed; empty where every one was."""
    out_of_time: frozenset[str] = frozenset()
    """Those of them that only the time budget kept from being climbed."""


@dataclass(frozen=True)
class RungResult:
    """What one rung took and showed. A rung whose every candidate failed was climbed too."""

    seconds: float
    drops_pp: Mapping[str, float] = field(default_factory=dict)
    """Candidate to its estimated drop on ``validation``, in percentage points; absent of one that failed or was not evaluated."""


@dataclass(frozen=True)
class Limits:
    """What ends a climb early."""

    seconds: float | None = None
    """None: no time budget."""
    budget_pp: float = 1.0
    """The bound of the drop_pp gate."""
    unbuilt: frozenset[str] = frozenset()
    """Rungs that the store does not have, in a call that builds nothing."""


def next_rung(rungs: Sequence[Rung], climbed: Mapping[str, RungResult], limits: Limits) -> Climb | Stop:
    """The first rung that was not climbed and is worth it."""
    why, late = dict[str, str](), set[str]()
    for rung in rungs:
        if rung.name in climbed:
            continue
        spared = _not_needed(rung, rungs, climbed, limits) if _known(rung, climbed) else None
        timed_out = None if spared else _out_of_time(climbed, limits)
        reason = spared or timed_out or _not_needed(rung, rungs, climbed, limits) or _not_here(rung, limits)
        if reason is None:
            return Climb(rung=rung)
        why[rung.name] = reason
        late |= {rung.name} if timed_out else set()
    return Stop(why=why, out_of_time=frozenset(late))


def _known(rung: Rung, climbed: Mapping[str, RungResult]) -> bool:
    """Whether what it would mend was evaluated, so that it is known to be needed or not, whatever time there is."""
    return any(rung.mends in result.drops_pp for result in climbed.values())


def _out_of_time(climbed: Mapping[str, RungResult], limits: Limits) -> str | None:
    """The first rung is climbed whatever the time budget."""
    spent = sum(result.seconds for result in climbed.values())
    if limits.seconds is None or not climbed or spent < limits.seconds:
        return None
    return f"out of time, {spent:.0f} s spent of a budget of {limits.seconds:.0f} s"


def _not_needed(rung: Rung, rungs: Sequence[Rung], climbed: Mapping[str, RungResult], limits: Limits) -> str | None:
    if rung.mends is None:
        return None
    drops = {name: drop for result in climbed.values() for name, drop in result.drops_pp.items()}
    if rung.mends not in drops:
        return f"{rung.mends} was not evaluated on validation, so nothing says that one of its layers must stay in float"
    of_budget = f"on validation, within the budget of {limits.budget_pp:g} pp"
    if drops[rung.mends] <= limits.budget_pp:
        return f"{rung.mends} {_loses(drops[rung.mends])} {of_budget}: no layer stays in float"
    fewer = [candidate.id for mending in rungs if mending.mends == rung.mends for candidate in mending.candidates]
    for name in fewer:
        if name in drops and drops[name] <= limits.budget_pp:
            return f"{name} {_loses(drops[name])} {of_budget}: no further layer stays in float"
    return None


def _not_here(rung: Rung, limits: Limits) -> str | None:
    return "it was never built, and judging builds nothing: `edgecnn build` does" if rung.name in limits.unbuilt else None


def _loses(drop_pp: float) -> str:
    return f"loses {drop_pp:.2f} pp" if drop_pp > 0 else "loses nothing"
