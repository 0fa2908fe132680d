"""How far to climb: pure, from what was seen so far.

The rungs and their keys are fixed by the plan; this decides only which of them are built. Everything cheap is climbed, so
that the race and not a guess chooses; a time budget ends the climb with what is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgecnn.values.candidate import Rung


@dataclass(frozen=True)
class Climb:
    """Build this rung next."""

    rung: Rung


@dataclass(frozen=True)
class Stop:
    """Go no further."""

    why: str


@dataclass(frozen=True)
class Limits:
    """What ends a climb early. ``seconds`` None: nothing does."""

    seconds: float | None = None


def next_rung(rungs: Sequence[Rung], seen: Mapping[str, float], limits: Limits) -> Climb | Stop:
    """The first rung that was not climbed.

    Args:
        rungs: from the plan, in climbing order.
        seen: rung name to the seconds that it took; a rung whose every candidate failed counts as seen.
        limits: when to give up.
    """
    left = [rung for rung in rungs if rung.name not in seen]
    if not left:
        return Stop(why="every rung was climbed")
    spent = sum(seen.values())
    if limits.seconds is not None and seen and spent >= limits.seconds:
        return Stop(why=f"{left[0].name} was not climbed: {spent:.0f} s spent of a budget of {limits.seconds:.0f} s")
    return Climb(rung=left[0])
