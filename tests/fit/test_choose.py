from __future__ import annotations

import pytest

from edgecnn.errors.base import ExitCode
from edgecnn.fit.choose import briefly_trained, choose_member, exit_code, front_of, rank_correlation, worst_budget_verdict
from edgecnn.values.fit import Member, Predicted, Trained
from edgecnn.values.verdict import Fidelity, Gate, GateResult, Interval, Verdict
from tests.fit.made import report

BUDGET = {"p50_ms": 5.0}


def member(name: str, top1: float, ms: float, inside: Verdict = Verdict.PASS, **more: object) -> Member:
    return Member(
        name=name,
        scale="depth=1",
        resolution_px=64,
        parameters=1000,
        macs=1000,
        standin=1.0,
        build=name,
        candidate="openvino-int8",
        validation_top1=Interval(estimate=top1, low=top1 - 0.02, high=top1 + 0.02, confidence=0.95),
        p50_ms=Interval(estimate=ms, low=0.95 * ms, high=1.05 * ms, confidence=0.98),
        inside=inside,
        **more,  # type: ignore[arg-type]
    )


def test_the_most_accurate_of_those_inside_ships_however_much_better_one_outside_is() -> None:
    members = [member("a", 0.80, 3.0), member("b", 0.82, 4.0), member("c", 0.90, 9.0, Verdict.FAIL)]
    chosen = choose_member(members, BUDGET, None)
    assert (chosen.name, chosen.state) == ("b", "settled")
    assert chosen.why == "the most accurate on validation of the 2 that are measured inside p50_ms ≤ 5"


def test_what_may_be_outside_ships_only_where_nothing_is_shown_inside_and_then_provisionally() -> None:
    unsure = member("wide", 0.9, 5.0, Verdict.UNSURE)
    assert choose_member([unsure, member("a", 0.5, 3.0)], BUDGET, None).name == "a"
    alone = choose_member([unsure, member("c", 0.95, 9.0, Verdict.FAIL)], BUDGET, None)
    assert (alone.name, alone.state) == ("wide", "provisional")


def test_where_nothing_is_inside_the_nearest_is_shown_and_nothing_ships() -> None:
    chosen = choose_member([member("a", 0.8, 9.0, Verdict.FAIL), member("b", 0.7, 7.0, Verdict.FAIL)], BUDGET, None)
    assert (chosen.name, chosen.state) == (None, "none")
    assert chosen.why == "nothing is inside p50_ms ≤ 5: the nearest is b, at 7.00 [6.65, 7.35] ms"


def test_the_other_way_round_the_fastest_whose_lower_bound_reaches_the_accuracy_ships() -> None:
    members = [member("fast", 0.86, 2.0), member("enough", 0.88, 3.0), member("most", 0.93, 8.0)]
    assert choose_member(members, {}, 0.85).name == "enough"  # 86 % may be 84 %
    none = choose_member(members, {}, 0.95)
    assert none.name is None
    assert "the most accurate, most, reaches 93.0% [91.0%, 95.0%] on validation" in none.why


def judged(metric: str, verdict: Verdict) -> GateResult:
    gate = Gate(metric=metric, side="max" if metric != "top1" else "min", bound=0.85, required="always", stated_by="command line")
    return GateResult(
        gate=gate, candidate="openvino-int8", verdict=verdict, reason="as judged", figure=None, fidelity=Fidelity.MEASURED
    )


def gated(name: str, metric: str, verdict: Verdict, **more: object) -> Member:
    return member(name, 0.9, 3.0, gates=(judged(metric, verdict),), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("on_test", "state"), [(Verdict.PASS, "settled"), (Verdict.UNSURE, "provisional")])
def test_an_accuracy_that_is_required_is_settled_by_the_test_images_and_not_by_those_that_chose(
    on_test: Verdict, state: str
) -> None:
    chosen = choose_member([gated("a", "top1", on_test)], {}, 0.85)
    assert (chosen.name, chosen.state) == ("a", state)
    assert ("the test images do not show it" in chosen.why) is (on_test is Verdict.UNSURE)


