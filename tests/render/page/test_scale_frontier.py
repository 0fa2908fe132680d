"""The frontier as a page and as a picture: every network in its place with its name, the budgets as lines, the best marked."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import altair as alt
import pytest
from PIL import Image

from edgecnn.api import write_frontier
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import PAGE_IS_FOREIGN, PLOT_FORM_UNKNOWN
from edgecnn.render.page.charts.vega import png_of, svg_of
from edgecnn.render.page.studies import frontier_figures, frontier_page, frontier_picture, scale_text
from edgecnn.render.screens.studies import MIB
from tests.render.page.browser import Tab, a_tab
from tests.render.page.frontiers import BEST, FAR, FINER, a_search


def drawn(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every row of a chart's data."""
    return [row for rows in spec["datasets"].values() for row in rows]


def test_the_best_is_a_diamond_and_scales_of_one_network_share_a_mark() -> None:
    parameters, memory = frontier_figures(a_search())
    for figure, up in ((parameters, 3.696364), (memory, 17.6)):
        marks = {row["number"]: row for row in drawn(figure.spec) if "number" in row}
        assert list(marks) == ["3", "1·2"]  # the best is drawn last, on top
        assert (marks["1·2"]["shape"], marks["3"]["shape"]) == ("diamond", "circle")
        assert (marks["1·2"]["macs"], marks["1·2"]["up"]) == (192.0, pytest.approx(up))
        assert marks["1·2"]["label"] == f"best: {scale_text(BEST)}"


def test_budgets_are_lines_where_they_fall_and_one_far_beyond_is_said() -> None:
    def lines(**budgets: int) -> list[list[str]]:
        return [[row["text"] for row in drawn(figure.spec) if "at" in row] for figure in frontier_figures(a_search(**budgets))]

    assert lines() == [["multiply-adds ≤ 200 M", "params ≤ 4 M"], ["multiply-adds ≤ 200 M", "memory ≤ 64 MiB"]]
    assert lines(memory=8192 * MIB) == [[], []]
    note = frontier_figures(a_search(memory=8192 * MIB))[1].notes[0]
    assert note.startswith("memory ") and note in svg_of(frontier_picture(a_search(memory=8192 * MIB))).decode()


def test_what_was_counted_far_from_the_best_is_left_out_and_said() -> None:
    figure = frontier_figures(a_search())[0]
    assert FAR.macs / 1e6 not in [row.get("macs") for row in drawn(figure.spec)]
    assert " 1 " in figure.notes[0]


def test_the_charts_are_valid_vega_lite() -> None:
    for figure in frontier_figures(a_search()):
        alt.LayerChart.from_dict({key: value for key, value in figure.spec.items() if key != "config"})
    alt.VConcatChart.from_dict(frontier_picture(a_search()))


def test_the_page_loads_nothing_and_names_every_network_of_the_frontier() -> None:
    page = frontier_page(a_search())
    assert not re.search(r'(src|href)="(https?:)?//', page)
    assert f"{scale_text(BEST)} (best)" in page and scale_text(FINER) in page


def test_a_picture_names_them_too_in_colours_that_stand_by_themselves() -> None:
    text = svg_of(frontier_picture(a_search())).decode()
    for said in (f"{scale_text(BEST)} (best)", scale_text(FINER), "3,696,364"):
        assert said in text
    assert "var(" not in text
    picture = Image.open(io.BytesIO(png_of(frontier_picture(a_search()))))
    assert picture.width > 1800
    assert picture.getpixel((0, 0)) == (255, 255, 255)
    assert (0xC7, 0x5F, 0x14) in {colour for _, colour in picture.getcolors(1 << 20) or ()}  # the diamond's


@pytest.mark.parametrize("form", ["html", "png", "svg"])
def test_each_form_is_written_and_written_again_and_a_file_of_somebody_else_s_is_left(tmp_path: Path, form: str) -> None:
    file = tmp_path / f"frontier.{form}"
    for _ in range(2):
        assert write_frontier(a_search(), file) == file.stat().st_size
    file.write_text("mine")
    with pytest.raises(EdgecnnError, check=PAGE_IS_FOREIGN.made):
        write_frontier(a_search(), file)
    assert file.read_text() == "mine"


def test_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=PLOT_FORM_UNKNOWN.made):
        write_frontier(a_search(), tmp_path / "frontier.jpg")


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with a_tab(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.mark.full
def test_a_browser_draws_it_and_it_asks_for_nothing(tab: Tab, tmp_path: Path) -> None:
    file = tmp_path / "frontier.html"
    file.write_text(frontier_page(a_search()), encoding="utf-8")
    tab.open(file)
    assert tab.evaluate("document.querySelectorAll('[data-chart] svg path').length") > 10
    assert BEST.scale in tab.evaluate("document.body.innerText")
    assert (tab.complaints, tab.requests) == ([], [file.absolute().as_uri()])
    tab.open(file, width=375, height=812)
    assert tab.evaluate("document.documentElement.scrollWidth") == 375
