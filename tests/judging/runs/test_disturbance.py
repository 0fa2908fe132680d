"""Time that a kit waited for a processor takes a verdict away where it may explain it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from edgecnn.judging.choice import contest_of
from edgecnn.judging.disturbance import disturbed, lost_percent, lost_share
from edgecnn.judging.gates import judge
from edgecnn.judging.latency import latency
from edgecnn.judging.ratio import PairedRace, judge_ratio, paired_finding
from edgecnn.judging.regret import ENOUGH, LOOKS
from edgecnn.values.profile import Profile, Run, RunWaiting
from edgecnn.values.verdict import Verdict
from tests.judging.made import CONDITIONS, a_gate, a_race, a_run, facts

GATE = a_gate("latency_ratio", 1.03)
QUIET = [1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 1.01, 0.99, 1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.0]


def waited(run: Run, share: float, others: float | None = 9.0) -> Run:
    """The run, whose threads waited for this share of its time; ``others``: time of other programs, relative to its time."""
    wall_ns = sum(run.samples_ns)
    others_ns = None if others is None else round(others * wall_ns)
    waiting = RunWaiting(wall_ns=wall_ns, ran_ns=wall_ns, waited_ns=round(share * wall_ns), switched=1, others_ns=others_ns)
    return run.model_copy(update={"waiting": waiting})


def raced(
    medians_ms: Sequence[float], lost: float | None, others: str = "1.0", threads: int = 2, race: str | None = "race-1"
) -> Profile:
    """A race of one kit that lost this share of its time; None: no run says so."""
    made = a_race(medians_ms, race=race)
    runs = [run if lost is None else waited(run, lost) for run in made.runs]
    environment = made.environment.model_copy(
        update={"conditions": {**CONDITIONS, "cpu_limit": "none"}, "observed": {"others_percent": others}}
    )
    runs = [run.model_copy(update={"threads": threads}) for run in runs]
    return made.model_copy(update={"runs": tuple(runs), "environment": environment})


def verdict(head: Profile, base: Profile) -> Verdict:
    return judge_ratio(GATE, paired_finding([PairedRace(head=head, base=base)], "here"), "x").verdict


def times(factor: float) -> list[float]:
    return [factor * ms for ms in QUIET]


def test_lost_time_is_what_the_median_exceeds_the_mean_without_waiting():
    assert lost_share(waited(a_run(0, 2.0), 0.45)) == pytest.approx(0.45)
    assert lost_share(a_run(0)) is None
    one_slow = a_run(0).model_copy(update={"samples_ns": (1_000_000,) * 49 + (51_000_000,)})
    assert lost_share(waited(one_slow, 0.5)) == 0.0, "one sample waited for half of the time, and the median did not"
    assert lost_percent([waited(a_run(0), 0.2), waited(a_run(1), 0.4)]) == pytest.approx(30)
    assert lost_percent([waited(a_run(0), 0.2), a_run(1)]) is None


def test_threads_that_wait_for_each_other_on_a_quiet_machine_lose_nothing():
    assert lost_share(waited(a_run(0), 0.8, others=0.0)) == 0.0
    assert lost_share(waited(a_run(0), 0.8, others=None)) == pytest.approx(0.8), "without the time of others, all counts"


def test_a_kit_that_waited_is_named_although_the_machine_as_a_whole_was_quiet():
    assert disturbed([raced(QUIET, 0.01)]) is None
    because = disturbed([raced(QUIET, 0.3)])
    assert because is not None and "30 %" in because


def test_a_kit_that_waited_fails_no_bound_that_it_may_keep_and_passes_one_that_it_kept():
    slow = facts(latency=latency(raced(times(2.0), 0.4)))
    assert judge(a_gate("p50_ms", 1.5), slow).verdict is Verdict.UNSURE
    assert judge(a_gate("p50_ms", 3.0), slow).verdict is Verdict.PASS
    assert judge(a_gate("p50_ms", 0.5), slow).verdict is Verdict.FAIL, "no other work makes it four times slower"


def test_a_slower_build_with_one_thread_does_not_pass_because_the_other_build_shares_its_processors():
    """HEAD takes 1.2 and BASE 1.0 on an idle machine. Next to one busy program, BASE takes 1.8."""
    head, base = raced(times(1.2), 0.01, "50.0", threads=1), raced(times(1.8), 0.45, "27.0")
    assert verdict(head, base) is Verdict.UNSURE


def test_an_equal_build_with_two_threads_does_not_fail_next_to_a_busy_program():
    head, base = raced(times(1.8), 0.45, "27.0"), raced(times(1.0), 0.01, "50.0", threads=1)
    assert verdict(head, base) is Verdict.UNSURE


def test_a_build_that_passes_although_it_lost_more_passes():
    assert verdict(raced(times(1.0), 0.45, "27.0"), raced(times(1.0), 0.01, "50.0", threads=1)) is Verdict.PASS


def test_builds_that_lost_alike_are_decided_if_the_time_without_waiting_agrees():
    assert verdict(raced(times(2.2), 0.45, "27.0"), raced(times(1.8), 0.45, "27.0")) is Verdict.FAIL
    assert verdict(raced(times(1.8), 0.45, "27.0"), raced(times(1.8), 0.45, "27.0")) is Verdict.PASS
    assert verdict(raced(times(1.0), 0.0), raced(times(1.0), 0.04)) is Verdict.UNSURE, "4 % of waiting hide a breach of 3 %"


def test_without_a_record_other_work_decides_nothing_between_kits_with_different_threads():
    head, base = raced(times(1.2), None, "40.0", threads=1), raced(times(1.8), None, "40.0")
    assert verdict(head, base) is Verdict.UNSURE
    assert verdict(raced(times(1.0), None, "40.0"), raced(times(1.8), None, "40.0")) is Verdict.PASS


def first_race(rounds: int, two: float | None, one: float | None, others: str = "40.0") -> dict[str, Profile]:
    """Two kits, 1 : 1.2 on an idle machine, of which the faster one shares its processors."""
    slowed = 1.0 if two is None else 1.0 / (1 - two)
    return {
        "two": raced((QUIET * 2)[:rounds] if two is None else [slowed * ms for ms in (QUIET * 2)[:rounds]], two, others),
        "one": raced([1.2 * ms for ms in (QUIET * 2)[:rounds]], one, others, threads=1),
    }


def test_waiting_is_an_unknown_cost_so_no_look_settles_the_choice():
    for rounds in LOOKS:
        contest = contest_of("latency", first_race(rounds, 0.45, 0.01), "here")
        assert contest.lead.regret > 0.1
        assert contest.still_racing(ENOUGH) and not contest.is_final(contest.lead)


def test_a_disturbed_race_needs_two_looks_that_agree():
    early = contest_of("latency", first_race(LOOKS[0], 0.0, 0.0), "here")
    assert early.lead.regret < ENOUGH
    assert early.still_racing(ENOUGH) == {"two", "one"} and not early.is_final(early.lead)
    later = contest_of("latency", first_race(LOOKS[1], 0.0, 0.0), "here")
    assert not later.still_racing(ENOUGH) and later.is_final(later.lead)
    quiet = contest_of("latency", first_race(LOOKS[0], 0.0, 0.0, "1.0"), "here")
    assert not quiet.still_racing(ENOUGH) and quiet.is_final(quiet.lead)


def test_a_disturbed_race_without_a_record_of_waiting_is_never_final():
    contest = contest_of("latency", first_race(24, None, None, "85.0"), "here")
    assert contest.lead.regret < ENOUGH and not contest.still_racing(ENOUGH)
    assert not contest.is_final(contest.lead)
