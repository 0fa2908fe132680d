"""One answer to "which kit would ship, and how fast": of `list archs`, `forecast`, `plan`, `fit` and a build."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from edgecnn.building.build import plan_build
from edgecnn.building.forecasts import build_away, planned_kit
from edgecnn.cli.forecast import forecast
from edgecnn.cli.listing import What, list_
from edgecnn.devices.files import parse_target
from edgecnn.devices.machine import this_machine
from edgecnn.devices.this_machine import local_facts
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.fit import NO_TABLE, NOTHING_FORECAST
from edgecnn.fit.predictor import fastest_first
from edgecnn.fit.prices import forecast_prices
from edgecnn.fit.timing import timeable_candidates
from edgecnn.models.catalogue import arch_named
from edgecnn.planning.request import BuildRequest
from edgecnn.render.progress import Quiet
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runtimes.registry import computes_otherwise
from edgecnn.store.store import Store
from edgecnn.values.fit import Probe
from edgecnn.values.recipe import Recipe
from edgecnn.values.verdict import Interval
from tests.building.scenes import Staging, a_report_of


class Case(NamedTuple):
    """What is asked, and the answer that all must give."""

    network: str
    target: str
    px: int | None
    kit: str
    predicted: bool

    @property
    def size(self) -> ImageSize:
        return arch_named(self.network).resolution_px if self.px is None else ImageSize.square(self.px)

    @property
    def resolution(self) -> str | None:
        return None if self.px is None else str(self.px)


HALVES_HERE = "asimdhp" in local_facts().isa
CASES = (
    Case("mobilenet-v2", "raspberry-pi-5", None, "ncnn-fp16", predicted=True),
    Case("mobilenet-v2", "raspberry-pi-5:ncnn", 160, "ncnn-fp16", predicted=True),
    Case("resnet-18", "raspberry-pi-5:litert", 128, "litert-fp16", predicted=False),
    Case("resnet-18", "raspberry-pi-5:onnxruntime", None, f"onnxruntime-{'fp16' if HALVES_HERE else 'int8'}", predicted=False),
    Case("mobilenet-v2", "raspberry-pi-4", None, "litert-int8", predicted=True),
    Case("resnet-18", "raspberry-pi-4", 200, "ncnn-fp32", predicted=True),
    Case("efficientnet-lite0", "rk3588", 192, "ncnn-fp16", predicted=True),
    Case("lenet-5", "raspberry-pi-5", None, "litert-fp16", predicted=False),
    Case("mobilenet-v3-small", "jetson-orin-nano", None, "tensorrt-fp16", predicted=False),
)
Promise = tuple[str | None, Interval | None]
"""A kit, and its forecast p50."""


class Asking:
    """Asks each of the five."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case, self.folder, self.store = case, folder, Store.open(folder / "store")
        target = parse_target(case.target)
        recipe = Recipe.model_validate(
            {
                "model": {"arch": case.network, "weights": "none", "resolution_px": case.size.stated},
                "data": {"path": "demo"},
                "target": {"device": target.device.name, "runtime": target.runtime},
            }
        )
        self.request = BuildRequest(recipe=recipe, device=target.device, out=folder / "out")
        self.planned = plan_build(self.request, self.store, Quiet())
        self.resolved = self.planned.plan.resolved

    def call(self, shown: list[Any]) -> Any:
        return SimpleNamespace(show=lambda report, lines: shown.append(report), tell=Quiet(), store=self.store)

    def listed(self) -> Promise:
        shown: list[Any] = []
        list_(self.call(shown), What.ARCHS, self.case.network, target=[self.case.target], resolution=self.case.resolution)
        (device,) = shown[0].devices
        row = device.named(self.case.network)
        return (device.kit_without_forecast, None) if row is None else (row.kit, row.forecast.p50_ms)

    def forecast(self) -> Promise:
        shown: list[Any] = []
        try:
            forecast(self.call(shown), arch=[self.case.network], target=[self.case.target], resolution=self.case.resolution)
        except EdgecnnError as error:
            assert error.ref == NOTHING_FORECAST.ref
            return self.case.kit, None
        (kit,) = shown[0].kits
        return kit.candidate, kit.forecast and kit.forecast.p50_ms

    def plan(self) -> Promise:
        kit = self.planned.expected.kit
        return (None, None) if kit is None else (kit.candidate, kit.forecast and kit.forecast.p50_ms)

    def fit(self) -> Promise:
        build = build_away(self.resolved, timeable_candidates(self.resolved.candidates))
        lab = replace(this_machine().lab(self.store, Quiet(), "cpu"), device=build.device.name)
        try:
            prices = forecast_prices(build, lab)
        except EdgecnnError as error:
            assert error.ref == NO_TABLE.ref
            return self.case.kit, None
        probe = Probe(arch=self.case.network, resolution_px=self.case.size, classes=10)
        first = next(iter(fastest_first(prices.predictors, probe)), None)
        return (self.case.kit, None) if first is None else (first.candidate, first.p50_ms)

    def build(self) -> Promise:
        """All candidates keep their accuracy, and the device is away."""
        stage = Staging(self.folder / "staged", **dict(self.resolved))
        for candidate in self.resolved.candidates:
            stage.answered(candidate.id, 900)
            if not computes_otherwise(candidate, local_facts()):
                stage.resides(candidate.id, "elsewhere", **{candidate.precision.value: 0.9})
        report = a_report_of(stage, self.request)
        row = report.shipped
        return (None, None) if row is None else (row.candidate.id, row.forecast and row.forecast.p50_ms)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.network}@{case.px}-{case.target}")
def test_the_kit_that_is_promised_is_the_kit_that_ships(case: Case, tmp_path: Path) -> None:
    asking = Asking(case, tmp_path)
    promises = {ask.__name__: ask() for ask in (asking.listed, asking.forecast, asking.plan, asking.fit, asking.build)}
    assert {name: kit for name, (kit, _) in promises.items()} == dict.fromkeys(promises, case.kit)
    speeds = [p50_ms for _, p50_ms in promises.values()]
    assert [p50_ms is not None for p50_ms in speeds] == [case.predicted] * len(speeds)
    for p50_ms in filter(None, speeds):
        assert (p50_ms.low, p50_ms.estimate, p50_ms.high) == pytest.approx(
            (speeds[0].low, speeds[0].estimate, speeds[0].high), rel=1e-6
        )


def test_a_kit_over_the_accuracy_budget_is_replaced_by_the_next_of_the_same_order(tmp_path: Path) -> None:
    case = Case("mobilenet-v2", "raspberry-pi-4", None, "litert-int8", predicted=True)
    asking = Asking(case, tmp_path)
    stage = Staging(tmp_path / "staged", **dict(asking.resolved))
    for candidate in asking.resolved.candidates:
        stage.answered(candidate.id, 800 if candidate.id == case.kit else 900)
    report = a_report_of(stage, asking.request)
    assert report.shipped is not None and report.shipped.candidate.id in ("ncnn-fp32", "litert-fp32")
    assert report.shipped.forecast is not None


def test_an_objective_that_no_forecast_decides_promises_no_kit_or_the_default(tmp_path: Path) -> None:
    asking = Asking(CASES[0], tmp_path)
    recipe = asking.resolved.recipe
    for objective, kit in (("size", None), ("throughput", "litert-fp16")):
        changed = recipe.model_copy(update={"choice": recipe.choice.model_copy(update={"objective": objective})})
        expected = planned_kit(asking.resolved.model_copy(update={"recipe": changed})).kit
        assert (expected and expected.candidate) == kit
        assert expected is None or expected.forecast is None
