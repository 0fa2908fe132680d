"""A setting other than the default has to be measured faster, by a paired interval that lies beyond 1."""

from __future__ import annotations

from edgecnn.judging.choice import KnobRuns, judge_knobs, taken_knobs
from edgecnn.values.candidate import DEFAULT, Knobs, KnobTrial
from tests.judging.made import a_race

ONE, EXTENDED, WAITING = Knobs(threads=1), Knobs(graph_optimization_level="extended"), Knobs(spinning=False)
TIMES = (1.0, 1.02, 0.99, 1.01, 1.0, 0.98, 1.03, 1.0)


def raced(knobs: Knobs, times: float, *, samples: int = 50) -> KnobRuns:
    """A setting whose every run takes so many times as long as the default's, give or take."""
    wobble = (1.0, 1.01, 0.99, 1.0, 1.01, 0.99, 1.0, 1.0)
    return KnobRuns(knobs, a_race([ms * times * w for ms, w in zip(TIMES, wobble, strict=True)], samples=samples))


def judged(*settings: KnobRuns, unusable: dict[Knobs, str] | None = None) -> tuple[KnobTrial, ...]:
    return judge_knobs(a_race(TIMES), settings, unusable)


def outcomes(trials: tuple[KnobTrial, ...]) -> list[str]:
    return [trial.outcome for trial in trials]


def test_the_fastest_that_was_measured_faster_is_taken() -> None:
    trials = judged(raced(ONE, 0.8), raced(EXTENDED, 0.7), raced(WAITING, 1.3))
    assert outcomes(trials) == ["faster", "taken", "not-shown"]
    assert taken_knobs(trials) == EXTENDED
    assert trials[1].ratio is not None and trials[1].ratio.estimate > 1.35


def test_no_level_is_stated_of_a_setting_since_several_are_raced() -> None:
    stated = [
        trial.ratio.confidence for trial in judged(raced(ONE, 0.8), raced(EXTENDED, 0.7), raced(WAITING, 1.3)) if trial.ratio
    ]
    assert stated == [0.0, 0.0, 0.0]


def test_equal_settings_leave_the_default() -> None:
    trials = judged(raced(ONE, 1.0), raced(EXTENDED, 0.999))
    assert outcomes(trials) == ["not-shown", "not-shown"]
    assert taken_knobs(trials) == DEFAULT


def test_a_slower_setting_loses_whatever_its_interval() -> None:
    trials = judged(raced(ONE, 2.0))
    assert outcomes(trials) == ["not-shown"]
    assert trials[0].ratio is not None and trials[0].ratio.estimate < 1


def test_what_does_not_answer_as_the_kit_must_is_not_taken_and_the_next_is() -> None:
    trials = judged(raced(ONE, 0.8), raced(EXTENDED, 0.7), unusable={EXTENDED: "the model does not give the golden logits"})
    assert outcomes(trials) == ["taken", "unusable"]
    assert (taken_knobs(trials), trials[1].why) == (ONE, "the model does not give the golden logits")


def test_beside_other_work_nothing_is_taken_since_it_favours_fewer_threads() -> None:
    quiet = raced(ONE, 0.6)
    assert quiet.profile is not None
    busy = quiet.profile.environment.model_copy(update={"observed": {"others_percent": "40.0"}})
    (trial,) = judged(KnobRuns(ONE, quiet.profile.model_copy(update={"environment": busy})))
    assert (trial.outcome, trial.why) == ("disturbed", "other programs used 40 % of the CPU time")
    assert trial.ratio is not None and trial.ratio.estimate > 1
    assert taken_knobs((trial,)) == DEFAULT


def test_a_setting_that_did_not_run_says_why() -> None:
    (trial,) = judged(KnobRuns(ONE, None, "a run did not end"))
    assert (trial.outcome, trial.ratio, trial.why) == ("unusable", None, "a run did not end")


def test_runs_that_are_too_short_or_too_few_show_nothing() -> None:
    (short,) = judged(raced(ONE, 0.5, samples=5))
    assert (short.outcome, short.ratio) == ("not-shown", None)
    assert short.why is not None and short.why.startswith("8 of 16 runs have fewer than 20 samples")
    (few,) = judge_knobs(a_race(TIMES[:3]), [KnobRuns(ONE, a_race([0.5, 0.5, 0.5]))])
    assert (few.outcome, few.why) == ("not-shown", "3 paired rounds are too few for an interval")
