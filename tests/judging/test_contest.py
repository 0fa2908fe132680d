"""Throughput and energy choose as latency does: by the best estimate of one race, with what it is expected to cost."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.gates import RACES_DIFFER
from edgecnn.judging.choice import ChoiceRules, Chosen, Contest, choose, contest_of
from edgecnn.values.profile import EnergyReading, Profile, Run, RunEnergy, Stretch
from edgecnn.values.reason import Alike, FewerImages, MoreEnergy, Taken
from tests.judging.made import a_race, a_run, an_accuracy, facts

FP32, INT8 = "onnxruntime-fp32", "onnxruntime-int8"
ROUNDS = (1.0, 1.02, 0.98, 1.01, 0.99, 1.0, 1.03, 0.97)
"""What each round adds to everyone in it."""


def batched(images_per_s: float, batch: int, own: Sequence[float] = (1.0,), **changes: object) -> Profile:
    call_ms = 1e3 * batch / images_per_s
    runs = [
        a_run(n, call_ms * weather * own[n % len(own)]).model_copy(update={"batch": batch}) for n, weather in enumerate(ROUNDS)
    ]
    return profile(runs, **changes)


def profile(runs: Sequence[Run], **changes: object) -> Profile:
    return a_race([1.0]).model_copy(update={"runs": tuple(runs), **changes})


def metered(mj: float, meters: Sequence[str] = ("rapl",), own: Sequence[float] = (1.0,)) -> Profile:
    def run(number: int, weather: float) -> Run:
        stretch = Stretch(began_unix_ns=0, seconds=4.0, clock_s=4.0)
        work_j = mj * weather * own[number % len(own)] / 10  # of 100 images
        readings = tuple(
            EnergyReading(meter=name, covers="the packages", idle_j=1.0, idle_s=4.0, work_j=work_j, work_s=4.0) for name in meters
        )
        read = RunEnergy(images=100, idle=stretch, work=stretch, readings=readings, absent={})
        return a_run(number).model_copy(update={"energy": read, "samples_ns": ()})

    return profile([run(number, weather) for number, weather in enumerate(ROUNDS)])


def chosen(contest: Contest, *, attached: bool = True) -> Chosen:
    rows = [facts(FP32, is_baseline=True, validation=an_accuracy()), facts(INT8, validation=an_accuracy())]
    return choose(rows, ChoiceRules(objective=contest.objective, attached=attached), contest=contest)


def test_int8_with_more_images_a_second_is_chosen_with_the_number_of_images_in_a_call() -> None:
    found = chosen(contest_of("throughput", {FP32: batched(200.0, 4), INT8: batched(500.0, 8)}, "AMD EPYC"))
    assert (found.choice.state, found.choice.candidate) == ("settled", INT8)
    assert all(fact in found.reasons[INT8] for fact in ("501.9 images", "batch 8"))
    assert all(fact in found.reasons[FP32] for fact in ("200.8", "501.9", "0.40 ×", "AMD EPYC"))


def test_images_a_second_that_are_alike_leave_the_higher_precision() -> None:
    unsteady = (1.1, 0.9, 1.1, 0.85, 1.1, 0.9, 1.05, 0.9)
    found = chosen(contest_of("throughput", {FP32: batched(200.0, 4), INT8: batched(197.0, 4, unsteady)}, "AMD EPYC"))
    assert found.choice.candidate == FP32
    because = found.because[INT8]
    assert isinstance(because, Alike) and because.objective == "throughput"
    assert "the images per second" in found.reasons[INT8]


def test_the_drift_of_the_machine_takes_nothing_from_a_paired_ratio() -> None:
    """Each kit by itself spreads by 6 %, and 1 % between them is seen: every round has the same conditions for both."""
    contest = contest_of("throughput", {FP32: batched(200.0, 4), INT8: batched(202.0, 4)}, "AMD EPYC")
    ratio = contest.ratio(INT8, FP32)
    assert ratio.estimate == pytest.approx(1.01) and ratio.confidence == 0.0


def test_int8_that_takes_less_energy_is_chosen() -> None:
    found = chosen(contest_of("energy", {FP32: metered(40.0), INT8: metered(30.0)}, "a board"))
    assert found.choice.candidate == INT8
    assert "29.88 mJ" in found.choice.why
    assert all(fact in found.reasons[FP32] for fact in ("39.85 mJ", "29.88", "rapl", "1.33 ×"))
    assert isinstance(found.because[FP32], MoreEnergy)


def test_int8_that_takes_more_energy_is_not() -> None:
    found = chosen(contest_of("energy", {FP32: metered(40.0), INT8: metered(41.0)}, "a board"))
    assert found.choice.candidate == FP32
    taken = found.because[FP32]
    assert isinstance(taken, Taken)
    assert (taken.objective, taken.ms) == ("energy", None)
    assert taken.energy_mj == pytest.approx(40.0, rel=0.01)
    assert "more energy" in found.reasons[INT8]


def test_meters_that_cover_different_parts_are_not_compared() -> None:
    contest = contest_of("energy", {FP32: metered(40.0, ("rapl",)), INT8: metered(30.0, ("external", "rapl"))}, "a board")
    assert contest.meter == "rapl"
    assert not contest_of("energy", {FP32: metered(40.0, ("rapl",)), INT8: metered(30.0, ("nvml",))}, "a board").shown


def test_the_processors_meter_does_not_speak_for_a_model_that_ran_on_the_gpu() -> None:
    contest = contest_of("energy", {FP32: metered(40.0, ("rapl",)), INT8: metered(3.0, ("nvml", "rapl"))}, "a board")
    assert not contest.shown
    found = chosen(contest)
    assert found.choice.state == "provisional"
    assert "no meter measured all candidates" in found.reasons[INT8]
    whole = contest_of("energy", {FP32: metered(40.0, ("external", "rapl")), INT8: metered(3.0, ("external", "nvml"))}, "a board")
    assert whole.meter == "external"


def test_figures_of_two_races_are_refused() -> None:
    with pytest.raises(EdgecnnError, check=RACES_DIFFER.made):
        contest_of("throughput", {FP32: batched(200.0, 4), INT8: batched(500.0, 8, race="another")}, "AMD EPYC")


def test_a_run_without_a_figure_takes_all_of_that_candidate() -> None:
    short = metered(30.0)
    broken = short.model_copy(update={"runs": (*short.runs[:-1], short.runs[-1].model_copy(update={"energy": None}))})
    assert not contest_of("energy", {FP32: metered(40.0), INT8: broken}, "a board").shown


def test_on_a_device_that_is_not_here_the_choice_stays_provisional() -> None:
    contest = contest_of("throughput", {FP32: batched(200.0, 4), INT8: batched(500.0, 8)}, "AMD EPYC")
    assert chosen(contest, attached=False).choice.state == "provisional"


def test_fewer_images_is_a_typed_fact() -> None:
    because = chosen(contest_of("throughput", {FP32: batched(200.0, 4), INT8: batched(500.0, 8)}, "AMD EPYC")).because[FP32]
    assert isinstance(because, FewerImages) and (because.batch, because.against_batch) == (4, 8)


def test_a_network_that_gives_few_samples_within_the_time_of_a_run_is_chosen_among_all_the_same() -> None:
    """At 700 ms a call two seconds hold three samples, of which no percentile would be reported."""
    slow = {name: profile([a_run(n, ms).model_copy(update={"samples_ns": (int(ms * 1e6),) * 3}) for n in range(3)])
            for name, ms in ((FP32, 700.0), (INT8, 400.0))}  # fmt: skip
    found = chosen(contest_of("latency", slow, "a board"))
    assert (found.choice.candidate, found.choice.state) == (INT8, "settled")
