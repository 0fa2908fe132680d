"""Loading, first inference and cold start are figures over runs, or absent with the reason."""

from edgecnn.judging.latency import latency, startup
from tests.judging.made import a_race, a_run


def runs(count=8, **changes):
    order = (4, 0, 7, 2, 5, 1, 6, 3)
    return [a_run(n).model_copy(update={"load_ns": (order[n] + 1) * 1_000_000, **changes}) for n in range(count)]


def test_loading_is_the_median_over_runs_with_the_runs_extremes():
    found = startup(runs())
    assert (found.load_ms.estimate, found.load_ms.low, found.load_ms.high) == (4.5, 1.0, 8.0)


def test_first_inference_and_cold_start_are_milliseconds():
    found = startup(runs(first_ns=2_500_000, process_ns=900_000_000))
    assert (found.first_ms.estimate, found.cold_start_ms.estimate, found.absent) == (2.5, 900.0, {})


def test_a_run_that_did_not_record_its_start_leaves_the_figure_out_and_says_so():
    found = startup([*runs(7, process_ns=1), a_run(7)])
    assert (found.cold_start_ms, found.absent) == (None, {"cold_start_ms": "1 of 8 runs did not record it"})


def test_too_few_runs_have_no_interval():
    assert startup(runs(1)).absent["load_ms"] == "1 run: too few for an interval"


def test_a_race_carries_them_and_says_what_it_cannot():
    race = a_race([1.0] * 8, samples=99)
    found = latency(race.model_copy(update={"runs": tuple(run.model_copy(update={"process_ns": 5}) for run in race.runs)}))
    assert (found.load_ms.estimate, found.first_ms.estimate, found.cold_start_ms.estimate) == (1e-6, 1e-6, 5e-6)
    assert found.absent == {
        "tails_within_ms": "it takes 17 runs to show that three of four processes stay below it",
        "p90_ms": "a run has only 99 samples; it needs 100",
        "p99_ms": "a run has only 99 samples; it needs 1000",
    }


def test_a_race_in_which_nothing_ran_has_its_reason_once():
    found = latency(a_race([]))
    assert (found.absent, found.reason) == ({}, "nothing ran")
