import re

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.gates import (
    BOUND_MISSING,
    BOUND_OF_TWO_BUILDS,
    BOUND_ON_WRONG_SIDE,
    BOUND_OUT_OF_RANGE,
    BOUND_TWICE,
    METRIC_NOT_COMPARED,
    UNKNOWN_METRIC,
)
from edgecnn.judging.gates import Circumstances, EffectiveGates, StatedBounds, comparison_gates, gates_for, parse_bounds
from edgecnn.judging.metrics import COMPARED, METRICS
from edgecnn.values.recipe import GateChoice
from edgecnn.values.verdict import Gate, ReplacedBound

NOTHING = GateChoice()
AWAY = Circumstances(device_usually_attached=False)


def required(gates):
    return {gate.metric: gate.required for gate in gates}


def test_a_command_line_becomes_bounds():
    assert parse_bounds(["p99_ms=20", " drop_pp = 0.5 "], ["int8_mac_share=0.95"]) == GateChoice(
        max={"p99_ms": 20, "drop_pp": 0.5}, min={"int8_mac_share": 0.95}
    )


@pytest.mark.parametrize("text", ["p99_ms", "p99_ms=", "p99_ms=fast", "=", "p99_ms<20", ""])
def test_an_option_without_a_bound_is_refused(text):
    with pytest.raises(EdgecnnError, check=BOUND_MISSING.made):
        parse_bounds([text], [])


@pytest.mark.parametrize("text", ["p99_ms=nan", "p99_ms=-1", "p99_ms=inf", "p99_ms=-inf"])
def test_a_bound_that_nothing_can_be_held_against_is_refused(text):
    with pytest.raises(EdgecnnError, check=BOUND_OUT_OF_RANGE.made):
        parse_bounds([text], [])


def test_a_percentage_for_a_share_is_refused():
    with pytest.raises(EdgecnnError, match="between 0 and 1", check=BOUND_OUT_OF_RANGE.made):
        parse_bounds([], ["top1=90"])


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("p99=20", "p99_ms"),
        ("worst_class_drop=5", "worst_class_drop_pp"),
        ("macrof1=0.8", "macro_f1"),
        ("top_5=0.9", "top5"),
        ("agree=0.9", "agreement"),
        ("class_drop_pp=5", "worst_class_drop_pp"),
    ],
)
def test_a_misspelt_metric_is_answered_with_the_nearest(text, nearest):
    with pytest.raises(EdgecnnError, match=f"did you mean {nearest}", check=UNKNOWN_METRIC.made):
        parse_bounds([text], [])


def test_a_calibration_error_is_written_as_a_share_and_a_class_s_drop_in_points():
    assert parse_bounds(["ece=0.05", "worst_class_drop_pp=5"], ["agreement=0.95"]).max == {"ece": 0.05, "worst_class_drop_pp": 5}
    with pytest.raises(EdgecnnError, match="between 0 and 1", check=BOUND_OUT_OF_RANGE.made):
        parse_bounds(["ece=5"], [])
    with pytest.raises(EdgecnnError, match="between 0 and 100", check=BOUND_OUT_OF_RANGE.made):
        parse_bounds(["worst_class_drop_pp=101"], [])


@pytest.mark.parametrize("name", sorted(METRICS))
def test_each_metric_can_be_bounded_on_its_own_side_alone(name):
    right, wrong = ("max", "min") if METRICS[name].better == "lower" else ("min", "max")
    assert gates_for(StatedBounds(GateChoice.model_validate({right: {name: 0.5}})), Circumstances())[0].side == right
    with pytest.raises(EdgecnnError, match=f"{name} under .gates. {right}", check=BOUND_ON_WRONG_SIDE.made):
        gates_for(StatedBounds(GateChoice.model_validate({wrong: {name: 0.5}})), Circumstances())


def test_the_same_metric_twice_is_a_contradiction():
    with pytest.raises(EdgecnnError, match="has two bounds, 20 and 30", check=BOUND_TWICE.made):
        parse_bounds(["p99_ms=20", "p99_ms=30"], [])
    assert parse_bounds(["p99_ms=20", "p99_ms=20"], []).max == {"p99_ms": 20}


def test_the_default_is_one_point_of_drop_and_advisory():
    assert gates_for(StatedBounds(NOTHING), Circumstances()) == (
        Gate(metric="drop_pp", side="max", bound=1.0, required="advisory"),
    )


