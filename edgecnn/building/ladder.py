"""Decide how far to climb the ladder. Pure.

The plan fixes the rungs and their keys; this module decides which rungs are built. fp32, half precision and post-training INT8
are cheap and always built, so that a race chooses among them. Keeping layers in float costs a ranking and one build for each
number of layers. It is tried only if INT8 is outside the accuracy budget, with the fewest layers first, until one is inside.

With a time budget, no rung begins after it; a rung that has begun is finished. The budget counts the rungs of this call, without
training, export and races. Finished rungs come from the store, so the next call continues where this one stopped.

A candidate is inside if its estimated drop on the validation images is, as in the choice (``judging/choice.py``). The interval
is not used: few validation sets show a drop below 1 pp, so every build would climb every rung, and the faster INT8 candidate
would still win.
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
    """Stop the climb."""

    why: Mapping[str, str]
    """Rung that is not climbed to the reason."""
    out_of_time: frozenset[str] = frozenset()
    """Rungs that are not climbed only because of the time budget."""


@dataclass(frozen=True)
class RungResult:
    """Time and drops of one rung, also if all its candidates failed."""

    seconds: float
    drops_pp: Mapping[str, float] = field(default_factory=dict)
    """Candidate to its estimated drop on ``validation``, percentage points; without candidates that were not evaluated."""


@dataclass(frozen=True)
class Limits:
    """Limits of a climb."""

    seconds: float | None = None
    """None: no time budget."""
    budget_pp: float = 1.0
    """The bound of the drop_pp gate."""
    unbuilt: frozenset[str] = frozenset()
    """Rungs that the store does not hold, in a call that builds nothing."""


def next_rung(rungs: Sequence[Rung], climbed: Mapping[str, RungResult], limits: Limits) -> Climb | Stop:
    """The next rung to climb, or the reasons to stop."""
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
    """Why there is no time for another rung. The first rung ignores the time budget."""
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
