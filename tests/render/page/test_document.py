"""The page as text: what stands first, that every figure says where it comes from, and that nothing leads out of it."""

from __future__ import annotations

import re

import altair as alt
import pytest

from edgecnn.render.page.document import tied
from edgecnn.render.page.report import figures_of, report_page
from edgecnn.render.page.style import digest_source
from edgecnn.results.page import PageFacts
from edgecnn.values.artifact import Failed
from edgecnn.values.report import BuildReport, Choice
from edgecnn.values.verdict import Fidelity, Verdict
from tests.judging.made import a_latency, an_accuracy, facts
from tests.render.ci.sheets import a_verdict
from tests.render.page.pages import a_page, some_mistakes
from tests.render.page.reading import Element, charts_of, read
from tests.render.reports import a_played_baseline, a_report, a_residency, a_row


def about(report: BuildReport) -> Element:
    """The page of a report of which the store has nothing."""
    return read(report_page(PageFacts(report=report)))


@pytest.fixture(scope="module")
def document(page: str) -> Element:
    return read(page)


def test_the_verdict_stands_first_with_what_it_comes_from(document: Element) -> None:
    paragraph = document.first("main").first("p")
    assert paragraph.words.startswith("PASS onnxruntime-int8 ")


def test_a_desktop_gpu_is_shown_way_by_way_under_its_true_name() -> None:
    shown = about(a_report(a_row(), baseline=a_played_baseline())).by_id("notices")
    table = shown.first("table")
    assert table.first("caption").words.startswith("nvidia-h200: ")
    heads = [head.words for head in table.first("tbody").all("th")]
    assert heads == ["torch-fp32", "torch-amp-cudagraph", "torch-fp32-compiled"]
    assert table.words.count("MISSING") == 1


@pytest.mark.parametrize("verdict", list(Verdict))
def test_each_verdict_is_a_word_and_a_shape_of_its_own(verdict: Verdict) -> None:
    document = about(a_report(verdict=verdict))
    shown = document.by_id("verdict").first("p")
    assert shown.words.startswith(verdict.value)
    assert shown.first("use").attributes["href"] == f"#i-{verdict.value}"
    assert document.by_id(f"i-{verdict.value}").tag == "symbol"


def test_the_sections_stand_in_the_order_in_which_they_are_asked(document: Element) -> None:
    assert [section.attributes["id"] for section in document.all("section")] == [
        "verdict", "accuracy", "candidates", "why", "quality", "latency", "use", "residency", "size", "mistakes", "training",
        "gates", "notices", "environment", "again", "words",
    ]  # fmt: skip


def test_every_figure_in_the_table_says_where_it_comes_from_in_a_word_and_a_shape(document: Element) -> None:
    rows = document.by_id("candidates").first("tbody").all("tr")
    assert len(rows) == 2
    for row in rows:
        cells = row.all("td")[:-1]
        assert [cell.words.count("measured") for cell in cells] == [1] * 7
        assert {use.attributes["href"] for cell in cells for use in cell.all("use")} == {"#i-measured"}


def test_what_is_missing_emulated_or_planned_is_marked_so_with_its_reason() -> None:
    emulated = an_accuracy(5, 3, fidelity=Fidelity.EMULATED)
    absent = a_latency(None, reason="no jetson", runs=0)
    row = a_row("tensorrt-fp16", test=emulated, latency=absent, residency=a_residency("planned", fp16=0.99))
    document = about(a_report(row))
    cells = [cell.words for cell in document.by_id("candidates").first("tbody").all("td")]
    assert " emulated " in cells[0]
    assert cells[2] == "missing · no jetson"
    assert cells[4].startswith("99 % fp16 planned")


def test_every_chart_names_its_source_and_has_a_table_with_a_caption(document: Element) -> None:
    figures = [each for each in document.all("figure") if each.attributes.get("id")]
    assert len(figures) == 25
    words = ("measured", "emulated", "planned", "missing")
    for figure in figures:
        sources = next(each for each in figure.all("p") if each.attributes.get("class") == "sources")
        assert any(word in sources.words for word in words)
        chart = next(each for each in figure.all("div") if "data-chart" in each.attributes)
        assert chart.attributes["role"] == "img"
        assert chart.attributes["aria-label"].startswith(f"Chart: {figure.first('h3').words}. ")
        assert figure.first("details").first("caption").words
        assert figure.first("details").first("tbody").all("tr")


def test_every_table_has_a_caption_and_headings_with_a_scope(page: str, ten: str, empty: str) -> None:
    for document in map(read, (page, ten, empty)):
        for table in document.all("table"):
            assert len(table.all("caption")) == 1 and table.first("caption").words
            assert {heading.attributes.get("scope") for heading in table.all("th")} <= {"col", "row"}


def test_a_screen_reader_finds_landmarks_headings_in_order_and_names(document: Element) -> None:
    assert [len(document.all(tag)) for tag in ("header", "nav", "main", "footer", "h1")] == [1, 1, 1, 1, 1]
    levels = [int(heading.tag[1]) for heading in document.all("h1", "h2", "h3")]
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
    assert all(document.by_id(section.attributes["aria-labelledby"]).words for section in document.all("section"))
    assert all(image.attributes["alt"] for image in document.all("img"))
    assert document.first("html").attributes["lang"] == "en"


