"""Of images with one class each: right or wrong in both networks, lost or gained, among the first five, answered alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.gate_rates.regression import MANY, Drawn, Regression, judging, lower_gate, upper_gate
from edgecnn.judging.accuracy import Answers, accuracy, agreement
from edgecnn.judging.folds import FoldAnswers, accuracy_over_folds
from edgecnn.judging.quality import quality
from edgecnn.values.report import CandidateFacts
from tests.judging.made import an_accuracy, facts

CLASSES = 10
NAMES = tuple(f"class {number}" for number in range(CLASSES))


def answers_of(predicted: NDArray[np.intp], classes: int = CLASSES, name: str = "int8") -> Answers:
    """Logits whose largest is that of the class ``said`` (images,)."""
    return Answers(name, np.eye(classes, dtype=np.float32)[predicted], pixels="p", machine="here")


def judged_facts(mine: Answers, labels: NDArray[np.intp], theirs: Answers | None = None) -> CandidateFacts:
    """As a build makes them of what two networks answered."""
    names = NAMES[: mine.logits.shape[1]]
    drop = accuracy(mine, labels, "test", theirs)
    return facts(test=drop.model_copy(update={"quality": quality(mine, labels, names, theirs)}))


def drop_case(images: int, discordant: float) -> Drawn:
    """``discordant``: share of images that exactly one of two networks gets right."""

    def drawn(random: np.random.Generator, drop_pp: float) -> CandidateFacts:
        lost = (discordant + drop_pp / 100) / 2
        counts = random.multinomial(images, [lost, max(0.0, discordant - lost), 1 - discordant])
        return facts(test=an_accuracy(int(counts[0]), int(counts[1]), images))

    return drawn


def drop_over_folds_case(folds: int, images: int, spread_pp: float) -> Drawn:
    """``images`` of each fold, 6 % of which differ; ``spread_pp``: standard deviation of the networks' own drops."""

    def drawn(random: np.random.Generator, drop_pp: float) -> CandidateFacts:
        mine, theirs, labels = [], [], [random.integers(0, CLASSES, images) for _ in range(folds)]
        for known in labels:
            drop = np.clip(random.normal(drop_pp, spread_pp) / 100, -0.06, 0.06)
            luck = random.random(images)
            wrong, lost = (known + 1) % CLASSES, luck < (0.06 + drop) / 2
            mine.append(answers_of(np.where(lost, wrong, known)))
            theirs.append(answers_of(np.where(~lost & (luck < 0.06), wrong, known), name="fp32"))
        return facts(test=accuracy_over_folds(FoldAnswers(mine, labels), FoldAnswers(theirs, labels)))

    return drawn


def top1_case(images: int) -> Drawn:
    """Right or wrong."""
    return lambda random, share: facts(test=an_accuracy(0, 0, images, right=int(random.binomial(images, share))))


def top5_case(images: int) -> Drawn:
    """Of ten classes the true one is among the first five, or not."""

    def drawn(random: np.random.Generator, share: float) -> CandidateFacts:
        logits = random.permuted(np.tile(np.arange(CLASSES, dtype=np.float32), (images, 1)), axis=1)
        place = random.integers(0, 5, images) + np.where(random.random(images) < share, 0, 5)
        labels = np.argsort(-logits, axis=1)[np.arange(images), place]
        return judged_facts(Answers("int8", logits, "p", "here"), labels)

    return drawn


def agreement_case(images: int, *, labelled: bool = True) -> Drawn:
    """Answered as by the other network or not; right or wrong in a tenth of the images, where anything says so."""

    def drawn(random: np.random.Generator, share: float) -> CandidateFacts:
        predicted = random.integers(0, CLASSES, images)
        mine = answers_of(np.where(random.random(images) < share, predicted, (predicted + 1) % CLASSES))
        theirs = answers_of(predicted, name="fp32")
        if not labelled:
            return facts(agreement=agreement(mine, "test", theirs))
        return judged_facts(mine, np.where(random.random(images) < 0.9, predicted, (predicted + 2) % CLASSES), theirs)

    return drawn


def cases() -> list[Regression]:
    """Small and large test sets."""
    drop, top1, top5, alike = (
        upper_gate("drop_pp", 1.0),
        lower_gate("top1", 0.75),
        lower_gate("top5", 0.95),
        lower_gate("agreement", 0.99),
    )
    regressions = [
        Regression(drop, f"{images:,} images, {100 * share:g} % differ", judging(drop, drop_case(images, share)), 2.0, 0.0, MANY)
        for images, share in ((300, 0.04), (2_000, 0.03), (10_000, 0.03), (50_000, 0.02))
    ]
    over_folds = judging(drop, drop_over_folds_case(5, 100, 2.0))
    regressions += [Regression(drop, "5 folds of 100 images, whose networks differ by 2 pp", over_folds, 5.0, -3.0)]
    regressions += [
        Regression(top1, f"{images:,} images", judging(top1, top1_case(images)), 0.73, 0.77, MANY) for images in (300, 10_000)
    ]
    regressions += [
        Regression(top5, f"{images:,} images", judging(top5, top5_case(images)), 0.9, 0.99) for images in (300, 2_000)
    ]
    regressions += [Regression(alike, "300 images", judging(alike, agreement_case(300)), 0.97, 0.998)]
    regressions += [
        Regression(
            alike, f"{number:,} images without labels", judging(alike, agreement_case(number, labelled=False)), 0.97, 0.998, MANY
        )
        for number in (268, 2_000)
    ]
    return regressions
