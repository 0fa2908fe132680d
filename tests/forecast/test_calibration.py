"""How wide intervals are: by the networks that place a board, and for another board of the device."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.devices.files import device_named
from edgecnn.forecast.calibration import BASE, Errors, Question, between_boards, errors_on_public_runs, half_width
from edgecnn.forecast.forecasting import ForecastOptions, forecast, forecasts
from edgecnn.forecast.networks import subject_of_arch
from edgecnn.forecast.tables import MeasuredTime
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.forecast import Forecast, ForecastBasis
from edgecnn.values.verdict import Interval

SIZE = ImageSize.square(224)
TRANSFERRED = ForecastBasis.TRANSFERRED


def record(name: str, ms: float, precision: Precision = Precision.FP16, threads: int = 4) -> MeasuredTime:
    p50 = Interval(estimate=ms, low=ms / 1.01, high=ms * 1.01, confidence=0.99)
    return MeasuredTime(name, SIZE, "raspberry-pi-5", Runtime.NCNN, precision, threads, p50, "a Pi", "2026-11-01")


def known_errors(placed_by: int) -> Errors:
    found = errors_on_public_runs(Question(TRANSFERRED, placed_by), BASE)
    assert found is not None
    return found


def test_fewer_networks_that_place_a_board_make_a_wider_interval() -> None:
    three, four, all_of_them = (known_errors(count).half_width for count in (3, 4, 25))
    assert three > four > all_of_them
    assert known_errors(5).half_width == four


def test_a_board_of_three_networks_is_as_far_off_as_its_interval_says() -> None:
    off = known_errors(3)
    for soc in ("bcm2712", "azure-d64ps-v6"):
        mine = off.logs[off.socs == soc]
        assert np.mean(mine <= off.without(-1, soc).half_width) > 0.84
        assert np.mean(mine <= known_errors(25).half_width) < 0.82  # what boards of many networks allow is too narrow


def test_a_board_that_is_known_by_three_records_is_less_certain_than_by_all_its_table() -> None:
    records = tuple(record(name, ms) for name, ms in (("resnet-18", 40.0), ("mobilenet-v2", 21.0), ("googlenet", 50.0)))
    device, subject = device_named("raspberry-pi-5"), subject_of_arch("mnasnet-1.0")
    placed = forecast(subject, device, Runtime.NCNN, Precision.FP16, ForecastOptions(records=records))
    assert isinstance(placed, Forecast) and placed.basis is TRANSFERRED
    expected = half_width(known_errors(3), between_boards(), 1.0)
    assert np.log(placed.p50_ms.high / placed.p50_ms.estimate) == pytest.approx(expected)


def test_every_basis_has_the_spread_between_boards_of_one_device() -> None:
    rows = forecasts((subject_of_arch("resnet-18"), subject_of_arch("resnet-34")), device_named("raspberry-pi-5"))
    published, counted = (row for row in rows if isinstance(row, Forecast) and row.precision is Precision.FP16)
    measured = forecast(
        subject_of_arch("resnet-18"),
        device_named("raspberry-pi-5"),
        Runtime.NCNN,
        Precision.FP16,
        ForecastOptions(records=(record("resnet-18", 30.0),)),
    )
    assert isinstance(measured, Forecast)
    assert (measured.basis, measured.p50_ms.confidence) == (ForecastBasis.MEASURED, 0.9)
    widths = [float(np.log(row.p50_ms.high / row.p50_ms.estimate)) for row in (published, measured, counted)]
    assert widths[0] == pytest.approx(between_boards().half_width)
    assert widths[0] < widths[1] < 1.01 * widths[0] < widths[2]
    assert published.off_devices == measured.off_devices == between_boards().devices == 5


def test_boards_with_one_processor_are_left_out_together() -> None:
    off = known_errors(20)
    assert {"rk3588", "bcm2712"} <= set(off.socs.tolist())
    assert not {"orange-pi-5", "roc-rk3588s-pc-android", "raspberry-pi-5-overclocked"} & set(off.socs.tolist())
    assert "rk3588" not in off.without(0, "rk3588").socs


def test_evidence_with_other_threads_answers_no_question_of_threads() -> None:
    options = ForecastOptions(threads=1, records=(record("resnet-18", 30.0, threads=4),))
    found = forecast(subject_of_arch("resnet-18"), device_named("rk3588"), Runtime.NCNN, Precision.FP16, options)
    assert isinstance(found, Forecast) and found.threads == 1
    pi = ForecastOptions(threads=1, records=(record("resnet-18", 30.0, threads=4),))
    rows = forecasts((subject_of_arch("resnet-18"),), device_named("raspberry-pi-5"), pi)
    assert not any(isinstance(row, Forecast) and row.threads == 4 for row in rows)


def test_one_record_leaves_the_networks_that_it_lacks_to_the_table() -> None:
    device, options = device_named("raspberry-pi-5"), ForecastOptions(records=(record("mobilenet-v2", 20.0),))
    for name in ("resnet-18", "resnet-34"):
        subject = subject_of_arch(name)
        with_record, without = (
            forecast(subject, device, Runtime.NCNN, Precision.FP16, each) for each in (options, ForecastOptions())
        )
        assert with_record == without


@pytest.mark.parametrize(("count", "is_enough"), [(3, False), (4, True)])
def test_four_records_forecast_a_runtime_without_a_table(count: int, is_enough: bool) -> None:
    times = {"resnet-18": 40.0, "resnet-50": 92.0, "mobilenet-v2": 21.0, "efficientnet-b0": 25.0}
    records = [record(name, ms)._replace(runtime=Runtime.ONNXRUNTIME) for name, ms in list(times.items())[:count]]
    options = ForecastOptions(records=records)
    subject, device = subject_of_arch("resnet-34"), device_named("raspberry-pi-5")
    found = forecast(subject, device, Runtime.ONNXRUNTIME, Precision.FP16, options)
    assert isinstance(found, Forecast) is is_enough
