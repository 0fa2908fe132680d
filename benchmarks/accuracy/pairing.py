"""Two rows compared on the images that both answered: run by run where seed, division and test images are the same, then pooled.

Pooled over seeds and divisions one photograph is asked several times, and its answers hang together. So beside the score interval
that counts every answer for itself (Tango 1998, as every report of ours has it for one run) stands one that takes a photograph,
with all its answers, as the unit: the variance of a sum over independent clusters (Liang and Zeger 1986). The second one decides.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.accuracy.results import RunResult
from edgecnn.judging.intervals import tango_drop_pp, two_sided_z
from edgecnn.values.verdict import Interval

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Gain:
    """By how many points the second row is better than the first."""

    runs: int
    answers: int
    lost: int
    """Answers that only the first row had right."""
    gained: int
    by_answer: Interval
    """Every answer for itself."""
    by_image: Interval
    """A photograph with all its answers as the unit."""


def gain(first: Sequence[RunResult], second: Sequence[RunResult]) -> Gain | None:
    """The second row against the first, over the runs that both have; None where there is none."""
    pairs = list(paired(first, second))
    if not pairs:
        return None
    total: Counter[str] = Counter()
    lost = gained = answers = 0
    for one, other in pairs:
        missed, missed_too = Counter(one.wrong), Counter(other.wrong)
        only_second, only_first = missed_too - missed, missed - missed_too
        lost, gained = lost + only_second.total(), gained + only_first.total()
        answers += one.images["test"]
        total.update(only_first)
        total.subtract(only_second)
    # A drop counted from the second row is what the second one is ahead by.
    drop = tango_drop_pp(gained, lost, answers, CONFIDENCE)
    if drop is None:
        return None
    half = two_sided_z(CONFIDENCE) * 100 * math.sqrt(sum(count * count for count in total.values())) / answers
    by_image = Interval(estimate=drop.estimate, low=drop.estimate - half, high=drop.estimate + half, confidence=CONFIDENCE)
    return Gain(len(pairs), answers, lost, gained, drop, by_image)


def paired(first: Sequence[RunResult], second: Sequence[RunResult]) -> Iterator[tuple[RunResult, RunResult]]:
    """Runs of the same seed and division.

    Raises:
        ValueError: the test images are not the same.
    """
    by_place = {(result.seed, result.division): result for result in second}
    for one in first:
        other = by_place.get((one.seed, one.division))
        if other is None:
            continue
        same_images = one.images["test"] == other.images["test"]
        if not same_images or (one.pixels != other.pixels and None not in (one.pixels, other.pixels)):
            raise ValueError(f"{one.study} and {other.study}, seed {one.seed}, division {one.division}: other pixels")
        yield one, other