def test_with_an_accuracy_a_budget_that_is_not_measured_or_open_leaves_it_provisional_and_a_missed_one_says_so() -> None:
    for inside in (Verdict.UNSURE, Verdict.MISSING):
        said = Predicted(candidate="openvino-int8", p50_ms=Interval(estimate=3, low=2, high=4, confidence=0.9))
        found = choose_member([member("a", 0.9, 3.0, inside, predicted=(said,))], {"p50_ms": 5.0, "energy_mj": 9.0}, 0.85)
        assert (found.name, found.state) == ("a", "provisional")
    missed = choose_member([member("a", 0.9, 9.0, Verdict.FAIL)], BUDGET, 0.85)
    assert missed.why == (
        "no member with a top-1 of 85.0% on validation is inside p50_ms ≤ 5: the nearest is a, at 9.00 [8.55, 9.45] ms"
    )


def test_times_of_an_emulated_device_settle_nothing() -> None:
    assert choose_member([member("a", 0.9, 3.0, fidelity=Fidelity.EMULATED)], {}, 0.85).state != "settled"


@pytest.mark.parametrize("required_top1", [None, 0.1])
@pytest.mark.parametrize("verdict", [Verdict.UNSURE, Verdict.FAIL])
def test_a_network_at_chance_level_is_never_settled_and_never_ends_with_0(verdict: Verdict, required_top1: float | None) -> None:
    chance = Gate(metric="top1", side="min", bound=0.1, required="always", stated_by="chance")
    unlearned = judged("top1", verdict).model_copy(
        update={"gate": chance, "candidate": "a", "reason": "not shown to have learned"}
    )
    shipped = member("a", 0.15, 3.0, gates=(unlearned, judged("p50_ms", Verdict.PASS), judged("top1", Verdict.PASS)))
    chosen = choose_member([shipped], BUDGET, required_top1)
    assert (chosen.name, chosen.state) == ("a", "provisional")
    assert chosen.why.endswith("; a is not shown to have learned")
    assert exit_code(report(shipped, shipped="a", state=chosen.state)) == (4 if verdict is Verdict.UNSURE else 1)


@pytest.mark.parametrize(("verdict", "code"), [(Verdict.PASS, 0), (Verdict.UNSURE, 4), (Verdict.MISSING, 3)])
def test_the_command_ends_as_a_build_of_what_ships_would(verdict: Verdict, code: int) -> None:
    shipped = gated("a", "energy_mj", verdict)
    assert exit_code(report(shipped, shipped="a")) == code
    assert exit_code(report(shipped, shipped=None, state="none")) == 1


def test_a_recipe_that_requires_every_figure_lets_none_be_missing() -> None:
    gate = Gate(metric="p99_ms", side="max", bound=20.0, required="when-measured")
    untimed = judged("p99_ms", Verdict.MISSING).model_copy(update={"gate": gate})
    shipped = report(member("a", 0.9, 3.0, gates=(judged("p50_ms", Verdict.PASS), untimed)), shipped="a")
    assert exit_code(shipped) is ExitCode.OK
    assert exit_code(shipped, require_measured=True) is ExitCode.MISSING


def test_the_front_leaves_out_whoever_is_slower_and_no_more_accurate() -> None:
    members = [member("slow", 0.80, 4.0), member("quick", 0.80, 2.0), member("best", 0.9, 6.0)]
    assert front_of(members) == ("quick", "best")


def trained(standin: float, top1: float, *, whole: bool = False) -> Member:
    once = Trained(epochs=2, whole=whole, taught=True, validation_top1=top1, seconds=1.0)
    return member(f"{standin}", 0.5, 1.0).model_copy(update={"standin": standin, "trained": (once,)})


def test_the_rank_correlation_is_of_short_trainings_and_says_nothing_of_three() -> None:
    four = [trained(1, 0.5), trained(2, 0.6), trained(3, 0.55), trained(4, 0.7)]
    assert rank_correlation(briefly_trained([trained(9, 0.1, whole=True), *four])) == pytest.approx(
        0.8
    )  # by hand: 1 − 6·2 / (4·15)
    assert rank_correlation(briefly_trained([*four[:3], trained(4, 0.7, whole=True)])) is None
    assert rank_correlation([trained(1, 0.5)] * 5) is None


def missing(name: str, top1: float, predicted_ms: float) -> Member:
    said = Predicted(candidate="openvino-int8", p50_ms=Interval(estimate=predicted_ms, low=1, high=9, confidence=0.9))
    return member(name, top1, 1.0, Verdict.MISSING).model_copy(update={"p50_ms": None, "predicted": (said,)})


