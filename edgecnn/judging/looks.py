"""How long two kits are raced: a rule that is fixed beforehand, so that looking again is no second chance for a wrong verdict.

A quiet machine shows a regression in ten rounds, a busy one in fifty. So the race stops at the first look that settles the gates,
and the error that one look may make is shared out among all looks that are allowed (Bonferroni): however often it looks, a kit
that is no slower than its bound fails at most as often as with a single look.
"""

from __future__ import annotations

from edgecnn.judging.intervals import LATENCY_CONFIDENCE

LOOKS = (10, 24, 48)
"""Rounds after which the race looks at itself. Three looks that share 2 % want 99.3 % each; ten pairs reach 99.8 %."""
ROUNDS_MAX = LOOKS[-1]
ROUNDS_MIN = 8
"""Seven pairs are the fewest that an interval can be taken of."""
_WORTH_A_LOOK = 0.75
"""A look shortly before the last one costs confidence and saves nothing."""


def looks(rounds_max: int = ROUNDS_MAX) -> tuple[int, ...]:
    """Rounds after which to look, the last one at ``rounds_max``; it doubles beyond ``LOOKS``."""
    planned = list(LOOKS)
    while planned[-1] < rounds_max:
        planned.append(2 * planned[-1])
    return (*(each for each in planned if each <= _WORTH_A_LOOK * rounds_max), rounds_max)


def look_confidence(count: int, whole: float = LATENCY_CONFIDENCE) -> float:
    """The two-sided confidence of each of ``count`` looks that all together hold ``whole``."""
    return 1 - (1 - whole) / count
