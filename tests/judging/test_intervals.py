import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.judging.intervals import (
    day_ratio_interval,
    median_interval,
    ratio_interval,
    score_variance,
    tango_bounds,
    tango_drop_pp,
    two_sided_z,
    wilson,
)
from edgecnn.runner.runs.figures import run_percentile


def bounds(interval, digits=3):
    return round(interval.low, digits), round(interval.high, digits)


# Fagerland, Lydersen and Laake, "Statistical Analysis of Contingency Tables" (2017), chapter 8: the two worked examples of the
# Tango interval at 95 %; and Tango (1998), the 90 % interval of the crossover of 44 pairs with one discordant.
@pytest.mark.parametrize(
    ("lost", "gained", "images", "confidence", "published"),
    [(6, 16, 161, 0.95, (-12.40, -0.54)), (1, 7, 21, 0.95, (-51.7, -2.6)), (0, 1, 44, 0.90, (-9.6, 3.7))],
)
def test_tango_gives_the_published_intervals(lost, gained, images, confidence, published):
    digits = 2 if images == 161 else 1
    assert bounds(tango_drop_pp(lost, gained, images, confidence), digits) == published


def test_tango_without_disagreement_is_the_closed_form():
    z2 = two_sided_z(0.95) ** 2
    assert bounds(tango_drop_pp(0, 0, 341, 0.95), 9) == (round(-100 * z2 / (341 + z2), 9), round(100 * z2 / (341 + z2), 9))
    assert round(tango_drop_pp(0, 0, 341, 0.95).high, 2) == 1.11


@settings(deadline=None)
@given(st.integers(1, 4000), st.floats(0, 0.3), st.floats(0, 1))
def test_tango_bounds_solve_the_score_equation_and_hold_the_estimate(images, disagreement, share):
    discordant = int(images * disagreement)
    lost = int(discordant * share)
    gained = discordant - lost
    interval = tango_drop_pp(lost, gained, images, 0.95)
    assert -100 <= interval.low <= interval.estimate <= interval.high <= 100
    for edge in (interval.low / 100, interval.high / 100):
        if abs(edge) < 1:
            statistic = (lost - gained - images * edge) / math.sqrt(images * float(score_variance(edge, lost, gained, images)))
            assert abs(statistic) == pytest.approx(two_sided_z(0.95), rel=1e-6)


def test_tango_is_mirrored_when_the_networks_change_places():
    there, back = tango_drop_pp(9, 4, 700), tango_drop_pp(4, 9, 700)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


def test_tango_of_whole_arrays_is_tango_of_each():
    low, high = tango_bounds(np.array([0, 5, 9]), np.array([0, 2, 9]), 300, two_sided_z(0.90))
    each = [tango_drop_pp(b, c, 300) for b, c in ((0, 0), (5, 2), (9, 9))]
    assert list(100 * low) == [one.low for one in each]
    assert list(100 * high) == [one.high for one in each]


def test_one_image_and_complete_disagreement_stay_inside_the_range():
    assert tango_drop_pp(1, 0, 1).high == 100.0
    assert tango_drop_pp(0, 5, 5).low == -100.0
    assert tango_drop_pp(0, 0, 1).high > 70


def test_no_images_give_no_interval():
    assert tango_drop_pp(0, 0, 0) is None
    assert wilson(0, 0) is None


def test_wilson_gives_the_published_intervals():
    # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.
    assert bounds(wilson(81, 263), 4) == (0.2553, 0.3662)
    assert bounds(wilson(15, 148), 4) == (0.0624, 0.1605)
    assert bounds(wilson(0, 20), 4) == (0.0, 0.1611)
    assert bounds(wilson(1, 29), 4) == (0.0061, 0.1718)


def test_all_right_is_never_certainly_all_right():
    assert bounds(wilson(10, 10)) == (0.722, 1.0)


