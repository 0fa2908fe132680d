"""A soak says how much slower its end was than its beginning, and whether the machine slowed itself down."""

import pytest

from edgecnn.judging.resources import sustained
from edgecnn.values.profile import RunWindow
from tests.judging.made import a_race, a_run

QUIET = {"throttled": "no", "temperature_c": "50.0"}


def soak_of(medians_ms, observed=None, each=30):
    observed = observed or [QUIET] * len(medians_ms)
    windows = tuple(
        RunWindow(began_s=10.0 * place, seconds=10.0, samples=each, observed=seen) for place, seen in enumerate(observed)
    )
    samples = tuple(round(ms * 1e6) for ms in medians_ms for _ in range(each))
    run = a_run(0).model_copy(update={"samples_ns": samples, "windows": windows})
    return sustained(a_race([]).model_copy(update={"runs": (run,)}), "a machine")


def test_each_window_has_its_own_median():
    found = soak_of([1.0, 2.0, 3.0])
    assert [(window.p50_ms, window.samples, window.began_s, window.seconds) for window in found.windows] == [
        (1.0, 30, 0.0, 10.0), (2.0, 30, 10.0, 10.0), (3.0, 30, 20.0, 10.0),
    ]  # fmt: skip


def test_the_last_third_is_held_against_the_first():
    found = soak_of([1.0, 1.0, 1.1, 1.2, 1.3, 1.3])
    assert found.slowdown == pytest.approx(1.3)


def test_the_change_stands_beside_how_far_single_windows_differ():
    said = soak_of([1.0, 1.04, 1.0, 1.0, 0.99, 1.1]).says
    assert said.index("1.02 ×") < said.index("0.95 to 1.10 ×"), "a change that windows of one soak show anyway"


def test_throttling_is_said_with_the_windows_in_which_it_was():
    hot = {"throttled": "hot (3 times)"}
    found = soak_of([1.0, 1.5, 1.5], [QUIET, hot, hot])
    assert found.throttled is not None and found.throttled.startswith("hot (3 times)") and found.throttled in found.says


def test_a_machine_that_cannot_tell_is_not_taken_to_be_cool():
    found = soak_of([1.0, 1.0, 1.0], [QUIET, {}, QUIET])
    assert found.throttled is None


def test_windows_of_too_few_inferences_are_not_compared():
    assert soak_of([1.0, 2.0, 3.0], each=19).slowdown is None
    assert soak_of([1.0, 2.0]).slowdown is None


def test_what_was_not_soaked_has_nothing():
    assert sustained(a_race([1.0] * 8), "a machine") is None
