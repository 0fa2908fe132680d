import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.judging.intervals import wilson
from edgecnn.judging.quality import class_counts, macro_f1

ANSWERS = st.integers(2, 6).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=60),
    )
)


def of(labels, predicted, classes=None):
    labels, predicted = np.array(labels), np.array(predicted)
    return macro_f1(labels, predicted, class_counts(labels, predicted, classes or int(max(labels.max(), predicted.max())) + 1))


def test_it_is_the_mean_over_classes_counted_by_hand():
    # Class 0: 2 of 3 found, 2 of 3 named rightly, F1 2/3. Class 1: 1 of 2 found, 1 of 2 named rightly, F1 1/2.
    assert of([0, 0, 0, 1, 1], [0, 0, 1, 1, 0]).estimate == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_a_class_without_images_does_not_count_and_its_name_is_still_an_error():
    # Class 2 has no images: class 0 has 1 of 2 found, F1 2/3; class 1 is perfect.
    assert of([0, 0, 1], [0, 2, 1], classes=4).estimate == pytest.approx((2 / 3 + 1) / 2)


@given(ANSWERS)
def test_the_interval_holds_the_estimate_and_stays_a_share(drawn):
    classes, pairs = drawn
    found = of(*zip(*pairs, strict=True), classes=classes)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert found.high > found.low


def test_as_many_images_in_every_class_and_none_wrong_are_one_share():
    labels = np.repeat(np.arange(5), 20)
    assert of(labels, labels).low == pytest.approx(wilson(100, 100, 0.90).low)


def test_a_small_class_without_an_error_is_not_taken_for_perfect():
    labels = np.array([0] * 990 + [1] * 10)
    found = of(labels, labels)
    assert found.estimate == 1
    assert found.low == pytest.approx(wilson(39.6, 39.6, 0.90).low, abs=1e-3)


def test_errors_of_large_classes_alone_do_not_make_a_small_one_known():
    labels = np.array([0] * 500 + [1] * 490 + [2] * 10)
    predicted = labels.copy()
    predicted[:3] = 1
    found = of(labels, predicted)
    assert found.estimate > 0.997
    assert found.low == pytest.approx(wilson(found.estimate * 86.5, 86.5, 0.90).low, abs=1e-3)


def test_no_images_have_none():
    nothing = np.array([], dtype=np.int64)
    assert macro_f1(nothing, nothing, class_counts(nothing, nothing, 3)) is None
