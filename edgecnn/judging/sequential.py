"""One look at a race that looks several times: what is known then, and whether it may stop.

The number of looks is fixed beforehand, and each of them is taken at the confidence that all together leave it; see ``looks``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edgecnn.judging.ratio import PairedRace, RatioFinding, judge_ratio, paired_finding
from edgecnn.judging.stopping import look_confidence
from edgecnn.values.verdict import Gate, Verdict


class InterimLook(NamedTuple):
    """What the rounds so far say of the ratio."""

    finding: RatioFinding
    decided: bool
    """The gate passes or fails, so that no more rounds are run."""


def look(races: Sequence[PairedRace], gate: Gate, planned: Sequence[int], machine: str) -> InterimLook:
    """Look at all rounds that were run.

    Args:
        races: of the same two kits, in the order in which they ran.
        gate: on ``latency_ratio``.
        planned: rounds after which the race looks at all, those to come included.
        machine: how a reader would name it.

    Raises:
        RacesDiffer, ConditionsDiffer, RoundTwice: see ``paired_finding``.
    """
    finding = paired_finding(races, machine, look_confidence(len(planned)))
    return InterimLook(finding, judge_ratio(gate, finding, "").verdict in (Verdict.PASS, Verdict.FAIL))