def test_a_stated_gate_is_required():
    (gate,) = gates_for(StatedBounds(GateChoice(max={"drop_pp": 2})), AWAY)
    assert (gate.required, gate.stated_by, gate.bound) == ("always", "recipe", 2)


def test_latency_of_a_board_is_required_when_measured():
    stated = GateChoice(max={"p50_ms": 5, "p99_ms": 9, "size_mib": 20})
    assert required(gates_for(StatedBounds(stated), AWAY)) == {
        "p50_ms": "when-measured", "p99_ms": "when-measured", "size_mib": "always",
    }  # fmt: skip
    assert set(required(gates_for(StatedBounds(stated), Circumstances())).values()) == {"always"}


@pytest.mark.parametrize("where", ["recipe", "command line"])
def test_require_measured_makes_it_required_always(where):
    strict = GateChoice(require_measured=True)
    stated = GateChoice(max={"p50_ms": 5}, require_measured=where == "recipe")
    gates = gates_for(StatedBounds(stated, command_line=strict if where == "command line" else NOTHING), AWAY)
    assert required(gates) == {"p50_ms": "always"}


@pytest.mark.parametrize(("recipe", "line"), [(True, NOTHING), (False, GateChoice(require_measured=True)), (True, NOTHING)])
def test_the_recipe_or_the_command_line_requires_that_everything_is_measured(recipe: bool, line: GateChoice):
    assert EffectiveGates.of(
        StatedBounds(GateChoice(require_measured=recipe), command_line=line), Circumstances()
    ).require_measured
    assert not EffectiveGates.of(StatedBounds(NOTHING), Circumstances()).require_measured


@pytest.mark.parametrize(
    ("stored", "in_ci", "gated", "freshness"),
    [
        ("fresh-enough", True, "p50_ms", "fresh-enough"),
        ("never", False, "drop_pp", "raced-now"),
        ("never", True, "drop_pp", "this-job"),
        ("unless-gated", False, "drop_pp", "fresh-enough"),
        ("unless-gated", False, "peak_memory_mib", "fresh-enough"),
        ("unless-gated", False, "p99_ms", "raced-now"),
        ("unless-gated", False, "energy_mj", "raced-now"),
        ("unless-gated", True, "drop_pp", "this-job"),
        ("unless-gated", True, "p99_ms", "this-job"),
    ],
)
@pytest.mark.parametrize("where", ["recipe", "command line"])
def test_a_stored_race_serves_by_what_the_call_says_its_gates_and_ci(where, stored, in_ci, gated, freshness):
    stated, call = GateChoice(max={gated: 1.0}), Circumstances(stored_race=stored, in_ci=in_ci)
    bounds = StatedBounds(stated) if where == "recipe" else StatedBounds(NOTHING, command_line=stated)
    assert EffectiveGates.of(bounds, call).freshness == freshness


def test_a_later_statement_replaces_the_bound_of_the_same_metric_and_no_other():
    recipe = GateChoice(max={"drop_pp": 2, "size_mib": 9}, min={"top1": 0.5})
    gates = gates_for(
        StatedBounds(recipe, GateChoice(max={"size_mib": 8}), GateChoice(max={"p50_ms": 5, "size_mib": 7})), Circumstances()
    )
    assert [(gate.metric, gate.bound, gate.stated_by) for gate in gates] == [
        ("drop_pp", 2, "recipe"), ("p50_ms", 5, "command line"), ("size_mib", 7, "command line"), ("top1", 0.5, "recipe"),
    ]  # fmt: skip
    assert [gate.replaces for gate in gates] == [
        None,
        None,
        ReplacedBound(side="max", metric="size_mib", bound=8, stated_by="build"),
        None,
    ]


def test_images_a_second_replace_a_bound_on_the_median_latency():
    stated = StatedBounds(GateChoice(max={"p50_ms": 40}), command_line=GateChoice(min={"images_per_s": 20}))
    (gate,) = gates_for(stated, Circumstances())
    assert (gate.metric, gate.bound, gate.replaces) == (
        "p50_ms",
        50,
        ReplacedBound(side="max", metric="p50_ms", bound=40, stated_by="recipe"),
    )


def test_an_empty_command_line_leaves_the_recipe():
    gates = gates_for(StatedBounds(GateChoice(max={"drop_pp": 2}), command_line=NOTHING), Circumstances())
    assert [gate.stated_by for gate in gates] == ["recipe"]


def test_a_typo_in_a_recipe_is_found_too():
    with pytest.raises(EdgecnnError, match=r"'drop_p' in \[gates\] max is not a metric", check=UNKNOWN_METRIC.made):
        gates_for(StatedBounds(GateChoice(max={"drop_p": 2})), Circumstances())


