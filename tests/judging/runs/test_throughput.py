"""Images a second are of whole runs, and the best number of images is the one that screening saw."""

import pytest

from edgecnn.judging.resources import batches_up_to, best_batch, images_per_s, screened_rates, throughput
from edgecnn.values.verdict import Fidelity
from tests.judging.made import a_race, a_run


def race_of(batch, call_ms, rounds=8):
    race = a_race([call_ms] * rounds)
    return race.model_copy(update={"runs": tuple(run.model_copy(update={"batch": batch}) for run in race.runs)})


@pytest.mark.parametrize(
    ("largest", "batches"),
    [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)), (64, (1, 2, 4, 8, 16, 32, 64)), (65, (1, 2, 4, 8, 16, 32, 64, 65))],
)
def test_batches_double_up_to_the_largest(largest, batches):
    assert batches_up_to(largest) == batches


def test_a_slow_call_weighs_as_long_as_it_was():
    run = a_run(0).model_copy(update={"batch": 4, "samples_ns": (1_000_000, 1_000_000, 8_000_000)})
    assert images_per_s(run) == pytest.approx(12 / 0.010)


def test_the_best_batch_is_the_one_with_most_images_a_second_and_of_two_alike_the_smaller():
    seen = screened_rates({1: race_of(1, 1.0, 1), 8: race_of(8, 4.0, 1), 16: race_of(16, 8.0, 1), 32: race_of(32, 40.0, 1)})
    assert seen == {1: 1000, 8: 2000, 16: 2000, 32: 800}
    assert (best_batch(seen), best_batch({})) == (8, None)


def test_each_figure_has_its_interval_and_says_what_it_is():
    found = throughput([race_of(8, 4.0), race_of(1, 1.0)], {1: 1000.0, 8: 2000.0}, [1], "a machine")
    one, eight = found.figures
    assert (one.batch, one.best, one.asked, one.images_per_s.estimate, one.call_ms.estimate) == (1, False, True, 1000, 1.0)
    assert (eight.batch, eight.best, eight.asked, eight.images_per_s.estimate, eight.runs) == (8, True, False, 2000, 8)
    assert (found.machine, found.fidelity, found.reason) == ("a machine", Fidelity.MEASURED, None)


def test_too_few_runs_have_no_interval():
    (figure,) = throughput([race_of(1, 1.0, 3)], {}, [1], "a machine").figures
    assert (figure.images_per_s, figure.reason) == (None, "3 runs; an interval needs 7")


def test_what_failed_is_missing_with_its_reason():
    found = throughput([], {}, [8], "a machine", "a batch of 8 is not in 1…4")
    assert (found.figures, found.fidelity, found.reason) == ((), Fidelity.MISSING, "a batch of 8 is not in 1…4")
