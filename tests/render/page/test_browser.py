"""The page in a real browser: it draws, it reacts, it follows light, dark, print and phone, and it asks nobody for anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from edgecnn.render.page.report import report_page
from tests.render.page.browser import Tab, a_tab
from tests.render.page.pages import HOSTILE, a_page
from tests.render.page.test_size import a_large_page

pytestmark = pytest.mark.full

DRAWN = "[...document.querySelectorAll('[data-chart]')].map(p => p.querySelectorAll('svg path, svg line, svg text').length)"
FIRST_POINT = "document.querySelector('#tradeoff .mark-symbol path')"
NAMES = (
    "[...document.querySelectorAll('#tradeoff .mark-text.role-mark text')].filter(t => t.getAttribute('opacity') !== '0')"
    ".map(t => t.textContent).sort()"
)
"""That are seen beside points."""
PHONE_PX = 375


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with a_tab(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, page: str, ten: str, empty: str, hostile: str) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for name, text in {"page": page, "ten": ten, "empty": empty, "hostile": hostile}.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["page", "ten", "empty", "hostile"])
def test_it_draws_every_chart_says_nothing_on_the_console_and_asks_for_nothing(tab: Tab, folder: Path, name: str) -> None:
    file = folder / f"{name}.html"
    tab.open(file)
    drawn = tab.evaluate(DRAWN)
    assert len(drawn) == (0 if name == "empty" else 25)
    assert all(count > 8 for count in drawn)
    assert tab.complaints == []
    assert tab.requests == [file.absolute().as_uri()]


def test_hostile_names_run_nowhere_and_are_shown_in_the_charts_as_they_are(tab: Tab, folder: Path) -> None:
    tab.open(folder / "hostile.html")
    assert tab.evaluate("window.broken === undefined")
    assert tab.evaluate("document.title") == " ".join(f"PASS: {HOSTILE[0]} on {HOSTILE[1]}".split())
    labels = tab.evaluate("[...document.querySelectorAll('#sizes text')].map(each => each.textContent)")
    assert "{{7*7}}{% raw %}" in labels
    assert "<!--<script>" in labels


def test_a_name_that_got_out_of_the_escaping_would_still_not_run(tab: Tab, folder: Path, page: str) -> None:
    broken = folder / "broken.html"
    broken.write_text(page.replace("<main", "<script>window.broken=1</script><img src=x onerror='window.broken=2'><main"))
    tab.open(broken)
    assert tab.evaluate("window.broken === undefined")
    assert any("Content Security Policy" in complaint for complaint in tab.complaints)
    assert tab.requests == [broken.absolute().as_uri()]


def test_a_point_tells_its_figures_when_it_is_pointed_at(tab: Tab, folder: Path) -> None:
    tab.open(folder / "page.html", height=1600)
    tab.evaluate(f"{FIRST_POINT}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
    x, y = tab.evaluate(
        f"(() => {{ const b = {FIRST_POINT}.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; }})()"
    )
    assert tab.evaluate("document.getElementById('tip').hidden")
    tab.move(x - 60, y)
    tab.move(x, y)
    said = tab.evaluate("document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent")
    assert "onnxruntime-fp32" in said and "88.0 %" in said


def test_an_entry_of_the_legend_takes_its_precision_out_of_the_chart_and_brings_it_back(tab: Tab, folder: Path) -> None:
    tab.open(folder / "page.html")
    lines = "document.querySelectorAll('#curves-of-latency .mark-line path').length"
    button = "document.querySelector('[data-sifts=curves-of-latency][value=int8]')"
    before = tab.evaluate(lines)
    for pressed, count in (("false", before // 2), ("true", before)):
        tab.evaluate(f"{button}.focus()")
        for kind in ("keyDown", "keyUp"):
            tab.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
        assert tab.evaluate(f"{button}.getAttribute('aria-pressed')") == pressed
        assert tab.evaluate(f"new Promise(done => setTimeout(() => done({lines}), 300))") == count


def test_what_the_legend_takes_out_of_the_scatter_keeps_no_name(tab: Tab, folder: Path) -> None:
    tab.open(folder / "page.html")
    tab.evaluate("document.querySelector('[data-sifts=tradeoff][value=int8]').click()")
    tab.evaluate("new Promise(done => setTimeout(done, 300))")
    assert tab.evaluate(NAMES) == ["onnxruntime-fp32 (baseline)", "rtx-4090"]


def test_charts_follow_light_and_dark_without_being_drawn_again(tab: Tab, folder: Path) -> None:
    tab.open(folder / "page.html")
    paint = f"[getComputedStyle(document.body).backgroundColor, getComputedStyle({FIRST_POINT}).fill]"
    light = tab.evaluate(paint)
    tab.evaluate(f"(window.same = {FIRST_POINT}, true)")
    tab.look(width=1280, dark=True)
    dark = tab.evaluate(paint)
    assert light == ["rgb(255, 255, 255)", "rgb(101, 114, 127)"]
    assert dark == ["rgb(18, 21, 24)", "rgb(150, 163, 176)"]
    assert tab.evaluate(f"window.same === {FIRST_POINT}")


@pytest.mark.parametrize("name", ["page", "ten", "empty", "hostile"])
def test_no_page_scrolls_sideways_on_a_phone(tab: Tab, folder: Path, name: str) -> None:
    tab.open(folder / f"{name}.html", width=PHONE_PX, height=812)
    assert tab.evaluate("document.documentElement.scrollWidth") == PHONE_PX
    assert tab.complaints == []


def test_a_phone_shows_numbers_where_names_have_no_room(tab: Tab, folder: Path) -> None:
    tab.open(folder / "page.html", width=PHONE_PX, height=812)
    assert tab.evaluate(NAMES) == ["1", "2", "GPU"]
    tab.open(folder / "page.html")
    assert tab.evaluate(NAMES) == ["onnxruntime-fp32 (baseline)", "onnxruntime-int8 ★ chosen", "rtx-4090"]


def test_it_prints_in_black_on_white_even_from_a_dark_screen(tab: Tab, folder: Path, tmp_path: Path) -> None:
    tab.open(folder / "page.html", dark=True)
    tab.look(width=794, dark=True, media="print")
    assert tab.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.evaluate("document.documentElement.scrollWidth") == 794
    tab.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().count(b"/Type /Page\n") > 3


def test_all_of_the_text_stands_out_from_its_background(tab: Tab, folder: Path) -> None:
    """WCAG AA, 4.5 to 1, of every colour that text is set in; and 3 to 1 of what only has to be seen."""
    for dark in (False, True):
        tab.open(folder / "page.html", dark=dark)
        for name in ("ink", "soft", "accent", "PASS", "FAIL", "UNSURE", "MISSING"):
            assert min(contrast(tab, name, "bg"), contrast(tab, name, "panel")) >= 4.5, (name, dark)
        for name in ("fp32", "fp16", "bf16", "int8", "unknown"):
            assert contrast(tab, name, "bg") >= 3, (name, dark)


def contrast(tab: Tab, one: str, other: str) -> float:
    found = sorted((luminance(tab, one), luminance(tab, other)))
    return (found[1] + 0.05) / (found[0] + 0.05)


def luminance(tab: Tab, name: str) -> float:
    """Relative luminance as WCAG 2 defines it, of a colour of the page."""
    value = tab.evaluate(f"getComputedStyle(document.documentElement).getPropertyValue('--{name}').trim()")
    parts = [int(value[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (PHONE_PX, False)])
def test_a_picture_of_it_can_be_taken_in_both_themes_and_on_a_phone(
    tab: Tab, folder: Path, tmp_path: Path, width: int, dark: bool
) -> None:
    tab.open(folder / "ten.html", width=width, dark=dark)
    tab.screenshot(tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as picture:
        assert picture.width == width
        assert picture.height > 3000
        colours = picture.convert("RGB").resize((200, 800)).getcolors(1 << 20)
    assert colours is not None
    most = max(colours)[1]
    assert (sum(most) < 150) == dark
    assert len(colours) > 500


def test_a_build_of_one_candidate_draws_too(tab: Tab, folder: Path) -> None:
    (folder / "one.html").write_text(report_page(a_page(1)), encoding="utf-8")
    tab.open(folder / "one.html")
    assert tab.complaints == []
    assert all(count > 4 for count in tab.evaluate(DRAWN))


def pointed_at(tab: Tab, selector: str) -> str:
    """What the page says when the middle of the first such mark is pointed at."""
    tab.evaluate(f"document.querySelector('{selector}').scrollIntoView({{block: 'center', behavior: 'instant'}})")
    middle = f"(() => {{ const b = document.querySelector('{selector}').getBoundingClientRect();"
    x, y = tab.evaluate(f"{middle} return [b.x + b.width / 2, b.y + b.height / 2]; }})()")
    tab.move(x, y - 200)
    tab.move(x, y)
    said: str = tab.evaluate("document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent")
    return said


@pytest.mark.parametrize(
    ("chart", "words"),
    [
        ("startup", "opening 30.0"),
        ("end-to-end", "end to end 9.00"),
        ("throughput", "images/s"),
        ("sustained", "began, s"),
        ("sustained-rate", "images/s"),
        ("energy", "all 12.00"),
        ("quality-ece", "5.0"),
        ("classes-lost", "p after Holm"),
    ],
)
def test_each_chart_tells_its_figures_when_a_point_is_pointed_at(tab: Tab, folder: Path, chart: str, words: str) -> None:
    tab.open(folder / "page.html", height=1200)
    assert words in pointed_at(tab, f"#{chart} .mark-symbol path")
    assert tab.complaints == []


def test_the_parts_of_memory_and_the_runs_of_a_race_tell_theirs(tab: Tab, folder: Path) -> None:
    tab.open(folder / "page.html", height=1200)
    assert "the runtime alone" in pointed_at(tab, "#memory .mark-rect path")
    assert "5 of 8" in pointed_at(tab, "#steady .mark-rect path")


def test_the_legend_takes_a_precision_out_of_throughput(tab: Tab, folder: Path) -> None:
    tab.open(folder / "page.html")
    points = "document.querySelectorAll('#throughput .mark-symbol path').length"
    before = tab.evaluate(points)
    tab.evaluate("document.querySelector('[data-sifts=throughput][value=int8]').click()")
    assert tab.evaluate(f"new Promise(done => setTimeout(() => done({points}), 300))") == before // 2


def test_windows_in_which_the_machine_slowed_down_are_crossed(tab: Tab, folder: Path) -> None:
    tab.open(folder / "page.html")
    crosses = (
        "[...document.querySelectorAll('#sustained .mark-symbol path')].filter(p => p.getAttribute('fill') === 'var(--FAIL)')"
    )
    assert tab.evaluate(f"{crosses}.length") == 4, "two windows of each of two candidates"


def test_the_names_of_candidates_stand_once_beside_their_runs(tab: Tab, folder: Path) -> None:
    tab.open(folder / "ten.html")
    labels = tab.evaluate(
        "[...document.querySelectorAll('#runs .role-axis-label text')].map(t => t.textContent).filter(t => t.includes('-'))"
    )
    assert len(labels) == len(set(labels)) == 10


def test_the_largest_page_draws_within_seconds_and_says_nothing(tab: Tab, folder: Path) -> None:
    (folder / "large.html").write_text(report_page(a_large_page()), encoding="utf-8")
    tab.open(folder / "large.html", width=PHONE_PX, height=812)
    assert tab.complaints == []
    assert tab.evaluate("document.documentElement.scrollWidth") == PHONE_PX
