"""A search for a device that is away and has no table goes by forecasts, which are marked and settle nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgecnn.building.forecasts import AwayBuild
from edgecnn.devices.files import device_named
from edgecnn.devices.machine import this_machine
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.fit import NO_TABLE
from edgecnn.fit.predictor import fastest_first
from edgecnn.fit.prices import forecast_prices
from edgecnn.forecast.tables import MeasuredTime
from edgecnn.measure.lab import Lab
from edgecnn.planning.candidates import BASELINE
from edgecnn.render.progress import Quiet
from edgecnn.render.screens.fit import fit_lines
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.store import Store
from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.fit import Probe
from edgecnn.values.reason import DatedOrder
from edgecnn.values.recipe import Objective
from edgecnn.values.verdict import Fidelity, Interval
from tests.fit.made import report

PI = device_named("raspberry-pi-5")
NCNN = Candidate(id="ncnn-fp16", runtime=Runtime.NCNN, precision=Precision.FP16)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return replace(this_machine().lab(Store.open(tmp_path / "store"), Quiet(), "cpu"), device=PI.name)


def test_candidates_that_public_tables_support_are_predicted_with_an_interval(lab: Lab) -> None:
    prices = forecast_prices(AwayBuild(PI, (BASELINE, NCNN)), lab)
    assert set(prices.predictors) == set(prices.candidates) == {NCNN.id}
    assert (prices.used.fidelity, prices.fastest) == (Fidelity.PREDICTED, {})
    large, small = (Probe(arch="mobilenet-v2", resolution_px=ImageSize.square(side), classes=10) for side in (224, 128))
    (slow,), (fast,) = (fastest_first(prices.predictors, probe) for probe in (large, small))
    assert slow.p50_ms.low < slow.p50_ms.estimate < slow.p50_ms.high
    assert fast.p50_ms.estimate < 0.6 * slow.p50_ms.estimate


def test_a_network_that_the_tables_say_nothing_of_has_no_prediction(lab: Lab) -> None:
    prices = forecast_prices(AwayBuild(PI, (NCNN,)), lab)
    tiny = Probe(arch="lenet-5", resolution_px=ImageSize.square(32), classes=10)
    assert fastest_first(prices.predictors, tiny) == ()


def test_without_any_public_table_there_is_no_search(lab: Lab) -> None:
    with pytest.raises(EdgecnnError, match="no public table supports a forecast", check=NO_TABLE.made):
        forecast_prices(AwayBuild(PI, (BASELINE,)), lab)


@pytest.fixture
def measured_on_a_pi(monkeypatch: pytest.MonkeyPatch) -> None:
    p50 = Interval(estimate=20.0, low=19.0, high=21.0, confidence=0.9)
    times = {"mobilenet-v2": 20.0, "resnet-18": 60.0, "resnet-50": 150.0, "efficientnet-b0": 30.0}
    records = tuple(
        MeasuredTime(name, ImageSize.square(224), PI.name, Runtime.ONNXRUNTIME, Precision.FP32, 4,
                     p50.model_copy(update={"estimate": ms, "low": ms / 1.1, "high": ms * 1.1}), "a Pi", "2026-11-01")
        for name, ms in times.items()
    )  # fmt: skip
    monkeypatch.setattr("edgecnn.building.forecasts.measured_times", lambda device, file: records)


@pytest.mark.usefixtures("measured_on_a_pi")
def test_evidence_of_the_device_counts_in_a_search(lab: Lab) -> None:
    prices = forecast_prices(AwayBuild(PI, (BASELINE, NCNN)), lab)
    assert set(prices.predictors) == {BASELINE.id, NCNN.id}
    assert prices.predictors[BASELINE.id].predict([Probe(arch="resnet-34", resolution_px=ImageSize.square(224), classes=10)])[0]


@pytest.mark.usefixtures("measured_on_a_pi")
@pytest.mark.parametrize(("objective", "searched"), [("latency", {NCNN.id}), ("size", {BASELINE.id, NCNN.id})])
def test_a_recorded_order_limits_a_search_only_if_speed_decides_what_ships(
    objective: Objective, searched: set[str], lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = DatedOrder(
        relative={NCNN.id: 0.5, BASELINE.id: 1.0},
        networks=("mobilenet-v2",),
        machine="a Pi",
        observed_on="2026-11-01",
    )
    monkeypatch.setattr("edgecnn.building.forecasts.dated_order", lambda *_: order)
    prices = forecast_prices(AwayBuild(PI, (BASELINE, NCNN), objective=objective), lab)
    assert set(prices.candidates) == searched


def test_the_same_tables_are_the_same_question(lab: Lab) -> None:
    assert forecast_prices(AwayBuild(PI, (NCNN,)), lab).content == forecast_prices(AwayBuild(PI, (NCNN,)), lab).content


def test_the_report_of_a_search_says_that_it_went_by_published_times(lab: Lab) -> None:
    used = forecast_prices(AwayBuild(PI, (NCNN,)), lab).used
    assert any(
        line.startswith("  ▲ predicted from 26 networks published of Raspberry Pi 5") for line in fit_lines(report(table=used))
    )
