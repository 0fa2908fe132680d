from __future__ import annotations

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.fit import BUDGET_TOO_SMALL
from edgecnn.models.catalogue import arch_named
from edgecnn.studies.cost import APART, NEARLY, Budgets, budgets_of, search_scale, stated_budgets
from edgecnn.studies.facts import ScaleSearch

SMALL = arch_named("mobilenet-v3-small")
"""Whose networks are built in no time."""
BUDGETS = {"macs": 40_000_000, "params": 2_200_000}


@pytest.fixture(scope="module")
def found() -> ScaleSearch:
    return search_scale(SMALL, Budgets(budgets_of("macs=40M,params=2.2M"), None), lambda _: None)


@pytest.mark.slow  # a whole search
def test_the_best_is_inside_every_budget_and_near_the_most_that_was_found(found: ScaleSearch) -> None:
    assert found.best.macs <= BUDGETS["macs"]
    assert found.best.parameters <= BUDGETS["params"]
    assert found.best.imbalance <= APART
    most = max(point.macs for point in (*found.frontier, *found.others) if point.inside)
    assert found.best.macs >= NEARLY * most


def test_nothing_on_the_frontier_is_covered_by_another_and_nothing_outside_is_on_it(found: ScaleSearch) -> None:
    assert found.frontier[0] == found.best
    for one in found.frontier[1:]:
        assert one.inside
        for other in found.frontier:
            covers = other.depth >= one.depth and other.width >= one.width and other.resolution >= one.resolution
            assert other == one or not covers


def test_multipliers_that_are_rounded_to_one_network_are_one_row(found: ScaleSearch) -> None:
    shown = [(point.resolution, point.macs, point.parameters) for point in found.frontier]
    assert len(set(shown)) == len(shown)


def test_a_step_further_on_the_rule_is_outside(found: ScaleSearch) -> None:
    assert found.on_rule is not None
    assert found.on_rule.inside
    assert any(not point.inside for point in found.others)


def test_a_budget_that_no_scale_meets_says_what_the_smallest_takes() -> None:
    with pytest.raises(EdgecnnError, check=BUDGET_TOO_SMALL.made):
        search_scale(SMALL, Budgets({"params": 1000}, None), lambda _: None)


def test_units_are_those_of_counts_and_of_memory() -> None:
    assert budgets_of("macs=200M, params=1.5m,memory=64MiB") == {"macs": 200_000_000, "params": 1_500_000, "memory": 64 << 20}
    assert budgets_of("memory=2GB") == {"memory": 2_000_000_000}
    assert budgets_of("macs=2.5e8") == {"macs": 250_000_000}


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("macs", "macs must be a positive number such as 200M, not ''"),
        ("mac=2", "'mac' is not a budget; the nearest is macs"),
        ("", "'' is not a budget"),
        ("macs=0", "macs must be a positive number such as 200M, not '0'"),
        ("macs=64MiB", "macs must be a positive number such as 200M, not '64MiB'"),
        ("memory=64", "memory must be a positive number such as 64MiB, not '64'"),
        ("macs=1M,macs=2M", "macs is given twice"),
        (
            "macs=1M,images_per_s=20",
            "`study scale` measures no latency; `edgecnn list archs --target DEVICE --within images_per_s=20` uses forecasts",
        ),
    ],
)
def test_what_is_no_budget_says_why(text: str, because: str) -> None:
    with pytest.raises(EdgecnnError) as refused:
        budgets_of(text)
    assert refused.value.ref.startswith("budget-") and refused.value.because == because


def test_a_device_gives_its_memory_where_none_is_stated() -> None:
    asked = stated_budgets("macs=1G", "raspberry-pi-5")
    assert asked == Budgets({"macs": 10**9, "memory": 8 << 30}, "raspberry-pi-5")
    assert stated_budgets("memory=1MiB", "raspberry-pi-5") == Budgets({"memory": 1 << 20}, None)
