"""Sentences that a reader has to read twice: too long ones, and turns of phrase that are not English. Each has its replacement.

A machine finds some of them. It finds no inverted sentence and no missing subject, so a low count is no proof of good prose.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping

import pytest
import typer

from edgecnn.cli.main import app
from edgecnn.errors.base import ErrorRow
from tests.errors.lines import rows
from tests.house.documents import documents
from tests.house.source_tree import modules, relative, syntax
from tests.surfaces.pinned import TEXTS

TURNS: Mapping[str, str] = {
    r"\banew\b": "again, or re-",
    r"\bto be had\b|\bcan be had\b": "is available",
    r"\bat hand\b": "available",
    r"\b(?:is|are|was|were) said\b": "the report says",
    r"\b(?:is|are|was|were) told\b": "is printed",
    r"\b(?:is|are|be) held against\b|\bhold (?:it|them|a \w+) against\b": "compare with",
    r"\bwhoever\b": "anyone who",
    r"\bnobody\b": "no one",
    r"\bfor ever\b": "indefinitely",
    r"\bwherever (?:it|they) (?:is|are)\b": "everywhere",
    r"\bstands? in for\b|\bstands? in the\b": "is in, replaces",
    r"\blies? in\b": "is stored in",
    r"\bmend(?:s|ed)?\b": "fix",
    r"\bcomes? to\b": "amounts to",
    r"\bbeside(?:s)?\b": "next to, in addition to",
    r"\bof its own\b|\bof their own\b": "its own, separate",
    r"(?<!there )\b(?:is|are) no\b(?! (?:longer|larger|smaller|faster|more)\b)": "is not a",
    r"(?<!there )\b(?:is|are) (?-i:none)\b": "there is no",
    r"\bso many\b|\bso long\b": "N, about",
    r"\bhang(?:s)? together\b": "are correlated",
    r"\bmakes? room\b": "delete old entries",
}


def _without_markup(text: str) -> str:
    text = re.sub(r"^---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = re.sub(r"```.*?```|<!--.*?-->|^ {4,}\S.*$", "\n\n", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^\s*(?:\|.*|#.*|!!!.*|\?\?\?.*)$", "\n", text, flags=re.MULTILINE)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"`+[^`]*`+", "code", text)


def sentences(text: str) -> Iterator[str]:
    """The sentences of plain paragraphs and list items: six words or more, so that titles and fragments of lists do not count."""
    for paragraph in re.split(r"\n\s*\n|\n\s*(?:[-*]|\d+\.)\s+", text):
        for sentence in re.split(r"(?<=[.!?:;])\s+(?=[A-Z\"'`(])", " ".join(paragraph.split())):
            if len(re.findall(r"\w+", sentence)) >= 6:
                yield sentence


def flaws(sentence: str, words_max: int) -> list[str]:
    """What is wrong with a sentence, each with what to write instead."""
    count = len(re.findall(r"[\w'’%.-]*\w[\w'’%.-]*", sentence))
    long = [f"{count} words: split it"] if count > words_max else []
    turns = ((re.search(turn, sentence, re.IGNORECASE), instead) for turn, instead in TURNS.items())
    return [*long, *(f"{match[0]!r}: write {instead}" for match, instead in turns if match)]


def _without_repeats(surface: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    shown = set[str]()
    for name, text in surface.items():
        for sentence in sentences(text):
            if sentence not in shown:
                shown.add(sentence)
                yield name, sentence


def docs() -> Mapping[str, str]:
    """README, CONTRIBUTING, SECURITY and every page, without code, tables and titles."""
    return {relative(page): _without_markup(page.read_text(encoding="utf-8")) for page in documents()}


def docstrings() -> Mapping[str, str]:
    """Those of modules, classes and functions, a module each."""
    texts = {}
    for path in modules().values():
        nodes = [node for node in ast.walk(syntax(path)) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
        texts[relative(path)] = _without_markup("\n\n".join(filter(None, (ast.get_docstring(node) for node in nodes))))
    return texts


def help_texts() -> Mapping[str, str]:
    """What ``--help`` says of each verb and of each option."""
    texts = {}
    commands = [("edgecnn", typer.main.get_command(app))]
    for name, command in commands:
        texts[name] = _without_markup(command.help or "")
        texts |= {f"{name} {option.name}": _without_markup(getattr(option, "help", None) or "") for option in command.params}
        commands += [(f"{name} {verb}", inner) for verb, inner in getattr(command, "commands", {}).items()]
    return texts


def _error_texts(row: ErrorRow) -> str:
    """The three parts of an error, with a word for each field."""
    return "\n\n".join(re.sub(r"\{[^{}]*\}", "X", part) for part in (row.what, row.why, row.fix) if part)


def _screen_lines(text: str) -> str:
    """The lines of a screen that are prose: neither a table nor a chart nor a command."""
    return "\n\n".join(line for line in text.splitlines() if not re.search(r"[─-▟]| \| |\S {2,}\S|^\s*(?:===|edgecnn \w)", line))


def messages() -> Mapping[str, str]:
    """Errors as their rows declare them, and the screens that a terminal shows."""
    errors = {f"error {row.ref}": _without_markup(_error_texts(row)) for row in rows()}
    screens = {f"screen {path.stem}": path.read_text(encoding="utf-8") for path in sorted((TEXTS / "screen").glob("*.txt"))}
    return errors | {name: re.sub(r"`[^`]*`", "code", _screen_lines(text)) for name, text in screens.items()}


@pytest.mark.parametrize(
    ("surface", "words_max", "flaws_in_a_hundred"),
    [(docs, 30, 0.5), (docstrings, 30, 2.5), (help_texts, 25, 1.0), (messages, 25, 3.0)],
)
def test_few_sentences_of_a_surface_are_flawed(
    surface: Callable[[], Mapping[str, str]], words_max: int, flaws_in_a_hundred: float
) -> None:
    """The number of flawed sentences in a hundred only ever falls."""
    checked = [(name, sentence, flaws(sentence, words_max)) for name, sentence in _without_repeats(surface())]
    flawed = [f"{name}: {'; '.join(wrong)}: {sentence}" for name, sentence, wrong in checked if wrong]
    assert 100 * len(flawed) / len(checked) <= flaws_in_a_hundred, "\n".join(flawed)
