"""Networks for a device: which fit by the forecast of the kit that ships, which may, and which have none."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

import pytest

from edgecnn.devices.files import Target, device_named
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.fit import BOARD_WITHOUT_FILE, LATENCY_BUDGET_TWICE
from edgecnn.errors.usage import LIST_BUDGET_INVALID
from edgecnn.forecast.forecasting import forecasts
from edgecnn.forecast.networks import subject_of_arch
from edgecnn.judging.metrics import budgets_in_p50
from edgecnn.models.catalogue import arch_named
from edgecnn.render.screens.networks import device_columns, recommendation_lines
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.store import Store
from edgecnn.studies.networks_for import (
    Answer,
    Limits,
    NetworksFor,
    NetworksOnDevice,
    default_network,
    limits_of_a_list,
    networks_for,
    networks_on,
    short_list,
)
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.forecast import ExpectedKit, Forecast
from tests.judging.made import a_forecast

PI = Target(device_named("raspberry-pi-5"), None)
NAMES = ("mobilenet-v2", "resnet-50", "efficientnet-b0", "densenet-121", "mobilenet-v3-small")
SPECS = [arch_named(name) for name in NAMES]
MS = {"mobilenet-v2": 20.0, "resnet-50": 150.0, "efficientnet-b0": 45.0, "mobilenet-v3-small": 8.0}


def answer(name: str) -> Answer:
    """The kit of each network is ncnn-fp16; densenet-121 has no forecast."""
    about = {"network": name, "device": "raspberry-pi-5", "runtime": Runtime.NCNN, "precision": Precision.FP16}
    ms = MS.get(name)
    forecast = None if ms is None else a_forecast(ms, 0.8 * ms, 1.25 * ms, **about)
    why, by = ("unlike all others", "default") if forecast is None else (None, "forecast")
    kit = ExpectedKit(**about, resolution_px=224, candidate="ncnn-fp16", forecast=forecast, without=why, by=by)
    return Answer(kit, arch_named(name).macs or 0)


def listed(classes: int = 1000, weights_here: Container[str] = ("mobilenet-v2",), **stated: float) -> NetworksOnDevice:
    within = budgets_in_p50(stated)
    limits = Limits(within, stated, classes)
    return networks_on(PI, SPECS, limits, {spec.name: answer(spec.name) for spec in SPECS}, weights_here)


def test_networks_that_fit_come_by_published_accuracy_with_what_they_cost() -> None:
    found = listed(p50_ms=50, size_mib=11.5)
    assert [(row.name, row.fits) for row in found.networks] == [
        ("efficientnet-b0", "unsure"), ("resnet-50", "no"), ("mobilenet-v2", "yes"), ("mobilenet-v3-small", "yes"),
    ]  # fmt: skip
    (row, _) = found.of("yes")
    assert (row.accuracy_top1, row.weights_here, row.forecast.precision, row.size_mib) == (0.71878, True, Precision.FP16, 6.69)
    assert row.forecast.fidelity == "predicted"


def test_a_network_without_a_forecast_fits_nothing_and_says_why() -> None:
    assert listed().without_forecast == {"unlike all others": ("densenet-121",)}
    assert "densenet-121" not in {row.name for row in listed().networks}


def test_a_size_is_of_the_precision_that_was_predicted() -> None:
    assert [row.name for row in listed(size_mib=6).of("yes")] == ["mobilenet-v3-small"]
    assert {row.forecast.precision for row in listed().networks} == {Precision.FP16}


def test_budgets_take_images_a_second_for_milliseconds() -> None:
    limits = limits_of_a_list(["images_per_s=20", "size_mib=10"])
    assert limits.within == {"p50_ms": 50.0, "size_mib": 10.0}
    assert limits.stated == {"images_per_s": 20.0, "size_mib": 10.0}


def test_a_budget_in_two_units_is_refused() -> None:
    with pytest.raises(EdgecnnError, check=LATENCY_BUDGET_TWICE.made):
        limits_of_a_list(["p50_ms=50", "images_per_s=20"])


@pytest.mark.parametrize(
    ("texts", "because"),
    [
        (["fps=20"], "the nearest is images_per_s"),
        (["p99_ms=20"], "the nearest is p50_ms"),
        (["p50_ms=fast"], "must be a positive number"),
    ],
)
def test_what_is_no_budget_of_a_list_is_refused(texts: list[str], because: str) -> None:
    with pytest.raises(EdgecnnError, check=LIST_BUDGET_INVALID.made) as refused:
        limits_of_a_list(texts)
    assert because in str(refused.value.because)


def test_what_is_predicted_of_a_network_does_not_hang_on_the_others_that_are_listed() -> None:
    one, *others = (subject_of_arch(name) for name in ("mobilenet-v4-conv-small", "mobilenet-v1-0.75", "repvit-m0.9"))
    (alone, *_), (among, *_) = forecasts((one,), PI.device), forecasts((one, *others), PI.device)
    assert isinstance(alone, Forecast) and isinstance(among, Forecast)
    assert among.p50_ms.estimate == pytest.approx(alone.p50_ms.estimate, rel=1e-6)
    assert among.p50_ms.high == pytest.approx(alone.p50_ms.high, rel=1e-6)


def test_a_size_is_unsure_where_the_rest_of_the_kit_decides() -> None:
    (row,) = (row for row in listed(size_mib=7).networks if row.name == "mobilenet-v2")
    assert row.size_mib < 7 < row.kit_mib
    assert row.fits == "unsure"


def test_fewer_classes_have_a_smaller_head() -> None:
    sizes = {row.name: (row.size_mib, row.kit_mib) for row in listed(classes=4).networks}
    assert sizes["mobilenet-v2"][0] == pytest.approx(2_228_996 * 2 / 2**20, abs=0.01)  # as a build for four classes has it
    assert {row.name: row.size_mib for row in listed().networks}["mobilenet-v2"] == 6.69


def test_one_network_is_recommended_the_most_accurate_that_fits_and_has_weights_here() -> None:
    found = listed(images_per_s=10)
    assert (found.recommended, found.more_accurate) == ("mobilenet-v2", "efficientnet-b0")
    assert listed(images_per_s=10, weights_here=()).recommended == "efficientnet-b0"
    assert listed(images_per_s=20).more_accurate is None, "it may not fit"
    assert listed(p50_ms=6).recommended is None
    assert listed().recommended is None, "without a budget there is nothing to recommend by"


def test_a_recommendation_names_kit_speed_accuracy_and_the_command_in_the_unit_of_the_budget() -> None:
    rated, timed = ({"images_per_s": 10.0}, {"p50_ms": 100.0})
    for stated, unit, flag in ((rated, "images/s", "--min images_per_s=10"), (timed, "ms", "--max p50_ms=100")):
        found = NetworksFor(within=budgets_in_p50(stated), stated=stated, devices=(listed(**stated),))
        text = "\n".join(recommendation_lines(found.devices[0], found))
        assert all(fact in text for fact in ("mobilenet-v2", "ncnn-fp16", "71.9 %", f" {unit} [", flag))
        assert ("p50_ms" in text) is (stated is timed) and ("images" in text) is (stated is rated)
        assert ("p50 ms (90 %)" in device_columns(found)) is (stated is timed)


def test_if_no_network_fits_no_kit_is_promised() -> None:
    stated = {"images_per_s": 2000.0}
    found = NetworksFor(within=budgets_in_p50(stated), stated=stated, devices=(listed(images_per_s=2000),))
    lines = recommendation_lines(found.devices[0], found)
    assert len(lines) == 2 and f"none of {len(found.devices[0].networks)} networks" in lines[1]


def test_a_size_that_a_network_does_not_take_is_a_reason_and_others_have_less_work(tmp_path: Path) -> None:
    limits = limits_of_a_list(["images_per_s=20"], resolution_px=ImageSize.square(64))
    (found,) = networks_for("mobilenet-v2", ["raspberry-pi-5"], limits, Store.open(tmp_path)).devices
    (native,) = networks_for("mobilenet-v2", ["raspberry-pi-5"], Limits(), Store.open(tmp_path)).devices
    (small,), (large,) = found.networks, native.networks
    assert small.resolution_px == ImageSize.square(64) and small.published_px == ImageSize.square(224)
    assert small.macs < 0.1 * large.macs and small.forecast.p50_ms.estimate < large.forecast.p50_ms.estimate
    (refused,) = networks_for("inception-v3", ["raspberry-pi-5"], limits, Store.open(tmp_path)).devices
    assert refused.networks == () and list(refused.without_forecast.values()) == [("inception-v3",)]


@pytest.mark.parametrize(("device", "measures"), [("intel-cpu", "intel-cpu"), ("jetson", "jetson-orin-nano --host USER@BOARD")])
def test_without_any_forecast_the_catalogue_and_a_command_are_given(device: str, measures: str, tmp_path: Path) -> None:
    (found,) = networks_for("mobilenet-v*", [device], Limits(classes=4), Store.open(tmp_path)).devices
    assert found.networks == ()
    assert found.measured_by == f"edgecnn devices measure {measures}"
    top1 = [row.accuracy_top1 or 0 for row in found.catalogue]
    assert top1 == sorted(top1, reverse=True)
    assert {row.name: row.weights_mib for row in found.catalogue}["mobilenet-v2"] == pytest.approx(8.5, abs=0.01)


def test_a_board_of_the_tables_is_referred_to_the_forecast(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=BOARD_WITHOUT_FILE.made):
        networks_for("resnet-18", ["raspberry-pi-3"], Limits(), Store.open(tmp_path))


def test_the_short_list_has_no_network_that_another_beats() -> None:
    networks = listed()
    assert [row.name for row in short_list(networks)] == ["efficientnet-b0", "mobilenet-v2", "mobilenet-v3-small"]
    assert "resnet-50" in {row.name for row in networks.networks}, "slower and less accurate than efficientnet-b0"
    assert [row.weights_here for row in short_list(networks)] == [False, True, False]


def test_a_short_list_keeps_networks_with_weights_and_both_ends() -> None:
    beaten = listed(weights_here={"resnet-50"})
    assert [row.name for row in short_list(beaten, most=3)] == ["efficientnet-b0", "resnet-50", "mobilenet-v3-small"]


def test_without_a_forecast_the_short_list_compares_work() -> None:
    unknown = {spec.name: Answer(None, spec.macs or 0, "no public table has it") for spec in SPECS}
    offered = short_list(networks_on(PI, SPECS, Limits(), unknown, {"mobilenet-v2"}))
    assert {row.name for row in offered} >= {"mobilenet-v2", "efficientnet-b0"} and all(row.forecast is None for row in offered)


@pytest.mark.parametrize(
    ("weights_here", "expected"),
    [({"mobilenet-v2"}, "mobilenet-v2"), ({"mobilenet-v2", "densenet-121"}, "densenet-121"), (set(), "densenet-121")],
)
def test_the_default_network_is_one_whose_weights_are_here(weights_here: set[str], expected: str) -> None:
    networks = listed(weights_here=weights_here)
    assert default_network(networks, short_list(networks), "densenet-121") == expected
