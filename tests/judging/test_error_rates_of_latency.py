"""How often two runs of one and the same kit are called different, by resampling recorded processes.

``recorded_runs.json`` holds medians of real processes on a busy two-core machine, made by ``benchmarks/record_runs.py``: the
times have two modes and drift for minutes, as no Gaussian does. A resampled race is 8 rounds that really followed each other,
so that what hangs together in time stays together.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edgecnn.judging.gates import judge
from edgecnn.judging.intervals import median_interval, ratio_interval
from edgecnn.judging.latency import latency
from edgecnn.values.verdict import Verdict
from tests.judging.made import a_gate, a_race, facts

ROUNDS = 8
RESAMPLES = 6000


@cache
def recordings():
    """One array (rounds, kits) of run medians in milliseconds for each recording; columns a, a-twin and perhaps more-work."""
    found = []
    for one in json.loads(Path(__file__).with_name("recorded_runs.json").read_text())["recordings"]:
        kits = sorted({run[2] for run in one["runs"]})
        medians = np.full((1 + max(run[0] for run in one["runs"]), len(kits)), np.nan)
        for round_, _, kit, median_ns, _ in one["runs"]:
            medians[round_, kits.index(kit)] = median_ns / 1e6
        assert not np.isnan(medians).any()
        found.append(medians)
    return found


def windows(medians):
    return [medians[start : start + ROUNDS] for start in range(len(medians) - ROUNDS + 1)]


def a_a_races():
    """Windows of 8 rounds in which chance decides anew, round by round, which twin had which place, as a race's order does."""
    random = np.random.default_rng(11)
    every = [window[:, :2] for medians in recordings() for window in windows(medians)]
    for pick in random.integers(0, len(every), RESAMPLES):
        swap = random.random(ROUNDS) < 0.5
        pair = every[pick]
        yield np.where(swap, pair[:, 0], pair[:, 1]), np.where(swap, pair[:, 1], pair[:, 0])


def test_the_recordings_are_long_enough_and_nothing_like_gaussian():
    assert sum(len(medians) for medians in recordings()) >= 60
    first = recordings()[0][:, 0]
    logs = np.log(first)
    assert np.corrcoef(logs[:-1], logs[1:])[0, 1] > 0.3
    assert first.max() / first.min() > 2


def test_a_kit_is_not_called_faster_than_itself():
    ratios = [ratio_interval(slow, fast) for slow, fast in a_a_races()]
    assert np.mean([ratio.low > 1 for ratio in ratios]) <= 0.01
    assert np.mean([ratio.high < 1 for ratio in ratios]) <= 0.01


def test_a_kit_on_its_bound_fails_at_most_one_time_in_a_hundred():
    verdicts = []
    for medians in recordings():
        for twin in (0, 1):
            bound = float(np.median(medians[:, twin]))
            verdicts += [median_interval(list(window[:, twin])).low > bound for window in windows(medians)]
    assert np.mean(verdicts) <= 0.01


def test_the_gate_itself_gives_that_verdict():
    medians = recordings()[0][:, 0]
    gate = a_gate("p50_ms", float(np.median(medians)))
    verdicts = [judge(gate, facts(latency=latency(a_race(list(window))))).verdict for window in windows(medians)]
    assert verdicts.count(Verdict.FAIL) <= 0.02 * len(verdicts)
    assert verdicts.count(Verdict.UNSURE) > 0.5 * len(verdicts)


def test_a_quarter_more_work_is_found_in_most_races():
    found = [ratio_interval(window[:, 2], window[:, 0]).low > 1 for window in windows(recordings()[0])]
    assert np.mean(found) > 0.6


def test_half_the_time_is_always_found():
    found = [ratio_interval(window[:, 0], window[:, 1] / 4).low > 1 for window in windows(recordings()[0])]
    assert np.mean(found) > 0.95


@pytest.mark.parametrize("percent", [10, 25])
def test_a_kit_well_inside_its_bound_never_fails(percent):
    for medians in recordings():
        bound = float(np.median(medians[:, 0])) * (1 + percent / 100)
        assert np.mean([median_interval(list(window[:, 0])).low > bound for window in windows(medians)]) <= 0.01
