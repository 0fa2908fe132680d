"""Networks for devices on a page: a panel a device, and no predicted figure without its mark."""

from __future__ import annotations

import re

import altair as alt

from edgecnn.render.page.networks import device_figure, networks_page
from edgecnn.studies.networks_for import NetworksFor
from tests.studies.test_networks_for import listed

BOUNDS = {"p50_ms": 50.0}
PI = listed(**BOUNDS)
FOUND = NetworksFor(within=BOUNDS, stated=BOUNDS, devices=(PI, PI.model_copy(update={"device": "rk3588"})))


def test_each_network_with_both_figures_is_a_point_with_its_interval_and_its_mark() -> None:
    figure = device_figure(0, FOUND.devices[0], FOUND)
    assert figure is not None
    assert [row[0] for row in figure.table.rows] == [row.name for row in FOUND.devices[0].networks]
    assert all(row[5].startswith("▲ ") and row[6].startswith("▲ ") for row in figure.table.rows)
    points = max(figure.spec["datasets"].values(), key=len)
    assert {(row["network"], row["fits"]) for row in points} == {(row.name, row.fits) for row in FOUND.devices[0].networks}
    assert all(row["low"] < row["x"] < row["high"] for row in points)
    assert list(dict.fromkeys(source.mark.word for source in figure.sources)) == ["published", "predicted", "missing"]


def test_the_chart_is_valid_vega_lite_with_the_bound_in_it() -> None:
    figure = device_figure(0, FOUND.devices[0], FOUND)
    assert figure is not None
    alt.LayerChart.from_dict({key: value for key, value in figure.spec.items() if key != "config"})
    assert [{"at": 50.0}] in figure.spec["datasets"].values()


def test_the_page_has_a_panel_for_each_device_and_loads_nothing() -> None:
    page = networks_page(FOUND)
    assert page.count("Published accuracy against predicted latency: ") >= 2
    assert not re.search(r'(src|href)="(https?:)?//', page)


def test_a_device_without_any_forecast_has_no_panel_and_says_why() -> None:
    none = listed().model_copy(update={"networks": (), "without_forecast": {"no public table has it": ("resnet-50",)}})
    alone = NetworksFor(within={}, devices=(none,))
    assert device_figure(0, none, alone) is None
    assert "no public table has it" in networks_page(alone)
