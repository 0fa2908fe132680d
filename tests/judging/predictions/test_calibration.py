import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.judging.quality import BINS, calibration_error


def of(confidences, right, **more):
    return calibration_error(np.array(confidences, float), np.array(right), **more)


def test_differences_are_weighted_by_the_images_of_their_bin():
    # 0.95 and 0.97 share a bin: |1.92 - 1| / 4; 0.5 and 0.62 do not: |0.5 - 0| / 4 and |0.62 - 1| / 4.
    assert of([0.95, 0.97, 0.5, 0.62], [True, False, False, True]).estimate == pytest.approx((0.92 + 0.5 + 0.38) / 4)


def test_a_bin_holds_its_upper_end():
    """2/15 closes the second bin: with 0.08 it is one bin, whose errors cancel; with 0.14 it is two."""
    assert of([2 / BINS, 0.08], [False, True]).estimate == pytest.approx(abs(2 / BINS + 0.08 - 1) / 2)
    assert of([2 / BINS, 0.14], [False, True]).estimate == pytest.approx((2 / BINS + 0.86) / 2)


def test_complete_confidence_in_right_answers_has_no_error_and_still_a_bound():
    found = of([1.0] * 100, [True] * 100)
    assert (found.low, found.estimate) == (0, 0)
    assert found.high == pytest.approx(0.027, abs=0.0005)  # Wilson's bound of 0 in 100 is 0.0263


def test_complete_confidence_in_wrong_answers_is_an_error_of_one():
    found = of([1.0] * 100, [False] * 100)
    assert (found.estimate, found.high) == (1, 1)
    assert 0.7 < found.low < 1


def test_more_confidence_in_the_interval_makes_it_wider():
    rng = np.random.default_rng(5)
    confidences = rng.random(500)
    right = rng.random(500) < confidences**2
    narrow, wide = (calibration_error(confidences, right, confidence) for confidence in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.estimate < narrow.high < wide.high


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.001, 1), st.booleans()), min_size=1, max_size=80))
def test_the_interval_holds_the_estimate_and_stays_a_share(images):
    found = of(*zip(*images, strict=True))
    assert 0 <= found.low <= found.estimate <= found.high <= 1


def test_no_images_have_none():
    assert of([], []) is None
