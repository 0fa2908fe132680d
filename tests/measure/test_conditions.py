from __future__ import annotations

import pytest

from edgecnn.measure.lab import changed_between, first_difference, same_conditions
from edgecnn.values.profile import CONDITIONS_THAT_MUST_MATCH, Environment
from tests.measure.labs import CONDITIONS


def environment(observed: dict[str, str] | None = None, **changes: str | None) -> Environment:
    stated = {**CONDITIONS, **changes}
    return Environment(conditions={name: value for name, value in stated.items() if value is not None}, observed=observed or {})


def test_what_changes_from_minute_to_minute_is_no_condition() -> None:
    assert same_conditions(environment({"load_1min": "9"}), environment({"load_1min": "0"}))


@pytest.mark.parametrize("name", CONDITIONS_THAT_MUST_MATCH)
def test_each_condition_alone_tells_two_observations_apart(name: str) -> None:
    assert not same_conditions(environment(**{name: "1"}), environment(**{name: "2"}))


def test_the_first_difference_is_said_with_both_values() -> None:
    stored, present = environment(cores="2", driver="550"), environment(cores="4", driver="560")
    assert first_difference(stored, present) == "cores was 2 then and is 4 now"


def test_a_condition_that_only_one_side_could_read_differs() -> None:
    assert first_difference(environment(), environment(power_mode="MAXN")) == "power_mode was unknown then and is MAXN now"
    assert first_difference(environment(governor="x"), environment(governor=None)) == "governor was x then and is unknown now"


def test_what_neither_side_could_read_does_not_differ() -> None:
    assert first_difference(environment(cpu=None), environment(cpu=None)) is None


def test_a_condition_that_nobody_listed_does_not_matter() -> None:
    assert same_conditions(environment(colour="red"), environment(colour="blue"))


def test_runs_of_a_kit_on_two_adapters_are_no_one_profile_and_nobody_asks_for_one_beforehand() -> None:
    def runs(*adapters: str) -> list[dict[str, object]]:
        return [{"environment": environment(webgpu_adapter=each).model_dump()} for each in adapters]

    assert changed_between(runs("intel", "intel")) is None
    assert changed_between(runs("intel", "nvidia")) == "webgpu_adapter was intel then and is nvidia now"
    assert same_conditions(environment(webgpu_adapter="intel"), environment())
