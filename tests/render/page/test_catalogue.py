"""The page of the catalogue: published figures and one's own builds, each told from the other, in text and in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import altair as alt
import pytest

from edgecnn.errors.building import NoReport
from edgecnn.models.catalogue import all_archs
from edgecnn.render.page.networks import catalogue_page, published_figure
from edgecnn.results.finished import OwnBuild, own_builds
from edgecnn.values.arch import listed
from tests.judging.made import an_interval
from tests.render.page.browser import Tab, a_tab
from tests.render.page.pages import HOSTILE, a_page

ROWS = [listed(spec) for spec in all_archs()]
MINE = OwnBuild(
    folder="builds/lenet-5-cpu", arch="lenet-5", data="photos", candidate="openvino-int8", parameters=60_850, macs=328_096,
    resolution_px=32, accuracy_top1=an_interval(0.87, 0.86, 0.88),
)  # fmt: skip
HARMFUL = MINE.model_copy(update={"arch": HOSTILE[0], "data": HOSTILE[1], "folder": HOSTILE[1]})


def test_every_network_is_in_the_table_and_what_nobody_published_is_said() -> None:
    table = published_figure(ROWS, ()).table
    assert [cells[0] for cells in table.rows] == [row.name for row in ROWS]
    by_name = {cells[0]: cells for cells in table.rows}
    assert by_name["resnet-50"][6:8] == ("76.1 %", "92.9 %")
    assert by_name["alexnet-2012-ungrouped"][6:8] == ("no published figure", "no published figure")


def test_a_network_without_a_figure_is_no_point_and_a_build_is_a_square() -> None:
    spec = published_figure(ROWS, (MINE,)).spec
    points = spec["datasets"][spec["layer"][1]["data"]["name"]]
    assert {row.name for row in ROWS} - {point["name"] for point in points} == {"lenet-5", "alexnet-2012-ungrouped"}
    assert [(point["name"], point["top1"]) for point in points if point["shape"] == "square"] == [("your lenet-5, 32 px", 87.0)]


def test_the_chart_is_valid_vega_lite() -> None:
    alt.LayerChart.from_dict({key: value for key, value in published_figure(ROWS, (MINE,)).spec.items() if key != "config"})


def test_the_page_loads_nothing_and_hostile_names_stay_text() -> None:
    page = catalogue_page(ROWS, (HARMFUL,))
    assert not re.search(r'(src|href)="(https?:)?//', page)
    assert "<img src=x" not in page


def test_builds_that_lie_here_are_found_and_unreadable_ones_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("a", a_page().report.model_dump_json(by_alias=True)), ("b", json.dumps({"not": "a report"}))):
        (tmp_path / "builds" / name).mkdir(parents=True)
        (tmp_path / "builds" / name / "report.json").write_text(text)
    assert [each.folder for each in own_builds(None)] == ["builds/a"]
    with pytest.raises(NoReport):
        own_builds([tmp_path / "nowhere"])


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with a_tab(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.mark.full
@pytest.mark.parametrize("own", [(), (MINE,), (HARMFUL,)], ids=["published", "with-mine", "hostile"])
def test_a_browser_draws_it_and_it_asks_for_nothing(tab: Tab, tmp_path: Path, own: tuple[OwnBuild, ...]) -> None:
    file = tmp_path / "networks.html"
    file.write_text(catalogue_page(ROWS, own), encoding="utf-8")
    tab.open(file)
    assert tab.evaluate("document.querySelectorAll('[data-chart] svg path').length") > 60
    assert (tab.complaints, tab.requests) == ([], [file.absolute().as_uri()])
    assert tab.evaluate("window.broken === undefined")
    tab.open(file, width=375, height=812)
    assert tab.evaluate("document.documentElement.scrollWidth") == 375
