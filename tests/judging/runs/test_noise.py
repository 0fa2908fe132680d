"""A race says what it could have shown: simulated, on recorded twins, and in the sentences that a reader gets."""

import numpy as np
import pytest

from edgecnn.judging.gates import judge
from edgecnn.judging.intervals import ratio_interval
from edgecnn.judging.runs.latency import latency
from edgecnn.judging.runs.noise import rounds_needed, smallest_ratio, what_helps
from edgecnn.values.verdict import Verdict
from tests.judging.made import a_gate, a_latency, a_race, an_interval, facts
from tests.judging.runs.test_error_rates_of_latency import recordings


def noise_of(medians):
    return smallest_ratio(dict(enumerate(float(each) for each in medians)))


def pairs():
    """Every recorded 8 rounds of two kits that are the same bytes."""
    return [median_ms[:, :2] for one in recordings() for median_ms, _ in one.races()]


def test_runs_that_are_all_alike_could_have_shown_anything():
    assert noise_of([2.0] * 8) == 1


def test_a_noisier_race_could_have_shown_less():
    quiet, loud = (noise_of(np.random.default_rng(1).lognormal(0, spread, 8)) for spread in (0.01, 0.1))
    assert 1.005 < quiet < 1.05 < loud < 1.5


def test_the_unit_does_not_matter():
    medians = np.random.default_rng(1).lognormal(0, 0.1, 8)
    assert noise_of(medians * 1e6) == pytest.approx(noise_of(medians))


def test_six_rounds_are_too_few_and_none_at_all_too():
    assert noise_of([1.0, 1.1, 1.0, 1.2, 0.9, 1.0]) is None
    assert smallest_ratio({}) is None


def test_no_more_than_one_recorded_twin_in_a_hundred_came_out_further_from_the_other_than_the_race_could_have_shown():
    outside = [max(ratio, 1 / ratio) > noise for ratio, noise in ((_ratio(pair).estimate, _noise(pair)) for pair in pairs())]
    assert np.mean(outside) <= 0.01


def test_in_simulated_races_without_drift_it_is_the_same():
    random, outside = np.random.default_rng(5), []
    for _ in range(2000):
        pair = random.lognormal(0, 0.05, (8, 2))
        ratio = _ratio(pair).estimate
        outside.append(max(ratio, 1 / ratio) > _noise(pair))
    assert np.mean(outside) <= 0.01


def test_it_costs_little_to_take_following_rounds_for_twins():
    """Held against the further bound of the interval between real twins, in logarithms, race by race."""
    for one in recordings():
        races = [median_ms[:, :2] for median_ms, _ in one.races()]
        twins = np.median([_further(_ratio(pair)) for pair in races])
        rounds = np.median([np.log(_noise(pair)) for pair in races])
        assert 0.9 < rounds / twins < 1.25


def test_a_ratio_of_twice_what_the_race_could_have_shown_is_shown():
    found = []
    for pair in pairs():
        slower = _noise(pair) ** 2
        found.append(ratio_interval(list(pair[:, 0] * slower), list(pair[:, 1])).low > 1)
    assert np.mean(found) > 0.9


def test_a_race_says_it_and_of_a_ratio_the_noisier_kit_counts():
    quiet, loud = [1.0, 1.01, 0.99, 1.0, 1.01, 1.0, 0.99, 1.0], [1.0, 1.3, 0.9, 1.2, 1.0, 1.4, 0.9, 1.1]
    alone = latency(a_race(quiet)).smallest_ratio
    assert 1 < alone < 1.03
    assert latency(a_race(quiet), fp32=a_race(loud)).smallest_ratio == latency(a_race(loud)).smallest_ratio > 1.3
    assert latency(a_race(quiet[:6])).smallest_ratio is None


def test_rounds_grow_with_the_square_and_end_somewhere():
    assert rounds_needed(8, seen=0.1, wanted=0.05) == 32
    assert rounds_needed(8, seen=0.1, wanted=0.0999) == 9
    assert rounds_needed(8, seen=0.1, wanted=0.01) is None
    assert rounds_needed(8, seen=0.1, wanted=0.0) is None
    assert what_helps(32) == "about 32 rounds (--set race.rounds=32) or a quieter machine would tell"
    assert what_helps(None) == "a quieter machine would tell"


def test_an_unsure_latency_gate_says_how_many_rounds_would_settle_it():
    result = judge(a_gate("p50_ms", 2.0), facts(latency=a_latency(an_interval(1.9, 1.7, 2.1))))
    assert (result.verdict, result.rounds_to_settle) == (Verdict.UNSURE, 32)
    assert result.reason == (
        "p50 1.90 ms [1.70, 2.10] at 98.44 % (on AMD EPYC) leaves p50_ms ≤ 2 open: "
        "about 32 rounds (--set race.rounds=32) or a quieter machine would tell"
    )


def test_a_median_far_beyond_what_the_disturbance_explains_fails():
    busy = "other programs took 6 % of the processors' time"
    seen = a_latency(an_interval(80.0, 75.0, 90.0), an_interval(80.0, 75.0, 90.0), disturbed=busy, slowed_at_most=2)
    result = judge(a_gate("p50_ms", 20.0), facts(latency=seen))
    assert result.verdict is Verdict.FAIL
    assert result.reason.endswith(f"breaks p50_ms ≤ 20: {busy}, which explains no more than 2 times")
    assert judge(a_gate("p50_ms", 40.0), facts(latency=seen)).verdict is Verdict.UNSURE
    tail = judge(a_gate("p99_ms", 20.0), facts(latency=seen))
    assert tail.verdict is Verdict.UNSURE, "a single inference may be held up for longer than any share says"


def test_a_disturbed_machine_is_named_before_any_number_of_rounds():
    busy = "other programs took 41 % of the processors' time"
    result = judge(a_gate("p50_ms", 2.0), facts(latency=a_latency(an_interval(1.9, 1.7, 2.1), disturbed=busy)))
    assert result.reason.endswith(f"open: {busy}, an undisturbed machine (quiet, cool, well supplied) would settle it")
    assert result.rounds_to_settle is None


def _ratio(pair):
    return ratio_interval(list(pair[:, 0]), list(pair[:, 1]))


def _noise(pair):
    return max(noise_of(pair[:, 0]), noise_of(pair[:, 1]))


def _further(ratio):
    return max(np.log(ratio.high), -np.log(ratio.low))
