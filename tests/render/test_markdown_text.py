"""Text of a user or a file is text in every Markdown that edgecnn writes: nothing of it becomes markup."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from edgecnn.render.bundle import bundle_licences, bundle_readme
from edgecnn.render.ci import sheet_of_report, summary_markdown
from edgecnn.render.markdown import report_markdown
from edgecnn.render.wording import markdown_cell, markdown_code, markdown_text
from edgecnn.values.candidate import Precision, Runtime, Unsupported
from edgecnn.values.report import BuildReport, Choice
from tests.judging.made import a_candidate, facts
from tests.render.reports import a_build, a_gate, a_report, a_row

MARKUP = (
    "<img src=x onerror=alert(1)>", "</ul><script>alert(1)</script>", "<!-- x", "[link](http://x)", "![](http://x)",
    "[a]: http://x", "<http://x.y>", "*b* **b** _e_ __e__ ~~s~~", "# heading", "> quote", "- item", "+ item", "1. item",
    "1) item", "---", "***", "___", "```", "~~~", "`a", "a | b", "| a |\n| --- |", "&lt;b&gt; &#60;", "\\", "\\*a\\*",
    "[x] done", "two\n\nparagraphs", "    four", "a \\`b`",
)  # fmt: skip
PLAIN = (
    "[-1.13, +1.13] pp",
    "node_Conv_840",
    "3 < 5 > 2",
    "`edgecnn bench builds/a_b --fresh` races again",
    "R&D, 猫",
    "-1.5 % (+2)",
)
MINE = Choice(state="settled", candidate=None, why="", settle_command="edgecnn bench out")


def tokens(text: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        yield token
        yield from token.children or ()


def shown(text: str) -> str:
    return "".join(token.content for token in tokens(text) if token.type in ("text", "code_inline"))


def kinds(text: str) -> set[str]:
    return {token.type for token in tokens(text)}


@pytest.mark.parametrize("text", [*MARKUP, *PLAIN])
def test_an_item_shows_its_text_and_holds_no_markup(text: str) -> None:
    written = f"- {markdown_text(text)}"
    inside = {"bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close", "paragraph_open", "paragraph_close"}
    assert kinds(written) <= inside | {"inline", "text", "text_special", "code_inline"}
    assert shown(written).replace("`", "") == " ".join(text.split()).replace("`", "")


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_markup_is_written_as_it_stands(text: str) -> None:
    assert markdown_text(text) == text


def test_whatever_is_put_together_from_signs_stays_text() -> None:
    draw = Random(0)
    for _ in range(2000):
        text = "".join(draw.choice("a b`*_[]()<>!#&;:\\|~-+.1\n") for _ in range(draw.randrange(1, 24)))
        assert kinds(f"- {markdown_text(text)}").isdisjoint({"link_open", "image", "html_inline", "html_block", "em_open"}), text
        assert len([each for each in tokens(f"- {markdown_text(text)}\n- b") if each.type == "list_item_open"]) == 2, text
        row = markdown_cell(text)
        cells = [each for each in tokens(f"| a | b |\n| --- | --- |\n| {row} | b |") if each.type == "td_open"]
        assert len(cells) == 2, text


@pytest.mark.parametrize("command", ["edgecnn build --data 'a|b'", "echo `date`", "a``b", "`", " "])
def test_a_command_is_shown_as_it_is_typed(command: str) -> None:
    (code,) = (token for token in tokens(f"- x {markdown_text(markdown_code(command))}") if token.type == "code_inline")
    assert code.content == command


def with_words(words: str) -> BuildReport:
    mixed = facts("onnxruntime-int8", reason=words, kept_float=(words,))
    return a_report(
        mixed.model_copy(update={"candidate": a_candidate("onnxruntime-int8").model_copy(update={"id": words})}),
        a_row(reason=words),
        build=a_build(**dict.fromkeys(("name", "arch", "weights", "data", "device", "command"), words)),
        choice=MINE.model_copy(update={"why": words, "settle_command": words, "candidate": words, "carried": (words,)}),
        gates=(a_gate(reason=words),),
        notices=(words,),
        unexecuted=(words,),
        unsupported=(Unsupported(runtime=Runtime.OPENVINO, precision=Precision.BF16, why=words),),
        skipped_rungs={words: words},
    )


@pytest.mark.parametrize(
    "page", [report_markdown, bundle_readme, bundle_licences, lambda it: summary_markdown(sheet_of_report(it))]
)
@pytest.mark.parametrize("words", MARKUP)
def test_no_page_takes_words_for_markup(page: Callable[[BuildReport], str], words: str) -> None:
    made, harmless = page(with_words(words)), page(with_words("words"))
    assert kinds(made).isdisjoint(
        {"html_inline", "html_block", "link_open", "image", "em_open", "hr", "blockquote_open", "s_open"}
    )
    for kind in ("heading_open", "list_item_open", "td_open", "tr_open", "strong_open", "fence"):
        assert [each.type for each in tokens(made)].count(kind) == [each.type for each in tokens(harmless)].count(kind), kind


def test_tables_are_tables() -> None:
    assert "td_open" in kinds(report_markdown(with_words("a|b"))) and "td_open" in kinds(
        summary_markdown(sheet_of_report(a_report()))
    )


@pytest.mark.parametrize("text", ["a" + " " * 200_000 + "b", "a" + " \n" * 200_000 + "b", "a" + "\n" * 200_000 + "b"])
@pytest.mark.timeout(20)  # a pattern that looks for blanks around each break takes hours
def test_long_blanks_take_linear_time(text: str) -> None:
    shown = " ".join(text.split()) if "\n" in text else text
    assert markdown_text(text) == shown and markdown_code(text) == f"`{shown}`"
