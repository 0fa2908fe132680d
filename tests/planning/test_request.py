from __future__ import annotations

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.measuring import BATCHES_MISREAD, DURATION_MISREAD, SHARE_MISREAD
from edgecnn.planning.request import parse_extra_runs, parse_share, parse_time_budget
from edgecnn.values.profile import ExtraRuns


@pytest.mark.parametrize(("text", "share"), [("2%", 0.02), (" 0.5 % ", 0.005), ("50%", 0.5), ("0.1%", 0.001)])
def test_a_percentage_is_a_share(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["2", "0.02", "two%", "", "%", "-2%", "0%", "0.05%", "51%", "nan%", "1e1%"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(EdgecnnError, check=SHARE_MISREAD.made):
        parse_share(text)


def test_what_is_asked_beyond_the_race_is_one_value() -> None:
    assert parse_extra_runs(None, end_to_end=False, soak=None) == ExtraRuns()
    asked = parse_extra_runs("8, 1,best,8", end_to_end=True, soak="60s")
    assert asked == ExtraRuns(batches=(1, 8), best_batch=True, end_to_end=True, soak_s=60.0)
    assert asked.throughput and not ExtraRuns().throughput
    assert parse_extra_runs("best", end_to_end=False, soak="5 min").soak_s == 300


@pytest.mark.parametrize("text", ["", "0", "1,,2", "65", "-1", "many", "1.5", "Best", "999999999"])
def test_batches_that_no_kit_takes_are_refused(text: str) -> None:
    with pytest.raises(EdgecnnError, check=BATCHES_MISREAD.made):
        parse_extra_runs(text, end_to_end=False, soak=None)


@pytest.mark.parametrize("text", ["60", "", "29s", "31min", "1h", "-60s", "soon"])
def test_a_soak_without_a_unit_or_out_of_reason_is_refused(text: str) -> None:
    with pytest.raises(EdgecnnError, check=DURATION_MISREAD.made):
        parse_extra_runs(None, end_to_end=False, soak=text)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90.0), ("10min", 600.0), ("1.5h", 5400.0)])
def test_a_time_budget_has_its_unit(text: str, seconds: float) -> None:
    assert parse_time_budget(text) == seconds


@pytest.mark.parametrize("text", ["10", "0s", "-5min", "ten min", "300h"])
def test_a_time_budget_without_a_unit_or_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(EdgecnnError, match="--time-budget", check=DURATION_MISREAD.made):
        parse_time_budget(text)
