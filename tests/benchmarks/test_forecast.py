"""The page's table is that of the committed results, and these hold what the forecasts are said to reach."""

from __future__ import annotations

import json

import pytest

from benchmarks.forecast.reach import PAGE, QUESTIONS, RESULTS, TARGETS, Left, _half_widths, _rows, _timed_on_one, table
from edgecnn.forecast.calibration import BASE, between_boards, errors_on_public_runs, half_width
from edgecnn.forecast.structure import base_matrix

REACHED = json.loads(RESULTS.read_text(encoding="utf-8"))


def test_the_page_has_the_results() -> None:
    assert table(REACHED) in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("case", "median"),
    [
        ("networks left out, times on x86 known", 12),
        ("devices left out, known by three networks", 15),
        ("networks never timed anywhere", 25),
    ],
)
def test_the_results_reach_what_was_aimed_at(case: str, median: float) -> None:
    every = REACHED[case]["all boards"]
    assert every["median"] <= median < every["naive"]
    assert every["holds"] >= 90
    assert every["holds_elsewhere"] >= 90


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_is_close_from_times_on_x86(target: str) -> None:
    row = REACHED["networks left out, times on x86 known"][target]
    assert row["median"] <= 12
    assert row["holds"] >= 90


def test_widths_are_those_that_forecasts_print_without_the_device_and_the_network() -> None:
    question = QUESTIONS["devices left out, known by three networks"]
    off = errors_on_public_runs(question, BASE)
    assert off is not None
    network = int(base_matrix().classifies.argmax())
    left = Left("orange-pi-5", "rk3588", network, 0.0, (), 0.0)
    expected = half_width(off.without(network, "rk3588"), between_boards().without(network, "rk3588"), 1.0)
    assert _half_widths([left], question) == [expected]
    assert expected < half_width(off, between_boards(), 1.0)


@pytest.mark.slow
def test_the_results_are_those_of_the_tables() -> None:
    case = "networks left out, two runs on one x86 computer known"
    again = _rows(_timed_on_one(base_matrix()), QUESTIONS[case])
    assert again["Raspberry Pi 5"]["median"] == pytest.approx(REACHED[case]["Raspberry Pi 5"]["median"], abs=0.3)
