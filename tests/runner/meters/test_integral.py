from __future__ import annotations

import pytest

from edgecnn.runner.meters.meter import MeterAbsent, Power, joules


def line(first_s: float, last_s: float, step_s: float = 0.5, slope: float = 0.0) -> list[Power]:
    count = round((last_s - first_s) / step_s) + 1
    return [Power(first_s + step_s * index, 5.0 + slope * (first_s + step_s * index)) for index in range(count)]


def why(readings: list[Power], begin_s: float = 0.0, end_s: float = 10.0) -> str:
    with pytest.raises(MeterAbsent) as caught:
        joules(readings, begin_s, end_s, 1.0)
    return caught.value.why


def test_constant_power_is_power_times_time() -> None:
    assert joules(line(-1, 11), 0.0, 10.0, 1.0) == pytest.approx(50.0)


def test_the_ends_are_cut_where_the_stretch_begins_and_ends() -> None:
    assert joules(line(-1, 11, slope=2.0), 0.25, 9.9, 1.0) == pytest.approx(5 * 9.65 + (9.9**2 - 0.25**2))


def test_readings_that_come_at_odd_moments_weigh_by_their_time() -> None:
    readings = [Power(0, 1.0), *(Power(1 + index / 100, 1.0) for index in range(20)), Power(2, 9.0)]
    assert joules(readings, 0.0, 2.0, 1.0) == pytest.approx(1.19 + 0.81 * 5.0)


def test_a_stretch_beyond_the_readings_is_not_extrapolated() -> None:
    assert why(line(1, 11)) == ("the readings do not cover the whole run: the first is 1.0 s after its start")
    assert why(line(-1, 8)) == "the readings do not cover the whole run: the last is 2.0 s before its end"
    assert why([]) == "the readings do not cover the whole run: there are none"


def test_a_gap_is_not_bridged() -> None:
    readings = [reading for reading in line(-1, 11) if not 3 < reading.at_s < 5]
    assert why(readings) == "2.0 s without a reading"


def test_too_few_readings_are_no_measurement() -> None:
    assert why(line(-1, 11, 1.0)) == "only 9 readings in 10.0 s, 10 are needed"