def test_the_budget_is_the_drop_gates_bound_or_one_point():
    assert EffectiveGates.of(StatedBounds(GateChoice(max={"drop_pp": 0.3})), Circumstances()).budget_pp == 0.3
    assert EffectiveGates.of(StatedBounds(GateChoice(max={"p50_ms": 3})), Circumstances()).budget_pp == 1.0


def test_a_ratio_is_of_two_builds_and_bounds_none_by_itself():
    with pytest.raises(EdgecnnError, check=BOUND_OF_TWO_BUILDS.made):
        parse_bounds(["latency_ratio=1.03"], [])
    assert parse_bounds(["latency_ratio=1.03"], [], compared=True).max == {"latency_ratio": 1.03}


def test_a_comparison_takes_no_bound_that_says_nothing_of_two_builds():
    for name in METRICS.keys() - COMPARED.keys():
        with pytest.raises(EdgecnnError, check=METRIC_NOT_COMPARED.made):
            parse_bounds([f"{name}=1"], [], compared=True)
    with pytest.raises(EdgecnnError, match="did you mean latency_ratio", check=UNKNOWN_METRIC.made):
        parse_bounds(["latncy_ratio=1"], [], compared=True)


def test_unless_told_a_comparison_allows_a_ratio_of_three_percent():
    (gate,) = comparison_gates(NOTHING)
    assert (gate.metric, gate.side, gate.bound, gate.required, gate.stated_by) == (
        "latency_ratio", "max", 1.03, "always", "default",
    )  # fmt: skip
    told = comparison_gates(GateChoice(max={"drop_pp": 1, "latency_ratio": 1.1}, min={"top1": 0.5}))
    assert [(each.metric, each.bound) for each in told] == [("latency_ratio", 1.1), ("drop_pp", 1), ("top1", 0.5)]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("latency=50", "p50_ms (the median) or p99_ms"),
        ("fps=20", "--min images_per_s=20 (one image at a time: p50_ms at most 50)"),
    ],
)
def test_a_name_that_people_use_is_answered_with_the_metric_that_it_means(text: str, meant: str) -> None:
    with pytest.raises(EdgecnnError, match=re.escape(f"did you mean {meant}?"), check=UNKNOWN_METRIC.made):
        parse_bounds((text,), ())


@pytest.mark.parametrize("stated_by", ["recipe", "command line"])
def test_images_a_second_are_a_bound_on_the_median_latency_of_one_image(stated_by: str) -> None:
    stated = parse_bounds([], ["images_per_s=20", "top1=0.5"])
    assert stated == GateChoice(min={"images_per_s": 20, "top1": 0.5})  # as typed, for the command that is printed
    recipe, line = (stated, NOTHING) if stated_by == "recipe" else (NOTHING, stated)
    p50, top1 = gates_for(StatedBounds(recipe, command_line=line), AWAY)
    assert (p50.metric, p50.side, p50.bound, p50.required) == ("p50_ms", "max", 50, "when-measured")
    assert (top1.metric, top1.side) == ("top1", "min")


def test_images_a_second_bound_a_comparison_too() -> None:
    gates = comparison_gates(parse_bounds([], ["images_per_s=40"], compared=True))
    assert [(gate.metric, gate.bound, gate.images_per_s) for gate in gates] == [("p50_ms", 25, 40)]


@pytest.mark.parametrize(
    "text", ["images_per_s=0", "images_per_s=-20", "images_per_s=nan", "images_per_s=inf", "images_per_s=1e-320"]
)
def test_no_images_a_second_are_no_bound(text: str) -> None:
    with pytest.raises(EdgecnnError, match="a finite number above 0", check=BOUND_OUT_OF_RANGE.made):
        parse_bounds([], [text])


def test_images_a_second_have_a_least_and_go_with_the_same_p50_alone() -> None:
    with pytest.raises(EdgecnnError, match="write --min images_per_s=20", check=BOUND_ON_WRONG_SIDE.made):
        parse_bounds(["images_per_s=20"], [])
    with pytest.raises(EdgecnnError, match="two bounds, 30 and 50", check=BOUND_TWICE.made):
        parse_bounds(["p50_ms=30"], ["images_per_s=20"])
    (gate,) = gates_for(StatedBounds(parse_bounds(["p50_ms=50"], ["images_per_s=20"])), Circumstances())
    assert (gate.metric, gate.bound) == ("p50_ms", 50)
