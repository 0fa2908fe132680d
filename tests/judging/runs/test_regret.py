"""What shipping one of a field is expected to cost, and when a race has told enough of it."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from benchmarks.choice_replay import choose_by_expected_regret, choose_by_median, drawn, recordings
from edgecnn.judging.regret import (
    ALIKE,
    ENOUGH,
    OUT,
    alike,
    estimate,
    estimated_ratio,
    lead_of,
    standing_of,
)


def rounds(*costs: float) -> dict[int, float]:
    return dict(enumerate(costs))


def test_one_process_in_three_may_be_held_up_for_ever() -> None:
    assert estimate([2.0, 2.0, 900.0]) == estimate([2.0, 2.0, 2.0])
    assert estimate([2.0, 2.0, 2.0, 900.0, 900.0, 900.0]) > 10


def test_the_expected_cost_is_that_of_students_t() -> None:
    """Against the mean of 200,000 draws of the same distribution."""
    costs = {"a": rounds(2.0, 2.1, 1.9, 2.05), "b": rounds(2.1, 2.0, 2.1, 2.2)}
    differences = [math.log(mine / theirs) for mine, theirs in zip(costs["b"].values(), costs["a"].values(), strict=True)]
    mean, freedom = estimated_difference(costs), 2 + 4 - 1
    spread = math.sqrt((2 * 0.05**2 + sum((each - statistics.fmean(differences)) ** 2 for each in differences)) / freedom)
    draw = random.Random(0)
    gains = []
    for _ in range(200_000):
        student = draw.gauss(0, 1) / math.sqrt(draw.gammavariate(freedom / 2, 2) / freedom)
        gains.append(max(0.0, -(mean + spread / 2 * student)))
    assert lead_of(costs).regret == pytest.approx(statistics.fmean(gains), rel=0.03)


def estimated_difference(costs: dict[str, dict[int, float]]) -> float:
    return math.log(estimate(costs["b"].values()) / estimate(costs["a"].values()))


def test_three_rounds_end_a_race_of_candidates_that_lie_far_apart_and_not_one_of_neighbours() -> None:
    far = {"a": rounds(2.0, 2.05, 1.95), "b": rounds(4.0, 4.1, 3.9)}
    assert lead_of(far).name == "a" and lead_of(far).regret < ENOUGH
    near = {"a": rounds(2.0, 2.05, 1.95), "b": rounds(2.02, 2.1, 1.96)}
    assert lead_of(near).regret > ENOUGH and lead_of(near).still_in == {"a", "b"}


def test_whoever_cannot_matter_leaves_and_its_part_is_still_counted() -> None:
    costs = {"a": rounds(2.0, 2.1, 1.9), "b": rounds(2.05, 2.0, 2.0), "c": rounds(9.0, 9.5, 9.1)}
    lead = lead_of(costs)
    assert lead.still_in == {"a", "b"} and 0 <= lead.parts["c"] < OUT
    on = {"a": rounds(*[2.0] * 8), "b": rounds(*[2.2] * 8), "c": costs["c"]}
    assert set(lead_of(on).parts) == {"b", "c"}


def test_who_left_early_is_held_to_the_rounds_that_it_ran() -> None:
    """A machine that heats up makes the later rounds of the others longer, and no more is said by them."""
    hotter = [2.0, 2.0, 2.0, 2.4, 2.5, 2.6, 2.7, 2.8]
    assert lead_of({"early": rounds(2.2, 2.2, 2.2), "late": rounds(*hotter)}).name == "late"
    assert lead_of({"early": rounds(1.0, 1.0, 1.0), "late": rounds(*hotter)}).name == "early", "whoever was ahead has failed"


def test_the_regret_of_shipping_another_is_at_least_how_much_slower_it_is() -> None:
    costs = {"a": rounds(*[2.0] * 24), "b": rounds(*[2.2] * 24)}
    assert standing_of("b", costs).regret == pytest.approx(math.log(1.1), rel=0.01)


def test_alike_is_one_percent_of_the_one_ahead() -> None:
    costs = {"a": rounds(*[2.0] * 8), "b": rounds(*[2.0 * (ALIKE - 1e-6)] * 8), "c": rounds(*[2.0 * (ALIKE + 1e-6)] * 8)}
    assert alike(costs, "a") == {"a", "b"}


def test_a_ratio_of_the_race_for_the_choice_is_an_estimate_without_a_level() -> None:
    ratio = estimated_ratio(rounds(4.0, 4.2, 3.8), rounds(2.0, 2.1, 1.9))
    assert ratio.estimate == pytest.approx(2.0)
    assert (ratio.low, ratio.high, ratio.confidence) == (ratio.estimate, ratio.estimate, 0.0)


def test_a_field_without_a_common_round_is_no_race() -> None:
    with pytest.raises(ValueError, match="share its first rounds"):
        lead_of({"a": {0: 1.0}, "b": {1: 1.0}})


def test_on_recorded_processes_of_a_busy_machine_it_ships_better_than_a_median_of_ten_with_no_more_processes() -> None:
    """The same draws for both; ``benchmarks/choice_replay.py`` has the whole table."""
    field, noises = (1.0, 1.16, 1.31, 1.99, 2.0), recordings()
    outcomes = {}
    for rule in (choose_by_expected_regret, choose_by_median):
        draw = random.Random("ordinary")
        found = [rule(len(field), drawn(field, draw.choice(noises), 0.05, draw)) for _ in range(150)]
        outcomes[rule] = (
            statistics.fmean(field[each.chosen] for each in found) - 1,
            statistics.fmean(each.runs for each in found),
        )
    ours, plain = outcomes[choose_by_expected_regret], outcomes[choose_by_median]
    assert ours[0] < plain[0] and ours[0] < 0.01
    assert ours[1] < 1.3 * plain[1]
