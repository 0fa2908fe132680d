"""Every page in a real browser: its result fits the first screen, no page scrolls sideways, tables keep their first column."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.render.page.all_pages import PAGES
from tests.render.page.browser import Tab, a_tab

pytestmark = pytest.mark.full

SCREEN_PX, HEIGHT_PX, PHONE_PX = 1300, 800, 400
WORDS_MAX = 60
REPORTS = ("settled", "provisional", "at-chance", "ten")
WITHOUT_FIGURE = ("empty",)
BOTTOM = "document.querySelector({!r}).getBoundingClientRect().bottom"
WORDS_BEFORE_THE_FIGURE = """(() => {
  const figure = document.querySelector('main figure');
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const words = [];
  while (texts.nextNode() && texts.currentNode.compareDocumentPosition(figure) & Node.DOCUMENT_POSITION_FOLLOWING) {
    if (figure.contains(texts.currentNode) || texts.currentNode.parentElement.closest('nav, tbody, .skip, .hidden')) continue;
    words.push(...texts.currentNode.textContent.split(/\\s+/).filter(word => /\\p{L}/u.test(word)));
  }
  return words;
})()"""
"""The words that a reader sees above the first figure. Links to sections and rows of tables do not count."""
LOOSE_TABLES = """(async () => {
  const loose = [];
  for (const table of document.querySelectorAll('table')) {
    const details = table.closest('details');
    if (details) details.open = true;
    const scroll = table.closest('.scroll');
    if (!scroll) { loose.push('not in a scroll region: ' + table.textContent.trim().slice(0, 60)); continue; }
    const heads = [...table.querySelectorAll('thead th:first-child, tbody th')];
    const before = heads.map(head => head.getBoundingClientRect().left);
    scroll.scrollLeft = 10000;
    await new Promise(requestAnimationFrame);
    if (scroll.scrollLeft && heads.some((head, at) => Math.abs(head.getBoundingClientRect().left - before[at]) > 1)) {
      loose.push(table.caption.textContent);
    }
    scroll.scrollLeft = 0;
    if (details) details.open = false;
  }
  return loose;
})()"""
"""Tables whose first column moves when the table is scrolled sideways."""


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with a_tab(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for name, page in PAGES.items():
        (folder / f"{name}.html").write_text(page(), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", REPORTS)
def test_the_verdict_and_the_chosen_kit_fit_the_first_screen(tab: Tab, folder: Path, name: str) -> None:
    tab.open(folder / f"{name}.html", width=SCREEN_PX, height=HEIGHT_PX)
    assert tab.evaluate("document.querySelector('#verdict').innerText").count("Chosen kit: ") == 1
    assert tab.evaluate(BOTTOM.format("#verdict .sentence")) < HEIGHT_PX / 2
    assert tab.evaluate(BOTTOM.format("#verdict .tiles")) < HEIGHT_PX
    assert tab.evaluate(BOTTOM.format("#verdict")) < HEIGHT_PX


@pytest.mark.parametrize("name", [name for name in PAGES if name not in WITHOUT_FIGURE])
def test_few_words_are_above_the_first_figure(tab: Tab, folder: Path, name: str) -> None:
    tab.open(folder / f"{name}.html", width=SCREEN_PX, height=HEIGHT_PX)
    words = tab.evaluate(WORDS_BEFORE_THE_FIGURE)
    assert 2 < len(words) <= WORDS_MAX, words


@pytest.mark.parametrize("name", list(PAGES))
@pytest.mark.parametrize("width", [SCREEN_PX, PHONE_PX])
def test_no_page_scrolls_sideways(tab: Tab, folder: Path, name: str, width: int) -> None:
    tab.open(folder / f"{name}.html", width=width, height=HEIGHT_PX)
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    assert tab.complaints == []


@pytest.mark.parametrize("name", list(PAGES))
def test_a_table_that_scrolls_sideways_keeps_its_first_column(tab: Tab, folder: Path, name: str) -> None:
    tab.open(folder / f"{name}.html", width=PHONE_PX, height=HEIGHT_PX)
    assert tab.evaluate(LOOSE_TABLES) == []


@pytest.mark.parametrize("name", REPORTS)
def test_a_phone_shows_two_columns_of_the_candidates_at_once(tab: Tab, folder: Path, name: str) -> None:
    tab.open(folder / f"{name}.html", width=PHONE_PX, height=HEIGHT_PX)
    widths = tab.evaluate(
        "[...document.querySelectorAll('.candidates tbody th')].map(head => head.getBoundingClientRect().width)"
    )
    assert max(widths) < PHONE_PX / 2


def test_a_word_leads_to_its_definition(tab: Tab, folder: Path) -> None:
    tab.open(folder / "settled.html", width=SCREEN_PX, height=HEIGHT_PX)
    tab.evaluate("document.documentElement.style.scrollBehavior = 'auto'")
    tab.evaluate("document.querySelector('#verdict a.term').click()")
    assert tab.evaluate("location.hash") == "#word-PASS"
    top = tab.evaluate("document.getElementById('word-PASS').getBoundingClientRect().top")
    assert 0 <= top < HEIGHT_PX
