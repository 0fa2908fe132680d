import numpy as np
import pytest

from edgecnn.judging.logits import read_logits


def read(rows, labels):
    return read_logits(np.array(rows, dtype=np.float32), np.array(labels))


def test_each_image_has_its_answer_its_place_and_its_confidence():
    found = read([[0, 2, 1], [5, 5, 5], [1, 0, 3]], [1, 2, 1])
    assert found.predicted.tolist() == [1, 0, 2]
    assert found.place.tolist() == [0, 2, 2]
    assert found.confidence == pytest.approx([np.e**2 / (1 + np.e**2 + np.e), 1 / 3, np.e**3 / (np.e + 1 + np.e**3)])


def test_equal_logits_stand_in_the_order_of_their_classes():
    """INT8 outputs are often equal: a right class must not be counted above one that was answered instead."""
    assert read([[7, 7, 0], [7, 7, 0]], [0, 1]).place.tolist() == [0, 1]


def test_the_first_place_is_the_answer_whatever_the_ties():
    rng = np.random.default_rng(3)
    logits = rng.integers(-3, 3, (4000, 12)).astype(np.float32)
    labels = rng.integers(0, 12, 4000)
    found = read_logits(logits, labels)
    assert np.array_equal(found.place == 0, found.predicted == labels)
    assert np.array_equal(found.predicted, logits.argmax(axis=1))


def test_blocks_do_not_show(monkeypatch):
    rng = np.random.default_rng(4)
    logits, labels = rng.normal(size=(101, 7)).astype(np.float32), rng.integers(0, 7, 101)
    whole = read_logits(logits, labels)
    monkeypatch.setattr("edgecnn.judging.logits.LOGITS_AT_ONCE", 30)
    parts = read_logits(logits, labels)
    for name in ("predicted", "place", "confidence"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))


@pytest.mark.filterwarnings("error")
def test_the_largest_finite_logits_have_a_confidence():
    assert read([[3e38, -3e38], [-3e38, -3e38]], [0, 0]).confidence.tolist() == [1.0, 0.5]