def test_where_the_device_is_away_only_what_is_predicted_inside_may_ship_and_provisionally() -> None:
    chosen = choose_member([missing("first", 0.95, 9.0), missing("small", 0.8, 4.0)], BUDGET, None)
    assert (chosen.name, chosen.state) == ("small", "provisional")
    assert chosen.why.endswith("of the 1 that are predicted inside, but not all measured p50_ms ≤ 5")


def test_the_forecast_of_another_kit_than_the_one_that_ships_counts_for_nothing() -> None:
    other = missing("a", 0.9, 1.0).model_copy(update={"candidate": "ncnn-fp32"})
    assert other.prediction is None and other.best_predicted is not None
    assert choose_member([other], BUDGET, None).name is None
    untrained = other.model_copy(update={"build": None, "candidate": None})
    assert untrained.prediction == untrained.best_predicted


def test_a_budget_in_images_a_second_is_worded_in_images_a_second() -> None:
    rate = {"images_per_s": 200.0}
    chosen = choose_member([missing("first", 0.95, 9.0), missing("small", 0.8, 4.0)], rate, None)
    assert chosen.name == "small" and chosen.why.endswith("images_per_s ≥ 200")
    none = choose_member([member("a", 0.8, 10.0, Verdict.FAIL)], rate, None)
    assert none.name is None and "100.00 [95.24, 105.26] images/s" in none.why


def test_a_prediction_however_far_inside_passes_no_gate_and_is_no_figure_of_what_ships() -> None:
    sure = missing("a", 0.9, 1e-5).model_copy(update={"gates": (judged("p50_ms", Verdict.MISSING),)})
    chosen = choose_member([sure], BUDGET, None)
    assert (chosen.name, chosen.state) == ("a", "provisional")
    found = report(sure, shipped="a", state=chosen.state)
    assert exit_code(found) is ExitCode.MISSING
    assert (found.members[0].p50_ms, found.members[0].inside) == (None, Verdict.MISSING)
    assert front_of([sure]) == ()


def test_the_other_way_round_the_fastest_by_prediction_is_provisional() -> None:
    chosen = choose_member([missing("first", 0.95, 9.0), missing("small", 0.9, 4.0)], {}, 0.85)
    assert (chosen.name, chosen.state) == ("small", "provisional")


@pytest.mark.parametrize("extrapolated", [(), ("total_mmac",)])
def test_a_latency_that_a_clock_found_inside_counts_however_it_was_predicted(extrapolated: tuple[str, ...]) -> None:
    said = Predicted(
        candidate="openvino-int8", p50_ms=Interval(estimate=5.2, low=5, high=6, confidence=0.9), extrapolated=extrapolated
    )
    gates = (judged("p50_ms", Verdict.PASS), judged("energy_mj", Verdict.MISSING))
    timed = member("a", 0.9, 3.0, Verdict.MISSING, predicted=(said,), gates=gates)
    chosen = choose_member([timed], {"p50_ms": 5.0, "energy_mj": 20.0}, None)
    assert (chosen.name, chosen.state) == ("a", "provisional")


def test_a_gate_of_the_recipe_that_fails_is_the_exit_code_and_no_budget() -> None:
    shipped = member("a", 0.9, 3.0, gates=(judged("p50_ms", Verdict.PASS), judged("int8_mac_share", Verdict.FAIL)))
    assert worst_budget_verdict(shipped.gates) is Verdict.PASS
    assert exit_code(report(shipped)) is ExitCode.GATE_FAILED


@pytest.mark.parametrize(
    ("verdicts", "met"),
    [
        ([Verdict.PASS, Verdict.PASS], Verdict.PASS),
        ([Verdict.PASS, Verdict.MISSING], Verdict.MISSING),
        ([Verdict.MISSING, Verdict.FAIL], Verdict.FAIL),
        ([Verdict.UNSURE, Verdict.PASS], Verdict.UNSURE),
    ],
)
def test_a_budget_that_was_not_measured_leaves_all_open_unless_another_is_missed(verdicts: list[Verdict], met: Verdict) -> None:
    gates = [judged(metric, verdict) for metric, verdict in zip(("p50_ms", "size_mib"), verdicts, strict=True)]
    accuracy = judged("top1", Verdict.FAIL)
    assert worst_budget_verdict([*gates, accuracy]) is met
    assert worst_budget_verdict([accuracy]) is None
