"""What the table in benchmarks/README.md says of a ratio gate, held here on fewer draws."""

from __future__ import annotations

from functools import cache

import pytest

from benchmarks.latency_gate_rates import ROUNDS, Rates, rates, recorded_pairs, verdict

NOMINAL = 0.01
"""What each bound of a two-sided 98 % interval may err."""
BY_CHANCE = 0.006
"""Three standard deviations of such a share in 2,500 draws."""


@cache
def at(rounds: int) -> Rates:
    return rates(recorded_pairs(), rounds, draws=2500)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_regression_just_past_the_bound_passes_no_more_often_than_stated(rounds: int) -> None:
    assert at(rounds).false_pass <= NOMINAL + BY_CHANCE


@pytest.mark.parametrize("rounds", ROUNDS)
def test_the_same_file_twice_fails_at_most_one_time_in_a_hundred(rounds: int) -> None:
    assert at(rounds).same_fail <= NOMINAL


@pytest.mark.parametrize("rounds", ROUNDS)
def test_the_interval_holds_the_true_ratio_as_often_as_stated(rounds: int) -> None:
    assert at(rounds).covered >= 0.98 - 2 * BY_CHANCE


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_five_percent_slowdown_all_but_never_passes(rounds: int) -> None:
    assert at(rounds).slow_5_pass <= 0.005


def test_more_rounds_find_more_and_doubt_less() -> None:
    few, more, most = (at(rounds) for rounds in ROUNDS)
    assert few.slow_10 < more.slow_10 < most.slow_10 and most.slow_10 > 0.85
    assert few.same_pass < more.same_pass < most.same_pass and most.same_pass > 0.6


def test_too_few_rounds_are_unsure_whatever_they_say() -> None:
    assert verdict([2.0] * 6, [1.0] * 6) == "UNSURE"
    assert verdict([2.0] * 7, [1.0] * 7) == "FAIL"
    assert verdict([1.0] * 7, [1.0] * 7) == "PASS"
