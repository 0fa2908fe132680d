"""How often two runs of one and the same kit are called different, by resampling recorded processes.

``recorded_runs.json`` holds medians of real processes on a busy two-core machine, made by ``benchmarks/record_runs.py``: the
times have two modes and drift for minutes, as no Gaussian does. A resampled race is rounds that really followed each other, 8 or
as many as a gate needs, so that what hangs together in time stays together.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edgecnn.judging.dependence import RUNS_TO_TELL
from edgecnn.judging.disturbance import OTHERS_PERCENT_MAX
from edgecnn.judging.gates import judge
from edgecnn.judging.intervals import median_interval, ratio_interval
from edgecnn.judging.latency import latency
from edgecnn.values.verdict import Verdict
from tests.judging.made import a_gate, a_race, facts

ROUNDS = 8
RESAMPLES = 12_000
TWINS = (0, 1)


@dataclass(frozen=True, eq=False)
class Recording:
    """Arrays (rounds, kits); columns a, a-twin and, in the first recording, more-work."""

    median_ms: np.ndarray
    others_percent: np.ndarray | None

    def races(self, rounds=ROUNDS):
        """All stretches of so many rounds, as (median_ms, others_percent)."""
        starts = range(len(self.median_ms) - rounds + 1)
        others = np.zeros_like(self.median_ms) if self.others_percent is None else self.others_percent
        return [(self.median_ms[start : start + rounds], others[start : start + rounds]) for start in starts]


@cache
def recordings():
    found = []
    for one in json.loads(Path(__file__).with_name("recorded_runs.json").read_text())["recordings"]:
        column = {name: index for index, name in enumerate(one["columns"])}
        kits = sorted({run[column["kit"]] for run in one["runs"]})
        shape = (1 + max(run[column["round"]] for run in one["runs"]), len(kits))
        median_ms, others = np.full(shape, np.nan), np.full(shape, np.nan)
        for run in one["runs"]:
            place = run[column["round"]], kits.index(run[column["kit"]])
            median_ms[place] = run[column["median_ns"]] / 1e6
            others[place] = run[column["others_percent"]] if "others_percent" in column else 0
        assert not np.isnan(median_ms).any()
        found.append(Recording(median_ms, others if "others_percent" in column else None))
    return found


def verdict_on(median_ms, others_percent, bound):
    """The whole way: runs to profile, to latency, to the gate's verdict."""
    race = a_race([float(ms) for ms in median_ms])
    observed = {"others_percent": f"{np.median(others_percent):.1f}"}
    race = race.model_copy(update={"environment": race.environment.model_copy(update={"observed": observed})})
    return judge(a_gate("p50_ms", float(bound)), facts(latency=latency(race))).verdict


def test_the_recordings_are_long_enough_and_nothing_like_gaussian():
    assert sum(len(one.median_ms) for one in recordings()) >= 60
    for one in recordings()[:2]:
        first = one.median_ms[:, 0]
        logs = np.log(first)
        assert np.corrcoef(logs[:-1], logs[1:])[0, 1] > 0.3
        assert first.max() / first.min() > 2


def test_a_kit_is_not_called_faster_than_itself():
    """Which twin had which place is drawn anew, round by round, as the order of a race is."""
    random = np.random.default_rng(11)
    pairs = [median_ms[:, TWINS] for one in recordings() for median_ms, _ in one.races()]
    ratios = []
    for pick in random.integers(0, len(pairs), RESAMPLES):
        swap, pair = random.random(ROUNDS) < 0.5, pairs[pick]
        ratios.append(ratio_interval(np.where(swap, pair[:, 0], pair[:, 1]), np.where(swap, pair[:, 1], pair[:, 0])))
    assert np.mean([ratio.low > 1 for ratio in ratios]) <= 0.01
    assert np.mean([ratio.high < 1 for ratio in ratios]) <= 0.01


def test_as_recorded_too_no_two_separate_races_call_a_kit_faster_than_itself():
    for one in recordings():
        ratios = [ratio_interval(median_ms[:, 0], median_ms[:, 1]) for median_ms, _ in one.races()[::ROUNDS]]
        assert all(ratio.low <= 1 <= ratio.high for ratio in ratios)


def test_a_kit_on_its_bound_fails_at_most_one_time_in_a_hundred_where_nothing_drifts():
    random = np.random.default_rng(12)
    for one in recordings():
        times = one.median_ms[:, 0]
        drawn = random.choice(times, (RESAMPLES // 3, ROUNDS))
        assert np.mean([median_interval(list(race)).low > np.median(times) for race in drawn]) <= 0.01


def test_a_kit_does_not_fail_the_bound_that_its_twin_set_in_the_same_race():
    for one in recordings():
        for median_ms, _ in one.races():
            ours, theirs = (median_interval(list(median_ms[:, twin])) for twin in TWINS)
            assert ours.low <= theirs.high


def test_drift_alone_would_fail_a_kit_that_stands_on_its_bound():
    """Why other work is watched: for minutes most runs are slow, and no statistic of these runs can know."""
    one = recordings()[1]
    bound = np.median(one.median_ms[:, 0])
    unwatched = [verdict_on(median_ms[:, 0], 0.0, bound) for median_ms, _ in one.races(RUNS_TO_TELL)]
    assert unwatched.count(Verdict.FAIL) > 0.1 * len(unwatched)


def test_with_other_work_watched_it_fails_at_most_one_time_in_a_hundred():
    watched = [one for one in recordings() if one.others_percent is not None]
    assert watched
    for one in watched:
        for twin in TWINS:
            bound = np.median(one.median_ms[:, twin])
            verdicts = [verdict_on(median_ms[:, twin], others[:, twin], bound) for median_ms, others in one.races(RUNS_TO_TELL)]
            assert verdicts.count(Verdict.FAIL) <= 0.01 * len(verdicts)


def test_other_work_was_seen_where_it_was():
    """Every recorded process met more other work than a verdict of slowness allows."""
    for one in recordings():
        if one.others_percent is not None:
            assert np.mean(one.others_percent > OTHERS_PERCENT_MAX) > 0.9


def test_a_quarter_more_work_is_found_in_most_races():
    found = [ratio_interval(median_ms[:, 2], median_ms[:, 0]).low > 1 for median_ms, _ in recordings()[0].races()]
    assert np.mean(found) > 0.6


@pytest.mark.parametrize("twin", TWINS)
def test_a_quarter_of_the_time_is_found(twin):
    found = [ratio_interval(median_ms[:, 1 - twin], median_ms[:, twin] / 4).low > 1 for median_ms, _ in recordings()[0].races()]
    assert np.mean(found) > 0.95
