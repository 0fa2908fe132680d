"""The gate on the ratio of two latencies, in the words and verdicts that a user reads."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.gates import CONDITIONS_DIFFER, RACES_DIFFER, ROUND_TWICE
from edgecnn.judging.latency import medians_by_round
from edgecnn.judging.ratio import PairedRace, RatioFinding, judge_ratio, paired_finding, unpaired_finding
from edgecnn.values.verdict import Fidelity, Verdict
from tests.judging.made import a_gate, a_race

GATE = a_gate("latency_ratio", 1.03)
STEADY = [1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 1.01, 0.99, 1.0]


def seen(race, **observed):
    return race.model_copy(update={"environment": race.environment.model_copy(update={"observed": observed})})


def pair(factor=1.0, *, of_head=None, of_base=None, race="race-1"):
    base = seen(a_race(STEADY, race=race), **(of_base or {}))
    head = seen(a_race([factor * ms for ms in STEADY], race=race), **(of_head or {}))
    return PairedRace(base=base, head=head)


def judged(*races, gate=GATE):
    return judge_ratio(gate, paired_finding(races, "AMD EPYC"), "onnxruntime-int8")


def test_a_kit_that_is_as_fast_passes_with_its_figures_margin_and_error():
    result = judged(pair())
    assert result.verdict is Verdict.PASS
    assert result.fidelity is Fidelity.MEASURED
    assert all(fact in result.reason for fact in ("1.000 ×", "98.05 %", "10 ", "AMD EPYC", "3 %", "α 1 %"))


def test_a_kit_that_is_a_tenth_slower_fails():
    result = judged(pair(1.1))
    assert result.verdict is Verdict.FAIL
    assert "1.100 ×" in result.reason


def test_an_interval_across_the_bound_is_open_and_says_what_would_settle_it():
    base = a_race([1.0] * 10)
    head = a_race([0.95, 1.05] * 5)
    result = judged(PairedRace(base=base, head=head))
    assert result.verdict is Verdict.UNSURE
    assert "--rounds 50" in result.reason


def test_what_no_number_of_rounds_that_anybody_waits_for_would_settle_names_none():
    result = judged(PairedRace(base=a_race([1.0] * 10), head=a_race([0.8, 1.25] * 5)), gate=a_gate("latency_ratio", 1.001))
    assert "--rounds" not in result.reason


def test_a_bound_below_one_asks_for_a_speed_up():
    gate = a_gate("latency_ratio", 0.9)
    assert judged(pair(0.8), gate=gate).verdict is Verdict.PASS
    failed = judged(pair(1.0), gate=gate)
    assert failed.verdict is Verdict.FAIL
    assert "10 % faster" in failed.reason


def test_pairs_of_several_races_count_together():
    result = judged(pair(1.1), pair(1.1, race="race-2"))
    assert "20 interleaved rounds" in result.reason


def test_other_work_that_met_both_alike_takes_no_verdict_away():
    busy = {"others_percent": "60.0"}
    assert judged(pair(1.1, of_head=busy, of_base=busy)).verdict is Verdict.FAIL
    assert judged(pair(1.0, of_head=busy, of_base=busy)).verdict is Verdict.PASS


def test_other_work_that_met_head_alone_fails_nothing():
    result = judged(pair(1.1, of_head={"others_percent": "60.0"}, of_base={"others_percent": "40.0"}))
    assert result.verdict is Verdict.UNSURE
    assert "60 %" in result.reason and "40 %" in result.reason


def test_other_work_explains_no_more_than_it_can():
    busy = {"others_percent": "40.0"}
    assert judged(pair(1.9, of_head=busy)).verdict is Verdict.UNSURE
    failed = judged(pair(2.2, of_head=busy))
    assert failed.verdict is Verdict.FAIL
    assert "40 %" in failed.reason and " 2 times" in failed.reason
    assert unpaired(2.2, of_head=busy).verdict is Verdict.FAIL
    assert unpaired(0.6, of_base=busy).verdict is Verdict.UNSURE
    assert unpaired(0.4, of_base=busy).verdict is Verdict.PASS
    assert judged(pair(9.0, of_head={"throttled": "heat", "throttled_percent": "80"})).verdict is Verdict.UNSURE


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("worst", [{"others_percent": "100.0"}, {"throttled": "heat", "throttled_percent": "90"}])
def test_one_race_of_several_that_nothing_bounds_leaves_all_unbounded(at, worst):
    busy = [{"others_percent": "40.0"}, {"others_percent": "40.0"}]
    busy[at] = worst
    races = [pair(9.0, of_head=seen_there, race=f"race-{number}") for number, seen_there in enumerate(busy)]
    assert judged(*races).verdict is Verdict.UNSURE


def test_other_work_that_met_base_alone_passes_nothing():
    busy = {"others_percent": "60.0"}
    assert judged(pair(1.0, of_base=busy)).verdict is Verdict.UNSURE
    assert judged(pair(1.1, of_base=busy)).verdict is Verdict.FAIL


def test_throttling_of_one_side_alone_takes_the_verdict_away():
    result = judged(pair(1.1, of_head={"throttled": "heat", "throttled_percent": "80"}))
    assert result.verdict is Verdict.UNSURE
    assert "80 %" in result.reason


def test_too_few_rounds_are_open_and_never_a_pass():
    few = PairedRace(base=a_race([1.0] * 5), head=a_race([1.0] * 5))
    result = judged(few)
    assert (result.verdict, result.figure) == (Verdict.UNSURE, None)
    assert result.reason.startswith("5 ")


SLOW = [300.0, 300.0, 300.0, 240.0] * 12
"""Milliseconds of HEAD, where BASE takes 240: in 5 s the slow rounds give 17 samples, and 20 make a median."""


def in_5_s(race):
    """Each run with as many samples as fit in."""
    cut = tuple(
        run.model_copy(update={"samples_ns": run.samples_ns[: -(-5_000_000_000 // run.samples_ns[0])]}) for run in race.runs
    )
    return race.model_copy(update={"runs": cut})


def test_a_run_that_was_too_slow_for_a_median_leaves_the_ratio_open_and_is_not_dropped():
    base, head = in_5_s(a_race([240.0] * 48)), in_5_s(a_race(SLOW))
    result = judged(PairedRace(base=base, head=head))
    assert (result.verdict, result.figure) == (Verdict.UNSURE, None)
    assert result.reason.startswith("36 of 96 runs")
    assert judged(PairedRace(base=a_race([240.0] * 48), head=a_race(SLOW))).verdict is Verdict.FAIL


def test_unpaired_too():
    found = unpaired_finding(in_5_s(a_race(SLOW)), [a_race([240.0] * 16)])
    assert found.ratio is None and (found.open or "").startswith("36 of 48 runs")


def test_what_did_not_run_is_missing_with_the_reason():
    result = judge_ratio(GATE, RatioFinding(ratio=None, absent="no engine"), "tensorrt-fp16")
    assert (result.verdict, result.fidelity, result.reason) == (Verdict.MISSING, Fidelity.MISSING, "no engine")


def test_a_condition_that_an_older_kit_s_runner_could_not_read_is_no_difference():
    both = pair(1.1)
    newer = both.head.environment.model_copy(update={"conditions": {**both.head.environment.conditions, "affinity": "0-1"}})
    assert judged(PairedRace(base=both.base, head=both.head.model_copy(update={"environment": newer}))).verdict is Verdict.FAIL


def test_two_kits_of_different_machines_are_not_compared():
    with pytest.raises(EdgecnnError, check=CONDITIONS_DIFFER.made):
        judged(PairedRace(base=a_race(STEADY), head=a_race(STEADY, cpu="another")))


def test_runs_that_were_not_interleaved_are_not_paired():
    with pytest.raises(EdgecnnError, check=RACES_DIFFER.made):
        judged(PairedRace(base=a_race(STEADY, race="race-1"), head=a_race(STEADY, race="race-2")))


def test_a_round_that_stands_twice_is_refused():
    race = a_race(STEADY)
    with pytest.raises(EdgecnnError, check=ROUND_TWICE.made):
        medians_by_round(race.model_copy(update={"runs": (*race.runs, race.runs[0])}))


def unpaired(head_factor, *, of_head=None, of_base=None):
    days = [seen(a_race([factor * ms for ms in STEADY]), **(of_base or {})) for factor in (0.998, 1.0, 1.002)]
    head = seen(a_race([head_factor * ms for ms in STEADY], race="another"), **(of_head or {}))
    return judge_ratio(GATE, unpaired_finding(head, days), "onnxruntime-int8")


def test_runs_of_another_day_pass_and_fail_by_an_unpaired_test_that_is_named():
    passed, failed = unpaired(0.95), unpaired(1.2)
    assert (passed.verdict, failed.verdict) == (Verdict.PASS, Verdict.FAIL)
    assert "unpaired, 10 runs against 3 " in failed.reason


def test_unpaired_a_busy_present_fails_nothing_and_a_busy_past_passes_nothing():
    busy = {"others_percent": "30.0"}
    assert unpaired(1.2, of_head=busy).verdict is Verdict.UNSURE
    assert unpaired(0.95, of_head=busy).verdict is Verdict.PASS
    past = unpaired(0.95, of_base=busy)
    assert past.verdict is Verdict.UNSURE
    assert "30 %" in past.reason
    assert unpaired(1.2, of_base=busy).verdict is Verdict.FAIL


def test_a_baseline_ages():
    """A machine whose pace walks by 0.5 % a day moves by 3 % in a month, and three days in a row do not show that."""
    random = np.random.default_rng(6)

    def wrong(gap: int) -> int:
        errors = 0
        for _ in range(200):
            walk = np.cumsum(random.normal(0, 0.005, 3 + gap))
            base = [dated(float(np.exp(walk[day])), day) for day in range(3)]
            head = dated(1.03 * float(np.exp(walk[-1])), 2 + gap)
            finding = unpaired_finding(head, base)
            errors += judge_ratio(GATE, finding, "x").verdict is not Verdict.UNSURE
        return errors

    assert wrong(30) <= 12, "2 % of verdicts may be wrong; 30 % were"


def dated(ms: float, day: int):
    made = a_race([ms] * 8)
    moment = datetime(2026, 10, 1, 9, tzinfo=UTC) + timedelta(days=day)
    return made.model_copy(update={"observed_at": moment.isoformat()})


def test_the_sentence_says_how_old_the_last_record_is():
    old = unpaired_finding(dated(1.0, 40), [dated(ms, day) for day, ms in enumerate((1.0, 1.01, 0.99))])
    young = unpaired_finding(dated(1.0, 3), [dated(ms, day) for day, ms in enumerate((1.0, 1.01, 0.99))])
    assert "38 days" in old.how and "days old" not in young.how
    assert old.ratio.high > young.ratio.high
