"""Of images with several labels each. What a label's answers are by themselves is normal, so that true figures are integrals.

A label's score is ``apart`` where an image has it, else 0, and a standard normal deviate, half of whose variance all labels of
an image have in common; which labels an image has hangs together as well. The other network's deviates are mostly the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from benchmarks.gate_rates.regression import Drawn, Regression, judging, lower_gate, upper_gate
from edgecnn.judging.accuracy import Answers
from edgecnn.judging.multi_label import multi_label_accuracy
from edgecnn.values.report import CandidateFacts
from tests.judging.made import facts

Doubles = NDArray[np.float64]
Shares = tuple[float, ...]
"""Of the images, how many have each label."""
THREE, EIGHT = (0.3, 0.15, 0.05), (0.4, 0.3, 0.2, 0.1, 0.1, 0.05, 0.05, 0.05)
THRESHOLD = 0.9
AT = float(np.log(THRESHOLD / (1 - THRESHOLD)))
"""The same as a logit."""
FP32_APART = 2.5
KEPT = 0.98
"""Correlation of the two networks' deviates."""


def true_map(apart: float, shares: Shares) -> float:
    """The precision down to a score, averaged over the images that have the label by midpoints of 5,000 parts of them."""
    scores = apart + ndtri((np.arange(5_000) + 0.5) / 5_000)
    right, wrong = ndtr(apart - scores), ndtr(-scores)
    return float(np.mean([np.mean(share * right / (share * right + (1 - share) * wrong)) for share in shares]))


def true_map_of_heavy_tails(apart: float, shares: Shares) -> float:
    """The same of scores that have Student's distribution with 3 degrees of freedom."""
    scores = apart + stdtrit(3, (np.arange(20_000) + 0.5) / 20_000)
    right, wrong = stdtr(3, apart - scores), stdtr(3, -scores)
    return float(np.mean([np.mean(share * right / (share * right + (1 - share) * wrong)) for share in shares]))


def true_f1(apart: float, shares: Shares, *, together: bool) -> float:
    """Micro- (``together``) or macro-F1 at the threshold."""
    has = np.array(shares)
    hits, predicted = has * ndtr(apart - AT), has * ndtr(apart - AT) + (1 - has) * ndtr(-AT)
    return float(2 * hits.sum() / (predicted + has).sum() if together else np.mean(2 * hits / (predicted + has)))


def true_micro_f1(apart: float, shares: Shares) -> float:
    """See ``true_f1``."""
    return true_f1(apart, shares, together=True)


def true_macro_f1(apart: float, shares: Shares) -> float:
    """See ``true_f1``."""
    return true_f1(apart, shares, together=False)


@lru_cache(maxsize=64)
def apart_for(figure: Callable[[float, Shares], float], wanted: float, shares: Shares) -> float:
    """By bisection."""
    low, high = 0.0, 20.0
    if figure(high, shares) < wanted:
        raise ValueError(f"no network reaches {wanted} at a threshold of {THRESHOLD}")
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if figure(middle, shares) < wanted else (low, middle)
    return low


def hanging_together(random: np.random.Generator, images: int, labels: int) -> Doubles:
    """Standard normal (images, labels), correlated by a half inside an image."""
    logits: Doubles = (random.normal(size=(images, 1)) + random.normal(size=(images, labels))) / np.sqrt(2)
    return logits


def drawn_facts(random: np.random.Generator, images: int, shares: Shares, apart: float) -> CandidateFacts:
    """What a build is seen to do whose labels are told apart by so much."""
    has = hanging_together(random, images, len(shares)) < ndtri(np.array(shares))
    deviates, others = (hanging_together(random, images, len(shares)) for _ in range(2))
    theirs = FP32_APART * has + deviates
    mine = apart * has + KEPT * deviates + np.sqrt(1 - KEPT**2) * others
    return judged_facts(mine, theirs, has)


def judged_facts(
    mine: Doubles, theirs: Doubles, has: NDArray[np.bool_], groups: NDArray[np.int64] | None = None
) -> CandidateFacts:
    """As a build makes them of two networks' logits."""
    ours, other = (
        Answers(name, logits.astype(np.float32), "p", "here", groups=groups)
        for name, logits in (("int8", mine), ("fp32", theirs))
    )
    thresholds = {f"label {number}": THRESHOLD for number in range(has.shape[1])}
    return facts(multi_label=multi_label_accuracy(ours, has.astype(np.uint8), thresholds, "test", other))


