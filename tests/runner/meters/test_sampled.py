from __future__ import annotations

import time

import pytest

from edgecnn.runner.meters.meter import MeterAbsent, SampledMeter


class Ramp(SampledMeter):
    """A supply whose power is what the test sets; it fails while told to."""

    name = "ramp"
    period_s = 0.01

    def __init__(self) -> None:
        super().__init__()
        self.power, self.failing = 5.0, False

    def watts(self) -> float:
        if self.failing:
            raise MeterAbsent("the chip does not answer")
        return self.power


def test_power_is_summed_up_over_the_time_between() -> None:
    meter = Ramp()
    meter.start()
    time.sleep(0.25)
    meter.power = 15.0
    time.sleep(0.25)
    spent = meter.stop()
    assert spent.seconds == pytest.approx(0.5, abs=0.2)
    assert spent.joules / spent.seconds == pytest.approx(10.0, abs=1.5)


def test_nothing_samples_once_it_was_stopped() -> None:
    meter = Ramp()
    meter.start()
    time.sleep(0.25)
    meter.stop()
    taken = len(meter._readings)
    time.sleep(0.05)
    assert len(meter._readings) == taken


def test_one_meter_measures_stretch_after_stretch() -> None:
    meter = Ramp()
    for power in (2.0, 8.0):
        meter.power = power
        meter.start()
        time.sleep(0.25)
        spent = meter.stop()
        assert spent.joules / spent.seconds == pytest.approx(power, rel=1e-6)


def test_a_chip_that_falls_silent_for_long_leaves_no_figure() -> None:
    meter = Ramp()
    meter.start()
    time.sleep(0.25)
    meter.failing = True
    time.sleep(1.3)
    meter.failing = False
    with pytest.raises(MeterAbsent, match=r"1\.\d s without a reading"):
        meter.stop()


def test_a_chip_that_never_answers_says_why() -> None:
    meter = Ramp()
    meter.failing = True
    with pytest.raises(MeterAbsent, match="the chip does not answer"):
        meter.start()
