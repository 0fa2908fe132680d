from itertools import pairwise

import pytest

from edgecnn.judging.intervals import ratio_interval
from edgecnn.judging.stopping import INTERIM_ROUNDS, ROUNDS_MAX, look_confidence, looks


def test_unless_told_the_race_looks_at_itself_three_times():
    assert looks() == INTERIM_ROUNDS == (16, 24, 48)


def test_the_last_look_is_at_the_rounds_that_were_asked_for():
    for rounds in range(8, 1001):
        planned = looks(rounds)
        assert planned[-1] == rounds
        assert all(first < second for first, second in pairwise(planned))


def test_every_first_look_has_enough_rounds_for_an_interval():
    for rounds in range(8, 1001):
        planned = looks(rounds)
        assert ratio_interval([1.0] * planned[0], [1.0] * planned[0], look_confidence(len(planned))) is not None, rounds


def test_all_looks_together_err_no_more_often_than_one_may():
    count = len(looks(ROUNDS_MAX))
    assert count * (1 - look_confidence(count)) == pytest.approx(0.02)
    assert look_confidence(1) == pytest.approx(0.98)