def test_a_keyboard_reaches_what_scrolls_and_each_region_has_a_name(document: Element) -> None:
    regions = [each for each in document.all("div") if "scroll" in each.attributes.get("class", "").split()]
    assert len(regions) == len(document.all("table"))
    assert all(each.attributes["tabindex"] == "0" and each.attributes["role"] == "region" for each in regions)
    assert all(each.attributes["aria-label"] for each in regions)


def test_every_link_leads_to_a_place_on_the_page_and_every_id_is_there_once(page: str, empty: str) -> None:
    for document in map(read, (page, empty)):
        ids = [each.attributes["id"] for each in document.all() if "id" in each.attributes]
        assert len(ids) == len(set(ids))
        assert {link.attributes["href"].removeprefix("#") for link in document.all("a", "use")} <= set(ids)


def test_nothing_leads_out_of_the_page(page: str, hostile: str) -> None:
    loading = ("src", "href", "srcset", "action", "formaction", "data", "poster", "background", "ping", "xlink:href")
    for text in (page, hostile):
        document = read(text)
        for element in document.all():
            for name, value in element.attributes.items():
                assert name not in loading or value.startswith(("#", "data:")), f"<{element.tag} {name}={value}>"
        assert not re.search(r"url\(|@import", document.first("style").text)
        assert [link.attributes["rel"] for link in document.all("link")] == ["icon"]
        assert not document.all("iframe", "object", "embed", "base", "form")


def test_the_policy_lets_two_scripts_run_and_nothing_load(page: str) -> None:
    document = read(page)
    policy = next(each for each in document.all("meta") if "http-equiv" in each.attributes).attributes["content"]
    scripts = [each for each in document.all("script") if "type" not in each.attributes]
    assert len(scripts) == 2
    allowed = " ".join(digest_source(script.text) for script in scripts)
    assert policy == (
        f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def test_a_page_of_ten_candidates_is_below_two_megabytes(ten: str) -> None:
    assert len(ten.encode("utf-8")) < 2_000_000


def test_a_build_of_which_nothing_is_known_says_so_section_by_section(empty: str) -> None:
    document = read(empty)
    for section in ("latency", "use", "mistakes", "training", "gates", "size"):
        assert "missing" in document.by_id(section).words, section
    assert charts_of(document) == {}
    assert not [each for each in document.all() if "data-chart" in each.attributes]


def test_a_gate_that_images_would_settle_says_so_once() -> None:
    gate = a_verdict(Verdict.UNSURE, reason="about 5,500 images would do").model_copy(update={"images_to_settle": 5500})
    assert about(a_report(gates=(gate,))).by_id("gates").words.count("5,500 images") == 1


def test_a_provisional_choice_comes_with_the_command_that_settles_it() -> None:
    choice = Choice(state="provisional", candidate="x", why="not settled", settle_command="scp -r bundle USER@jetson:edgecnn-1")
    document = about(a_report(choice=choice))
    assert document.by_id("verdict").first("pre").words == "scp -r bundle USER@jetson:edgecnn-1"


def test_a_confusion_matrix_counts_every_class_against_every_answer(document: Element) -> None:
    matrix = next(each for each in document.all("table") if each.attributes.get("class") == "confusion")
    assert [cell.words for cell in matrix.first("tbody").all("tr")[1].all("th", "td")] == ["boot", "0", "90", "2", "3"]
    assert {cell.attributes["class"] for cell in matrix.all("td")} == {"right", "wrong", "none"}


def test_where_there_are_too_many_classes_for_a_matrix_each_class_still_has_its_line() -> None:
    names = tuple(f"class {number}" for number in range(40))
    document = read(report_page(a_page().model_copy(update={"mistakes": some_mistakes(names, counts=None)})))
    assert not [each for each in document.all("table") if each.attributes.get("class") == "confusion"]
    lines = next(each for each in document.all("table") if each.attributes.get("class") == "classes").first("tbody").all("tr")
    assert len(lines) == 40


def test_the_worst_mistakes_are_pictures_with_what_they_are_and_what_was_said(document: Element) -> None:
    pictures = document.by_id("mistakes").all("img")
    assert len(pictures) == 12
    assert all(name in pictures[0].attributes["alt"] for name in ("image 0 ", "bag", "boot"))
    assert pictures[1].attributes["alt"].startswith("hats/a <b>.jpg: ")
    assert all(each.attributes["src"].startswith("data:image/jpeg;base64,/9j/") for each in pictures)


def test_every_chart_is_what_the_schema_of_vega_lite_takes() -> None:
    drawn = [figure for figures in figures_of(a_page(3)).values() for figure in figures]
    assert len(drawn) == 25
    for figure in drawn:
        assert alt.Chart.from_dict(dict(figure.spec)) is not None


def test_the_charts_on_the_page_are_those_that_have_a_place(document: Element) -> None:
    places = [each.attributes["data-chart"] for each in document.all() if "data-chart" in each.attributes]
    assert sorted(charts_of(document)) == sorted(places)
    assert len(places) == 25


def test_a_number_is_never_parted_from_its_unit() -> None:
    assert tied("at 0.46 ms [0.4, 0.5] pp of 84 %") == "at 0.46\u00a0ms [0.4, 0.5]\u00a0pp of 84\u00a0%"


def test_a_row_that_could_not_be_made_says_what_became_of_it() -> None:
    broken = facts("openvino-int8", outcomes={"quantize": Failed(ref="x", what="no")})
    document = about(a_report(a_row(), broken))
    assert document.by_id("candidates").first("tbody").all("tr")[1].all("td")[-1].words == "failed"
