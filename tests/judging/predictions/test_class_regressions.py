from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.judging.intervals import tango_drop_pp
from edgecnn.judging.quality import adjusted_p, least_drops, lost_to_show, most_drops, sign_test

COUNTS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=12)


def p(*pairs):
    lost, gained = np.array(pairs).T
    return adjusted_p(lost, gained)


def holm(p_values):
    """The textbook's: the smallest times the number of classes, the next times one less, and never falling."""
    order = np.argsort(p_values)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1)))
    return adjusted


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_the_sign_test_is_the_sum_of_its_terms(lost, gained):
    throws = lost + gained
    counted = sum(comb(throws, heads) for heads in range(lost, throws + 1)) / 2**throws
    assert sign_test(np.array([lost]), np.array([gained])) == pytest.approx([counted], rel=1e-9)


def test_one_class_alone_is_the_exact_sign_test():
    assert p((5, 0)) == pytest.approx([1 / 32])
    assert p((9, 1)) == pytest.approx([11 / 1024])
    assert p((1, 4))[0] == pytest.approx(31 / 32)
    assert p((0, 0)).tolist() == [1.0]


def test_two_classes_that_can_attain_the_same_are_holm_s():
    # (6, 0) has 1/64 alone. Both can attain it, so twice; the second, (5, 1), has 7/64 and stands alone by then.
    assert p((6, 0), (5, 1)) == pytest.approx([2 / 64, 7 / 64])


def test_a_class_that_cannot_attain_a_level_is_not_counted_at_it():
    # One discordant image can attain 1/2 and 1, never 1/64.
    assert p((6, 0), (1, 0), (0, 1)) == pytest.approx([1 / 64, 1, 1])


def test_ten_of_fifty_show_among_a_thousand_classes_where_holm_s_would_not():
    rng = np.random.default_rng(6)
    lost, gained = rng.binomial(50, 0.02, 1000), rng.binomial(50, 0.02, 1000)
    lost[417], gained[417] = 10, 0
    found = adjusted_p(lost, gained)
    assert found[417] < 0.01
    assert np.flatnonzero(found <= 0.05).tolist() == [417]
    assert holm(sign_test(lost, gained))[417] > 0.5


@settings(deadline=None)  # the first call imports scipy
@given(COUNTS)
def test_it_is_never_more_than_holm_s_and_never_less_than_the_class_alone(pairs):
    lost, gained = np.array(pairs).T
    alone = sign_test(lost, gained)
    found = adjusted_p(lost, gained)
    assert (found <= holm(alone) * (1 + 1e-6)).all()
    assert (found >= alone * (1 - 1e-6)).all()


@settings(deadline=None)
@given(COUNTS, st.randoms())
def test_the_order_of_the_classes_does_not_matter(pairs, random):
    shuffled = random.sample(range(len(pairs)), len(pairs))
    assert p(*(pairs[index] for index in shuffled)) == pytest.approx(p(*pairs)[shuffled])


@pytest.mark.parametrize(("classes", "images"), [(1, 5), (2, 6), (10, 8), (1000, 15)])
def test_so_many_lost_show_whatever_the_other_classes_do(classes, images):
    others = [(images, 0)] * (classes - 1)
    assert lost_to_show(classes) == images
    assert p((images, 0), *others).max() <= 0.05
    assert p((images - 1, 0), *[(images - 1, 0)] * (classes - 1)).max() > 0.05


# ---------------------------------------------------------------------------------------------------------------------


def test_a_lower_bound_takes_its_share_of_the_error():
    found = least_drops(np.array([60] * 10), np.array([10] * 10), np.array([500] * 10))
    assert found == pytest.approx([tango_drop_pp(60, 10, 500, 0.99).low / 100] * 10)


def test_an_upper_bound_is_tango_s_and_of_no_images_everything():
    found = most_drops(np.array([3, 0]), np.array([1, 0]), np.array([100, 0]))
    assert found == pytest.approx([tango_drop_pp(3, 1, 100).high / 100, 1])
