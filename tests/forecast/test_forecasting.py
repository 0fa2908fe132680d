"""Forecasts of networks on devices, and why there is none."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.devices.files import device_named
from edgecnn.forecast.forecasting import ForecastOptions, forecast, forecasts, nearest_places
from edgecnn.forecast.networks import Subject, subject_of_arch
from edgecnn.forecast.structure import Column
from edgecnn.forecast.tables import MeasuredTime
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.forecast import Forecast, ForecastBasis, NoForecast, Why
from edgecnn.values.verdict import Fidelity, Interval

SIZE = ImageSize.square(224)


def _one(name: str, device: str, precision: Precision = Precision.FP16, options: ForecastOptions = ForecastOptions()) -> Forecast:  # noqa: B008
    found = forecast(subject_of_arch(name), device_named(device), Runtime.NCNN, precision, options)
    assert isinstance(found, Forecast), found
    return found


def _none(name: str, device: str, options: ForecastOptions = ForecastOptions()) -> NoForecast:  # noqa: B008
    found = forecasts((subject_of_arch(name),), device_named(device), options)
    return next(row for row in found if isinstance(row, NoForecast))


def test_a_published_network_has_its_published_time() -> None:
    found = _one("resnet-50", "raspberry-pi-5")
    assert (found.p50_ms.estimate, found.threads, found.basis) == (pytest.approx(45.94), 4, ForecastBasis.PUBLISHED)
    assert found.p50_ms.low < 45.94 < found.p50_ms.high
    assert (found.fidelity, found.p50_ms.confidence) == (Fidelity.PREDICTED, 0.9)
    assert (found.source.date, found.source.networks) == ("2023-09-28", 26)


def test_a_network_that_was_timed_nowhere_has_a_wider_interval() -> None:
    counted, published = _one("resnet-34", "raspberry-pi-5"), _one("resnet-18", "raspberry-pi-5")
    assert counted.basis is ForecastBasis.COUNTED
    assert _width(counted) > _width(published)
    assert published.p50_ms.estimate < counted.p50_ms.estimate < _one("resnet-50", "raspberry-pi-5").p50_ms.high
    assert counted.off_networks == 16
    assert 0 < counted.off_percent < 30


def test_times_on_this_computer_narrow_the_interval() -> None:
    references = {"mobilenet-v1": 12.0, "mobilenet-v2": 8.0, "resnet-18": 24.0, "resnet-50": 58.0, "efficientnet-b0": 14.0}
    here = {**{Column(name, SIZE): ms for name, ms in references.items()}, Column("resnet-34", SIZE): 45.0}
    timed = _one("resnet-34", "raspberry-pi-5", options=ForecastOptions(here=(here, {key: ms / 1.8 for key, ms in here.items()})))
    assert timed.basis is ForecastBasis.TRANSFERRED
    assert _width(timed) < _width(_one("resnet-34", "raspberry-pi-5"))


def test_a_figure_does_not_depend_on_what_else_is_asked() -> None:
    alone = _one("resnet-34", "raspberry-pi-5")
    many = forecasts([subject_of_arch(name) for name in ("densenet-121", "resnet-34", "vgg-19")], device_named("raspberry-pi-5"))
    together = next(row for row in many if isinstance(row, Forecast) and row.network == "resnet-34")
    assert together == alone


def test_boards_that_disagree_widen_the_interval() -> None:
    found = _one("resnet-18", "rk3588")
    assert found.note == "3 boards have a table; their median is shown"
    assert _width(found) > _width(_one("resnet-18", "raspberry-pi-5"))


def test_evidence_of_the_device_outweighs_the_table() -> None:
    p50 = Interval(estimate=30.0, low=29.0, high=31.0, confidence=0.99)
    record = MeasuredTime("resnet-18", SIZE, "raspberry-pi-5", Runtime.NCNN, Precision.FP16, 4, p50, "a Pi", "2026-11-01")
    found = _one("resnet-18", "raspberry-pi-5", options=ForecastOptions(records=(record,)))
    assert (found.p50_ms.estimate, found.basis, found.source.date) == (30.0, ForecastBasis.MEASURED, "2026-11-01")
    assert _one("resnet-50", "raspberry-pi-5", options=ForecastOptions(records=(record,))).basis is ForecastBasis.PUBLISHED


def test_a_record_of_a_board_forecasts_its_other_networks() -> None:
    published = {"resnet-18": 40.0, "resnet-50": 92.0, "mobilenet-v2": 21.0, "efficientnet-b0": 25.0}
    records = [
        MeasuredTime(name, SIZE, "raspberry-pi-5", Runtime.ONNXRUNTIME, Precision.FP32, 4, _exact(ms), "a Pi", "2026-11-01")
        for name, ms in published.items()
    ]
    device, subject = device_named("raspberry-pi-5"), subject_of_arch("resnet-34")
    found = forecast(subject, device, Runtime.ONNXRUNTIME, Precision.FP32, ForecastOptions(records=records))
    assert isinstance(found, Forecast)
    assert (found.basis, found.source.title, found.off_networks) == (ForecastBasis.COUNTED, "evidence record", 4)
    assert found.p50_ms.estimate == pytest.approx(2 * _one("resnet-34", "raspberry-pi-5").p50_ms.estimate, rel=0.1)
    assert _width(found) > _width(_one("resnet-34", "raspberry-pi-5"))  # few networks link the runtimes
    slow = [record._replace(runtime=Runtime.NCNN, precision=Precision.FP16) for record in records]
    outweighed = _one("resnet-34", "raspberry-pi-5", options=ForecastOptions(records=slow))
    assert (outweighed.source.title, outweighed.p50_ms.estimate) == ("evidence record", pytest.approx(found.p50_ms.estimate))
    few = forecast(subject, device, Runtime.ONNXRUNTIME, Precision.FP32, ForecastOptions(records=records[:2]))
    assert isinstance(few, NoForecast)
    assert few.why is Why.PRECISION_WITHOUT_TABLE


def _exact(ms: float) -> Interval:
    return Interval(estimate=ms, low=ms, high=ms, confidence=0.9)


def test_images_per_second_turn_the_interval_round() -> None:
    found = _one("resnet-18", "raspberry-pi-5")
    rate = found.images_per_s
    assert rate.estimate == pytest.approx(1e3 / found.p50_ms.estimate)
    assert (rate.low, rate.high) == (pytest.approx(1e3 / found.p50_ms.high), pytest.approx(1e3 / found.p50_ms.low))


def test_a_board_that_only_the_tables_know_has_forecasts() -> None:
    found = forecasts((subject_of_arch("resnet-18"),), "raspberry-pi-3")
    assert {row.runtime for row in found if isinstance(row, Forecast)} == {Runtime.NCNN}
    refused = next(row for row in found if isinstance(row, NoForecast))
    assert (refused.runtime, refused.why) == (Runtime.LITERT, Why.NETWORK_OUTSIDE_SUPPORT)  # its table has MobileNets only


def test_a_runtime_that_is_not_built_for_the_device_is_noted() -> None:
    orin, pi = _one("resnet-18", "jetson-orin-nano"), _one("resnet-18", "raspberry-pi-5")
    assert (orin.built, orin.processor) == (False, "cpu")
    assert orin.note is not None and "tensorrt" in orin.note
    assert (pi.built, pi.note) == (True, None)
    assert _one("resnet-18", "raspberry-pi-5", Precision.INT8).built is False
    assert forecasts((subject_of_arch("resnet-18"),), "raspberry-pi-3")[0].runtime is Runtime.NCNN


def test_a_table_of_one_machine_of_a_kind_says_so() -> None:
    intel = forecast(subject_of_arch("resnet-18"), device_named("intel-cpu"), Runtime.NCNN, Precision.FP32)
    assert isinstance(intel, Forecast)
    assert (intel.source.kind_only, "D64s v6" in intel.source.board) == (True, True)
    assert not _one("resnet-18", "rk3588").source.kind_only


def test_a_runtime_leaves_no_row_of_another() -> None:
    device, subject = device_named("raspberry-pi-5"), subject_of_arch("resnet-18")
    assert {row.runtime for row in forecasts((subject,), device, ForecastOptions(runtime=Runtime.NCNN))} == {Runtime.NCNN}
    (none,) = forecasts((subject,), device, ForecastOptions(runtime=Runtime.TENSORRT))
    assert isinstance(none, NoForecast)
    assert (none.runtime, none.why) == (Runtime.TENSORRT, Why.RUNTIME_WITHOUT_TABLE)


def test_a_device_without_a_table_has_no_figure_and_the_nearest_ones() -> None:
    found = _none("resnet-18", "jetson-xavier-nx")
    assert (found.why, found.nearest[0]) == (Why.DEVICE_WITHOUT_TABLE, "jetson-agx-xavier")
    assert nearest_places(device_named("intel-n100")) == (), "nothing is known of what its cores share with others"
    assert "use-an-android-telephone.md" in _none("resnet-18", "android-arm64").sentence


def test_more_threads_than_the_table_has_are_refused() -> None:
    found = _none("resnet-18", "raspberry-pi-5", ForecastOptions(threads=8))
    assert (found.why, found.precision) == (Why.THREADS_BEYOND_TABLE, Precision.FP16)
    assert "at most 4 threads, not 8" in found.sentence


@pytest.mark.parametrize("name", ["lenet-5"])
def test_a_network_outside_the_support_is_refused(name: str) -> None:
    assert _none(name, "raspberry-pi-5").why is Why.NETWORK_OUTSIDE_SUPPORT


def test_amounts_are_written_out() -> None:
    assert "e+" not in _none("lenet-5", "raspberry-pi-5").sentence


def test_a_network_of_an_unknown_kind_is_refused() -> None:
    spec = subject_of_arch("resnet-18")
    odd = spec.work.model_copy(update={"dense_macs": 3 * spec.work.macs, "weights": 10**9})
    found = forecasts((Subject("odd", SIZE, odd),), device_named("raspberry-pi-5"))
    assert {row.why for row in found if isinstance(row, NoForecast)} == {Why.NETWORK_OUTSIDE_SUPPORT, Why.RUNTIME_WITHOUT_TABLE}
    assert not any(isinstance(row, Forecast) for row in found)


def test_a_runtime_that_no_table_has_is_refused() -> None:
    found = forecast(subject_of_arch("resnet-18"), device_named("raspberry-pi-5"), Runtime.ONNXRUNTIME, Precision.INT8)
    assert isinstance(found, NoForecast)
    assert found.why is Why.RUNTIME_WITHOUT_TABLE


def test_a_precision_that_no_table_has_is_refused() -> None:
    found = forecast(subject_of_arch("resnet-18"), device_named("raspberry-pi-5"), Runtime.NCNN, Precision.FP32)
    assert isinstance(found, NoForecast)
    assert found.why is Why.PRECISION_WITHOUT_TABLE


def _width(found: Forecast) -> float:
    return float(np.log(found.p50_ms.high / found.p50_ms.low))
