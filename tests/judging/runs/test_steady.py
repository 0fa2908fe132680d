"""A run is called steady where it is, a warm-up is found where there is one, and nothing is left out in silence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgecnn.judging.latency import latency, settling, steady
from tests.judging.made import a_race, a_run


def run_of(times_ms, warmup=0):
    ns = tuple(int(1e6 * ms) for ms in times_ms)
    return a_run(0).model_copy(update={"warmup_ns": ns[:warmup], "samples_ns": ns[warmup:]})


def noise(count, spread=0.05, seed=0):
    return np.random.default_rng(seed).lognormal(0, spread, count)


def test_a_constant_run_is_flat():
    assert settling(run_of([1.0] * 200)).state == "flat"


@pytest.mark.parametrize(("first", "state"), [(1.5, "faster"), (0.6, "slower")])
def test_a_first_tenth_at_another_level_is_found_with_its_length(first, state):
    times = noise(1000)
    times[:100] *= first
    found = settling(run_of(times))
    assert (found.state, found.inferences) == (state, 100)
    assert found.after_ms == pytest.approx(100 * first, rel=0.05)
    assert found.first_change == pytest.approx(first - 1, abs=0.05)


def test_a_change_in_the_last_half_does_not_settle():
    times = noise(1000)
    times[850:] *= 1.3
    assert settling(run_of(times)).state == "unsettled"


def test_a_run_that_gets_slower_all_the_time_does_not_settle():
    assert settling(run_of(noise(1000) * np.linspace(1, 2, 1000))).state == "unsettled"


def test_a_step_half_way_settles_there():
    times = noise(1000)
    times[:500] *= 0.7
    found = settling(run_of(times))
    assert (found.state, found.inferences) == ("slower", 500)


def test_one_disturbed_window_is_no_change_of_level():
    times = noise(1000)
    times[500:550] *= 3
    assert settling(run_of(times)).state == "flat"


def test_of_fewer_than_eighty_inferences_nothing_is_said():
    assert (settling(run_of([1.0] * 79)).state, settling(run_of([1.0] * 80)).state) == ("short", "flat")


@pytest.mark.parametrize("spread", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("count", [80, 200, 1500])
def test_noise_without_any_change_is_called_one_at_most_one_time_in_twenty(spread, count):
    states = [settling(run_of(noise(count, spread, seed))).state for seed in range(400)]
    assert states.count("flat") >= 0.95 * len(states)
    assert states.count("unsettled") <= 0.02 * len(states)


def test_recorded_samples_in_an_order_drawn_anew_are_flat():
    """Real inferences with their heavy tail, and whatever hung together in time taken out of them."""
    found = json.loads(Path(__file__).with_name("recorded_runs.json").read_text())["recordings"]
    runs = [run["samples_ns"] for one in found for run in one["thinned"]["runs"]]
    random = np.random.default_rng(3)
    states = [settling(run_of(random.choice(samples, 400) / 1e6)).state for samples in runs for _ in range(10)]
    assert states.count("flat") >= 0.95 * len(states)


def test_a_tenth_slower_for_the_first_fifth_is_found():
    found = []
    for seed in range(200):
        times = noise(1000, 0.05, seed)
        times[:200] *= 1.12
        found.append(settling(run_of(times)).state)
    assert found.count("faster") > 0.95 * len(found)


def test_all_flat_is_said_in_one_sentence():
    found = steady([run_of([1.0] * 100)] * 8)
    assert found.flat == 8
    assert (found.after_ms.low, found.after_ms.high) == (0, 0)


def test_a_warm_up_is_said_with_its_length_and_whether_it_went_on_into_the_timed_part():
    times = noise(1000)
    times[:100] *= 2
    found = steady([run_of(times, warmup=400)] * 6 + [run_of(times, warmup=50)] * 2)
    assert (found.faster, found.late) == (8, 2)
    assert f"{found.after_ms.estimate:.0f} ms" in found.says


def test_a_run_that_does_not_settle_is_said_and_the_machine_with_it():
    times = noise(1000)
    times[900:] *= 2
    found = steady([run_of(times)] * 3 + [run_of([1.0] * 100)] * 5, "41 % busy")
    assert (found.unsettled, found.after_ms) == (3, None)
    assert "41 % busy" in found.says


def test_short_runs_are_said_to_be_too_short():
    assert steady([a_run(0)] * 8).short == 8


def test_a_run_that_does_not_settle_stays_in_every_figure():
    times = noise(1000)
    times[900:] *= 2
    wild = run_of(times).model_copy(update={"round": 7})
    race = a_race([1.0] * 7, samples=1000)
    found = latency(race.model_copy(update={"runs": (*race.runs, wild)}))
    assert (found.runs, found.samples, found.steady.unsettled) == (8, 8000, 1)
    assert found.p50_ms is not None and found.p50_ms.confidence > 0.99


def test_what_timed_nothing_has_no_steadiness():
    assert latency(a_race([])).steady is None
