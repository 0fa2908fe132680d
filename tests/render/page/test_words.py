"""The glossary of the documentation and of the pages: one definition for each word, linked at its first use."""

from __future__ import annotations

import pytest

from edgecnn.render.page.words import OWN, WORDS, linked
from tests.render.page.all_pages import PAGES
from tests.render.page.pages import HOSTILE
from tests.render.page.reading import Element, read

WORDS_OF_THE_PROJECT = {
    "kit", "bundle", "candidate", "ladder", "rung", "recipe", "target", "store", "evidence", "provisional", "gate", "verdict",
    "PASS", "FAIL", "UNSURE", "MISSING",
}  # fmt: skip


def in_main(text: str) -> Element:
    """The main part of a page around this text, with its links."""
    page, _ = linked(f"<main>{text}</main>")
    return read(page).first("main")


def test_each_word_has_one_definition_of_one_line() -> None:
    assert len({word.id for word in WORDS}) == len(WORDS)
    forms = [form for word in WORDS for form in word.forms]
    assert len(forms) == len(set(forms))
    assert [word.term for word in WORDS if "\n" in word.meaning or len(word.meaning) > 165] == []
    assert {form for word in OWN for form in word.forms} >= WORDS_OF_THE_PROJECT


def test_the_first_use_of_a_word_is_linked_and_the_later_ones_are_not() -> None:
    main = in_main("<p>Two Kits, a kit &amp; a bundle: UNSURE.</p><p>kit</p>")
    assert [(link.words, link.attributes["href"]) for link in main.all("a")] == [
        ("Kits", "#word-kit"), ("bundle", "#word-bundle"), ("UNSURE", "#word-UNSURE"),
    ]  # fmt: skip
    assert main.words == "Two Kits, a kit & a bundle: UNSURE.kit"


@pytest.mark.parametrize(
    "text",
    [
        "<h1>Kit</h1>",
        "<pre><code>edgecnn bundle kit</code></pre>",
        '<a href="#x">kit</a>',
        '<th scope="row">kit <b>store</b></th>',
        '<p title="kit">x</p>',
        "<p>onnxruntime-kit kit-1 a/kit kit/a kit_1 pass</p>",
        "<p>not measured</p>",
    ],
)
def test_headings_commands_links_and_names_are_not_linked(text: str) -> None:
    assert linked(f"<main>{text}</main>") == (f"<main>{text}</main>", ())


def test_a_heading_is_linked_only_if_no_text_uses_its_word() -> None:
    main = in_main("<h2>Kits</h2><h3>Skipped rungs</h3><p>a kit</p>")
    assert [link.words for link in main.all("a")] == ["rungs", "kit"]


def test_the_longest_word_is_linked() -> None:
    assert [link.words for link in in_main("<p>the desktop-GPU baseline and the baseline</p>").all("a")] == [
        "desktop-GPU baseline", "baseline",
    ]  # fmt: skip


def test_a_mark_of_a_figure_is_linked() -> None:
    main = in_main('<p>measured <span class="mark"><span class="word"><svg></svg>measured</span> <b>kit</b></span></p>')
    assert [link.attributes["href"] for link in main.all("a")] == ["#word-measured", "#word-kit"]


@pytest.mark.parametrize("name", list(PAGES))
def test_every_page_defines_the_words_that_it_links(name: str) -> None:
    document = read(PAGES[name]())
    links = [link.attributes["href"][1:] for link in document.all("a") if link.attributes.get("class") == "term"]
    defined = [each.attributes["id"] for each in document.by_id("words").first("dl").children]
    assert sorted(links) == sorted(set(links)) == sorted(defined)
    assert all(document.by_id(anchor).first("dd").words for anchor in defined)


@pytest.mark.parametrize("name", list(PAGES))
def test_every_link_leads_to_a_place_on_the_page_and_every_id_is_there_once(name: str) -> None:
    document = read(PAGES[name]())
    ids = [each.attributes["id"] for each in document.all() if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    hrefs = {link.attributes["href"] for link in document.all("a", "use")}
    assert {href[1:] for href in hrefs if href.startswith("#")} <= set(ids)


def test_a_hostile_name_stays_text() -> None:
    document = read(PAGES["hostile"]())
    assert HOSTILE[0] in document.first("main").text
    assert not [each for each in document.first("main").all("script", "svg") if "onload" in each.attributes]
