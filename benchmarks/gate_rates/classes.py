"""Of images with one class each, what hangs on single classes or on confidence: macro-F1, the worst class, calibration."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.gate_rates.regression import Drawn, Regression, judging, lower_gate, upper_gate
from benchmarks.gate_rates.shares import CLASSES, answers_of, judged_facts
from edgecnn.judging.accuracy import Answers
from edgecnn.values.report import CandidateFacts

Sizes = tuple[int, ...]
"""Images of each class, which a split by class fixes."""
EVEN, ONE_SMALL, ALL_SMALL = (100,) * 10, (200,) * 9 + (20,), (20,) * 3
HARDER = 0.8
"""Of the images of the smallest class, where it is smaller, this share of what the others' are told apart by is left."""


def confusion(recall: float, sizes: Sizes) -> NDArray[np.float64]:
    """What a network of this recall answers, (classes, classes): errors go to all other classes alike."""
    recalls = np.where(np.array(sizes) < max(sizes), HARDER * recall, recall)
    table = np.repeat(((1 - recalls) / (len(sizes) - 1))[:, None], len(sizes), axis=1)
    np.fill_diagonal(table, recalls)
    return table


def true_macro_f1(recall: float, sizes: Sizes) -> float:
    """Of all images that there could be, in these proportions."""
    shares = np.array(sizes) / sum(sizes)
    joint = confusion(recall, sizes) * shares[:, None]
    return float(np.mean(2 * np.diag(joint) / (joint.sum(axis=0) + shares)))


@lru_cache(maxsize=64)
def recall_for(macro_f1: float, sizes: Sizes) -> float:
    """By bisection."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if true_macro_f1(middle, sizes) < macro_f1 else (low, middle)
    return low


def macro_f1_case(sizes: Sizes) -> Drawn:
    """Every image is answered by its class's row of the confusion table."""
    labels = np.repeat(np.arange(len(sizes)), sizes)

    def drawn(random: np.random.Generator, macro_f1: float) -> CandidateFacts:
        reached = confusion(recall_for(macro_f1, sizes), sizes).cumsum(axis=1)[labels]
        predicted = (reached < random.random(len(labels))[:, None]).sum(axis=1).clip(max=len(sizes) - 1)
        return judged_facts(answers_of(predicted, len(sizes)), labels)

    return drawn


def worst_class_case(images: int, losing: int) -> Drawn:
    """``losing`` of ten classes of so many images lose; in all 2 % of the images are gained, and as many lost besides."""
    labels = np.repeat(np.arange(CLASSES), images)

    def drawn(random: np.random.Generator, drop_pp: float) -> CandidateFacts:
        more = np.where(labels < losing, drop_pp / 100, 0.0)
        luck, wrong = random.random(len(labels)), (labels + 1) % CLASSES
        lost, gained = luck < 0.02 + more, luck > 0.98
        theirs = answers_of(np.where(gained, wrong, labels), name="fp32")
        return judged_facts(answers_of(np.where(lost, wrong, labels)), labels, theirs)

    return drawn


def calibration_case(images: int, least: float) -> Drawn:
    """Confidence is spread evenly from ``least`` to 1, and the answers are right less often than that by the error."""

    def drawn(random: np.random.Generator, error: float) -> CandidateFacts:
        confidence = random.uniform(least, 1 - 1e-6, images)
        logits = np.zeros((images, CLASSES), np.float32)
        logits[:, 0] = np.log((CLASSES - 1) * confidence / (1 - confidence))
        labels = np.where(random.random(images) < confidence - error, 0, 1)
        return judged_facts(Answers("int8", logits, "p", "here"), labels)

    return drawn


def cases() -> list[Regression]:
    """Classes alike, a small one, and few images of each; one class on the bound, and all of them."""
    f1, worst, ece = lower_gate("macro_f1", 0.85), upper_gate("worst_class_drop_pp", 5.0), upper_gate("ece", 0.05)
    sets = {
        "10 classes of 100 images": EVEN,
        "9 classes of 200 images, one of 20": ONE_SMALL,
        "3 classes of 20 images": ALL_SMALL,
    }
    regressions = [Regression(f1, what, judging(f1, macro_f1_case(sizes)), 0.75, 0.95) for what, sizes in sets.items()]
    regressions += [
        Regression(worst, f"10 classes of 200 images, {which} on it", judging(worst, worst_class_case(200, losing)), 12.0, 0.0)
        for losing, which in ((1, "one"), (CLASSES, "all"))
    ]
    regressions += [
        Regression(ece, f"{images:,} images, confidence from {least:g}", judging(ece, calibration_case(images, least)), 0.12, 0.0)
        for images, least in ((300, 0.3), (2_000, 0.3), (2_000, 0.9))
    ]
    return regressions
