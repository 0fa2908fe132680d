"""The short look at all candidates that says which of them race for the choice.

Every candidate has a few short processes, interleaved, and the geometric mean of their medians orders the field. How often the
truly fastest was left out, by 3,000 fields drawn from the processes in ``tests/judging/runs/recorded_runs.json`` (two cores that
others kept busy: the same file takes once and then twice its time), on which the mean was also chosen:

    field (made up, MobileNetV2's rungs at 224 px, made up), times the fastest   1 process   3: least   median   geometric mean
    1, 1.3, 1.6, 1.6, 1.9, 2.5, 2.7, 2.7                                           5.9 %       4.6 %     4.8 %         0.1 %
    1, 1.16, 1.31, 1.99, 2                                                         4.4 %       3.6 %     2.3 %         0.6 %
    1, 1.1, 1.15, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8                               15.7 %      13.2 %    13.3 %         7.0 %

By the least, a fastest candidate that was disturbed throughout stays in only where all processes of a slower one were too; by the
median, where two were. The mean weighs each.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping

from edgecnn.values.candidate import Candidate, reference_of
from edgecnn.values.profile import Profile

SCREEN_ROUNDS = 3
SCREEN_SAMPLES = 300
"""Of a process: as many as the recorded ones had."""
SCREEN_MAX_S = 2.0
"""Of a process: three sample a slow network for 6 s, where one in a race for figures samples for 5."""
NEAR = 1.25
"""Times the least of the field. Of neighbouring processes of one file (``tests/judging/runs/recorded_runs.json``, on shared
machines), four in five differ by less than 1.13 and one in ten by 1.7: no margin is safe, and this one costs a few rounds.
It was set for one process a candidate, which throughput and energy still screen by."""
FINALISTS = 4
"""Each adds its rounds to the race."""


def screened_ms(profile: Profile) -> float | None:
    """The geometric mean of the medians of a candidate's screening processes, in milliseconds; None where none has a sample."""
    medians = [statistics.median(run.samples_ns) / 1e6 for run in profile.runs if run.samples_ns]
    return statistics.geometric_mean(medians) if medians else None


def finalists(cost: Mapping[str, float], inside_budget: Iterable[str], candidates: Iterable[Candidate]) -> tuple[str, ...]:
    """Who races for the choice: the baseline network's fp32, the best float candidate, and those that may be the fastest.

    Screening orders only what lies far apart, so that everyone near the best of them inside the budget races, the best
    ``FINALISTS`` of these, and the second whatever its distance. The best float one must be among them: a lower precision is
    chosen only where it is measured better than that one.

    ``cost``: what screening saw of each candidate: milliseconds of a call or an image, or millijoules. Who is absent cannot
    race. ``inside_budget``: candidates whose estimated loss is inside the accuracy budget.
    """
    by_id = {candidate.id: candidate for candidate in candidates}
    ranked = sorted((name for name in inside_budget if name in cost), key=lambda name: cost[name])
    best_float = [name for name in ranked if by_id[name].precision.is_float][:1]
    near = [name for name in ranked if cost[name] <= NEAR * cost[ranked[0]]]
    chosen = [reference_of(by_id.values()), *best_float, *ranked[:2], *near[:FINALISTS]]
    return tuple(dict.fromkeys(name for name in chosen if name in cost))
