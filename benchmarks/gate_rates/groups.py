"""Of images that came in groups, as frames of one video do: few groups, many, of one size, of lognormal sizes, a third in one.

Whether a group's images are right hangs together: their shares are beta distributed with a correlation of ``alike`` between two
images of one group. Of several labels, that part of the variance of labels and scores is the group's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from benchmarks.gate_rates import several_labels
from benchmarks.gate_rates.regression import Drawn, Regression, judging, lower_gate, upper_gate
from benchmarks.gate_rates.several_labels import (
    EIGHT,
    FP32_APART,
    KEPT,
    Shares,
    apart_for,
    hanging_together,
    true_macro_f1,
    true_map,
    true_micro_f1,
)
from benchmarks.gate_rates.shares import CLASSES, answers_of, judged_facts
from edgecnn.judging.accuracy import accuracy
from edgecnn.values.report import CandidateFacts
from tests.judging.made import facts

Sizes = Callable[[np.random.Generator, int], NDArray[np.int64]]
"""Images of each of so many groups."""
MEAN = 15
"""Images of a group."""


def equal(random: np.random.Generator, groups: int) -> NDArray[np.int64]:
    """All of one size."""
    return np.full(groups, MEAN)


def lognormal(random: np.random.Generator, groups: int) -> NDArray[np.int64]:
    """Whose logarithms have a standard deviation of 1."""
    sizes: NDArray[np.int64] = np.maximum(1, np.rint(MEAN * np.exp(random.normal(-0.5, 1.0, groups)))).astype(np.int64)
    return sizes


def third_in_one(random: np.random.Generator, groups: int) -> NDArray[np.int64]:
    """A third of all images are of one group, the others of one size."""
    sizes = equal(random, groups)
    sizes[0] = round(MEAN * (groups - 1) / 2)
    return sizes


def alike_in_groups(random: np.random.Generator, groups: NDArray[np.int64], share: float, alike: float) -> NDArray[np.bool_]:
    """(images,): true of ``share`` of them; with ``alike`` of 1 the images of a group are all true or all false."""
    count, share = int(groups[-1]) + 1, min(max(share, 1e-9), 1 - 1e-9)
    if alike >= 1:
        return (random.random(count) < share)[groups]
    odds = 1 / alike - 1
    return random.random(len(groups)) < random.beta(share * odds, (1 - share) * odds, count)[groups]


def share_case(metric: str, groups: int, sizes: Sizes, alike: float) -> Drawn:
    """``top1``, ``top5`` or ``agreement`` of so many groups."""

    def drawn(random: np.random.Generator, share: float) -> CandidateFacts:
        of = np.repeat(np.arange(groups), sizes(random, groups))
        true = alike_in_groups(random, of, share, alike)
        labels = random.integers(0, CLASSES, len(of))
        predicted = np.where(true, labels, (labels + 1) % CLASSES)
        mine, theirs = (replace(answers_of(classes_), groups=of) for classes_ in (predicted, labels))
        if metric == "top5":
            logits = np.tile(np.arange(CLASSES, dtype=np.float32), (len(of), 1))
            return judged_facts(replace(mine, logits=logits), np.where(true, CLASSES - 1, 0))
        if metric == "top1":
            return facts(test=accuracy(mine, labels, "test"))
        return judged_facts(mine, labels, theirs)

    return drawn


def drop_case(groups: int, sizes: Sizes, alike: float) -> Drawn:
    """The baseline network is right on nine of ten images; what is lost hangs together."""

    def drawn(random: np.random.Generator, drop_pp: float) -> CandidateFacts:
        of = np.repeat(np.arange(groups), sizes(random, groups))
        theirs = alike_in_groups(random, of, 0.9, alike)
        mine = theirs & ~alike_in_groups(random, of, max(drop_pp, 0.0) / 90, alike)
        labels = np.zeros(len(of), np.intp)
        ours, other = (replace(answers_of(np.where(is_right, 0, 1)), groups=of) for is_right in (mine, theirs))
        return facts(test=accuracy(ours, labels, "test", other))

    return drawn


def labels_case(
    figure: Callable[[float, Shares], float], groups: int, sizes: Sizes, alike: float, shares: Shares = EIGHT
) -> Drawn:
    """mAP or an F1 of images with several labels."""

    def drawn(random: np.random.Generator, true: float) -> CandidateFacts:
        of = np.repeat(np.arange(groups), sizes(random, groups))

        def deviates() -> NDArray[np.float64]:
            common = random.normal(size=(groups, len(shares)))[of]
            own: NDArray[np.float64] = np.sqrt(1 - alike) * hanging_together(random, len(of), len(shares))
            own += np.sqrt(alike) * common
            return own

        has = deviates() < ndtri(np.array(shares))
        other = deviates()
        theirs = FP32_APART * has + other
        mine = apart_for(figure, true, shares) * has + KEPT * other + np.sqrt(1 - KEPT**2) * deviates()
        return several_labels.judged_facts(mine, theirs, has, of)

    return drawn


SIZES: dict[str, Sizes] = {
    f"of {MEAN} images": equal,
    "of uneven sizes": lognormal,
    "of which one has a third of the images": third_in_one,
}


ALIKE = 0.3


def _share_regressions() -> list[Regression]:
    top1, drop = lower_gate("top1", 0.9), upper_gate("drop_pp", 5.0)
    regressions = []
    for named, sizes in SIZES.items():
        for groups in (10, 20, 40, 100, 400):
            drawn = judging(top1, share_case("top1", groups, sizes, ALIKE))
            regressions.append(Regression(top1, f"{groups} groups {named}", drawn, 0.8, 0.98))
        for groups in (40, 400):
            drawn = judging(drop, drop_case(groups, sizes, ALIKE))
            regressions.append(Regression(drop, f"{groups} groups {named}", drawn, 15.0, 1.0, 400))
    for groups in (20, 100):
        drawn = judging(top1, share_case("top1", groups, equal, 1.0))
        regressions.append(Regression(top1, f"{groups} groups whose images are answered alike", drawn, 0.8, 0.98))
    for metric in ("top5", "agreement"):
        gate = lower_gate(metric, 0.9)
        for groups, (named, sizes) in zip((20, 100, 40), SIZES.items(), strict=True):
            drawn = judging(gate, share_case(metric, groups, sizes, ALIKE))
            regressions.append(Regression(gate, f"{groups} groups {named}", drawn, 0.7, 0.99, 400))
    return regressions


def cases() -> list[Regression]:
    """Shares by group, and several labels an image."""
    shares = _share_regressions()
    figures = {"map": (true_map, 0.75), "micro_f1": (true_micro_f1, 0.75), "macro_f1": (true_macro_f1, 0.7)}
    for metric, (figure, bound) in figures.items():
        gate = lower_gate(metric, bound)
        for groups, (named, sizes) in zip((20, 100, 40), SIZES.items(), strict=True):
            drawn = judging(gate, labels_case(figure, groups, sizes, ALIKE))
            shares.append(Regression(gate, f"{groups} groups {named}, 8 labels", drawn, bound - 0.2, bound + 0.15, 200))
    return shares
