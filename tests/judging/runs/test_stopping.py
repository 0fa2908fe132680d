"""Looking again and again keeps its promise, in simulation too; and the report says when and why a race ended."""

import numpy as np
import pytest

from edgecnn.judging.dependence import RUNS_TO_TELL
from edgecnn.judging.intervals import median_interval, ratio_interval
from edgecnn.judging.latency import latency, runs_needed
from edgecnn.judging.stopping import INTERIM_RUNS, confidence_at, half_width, rule_of, well_known
from tests.judging.made import a_race, a_run
from tests.judging.runs.test_error_rates_of_latency import recordings

TWO = rule_of(0.02)
RESAMPLES = 2000


def race_of(medians_ms, until=TWO):
    return a_race([float(ms) for ms in medians_ms]).model_copy(update={"until": until})


def stopped_at(medians, until):
    """After how many rounds the rule stops, by the rule itself."""
    for look in until.looks:
        found = median_interval(list(medians[:look]), confidence_at(until))
        if max(found.high - found.estimate, found.estimate - found.low) / found.estimate <= until.half_width:
            return look
    return until.looks[-1]


def misses(medians, truth, until):
    found = median_interval(list(medians), confidence_at(until))
    return not found.low <= truth <= found.high


def test_the_looks_are_fixed_before_the_first_run_and_share_the_errors_that_are_allowed():
    assert (TWO.looks, TWO.half_width) == (INTERIM_RUNS, 0.02)
    assert len(INTERIM_RUNS) * (1 - confidence_at(TWO)) == pytest.approx(0.02)
    assert confidence_at(None) == 0.98


def test_every_look_has_runs_enough_to_tell_whether_they_depend_on_each_other_and_to_pass_a_tail():
    assert INTERIM_RUNS[0] >= RUNS_TO_TELL
    assert INTERIM_RUNS[0] >= runs_needed(confidence_at(TWO))


def test_every_look_has_an_interval():
    assert all(median_interval(list(range(1, look + 1)), confidence_at(TWO)) is not None for look in INTERIM_RUNS)
    assert all(ratio_interval(np.arange(2, look + 2), np.ones(look), confidence_at(TWO)) is not None for look in INTERIM_RUNS)


@pytest.mark.parametrize("spread", [0.01, 0.02, 0.04])
def test_the_interval_at_which_it_stopped_holds_the_truth_as_often_as_it_says(spread):
    random, missed, looked = np.random.default_rng(7), 0, []
    for _ in range(RESAMPLES):
        medians = random.lognormal(0, spread, INTERIM_RUNS[-1])
        looked.append(stopped_at(medians, TWO))
        missed += misses(medians[: looked[-1]], 1, TWO)
    assert missed / RESAMPLES <= 0.02
    if spread == 0.02:
        assert len(set(looked)) == len(INTERIM_RUNS), "a case in which the rule stops at every look"


def test_on_recorded_processes_it_holds_their_median_too():
    random = np.random.default_rng(8)
    for one in recordings():
        times = one.median_ms[:, 0]
        middle, missed = np.median(times), 0
        for _ in range(RESAMPLES // 4):
            drawn = random.choice(times, INTERIM_RUNS[-1])
            missed += misses(drawn[: stopped_at(drawn, rule_of(0.05))], middle, rule_of(0.05))
        assert missed <= 0.02 * (RESAMPLES // 4)


def test_looking_without_paying_for_it_would_miss_more_often_than_it_says():
    """Why each look is at 99.33 %: the same rule with the usual interval at every look."""
    naive, paid = 0, 0
    for medians in np.random.default_rng(9).lognormal(0, 0.03, (RESAMPLES, INTERIM_RUNS[-1])):
        intervals = (median_interval(list(medians[:look])) for look in INTERIM_RUNS)
        found = next((each for each in intervals if (each.high - each.low) / 2 <= 0.02 * each.estimate), None)
        naive += found is not None and not found.low <= 1 <= found.high
        paid += misses(medians[: stopped_at(medians, TWO)], 1, TWO)
    assert naive > 2 * paid


def test_the_longer_side_of_the_interval_decides():
    medians = [1.0] * 9 + [1.05]
    assert half_width([a_run(n, ms) for n, ms in enumerate(medians)], TWO) == pytest.approx(0.05)
    assert not well_known([a_run(n, ms) for n, ms in enumerate(medians)], TWO)
    assert well_known([a_run(n, 1.0) for n in range(20)], TWO)
    assert not well_known([a_run(n, 1.0, samples=19) for n in range(20)], TWO), "a run too short for a median"
    assert not well_known([], TWO)


def test_a_race_of_a_fixed_number_of_rounds_says_nothing_of_it():
    assert latency(a_race([1.0] * 8)).stopped is None
    assert "10 rounds" in latency(race_of([1.0] * 10)).stopped


def test_every_figure_of_such_a_race_is_widened_alike():
    medians = np.random.default_rng(1).lognormal(0, 0.03, 10)
    plain, looked = (
        latency(race_of(medians, None), fp32=race_of(medians[::-1], None)),
        latency(race_of(medians), fp32=race_of(medians[::-1])),
    )
    for name in ("p50_ms", "ratio_to_fp32"):
        narrow, wide = getattr(plain, name), getattr(looked, name)
        assert wide.low <= narrow.low and wide.high >= narrow.high
        assert wide.confidence == 0.98
    assert looked.ratio_to_fp32.high > plain.ratio_to_fp32.high


def test_a_regression_just_past_its_bound_passes_at_most_one_time_in_a_hundred_however_often_it_was_looked_at():
    """A gate passes where the whole interval is inside: 1,000 kits that are 0.1 % too slow, with recorded noise."""
    random, passed, races = np.random.default_rng(10), 0, 1000
    times = recordings()[2].median_ms[:, 0]
    bound = float(np.median(times)) / 1.001
    for _ in range(races):
        drawn = random.choice(times, INTERIM_RUNS[-1])
        found = median_interval(list(drawn[: stopped_at(drawn, rule_of(0.05))]), confidence_at(rule_of(0.05)))
        passed += found.high <= bound
    assert passed <= 0.01 * races
