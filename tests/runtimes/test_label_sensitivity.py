"""How far rounding takes a multi-label network is counted label by label, not in shares of one class."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.runtimes.ranking import divergence, log_probabilities

EXACT, ROUNDED = np.array([[2.0, -1.0]], np.float32), np.array([[1.0, -1.0]], np.float32)


def kl(p: float, q: float) -> float:
    return float(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))


def test_of_several_labels_it_is_the_sum_over_them() -> None:
    first, other = 1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(-1.0))
    damage = divergence(log_probabilities(EXACT, several=True), log_probabilities(ROUNDED, several=True))
    assert damage == pytest.approx(kl(first, other), rel=1e-6)


def test_a_shift_of_all_logits_is_no_damage_to_one_class_and_some_to_several_labels() -> None:
    shifted = EXACT + 1
    assert divergence(*(log_probabilities(logits, several=False) for logits in (EXACT, shifted))) == pytest.approx(0, abs=1e-9)
    assert divergence(*(log_probabilities(logits, several=True) for logits in (EXACT, shifted))) > 0.05
