from __future__ import annotations

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.fit import (
    ACCURACY_IN_PERCENT,
    ACCURACY_INVALID,
    ACCURACY_TWICE,
    FIT_BUDGET_INVALID,
    LATENCY_BUDGET_TWICE,
    NOTHING_TO_MEET,
    PERCENTILE_IN_A_SEARCH,
)
from edgecnn.fit.request import fit_choice, parse_required_top1, parse_within
from edgecnn.values.recipe import FitChoice


def test_budgets_are_gates_of_a_build_by_the_same_names() -> None:
    assert parse_within(["p50_ms=5", "size_mib = 2.5"]) == {"p50_ms": 5.0, "size_mib": 2.5}
    assert parse_within(["images_per_s=20"]) == {"images_per_s": 20.0}


@pytest.mark.parametrize(
    ("texts", "because"),
    [
        (["p50=5"], "'p50' is not a budget, the nearest is p50_ms"),
        (["fps=20"], "'fps' is not a budget, the nearest is images_per_s"),
        (["p50_ms=5", "p50_ms=3"], "p50_ms is given twice, 5 before"),
        (["p50_ms=0"], "p50_ms must be a positive number without a unit, such as 5, not '0'"),
        (["p50_ms"], "p50_ms must be a positive number without a unit, such as 5, not ''"),
        (["p50_ms=3,size_mib=2"], "each budget has a --within of its own"),
        (["p50_ms=-1e3"], "p50_ms must be a positive number without a unit, such as 5, not '-1e3'"),
    ],
)
def test_what_is_no_budget_is_refused_with_what_it_should_be(texts: list[str], because: str) -> None:
    with pytest.raises(EdgecnnError, check=FIT_BUDGET_INVALID.made) as refused:
        parse_within(texts)
    assert refused.value.because == because


def test_a_percentile_is_no_budget_of_a_search() -> None:
    with pytest.raises(EdgecnnError, check=PERCENTILE_IN_A_SEARCH.made) as refused:
        parse_within(["p99_ms=3"])
    assert refused.value.fields["metric"] == "p99_ms"


@pytest.mark.parametrize("text", ["top1=1.2x", "top5=0.9", "0.85", "top1=0"])
def test_an_accuracy_is_a_share_of_top1(text: str) -> None:
    with pytest.raises(EdgecnnError, check=ACCURACY_INVALID.made):
        parse_required_top1([text])
    assert parse_required_top1(["top1=0.85"]) == 0.85


@pytest.mark.parametrize("text", ["85", "top1=85", "top1=85%", "85 %"])
def test_an_accuracy_in_percent_is_answered_with_the_share_that_was_meant(text: str) -> None:
    with pytest.raises(EdgecnnError, check=ACCURACY_IN_PERCENT.made) as refused:
        parse_required_top1([text])
    assert (refused.value.fields["percent"], refused.value.fields["share"]) == (85, 0.85)


def test_an_accuracy_is_stated_once() -> None:
    with pytest.raises(EdgecnnError, check=ACCURACY_TWICE.made):
        parse_required_top1(["top1=0.8", "top1=0.9"])


def test_a_recipes_budgets_are_checked_as_the_command_lines_are() -> None:
    assert fit_choice(FitChoice(family="resnet", within={"p50_ms": 0.25}), {}).within == {"p50_ms": 0.25}
    with pytest.raises(EdgecnnError, match="'p50' is not a budget, the nearest is p50_ms", check=FIT_BUDGET_INVALID.made):
        fit_choice(FitChoice(family="resnet", within={"p50": 5.0}), {})
    with pytest.raises(EdgecnnError, check=NOTHING_TO_MEET.made):
        fit_choice(FitChoice(family="resnet"), {})
    with pytest.raises(EdgecnnError, check=LATENCY_BUDGET_TWICE.made):
        fit_choice(FitChoice(family="resnet", within={"p50_ms": 50.0, "images_per_s": 20.0}), {})
