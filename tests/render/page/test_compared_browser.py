"""The pages of a comparison and of a history in a real browser, held to what the page of a build is held to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from edgecnn.render.page.compared import comparison_page
from edgecnn.render.page.over_time import history_page
from tests.render.page.browser import Tab, a_tab
from tests.render.page.comparisons import a_history, a_point, a_series, hostile_builds, hostile_history, some_builds

pytestmark = pytest.mark.full

DRAWN = "[...document.querySelectorAll('[data-chart]')].map(p => p.querySelectorAll('svg path, svg line, svg text').length)"
PHONE_PX = 375
CHARTS = {"compare": 9, "ten": 9, "hostile-compare": 9, "history": 4, "hostile-history": 1, "one": 1}


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with a_tab(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    one = a_series(latency=(a_point(1, 2.0),), accuracy=())
    for name, text in {
        "compare": comparison_page(some_builds()),
        "ten": comparison_page(some_builds(6, 10)),
        "hostile-compare": comparison_page(hostile_builds()),
        "history": history_page(a_history()),
        "hostile-history": history_page(hostile_history()),
        "one": history_page(a_history(one)),
    }.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", list(CHARTS))
def test_it_draws_every_chart_says_nothing_on_the_console_and_asks_for_nothing(tab: Tab, folder: Path, name: str) -> None:
    file = folder / f"{name}.html"
    tab.open(file)
    drawn = tab.evaluate(DRAWN)
    assert len(drawn) == CHARTS[name]
    assert all(count > 4 for count in drawn)
    assert tab.complaints == []
    assert tab.requests == [file.absolute().as_uri()]
    assert tab.evaluate("window.broken === undefined")


@pytest.mark.parametrize("name", list(CHARTS))
def test_no_page_scrolls_sideways_on_a_phone(tab: Tab, folder: Path, name: str) -> None:
    tab.open(folder / f"{name}.html", width=PHONE_PX, height=812)
    assert tab.evaluate("document.documentElement.scrollWidth") == PHONE_PX


@pytest.mark.parametrize(
    ("name", "chart", "said"),
    [("compare", "top1", ("onnxruntime-fp32", "88.0 %")), ("history", "latency-1", ("2026-11-01", "8 runs"))],
)
def test_a_point_tells_its_figures_when_it_is_pointed_at(
    tab: Tab, folder: Path, name: str, chart: str, said: tuple[str, ...]
) -> None:
    tab.open(folder / f"{name}.html", height=1600)
    point = f"document.querySelector('[data-chart={chart}] .mark-symbol path')"
    tab.evaluate(f"{point}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
    x, y = tab.evaluate(
        f"(() => {{ const b = {point}.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; }})()"
    )
    tab.move(x - 60, y - 40)
    tab.move(x, y)
    told = tab.evaluate("document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent")
    assert all(each in told for each in said), told


@pytest.mark.parametrize(("name", "chart", "value"), [("compare", "top1", "B"), ("history", "latency-0", "first race")])
def test_an_entry_of_the_legend_fades_its_points_and_brings_them_back(
    tab: Tab, folder: Path, name: str, chart: str, value: str
) -> None:
    tab.open(folder / f"{name}.html")
    faint = (
        f"[...document.querySelectorAll('[data-chart={chart}] .mark-symbol path')]"
        ".filter(p => Number(p.getAttribute('opacity')) < 0.2).length"
    )
    button = f"document.querySelector('[data-sifts={chart}][value={value}]')"
    assert tab.evaluate(faint) == 0
    for pressed in (True, False):
        tab.evaluate(f"{button}.click()")
        found = tab.evaluate(f"new Promise(done => setTimeout(() => done({faint}), 300))")
        assert (found > 0) == pressed


@pytest.mark.parametrize("name", ["compare", "history"])
def test_charts_follow_light_and_dark_without_being_drawn_again(tab: Tab, folder: Path, name: str) -> None:
    tab.open(folder / f"{name}.html")
    first = "document.querySelector('.mark-symbol path')"
    paint = (
        f"[getComputedStyle(document.body).backgroundColor, getComputedStyle({first}).stroke + getComputedStyle({first}).fill]"
    )
    light = tab.evaluate(paint)
    tab.evaluate(f"(window.same = {first}, true)")
    tab.look(width=1280, dark=True)
    dark = tab.evaluate(paint)
    assert light[0] == "rgb(255, 255, 255)" and dark[0] == "rgb(18, 21, 24)"
    assert light[1] != dark[1]
    assert tab.evaluate(f"window.same === {first}")


def test_times_of_another_machine_have_an_axis_of_their_own(tab: Tab, folder: Path) -> None:
    tab.open(folder / "compare.html")
    letters = (
        "[...document.querySelectorAll('[data-chart={}] .mark-text.role-mark text')].map(t => t.textContent).sort().join('')"
    )
    assert tab.evaluate(letters.format("latency-0")) == "AABB"
    assert tab.evaluate(letters.format("latency-1")) == "C"


def test_a_line_of_the_history_breaks_where_conditions_changed(tab: Tab, folder: Path) -> None:
    tab.open(folder / "history.html")
    dashed = (
        "[...document.querySelectorAll('[data-chart=latency-0] line')].filter(l => l.getAttribute('stroke-dasharray')).length"
    )
    lines = "document.querySelectorAll('[data-chart=latency-0] .mark-line path').length"
    assert tab.evaluate(dashed) == 1
    assert tab.evaluate(lines) == 4  # two purposes on either side


@pytest.mark.parametrize("name", ["ten", "history"])
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (PHONE_PX, False)])
def test_a_picture_of_it_can_be_taken_in_both_themes_and_on_a_phone(
    tab: Tab, folder: Path, tmp_path: Path, name: str, width: int, dark: bool
) -> None:
    tab.open(folder / f"{name}.html", width=width, dark=dark)
    tab.screenshot(tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as picture:
        assert picture.width == width
        colours = picture.convert("RGB").resize((200, 800)).getcolors(1 << 20)
    assert colours is not None
    assert (sum(max(colours)[1]) < 150) == dark
