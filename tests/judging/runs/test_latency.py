import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.gates import CONDITIONS_DIFFER, RACES_DIFFER, ROUND_TWICE
from edgecnn.judging.disturbance import worst_of
from edgecnn.judging.latency import check_conditions, latency, paired_ratio
from edgecnn.values.profile import Environment
from edgecnn.values.report import Latency
from edgecnn.values.verdict import Fidelity
from tests.judging.made import a_race, a_run

EIGHT = [1.0, 1.1, 0.9, 1.2, 1.0, 1.3, 1.0, 1.1]


def test_p50_is_the_median_over_runs_with_the_runs_extremes():
    found = latency(a_race(EIGHT))
    assert (found.p50_ms.estimate, found.p50_ms.low, found.p50_ms.high) == (1.05, 0.9, 1.3)
    assert (found.runs, found.samples, found.fidelity, found.machine) == (8, 400, Fidelity.MEASURED, "AMD EPYC")


@pytest.mark.parametrize(
    ("others", "disturbed"),
    [(None, None), ("1.2", None), ("5.0", None), ("41.3", "other programs used 41 % of the CPU time")],
)
def test_other_work_during_the_race_is_said(others, disturbed):
    race = a_race(EIGHT)
    observed = {} if others is None else {"others_percent": others}
    environment = race.environment.model_copy(update={"observed": observed})
    assert latency(race.model_copy(update={"environment": environment})).disturbed == disturbed


@pytest.mark.parametrize(
    ("others", "times"), [("4.0", None), ("6.0", 2), ("50.0", 2), ("60.0", 3), ("90.0", 10), ("100.0", None)]
)
def test_what_other_work_can_explain_of_a_median_is_what_a_fair_share_of_one_processor_leaves(others, times):
    race = a_race([1.0] * 8)
    environment = race.environment.model_copy(update={"observed": {"others_percent": others}})
    assert latency(race.model_copy(update={"environment": environment})).slowed_at_most == times


@pytest.mark.parametrize(
    ("limits", "online", "times"),
    [
        ({"affinity": "0-63", "cpu_limit": "none"}, "0-63", 2),
        ({"affinity": "0-127"}, "0-3,8", 2),
        ({"affinity": "0-1", "cpu_limit": "none"}, "0-63", None),
        ({"affinity": "0-3"}, "0-3,8", None),
        ({"affinity": "0-63"}, None, None),
        ({"affinity": "0-63"}, "all of them", None),
        ({"affinity": "0-63", "cpu_limit": "1.50"}, "0-63", None),
        ({"cpu_limit": "64.00"}, None, None),
    ],
)
def test_of_a_kit_held_to_a_part_of_the_machine_nothing_bounds_what_its_neighbours_explain(limits, online, times):
    """Four threads on the two processors that a kit may use of 64 are 6 % of all, and make it three times as slow."""
    race = a_race([1.0] * 8)
    observed = {"others_percent": "6.0", **({"processors_online": online} if online else {})}
    environment = Environment(conditions={**race.environment.conditions, **limits}, observed=observed)
    assert latency(race.model_copy(update={"environment": environment})).slowed_at_most == times


def test_nothing_bounds_what_throttling_explains():
    race = a_race([1.0] * 8)
    observed = {"others_percent": "6.0", "throttled": "too hot", "throttled_percent": "80"}
    environment = race.environment.model_copy(update={"observed": observed})
    assert latency(race.model_copy(update={"environment": environment})).slowed_at_most is None


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_races_the_most_other_work_and_the_most_throttling_speak(order):
    observed = [{"others_percent": "10.0"}, {"others_percent": "75.0"}, {"throttled": "heat", "throttled_percent": "90"}]
    worst = worst_of([Environment(conditions={}, observed=each) for each in observed[::order]])
    assert worst.observed == {"others_percent": "75.0", "throttled": "heat", "throttled_percent": "90"}


@pytest.mark.parametrize(
    ("share", "disturbed"), [("0", None), ("38", None), ("50", "the machine throttled in 50 % of the runs (too hot)")]
)
def test_throttling_in_most_of_the_runs_is_said(share, disturbed):
    race = a_race(EIGHT)
    environment = race.environment.model_copy(update={"observed": {"throttled": "too hot", "throttled_percent": share}})
    assert latency(race.model_copy(update={"environment": environment})).disturbed == disturbed


def test_one_long_run_weighs_no_more_than_a_short_one():
    race = a_race(EIGHT)
    longer = race.model_copy(update={"runs": (*race.runs[:-1], a_run(7, 1.1, samples=5000))})
    assert latency(longer).p50_ms == latency(race).p50_ms


