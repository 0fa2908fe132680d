"""What noise leaves open, in the sentences that a reader gets."""

from edgecnn.judging.gates import judge
from edgecnn.judging.runs.noise import rounds_needed, what_helps
from edgecnn.values.verdict import Verdict
from tests.judging.made import a_gate, a_latency, an_interval, facts


def test_rounds_grow_with_the_square_and_end_somewhere():
    assert rounds_needed(8, seen=0.1, wanted=0.05) == 32
    assert rounds_needed(8, seen=0.1, wanted=0.0999) == 9
    assert rounds_needed(8, seen=0.1, wanted=0.01) is None
    assert rounds_needed(8, seen=0.1, wanted=0.0) is None
    assert what_helps(32) == "about 32 rounds (--set race.rounds=32) or a quieter machine would tell"
    assert what_helps(None) == "a quieter machine would tell"


def test_an_unsure_latency_gate_says_how_many_rounds_would_settle_it():
    result = judge(a_gate("p50_ms", 2.0), facts(latency=a_latency(an_interval(1.9, 1.7, 2.1))))
    assert (result.verdict, result.rounds_to_settle) == (Verdict.UNSURE, 32)
    assert result.reason == (
        "p50 1.90 ms [1.70, 2.10] at 98.44 % (on AMD EPYC) leaves p50_ms ≤ 2 open: "
        "about 32 rounds (--set race.rounds=32) or a quieter machine would tell"
    )


def test_a_median_far_beyond_what_the_disturbance_explains_fails():
    busy = "other programs took 6 % of the processors' time"
    seen = a_latency(an_interval(80.0, 75.0, 90.0), an_interval(80.0, 75.0, 90.0), disturbed=busy, slowed_at_most=2)
    result = judge(a_gate("p50_ms", 20.0), facts(latency=seen))
    assert result.verdict is Verdict.FAIL
    assert result.reason.endswith(f"breaks p50_ms ≤ 20: {busy}, which can make it at most 2 times slower")
    assert judge(a_gate("p50_ms", 40.0), facts(latency=seen)).verdict is Verdict.UNSURE
    tail = judge(a_gate("p99_ms", 20.0), facts(latency=seen))
    assert tail.verdict is Verdict.UNSURE, "a single inference may be held up for longer than any share says"


def test_a_disturbed_machine_is_named_before_any_number_of_rounds():
    busy = "other programs took 41 % of the processors' time"
    result = judge(a_gate("p50_ms", 2.0), facts(latency=a_latency(an_interval(1.9, 1.7, 2.1), disturbed=busy)))
    assert result.reason.endswith(f"open: {busy}, an undisturbed machine (quiet, cool, well supplied) would settle it")
    assert result.rounds_to_settle is None
