"""How often a comparison of two builds is wrong, by resampling the processes that ``test_error_rates_of_latency`` describes.

A resampled race is 48 rounds that really followed each other on a busy machine; who had which place is drawn anew in each round,
as the order of a race is. A regression is a twin whose recorded times are stretched. The rule is the real one: the looks, their
confidence, the gate.
"""

import numpy as np
import pytest

from edgecnn.judging.intervals import day_ratio_interval, ratio_interval
from edgecnn.judging.ratio import PairedRace, judge_ratio, look
from edgecnn.judging.stopping import INTERIM_ROUNDS, look_confidence
from edgecnn.values.verdict import Verdict
from tests.judging.made import a_gate, a_race
from tests.judging.runs.test_error_rates_of_latency import TWINS, recordings

BOUND = 1.03
ROUNDS = INTERIM_ROUNDS[-1]
CONFIDENCE = look_confidence(len(INTERIM_ROUNDS))


def drawn(one, random, factor):
    """(head, base, what each met), each an array of 48 rounds."""
    start = random.integers(0, len(one.median_ms) - ROUNDS + 1)
    pair = one.median_ms[start : start + ROUNDS, TWINS]
    others = np.zeros_like(pair) if one.others_percent is None else one.others_percent[start : start + ROUNDS]
    swap = random.random(ROUNDS) < 0.5
    deal = [(np.where(swap, each[:, 0], each[:, 1]), np.where(swap, each[:, 1], each[:, 0])) for each in (pair, others)]
    return deal[0][0] * factor, deal[0][1], deal[1][0], deal[1][1]


def looked(head, base):
    """The verdict of the sequential rule on numbers alone."""
    for rounds in INTERIM_ROUNDS:
        ratio = ratio_interval(head[:rounds], base[:rounds], CONFIDENCE)
        if ratio.high <= BOUND:
            return Verdict.PASS
        if ratio.low > BOUND:
            return Verdict.FAIL
    return Verdict.UNSURE


def whole_way(head, base, of_head, of_base):
    """The same through profiles, their environments and the gate, as a build is judged."""
    races, done, verdict = [], 0, None
    for rounds in INTERIM_ROUNDS:
        part = slice(done, rounds)
        sides = []
        for times, others in ((base, of_base), (head, of_head)):
            race = a_race([float(ms) for ms in times[part]], samples=20, race=f"race-{done}")
            observed = {"others_percent": f"{np.median(others[part]):.1f}"}
            sides.append(race.model_copy(update={"environment": race.environment.model_copy(update={"observed": observed})}))
        races.append(PairedRace(base=sides[0], head=sides[1]))
        gate = a_gate("latency_ratio", BOUND)
        seen = look(races, gate, INTERIM_ROUNDS, "here")
        verdict = judge_ratio(gate, seen.finding, "x").verdict
        if seen.decided:
            break
        done = rounds
    return verdict


def rates(factor, repeats, seed):
    random = np.random.default_rng(seed)
    verdicts = [looked(*drawn(one, random, factor)[:2]) for one in recordings() for _ in range(repeats)]
    return {verdict: verdicts.count(verdict) / len(verdicts) for verdict in Verdict}


@pytest.mark.parametrize("recording", range(3))
@pytest.mark.parametrize(("factor", "at_least"), [(1.10, {Verdict.FAIL: 9}), (1.05, {Verdict.PASS: 0}), (1.0, {Verdict.FAIL: 0})])
def test_of_ten_repeats_a_tenth_slower_fails_nine_times_a_twentieth_never_passes_and_a_twin_never_fails(
    recording, factor, at_least
):
    random = np.random.default_rng(21)
    verdicts = [whole_way(*drawn(recordings()[recording], random, factor)) for _ in range(10)]
    ((verdict, count),) = at_least.items()
    assert verdicts.count(verdict) >= count if count else verdicts.count(verdict) == 0


def test_in_many_repeats_a_tenth_is_found_nine_times_in_ten_and_a_twentieth_never_passes():
    assert rates(1.10, 200, 22)[Verdict.FAIL] >= 0.9
    assert rates(1.05, 200, 23)[Verdict.PASS] == 0


def test_a_regression_just_past_the_margin_passes_at_most_one_time_in_a_hundred():
    assert rates(1.0301, 334, 24)[Verdict.PASS] <= 0.01


def test_a_kit_against_itself_passes_in_most_races_and_fails_in_at_most_one_of_a_hundred():
    seen = rates(1.0, 334, 25)
    assert seen[Verdict.PASS] >= 0.6
    assert seen[Verdict.FAIL] <= 0.01


def test_a_kit_that_stands_on_the_bound_fails_at_most_one_time_in_a_hundred_however_often_the_race_looks():
    assert rates(1.03, 334, 26)[Verdict.FAIL] <= 0.015  # 1,002 repeats: 1 % with two standard errors


@pytest.mark.parametrize("between_days", [0.0, 0.005, 0.05])
@pytest.mark.parametrize("days", [3, 5, 10])
def test_against_recorded_days_a_twin_is_called_slower_or_faster_at_most_one_time_in_a_hundred(days, between_days):
    """Each day has a factor of its own, whatever its 16 runs say; by the runs alone such a twin failed in 4 to 18 % of races."""
    random = np.random.default_rng(27)
    factors = random.normal(0, between_days, (3000, days + 1))
    middles = np.exp(factors + np.median(random.normal(0, 0.01, (3000, days + 1, 16)), axis=2))
    found = [day_ratio_interval(today, before) for today, *before in middles]
    wrong = np.mean([(one.low > 1, one.high < 1) for one in found], axis=0)
    assert (wrong <= 0.01 + 3 * np.sqrt(0.01 / 3000)).all()