def figure_case(figure: Callable[[float, Shares], float], images: int, shares: Shares) -> Drawn:
    """mAP or an F1."""
    return lambda random, true: drawn_facts(random, images, shares, apart_for(figure, true, shares))


def heavy_tails_case(images: int, shares: Shares) -> Drawn:
    """mAP of independent labels."""

    def drawn(random: np.random.Generator, true: float) -> CandidateFacts:
        has = random.random((images, len(shares))) < np.array(shares)
        mine = apart_for(true_map_of_heavy_tails, true, shares) * has + random.standard_t(3, has.shape)
        return judged_facts(mine, mine, has)

    return drawn


def map_drop_case(images: int, shares: Shares) -> Drawn:
    """From the mAP of the other network, whose labels are ``FP32_APART``."""
    start = true_map(FP32_APART, shares)
    return lambda random, pp: drawn_facts(random, images, shares, apart_for(true_map, start - pp / 100, shares))


def agreement_case(images: int, shares: Shares) -> Drawn:
    """One label more or less, or the very same ones."""

    def drawn(random: np.random.Generator, share: float) -> CandidateFacts:
        has = random.random((images, len(shares))) < np.array(shares)
        theirs = np.where(has, AT + 1.0, AT - 1.0)
        turned = (random.random(images) >= share)[:, None] & np.eye(len(shares), dtype=bool)[
            random.integers(0, len(shares), images)
        ]
        return judged_facts(np.where(turned, 2 * AT - theirs, theirs), theirs, has)

    return drawn


def cases() -> list[Regression]:
    """Three labels of few images and of more, and eight of which some are rare."""
    drop, mean, micro = upper_gate("map_drop_pp", 1.0), lower_gate("map", 0.75), lower_gate("micro_f1", 0.75)
    macro, alike, tails = lower_gate("macro_f1", 0.7), lower_gate("agreement", 0.95), lower_gate("map", 0.6)
    few, more, rare = "300 images, 3 labels", "2,000 images, 3 labels", "300 images, 8 labels"
    six, ten, three = (6 / 400,) * 20, (10 / 1_000,) * 40, (3 / 60,) * 8
    f1_of_three, heavy = "60 images, 8 labels of about 3 images", "400 images, 20 labels of about 6, heavy tails"
    return [
        Regression(mean, "400 images, 20 labels of about 6", judging(mean, figure_case(true_map, 400, six)), 0.6, 0.9, 200),
        Regression(
            mean, "1,000 images, 40 labels of about 10", judging(mean, figure_case(true_map, 1_000, ten)), 0.65, 0.85, 200
        ),
        Regression(tails, heavy, judging(tails, heavy_tails_case(400, six)), 0.2, 0.8, 200),
        Regression(micro, f1_of_three, judging(micro, figure_case(true_micro_f1, 60, three)), 0.5, 0.85, 400),
        Regression(macro, f1_of_three, judging(macro, figure_case(true_macro_f1, 60, three)), 0.4, 0.85, 400),
        Regression(drop, few, judging(drop, map_drop_case(300, THREE)), 6.0, -4.0),
        Regression(drop, more, judging(drop, map_drop_case(2_000, THREE)), 4.0, -2.0),
        Regression(drop, rare, judging(drop, map_drop_case(300, EIGHT)), 6.0, -4.0),
        Regression(mean, few, judging(mean, figure_case(true_map, 300, THREE)), 0.65, 0.85, 400),
        Regression(mean, more, judging(mean, figure_case(true_map, 2_000, THREE)), 0.65, 0.85, 400),
        Regression(mean, rare, judging(mean, figure_case(true_map, 300, EIGHT)), 0.65, 0.85, 400),
        Regression(micro, few, judging(micro, figure_case(true_micro_f1, 300, THREE)), 0.65, 0.85, 400),
        Regression(macro, few, judging(macro, figure_case(true_macro_f1, 300, THREE)), 0.6, 0.8, 400),
        Regression(macro, rare, judging(macro, figure_case(true_macro_f1, 300, EIGHT)), 0.6, 0.8, 400),
        Regression(alike, few, judging(alike, agreement_case(300, THREE)), 0.9, 0.99),
    ]
