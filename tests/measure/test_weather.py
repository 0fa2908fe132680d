from __future__ import annotations

from typing import Any

from edgecnn.measure.weather import joined_environment
from tests.measure.labs import CONDITIONS


def runs(*observed: dict[str, str]) -> list[dict[str, Any]]:
    return [{"environment": {"conditions": CONDITIONS, "observed": each}} for each in observed]


def seen(*observed: dict[str, str]) -> dict[str, str]:
    return dict(joined_environment(runs(*observed)).observed)


def test_shares_are_medians_and_heat_is_the_worst() -> None:
    found = seen(
        {"steal_percent": "0.10", "temperature_c": "51.0"},
        {"steal_percent": "9.00", "temperature_c": "83.5"},
        {"steal_percent": "0.30", "temperature_c": "60.0"},
    )
    assert found == {"steal_percent": "0.30", "temperature_c": "83.5"}


def test_throttling_is_said_with_its_causes_and_the_share_of_runs() -> None:
    found = seen({"throttled": "no"}, {"throttled": "too hot (3 times), under-voltage"}, {"throttled": "too hot (1 time)"})
    assert found == {"throttled": "too hot, under-voltage", "throttled_percent": "67"}
    assert seen({"throttled": "no"}, {"throttled": "no"}) == {"throttled": "no", "throttled_percent": "0"}


def test_a_run_that_could_not_tell_leaves_throttling_unknown() -> None:
    assert seen({"throttled": "no"}, {}) == {}


def test_what_only_the_first_run_says_of_the_machine_is_kept() -> None:
    assert seen({"model": "Raspberry Pi 5"}, {})["model"] == "Raspberry Pi 5"


def test_what_no_run_could_read_stays_absent() -> None:
    assert seen({}, {}) == {}
