"""How often the accuracy gate is wrong, by drawing test sets from known truths."""

import numpy as np
import pytest

from edgecnn.judging.intervals import NON_INFERIORITY_CONFIDENCE, tango_bounds, two_sided_z

DRAWS = 40_000
MARGIN = 0.01
SIZES = (300, 3000)
DISCORDANCES = (0.01, 0.02, 0.05)


def drawn_bounds(images, discordance, drop, confidence):
    """Tango's bounds of DRAWS test sets, of which each image is lost, gained or concordant with known probability."""
    lost, gained = (discordance + drop) / 2, (discordance - drop) / 2
    counts = np.random.default_rng(7).multinomial(images, [lost, gained, 1 - discordance], DRAWS)[:, :2]
    distinct, where = np.unique(counts, axis=0, return_inverse=True)
    low, high = tango_bounds(distinct[:, 0], distinct[:, 1], images, two_sided_z(confidence))
    return low[where.ravel()], high[where.ravel()]


@pytest.mark.parametrize("discordance", DISCORDANCES)
@pytest.mark.parametrize(("images", "least", "most"), [(300, 0.930, 0.999), (3000, 0.945, 0.957)])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_95_percent_interval_covers_the_true_drop(images, least, most, discordance, share):
    drop = discordance * share
    low, high = drawn_bounds(images, discordance, drop, 0.95)
    assert least <= np.mean((low <= drop) & (drop <= high)) <= most


@pytest.mark.parametrize("discordance", DISCORDANCES)
@pytest.mark.parametrize("images", SIZES)
def test_a_network_on_the_margin_passes_at_most_one_time_in_twenty(images, discordance):
    _, high = drawn_bounds(images, discordance, MARGIN, NON_INFERIORITY_CONFIDENCE)
    # The half point is the score test's: 5.3 % at 3,000 images where every discordant image is lost, at most 5.1 % elsewhere.
    assert np.mean(high <= MARGIN) <= 0.05 + 0.005


@pytest.mark.parametrize("discordance", DISCORDANCES)
@pytest.mark.parametrize("images", SIZES)
def test_a_network_that_loses_nothing_fails_at_most_one_time_in_a_hundred(images, discordance):
    low, _ = drawn_bounds(images, discordance, 0.0, NON_INFERIORITY_CONFIDENCE)
    assert np.mean(low > MARGIN) <= 0.01


def test_three_points_of_drop_are_found_in_3000_images():
    low, _ = drawn_bounds(3000, 0.05, 0.03, NON_INFERIORITY_CONFIDENCE)
    assert np.mean(low > MARGIN) > 0.99


def test_the_worst_case_is_known():
    """Where every discordant image is lost, and no test set is smaller that could pass: 268 images without one discordant."""
    images, passes_only_without_loss = 268, (1 - MARGIN) ** 268
    low, high = drawn_bounds(images, 0.01, MARGIN, NON_INFERIORITY_CONFIDENCE)
    assert np.mean(high <= MARGIN) == pytest.approx(passes_only_without_loss, abs=0.004)
    assert passes_only_without_loss < 0.07
