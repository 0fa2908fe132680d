"""Within which time most processes keep their p90 and p99.

Of a tail the middle process says little: where three of ten have a long one, it has none. So a bound on p90 or p99 is met only
where three of four processes are shown to meet it. That assumes nothing of their distribution, but that runs are independent;
where they are shown not to be, the limit is higher (``dependence``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgecnn.judging.intervals import LATENCY_CONFIDENCE, tail
from edgecnn.judging.runs.dependence import share_of_runs_below
from edgecnn.values.profile import Run

SHARE = 0.75
"""Of processes."""
PERCENTS = (90, 99)
TAILS = frozenset(f"p{percent}_ms" for percent in PERCENTS)
"""Metrics."""
WITHIN = "tails_within_ms"
"""The key of ``Latency.absent`` under which it says why there is none."""
NOT_SHOWN = "that three of four processes keep it was not shown"


def runs_needed(confidence: float = LATENCY_CONFIDENCE) -> int:
    """From which on the slowest run shows it: 17 at 98 %, since 0.75^16 is 1.002 %."""
    return math.ceil(math.log((1 - confidence) / 2) / math.log(SHARE))


def tails_within_ms(runs: Sequence[Run], confidence: float = LATENCY_CONFIDENCE) -> dict[str, float]:
    """``p90_ms``, ``p99_ms`` to the milliseconds; without what the runs are too few or too short for."""
    found = {}
    for percent in PERCENTS:
        values = [value for run in runs if (value := tail(run.samples_ns, percent)) is not None]
        within = share_of_runs_below(values, SHARE, confidence) if len(values) == len(runs) else None
        if within is not None:
            found[f"p{percent}_ms"] = within / 1e6
    return found


def why_not_within(runs: Sequence[Run], confidence: float = LATENCY_CONFIDENCE) -> dict[str, str]:
    """As ``Latency.absent`` has it, where the runs are too few."""
    needed = runs_needed(confidence)
    return {WITHIN: f"that three of four processes keep it is shown by {needed} runs"} if len(runs) < needed else {}