def test_median_of_eight_runs_is_between_the_extremes_at_99_percent():
    interval = median_interval([3, 1, 8, 2, 7, 4, 6, 5])
    assert (interval.low, interval.estimate, interval.high, interval.confidence) == (1, 4.5, 8, 1 - 2 / 256)


def test_median_of_eleven_runs_leaves_the_extremes_out():
    interval = median_interval(list(range(11)))
    assert (interval.low, interval.high) == (1, 9)
    assert interval.confidence == pytest.approx(1 - 2 * (1 + 11) / 2**11)


@pytest.mark.parametrize(
    ("runs", "confidence", "possible"), [(0, 0.98, 0), (1, 0.98, 0), (6, 0.98, 0), (7, 0.98, 1), (5, 0.95, 0), (6, 0.95, 1)]
)
def test_too_few_runs_give_no_interval(runs, confidence, possible):
    assert (median_interval([1.0] * runs, confidence) is not None) == bool(possible)
    assert (ratio_interval([1.0] * runs, [1.0] * runs, confidence) is not None) == bool(possible)


def test_identical_runs_have_an_interval_of_no_width():
    assert bounds(median_interval([2.0] * 8)) == (2.0, 2.0)
    interval = ratio_interval([3.0] * 8, [2.0] * 8)
    assert (interval.low, interval.estimate, interval.high) == pytest.approx((1.5, 1.5, 1.5))


def test_ratio_at_eight_rounds_states_the_confidence_that_it_reached():
    # Wilcoxon's statistic at n = 8: P(T <= 1) = 2 / 256 on each side.
    interval = ratio_interval([2, 4, 8, 16, 32, 64, 128, 256], [1] * 8)
    assert interval.confidence == 1 - 4 / 256
    # Walsh averages of 1…8 (in powers of two): the second smallest is 1.5, the second largest 7.5, the median 4.5.
    assert [round(math.log2(v), 6) for v in (interval.low, interval.estimate, interval.high)] == [1.5, 4.5, 7.5]


def test_ratio_of_95_percent_uses_wilcoxons_table():
    # Published critical value for n = 8, two-sided 5 %: T <= 3.
    assert ratio_interval([2.0] * 8, [1.0] * 8, 0.95).confidence == 1 - 2 * 5 / 256


def test_ratio_is_inverted_when_the_kits_change_places():
    slow, fast = [2.0, 2.1, 1.9, 2.4, 2.2, 2.0, 2.3, 1.8], [1.0, 1.2, 0.9, 1.1, 1.3, 1.0, 0.8, 1.0]
    there, back = ratio_interval(slow, fast), ratio_interval(fast, slow)
    assert (there.low, there.high) == pytest.approx((1 / back.high, 1 / back.low))


def test_weather_that_both_kits_share_cancels():
    weather = [1, 1, 2, 2, 1, 3, 1, 1]
    interval = ratio_interval([1.2 * w for w in weather], weather)
    assert bounds(interval) == (1.2, 1.2)


def test_unequal_lists_are_never_paired_short():
    with pytest.raises(ValueError, match="8 values cannot be paired with 7"):
        ratio_interval([1.0] * 8, [1.0] * 7)


def test_a_day_s_ratio_is_student_s_prediction_of_one_more_day():
    days = [1.0, 1.1, 1.21]  # logarithms one tenth's apart: their standard deviation is log 1.1
    found = day_ratio_interval(1.1, days)
    reach = 6.964557 * math.log(1.1) * math.sqrt(4 / 3)  # t of 2 degrees of freedom at one-sided 99 %, as tables have it
    assert (found.estimate, math.log(found.high), math.log(found.low)) == pytest.approx((1.0, reach, -reach))
    assert day_ratio_interval(1.1, days[:2]) is None


@pytest.mark.parametrize(
    ("samples", "percent", "possible"),
    [(999, 99, False), (1000, 99, True), (19, 50, False), (20, 50, True), (100, 90, True), (99, 90, False)],
)
def test_a_percentile_needs_ten_samples_beyond_it(samples, percent, possible):
    assert (run_percentile(range(samples), percent) is not None) == possible
