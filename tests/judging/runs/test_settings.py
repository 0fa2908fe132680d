"""A time says on how many threads it was taken, and with what else its session was set to."""

from __future__ import annotations

from edgecnn.judging.gates import judge
from edgecnn.judging.latency import knobs_text, latency, run_settings_of, threads_of
from edgecnn.judging.ratio import PairedRace, paired_finding
from edgecnn.values.profile import Profile
from tests.judging.made import a_gate, a_race, facts


def threaded(*threads: int | None, knobs: dict[str, str] | None = None) -> Profile:
    """Eight runs on so many threads, or each of the eight on its own number."""
    race = a_race([1.0] * (16 if len(threads) == 1 else len(threads)))
    each = threads if len(threads) > 1 else threads * 16
    runs = tuple(run.model_copy(update={"threads": number}) for run, number in zip(race.runs, each, strict=True))
    return race.model_copy(update={"runs": runs, "knobs": knobs or {}})


def test_threads_are_what_the_sessions_had_and_other_knobs_stand_beside_them() -> None:
    assert run_settings_of(threaded(2)) == "2 threads"
    assert (
        run_settings_of(threaded(1, knobs={"threads": "1", "session.intra_op.allow_spinning": "0"})) == "1 thread, spinning off"
    )
    assert run_settings_of(threaded(None)) is None
    assert run_settings_of(threaded(None, knobs={"threads": "1"})) == "1 thread"
    assert knobs_text({"A_LATER_KNOB": "7"}) == "A_LATER_KNOB=7"


def test_runs_that_differ_have_no_number_in_common() -> None:
    assert threads_of(threaded(1, 1, 1, 1, 1, 1, 1, 2).runs) is None


def test_a_latency_and_its_gate_say_on_how_many_threads() -> None:
    found = latency(threaded(2), machine="AMD EPYC")
    assert (found.threads, found.run_settings) == (2, "2 threads")
    result = judge(a_gate("p50_ms", bound=2.0), facts(latency=found))
    assert "AMD EPYC, 2 threads" in result.reason


def test_a_ratio_says_it_of_both_sides_where_they_differ() -> None:
    same = paired_finding([PairedRace(base=threaded(2), head=threaded(2))], "AMD EPYC")
    assert same.how.endswith("AMD EPYC, 2 threads")
    other = paired_finding([PairedRace(base=threaded(2), head=threaded(1))], "AMD EPYC")
    assert other.how.index("1 thread") < other.how.index("2 threads")
    unknown = paired_finding([PairedRace(base=threaded(None), head=threaded(None))], "AMD EPYC")
    assert unknown.how.endswith("AMD EPYC")
