from __future__ import annotations

from typing import Any

from edgecnn.render.sentences import latency_lines
from edgecnn.values.figures import Steady
from tests.judging.made import a_latency, an_interval, facts


def line(**changes: Any) -> str:
    (found,) = latency_lines([facts(latency=a_latency(an_interval(2.0, 1.9, 2.1), **changes))])
    return found


def test_every_figure_is_said_with_its_interval() -> None:
    known = {name: an_interval(ms, ms - 1, ms + 1) for name, ms in (("p90_ms", 3), ("load_ms", 30), ("first_ms", 5))}
    known["cold_start_ms"] = an_interval(900, 850, 990)
    assert line(p99=an_interval(4, 3, 5), **known) == (
        "`onnxruntime-int8` in the race for the report: p50 2.00 [1.90, 2.10], p90 3.00 [2.00, 4.00], p99 4.00 [3.00, 5.00], "
        "opening the model 30.00 [29.00, 31.00], first inference 5.00 [4.00, 6.00], "
        "from the start of a process to its first answer 900.00 [850.00, 990.00] ms"
    )


def test_what_is_not_known_says_why_once() -> None:
    few = "3 of 8 runs did not record it"
    said = line(absent={"p90_ms": "a run has only 50 samples; it needs 100", "cold_start_ms": few, "load_ms": few})
    assert said == (
        "`onnxruntime-int8` in the race for the report: p50 2.00 [1.90, 2.10] ms; not known: p90 (a run has only 50 "
        "samples; it needs 100); "
        f"not known: opening the model, from the start of a process to its first answer ({few})"
    )


def test_who_was_not_raced_has_no_line() -> None:
    assert latency_lines([facts(), facts(latency=a_latency(None, runs=0, reason="not raced"))]) == []


def test_what_the_runs_were_like_is_a_line_of_its_own() -> None:
    steady = Steady(flat=8, faster=0, slower=0, unsettled=0, short=0, late=0, after_ms=None, says="steady from the start")
    known = a_latency(an_interval(2.0), steady=steady, stopped="stopped after 14 rounds")
    assert latency_lines([facts(latency=known)])[1] == (
        "runs of `onnxruntime-int8`: stopped after 14 rounds; steady from the start"
    )