def test_p90_needs_a_hundred_samples_in_every_run():
    assert latency(a_race(EIGHT, samples=99)).p90_ms is None
    found = latency(a_race(EIGHT, samples=100))
    assert (found.p90_ms.low, found.p90_ms.high, found.p99_ms) == (0.9, 1.3, None)


def test_p99_needs_a_thousand_samples_in_every_run():
    assert latency(a_race(EIGHT, samples=999)).p99_ms is None
    assert latency(a_race(EIGHT, samples=999)).reason == "p99: a run has only 999 samples; it needs 1000"
    whole = latency(a_race(EIGHT, samples=1000))
    assert (whole.p99_ms.low, whole.p99_ms.high, whole.reason) == (0.9, 1.3, None)


def test_one_run_shows_its_median_and_no_interval():
    found = latency(a_race([1.25]))
    assert found.p50_ms is None
    assert found.reason == "1 run (1.25 ms); an interval needs 7"


def test_six_runs_are_too_few():
    assert latency(a_race(EIGHT[:6])).p50_ms is None


def test_runs_of_too_few_samples_give_no_median():
    found = latency(a_race(EIGHT, samples=19))
    assert (found.p50_ms, found.reason) == (None, "a run has only 19 samples; a median needs 20")


def test_a_race_without_runs_is_missing():
    found = latency(a_race([]))
    assert (found.fidelity, found.p50_ms, found.reason) == (Fidelity.MISSING, None, "nothing ran")


def test_identical_runs_have_no_width():
    found = latency(a_race([2.0] * 8), fp32=a_race([2.0] * 8))
    assert (found.p50_ms.low, found.p50_ms.high) == (2.0, 2.0)
    assert (found.ratio_to_fp32.low, found.ratio_to_fp32.high) == (1.0, 1.0)


def test_ratio_above_one_is_faster_than_fp32():
    found = latency(a_race(EIGHT), fp32=a_race([2 * ms for ms in EIGHT]))
    assert found.ratio_to_fp32.low == pytest.approx(2, rel=1e-5)


def test_runs_are_paired_by_round_and_not_by_place_in_the_list():
    race = a_race(EIGHT)
    turned = race.model_copy(update={"runs": tuple(reversed(race.runs))})
    assert paired_ratio(race, turned).high == 1.0


def test_rounds_that_one_kit_missed_are_left_out_on_both_sides():
    race = a_race([*EIGHT, 50.0])
    without_last = race.model_copy(update={"runs": race.runs[:-1]})
    assert paired_ratio(race, without_last) == paired_ratio(a_race(EIGHT), a_race(EIGHT))


def test_fewer_than_seven_common_rounds_give_no_ratio():
    race = a_race(EIGHT)
    assert paired_ratio(race, race.model_copy(update={"runs": race.runs[:6]})) is None


@pytest.mark.parametrize(("ours", "theirs"), [("race-1", "race-2"), (None, None), ("race-1", None)])
def test_runs_of_different_races_are_not_paired(ours, theirs):
    with pytest.raises(EdgecnnError, check=RACES_DIFFER.made):
        paired_ratio(a_race(EIGHT, race=theirs), a_race(EIGHT, race=ours))


def test_runs_under_different_conditions_are_not_paired():
    with pytest.raises(EdgecnnError, match=r"cores differ \(2 and 4\)", check=CONDITIONS_DIFFER.made):
        paired_ratio(a_race(EIGHT, cores="4"), a_race(EIGHT))


def test_a_condition_known_on_one_side_only_differs():
    with pytest.raises(EdgecnnError, match=r"governor differ \(unknown and powersave\)", check=CONDITIONS_DIFFER.made):
        paired_ratio(a_race(EIGHT, governor="powersave"), a_race(EIGHT))


def test_two_runtimes_may_race_each_other():
    ratio = paired_ratio(a_race(EIGHT), a_race(EIGHT, runtime="openvino", runtime_version="2026.4.1"))
    assert ratio.estimate == 1.0


def test_joining_runs_wants_the_runtime_too():
    ours, theirs = (Environment(conditions={"runtime_version": version}, observed={}) for version in ("1.30", "1.31"))
    with pytest.raises(EdgecnnError, match=r"runtime_version differ \(1.30 and 1.31\)", check=CONDITIONS_DIFFER.made):
        check_conditions(ours, theirs)


def test_two_runs_in_one_round_are_refused():
    race = a_race(EIGHT)
    with pytest.raises(EdgecnnError, check=ROUND_TWICE.made):
        paired_ratio(race, race.model_copy(update={"runs": (*race.runs, a_run(0))}))


def test_what_was_not_measured_has_no_figure_and_a_reason():
    found = Latency(reason="not measured on jetson-orin-nano: edgecnn bench", machine="jetson-orin-nano")
    assert (found.fidelity, found.p50_ms, found.runs) == (Fidelity.MISSING, None, 0)
    assert "edgecnn bench" in found.reason
